"""What a dispute that legal ended makes of a settlement: the claim comes to what was agreed or awarded."""

from typing import Final

from msgspec.structs import replace

from streams.rules.claim import Claim
from streams.rules.settlement import CoverAmount, Settlement, Step

AWARD: Final = "legal-award"


def award_minor(claim: Claim) -> int | None:
    """What the claim comes to by the end of its newest dispute, in minor units; None while nothing says so."""
    return None if claim.dispute is None else claim.dispute.amount_minor


def awarded(claim: Claim, settled: Settlement) -> Settlement:
    """The settlement, with what the end of the dispute adds to the covers or takes from them, as a cover of its own."""
    award = award_minor(claim)
    if award is None:
        return settled
    more = award - settled.total_minor
    why = f"the dispute ended so that the claim comes to {award}"
    cover = CoverAmount(AWARD, more, (Step("award", "0", str(more), why),))
    return replace(
        settled,
        covers=(*settled.covers, cover),
        total_minor=settled.total_minor + more,
        payable_minor=settled.payable_minor + more,
    )
