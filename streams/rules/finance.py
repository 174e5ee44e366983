"""What finance says to a query, before anything is paid."""

from msgspec.structs import replace

from schemas.records import AmountAnswer
from streams.outcomes import Dead, Park
from streams.rules.admission import BEFORE_SETTLEMENT, undecided
from streams.rules.amounts import query_id
from streams.rules.claim import AmountCheck, Claim, TaskKind
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.progress import advance


def on_amount_answer(claim: Claim, answer: AmountAnswer, cause: Cause, seen: Lookups) -> Decision:
    """Take finance's answer; without its agreement people decide all the same, and the reason tells them.

    Raises Park before the settlement, Dead `no-query` for a query that was never asked or is of an older settlement,
    and once the claim is decided.
    """
    undecided(claim, "the amount answer")
    settlement = claim.settlement
    if settlement is None:
        raise Park("the amount answer waits for a settlement", until=BEFORE_SETTLEMENT)
    asked = any(task.kind is TaskKind.AMOUNT_CHECK for task in claim.open_tasks)
    if not asked or answer.query_id != query_id(claim.number, settlement.version):
        raise Dead("no-query", f"query_id: finance is not asked for settlement {settlement.version} under this id")
    checked = AmountCheck(version=settlement.version, agreed=answer.agreed)
    reason = f"finance {'agrees' if answer.agreed else 'does not agree'} with settlement {settlement.version}"
    return advance(replace(claim, amount_check=checked), cause, "amounts.answered", reason)
