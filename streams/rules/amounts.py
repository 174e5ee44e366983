"""Large or much corrected amounts: finance is asked whether it agrees before anybody approves (domain: route plan)."""

from typing import Final

from schemas.money import format_minor
from schemas.records import AmountQuery
from streams.rules.claim import AmountCheck, Claim, SettlementVersion, Task, TaskKind
from streams.rules.decision import Cause, Output
from streams.rules.derived import derived_id
from streams.rules.product import Terms

QUERY: Final = "finance.amount-query.v1"
ASKED: Final = "amounts.asked"


def query_id(claim: str, settlement_version: int) -> str:
    """The id of the query about one settlement version, the same whenever it is derived."""
    return derived_id("AQ", claim, settlement_version)


def why_asked(claim: Claim, settlement: SettlementVersion, answered: AmountCheck | None, terms: Terms) -> str | None:
    """Why finance must be asked about a settlement, or an advance on it; None when it need not, or `answered` to it."""
    if answered is not None and answered.version == settlement.version:
        return None
    amount, limit = sum(settlement.covers.values()), terms.above_minor.get("amount-check")
    if limit is not None and amount > limit:
        return f"{format_minor(amount, settlement.currency)} is above {format_minor(limit, settlement.currency)}"
    for known in claim.assessed:
        newest = sum(known.buckets.values())
        # A reopened claim has the agreed amounts of the round before, without the estimates they rest on.
        if known.buckets and abs(newest - known.first_minor) * 100 > known.first_minor * terms.estimates_per_cent:
            return f"the estimates of {known.damaged} differ by more than {terms.estimates_per_cent} %"
    return None


def ask(claim: Claim, settlement: SettlementVersion, cause: Cause, why: str) -> tuple[Task, Output]:
    """The task of asking finance, and the query."""
    query = AmountQuery(
        claim=claim.number,
        query_id=query_id(claim.number, settlement.version),
        settlement_version=settlement.version,
        amount_minor=sum(settlement.covers.values()),
        currency=settlement.currency,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=ASKED,
        reason=why,
    )
    about = f"settlement {settlement.version}"
    task = Task(kind=TaskKind.AMOUNT_CHECK, addressee="finance", opened=cause.ref, about=about)
    return task, Output(QUERY, claim.number, query, ASKED, why)
