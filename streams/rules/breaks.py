"""Breaks: what does not fit is told once, to the department that can clear it."""

from collections.abc import Collection
from typing import Final

from schemas.records import Break, BreakKind
from schemas.topics import BREAKS, TOPICS, Owner
from streams.rules.admission import FOR_POLICY
from streams.rules.claim import Payment
from streams.rules.decision import Cause, Output
from streams.rules.derived import derived_id

PARKED: Final = f"breaks.{BreakKind.PARKED_TOO_LONG}"
_HOUR_MS: Final = 3_600_000


def break_id(kind: BreakKind, about: str) -> str:
    """The id of a break of this kind about one thing, the same whenever it is derived."""
    return derived_id("BK", kind, about)


def parked_too_long(subject: str, record: Cause, reason: str, until: Collection[str], limit_ms: int) -> Output:
    """A record has waited for longer than the limit: whoever owes what it waits for has to see to it. `reason` says
    what that is, `until` are the topics one of whose records would end the wait."""
    told = f"a record of {record.topic} has waited {limit_ms // _HOUR_MS} hours and more: {reason}"
    raised = Break(
        break_id=break_id(BreakKind.PARKED_TOO_LONG, record.ref),
        kind=BreakKind.PARKED_TOO_LONG,
        owner=owner_of(until),
        key=subject,
        about=record.ref,
        since_at_ms=record.at_ms,
        at_ms=record.at_ms + limit_ms,
        cause=record.ref,
        rule=PARKED,
        reason=told,
    )
    return Output(BREAKS, subject, raised, PARKED, told)


def of_payment(kind: BreakKind, claim: str, payment: Payment, cause: Cause, reason: str) -> Output:
    """Nobody knows the end of a payment, or two were told: finance has to find out, and nothing is paid meanwhile."""
    rule = f"breaks.{kind}"
    raised = Break(
        break_id=break_id(kind, cause.ref),
        kind=kind,
        owner=Owner.FINANCE,
        key=claim,
        about=payment.id,
        since_at_ms=cause.at_ms,
        expected_minor=payment.amount_minor,
        currency=payment.currency,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=rule,
        reason=reason,
    )
    return Output(BREAKS, claim, raised, rule, reason)


def owner_of(until: Collection[str]) -> Owner:
    """The department that owes one of these topics' records: operations when none can end the wait (a schema is not
    known), underwriting for a policy, and the adjuster, whose claim it is, where several departments may."""
    if set(until) == set(FOR_POLICY):
        return Owner.UNDERWRITING
    owners = {TOPICS[topic].owner for topic in until}
    if not owners:
        return Owner.OPERATIONS
    return owners.pop() if len(owners) == 1 else Owner.ADJUSTER
