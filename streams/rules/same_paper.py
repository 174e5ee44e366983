"""The same paper or picture in two claims: the second is refused, and both claims hear of it (domain: same paper)."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from schemas.records import SamePaper
from streams.rules.admission import noticed
from streams.rules.claim import Claim
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.progress import reconsider
from streams.rules.traces import Shared

SAME_PAPER: Final = "hub.same-paper.v1"
REFUSED: Final = "same-paper.refused"
FOUND: Final = "same-paper.found"


def found(claim: Claim, what: str, others: Sequence[Shared], cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """The claim with this as a signal, and a record to each other claim, which has the same; once for each of them."""
    outputs = []
    for other in others:
        mark = _mark(what, other.claim)
        if mark not in claim.same_papers:
            claim = replace(claim, same_papers=(*claim.same_papers, mark))
            record = SamePaper(claim=other.claim, other=claim.number, what=what, at_ms=cause.at_ms)
            reason = f"the same {what} came with claim {claim.number}"
            outputs.append(Output(SAME_PAPER, other.claim, record, FOUND, reason))
    return claim, tuple(outputs)


def refuse(claim: Claim, what: str, others: Sequence[Shared], cause: Cause) -> Decision:
    """A paper that another claim has is not taken: the claim is as if it had not come, but for its risk."""
    names = ", ".join([other.claim for other in others])
    claim, told = found(claim, what, others, cause)
    reason = f"the {what} is refused: it was presented before, with claim {names}"
    return replace(reconsider(claim, cause, REFUSED, reason, told), refused=True)


def on_same_paper(claim: Claim, record: SamePaper, cause: Cause, seen: Lookups) -> Decision:
    """Note that a paper of this claim came with another one as well, once. Raises Park before the notice."""
    noticed(claim, "the same paper elsewhere")
    mark = _mark(record.what, record.other)
    reason = f"the same {record.what} came with claim {record.other}"
    if mark in claim.same_papers:
        return Decision(claim, FOUND, f"{reason}: known")
    return reconsider(replace(claim, same_papers=(*claim.same_papers, mark)), cause, FOUND, reason)


def _mark(what: str, claim: str) -> str:
    return f"{what} of claim {claim}"
