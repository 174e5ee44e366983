"""What finance says to a query, before anything is paid."""

from msgspec.structs import replace

from schemas.records import AmountAnswer
from streams.outcomes import Dead, Park
from streams.rules import advances
from streams.rules.admission import BEFORE_SETTLEMENT, undecided
from streams.rules.amounts import query_id
from streams.rules.claim import AmountCheck, Claim, TaskKind
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.progress import advance


def on_amount_answer(claim: Claim, answer: AmountAnswer, cause: Cause, seen: Lookups) -> Decision:
    """Take finance's answer; without its agreement people decide all the same, and the reason tells them.

    Raises Park before the first settlement or advance, Dead `no-query` for a query that was never asked or is of an
    older one, and once the claim is decided.
    """
    undecided(claim, "the amount answer")
    if claim.newest_version == 0:
        raise Park("the amount answer waits for a settlement", until=BEFORE_SETTLEMENT)
    proposed = advances.checked_by_finance(claim)
    settlement = claim.settlement if proposed is None else proposed
    version = claim.newest_version if settlement is None else settlement.version
    asked = any(task.kind is TaskKind.AMOUNT_CHECK for task in claim.open_tasks)
    if not asked or answer.query_id != query_id(claim.number, version):
        raise Dead("no-query", f"query_id: finance is not asked for settlement {version} under this id")
    answered = AmountCheck(version=version, agreed=answer.agreed)
    reason = f"finance {'agrees' if answer.agreed else 'does not agree'} with settlement {version}"
    claim = advances.with_answer(claim, answered) if proposed is not None else replace(claim, amount_check=answered)
    return advance(claim, cause, "amounts.answered", reason)
