"""What is set aside for a claim: its line's average, then what is assessed, then what is settled, less what is paid
(domain: departments, reserves)."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from schemas.money import format_minor
from schemas.records import FindingKind, ReserveMovement
from streams.rules.claim import PAID, Claim, Notice, Outcome
from streams.rules.decision import Cause, Output
from streams.rules.lines import terms_of

MOVEMENT: Final = "finance.reserve-movement.v1"
ANY_OTHER: Final = "other"


class Basis(StrEnum):
    """What a reserve rests on."""

    AVERAGE = "average"
    NOTIFIED = "notified"
    ASSESSED = "assessed"
    SETTLED = "settled"
    CLOSED = "closed"


class Reserve(NamedTuple):
    """What is set aside for a claim: what it is thought to cost, less what is paid of it; in minor units."""

    cost_minor: int
    paid_minor: int
    basis: Basis

    @property
    def amount_minor(self) -> int:
        """Never below zero: what was paid too much is a recovery."""
        return max(self.cost_minor - self.paid_minor, 0)


def reserve_of(claim: Claim, notice: Notice) -> Reserve:
    """The reserve of a claim as it stands: nothing before it is registered and once nothing is owed any more."""
    cost_minor, basis = _cost(claim, notice)
    return Reserve(cost_minor, paid_minor(claim) if claim.payments else 0, basis)


def paid_minor(claim: Claim) -> int:
    """What finance has paid for a claim, in minor units."""
    return sum([payment.amount_minor for payment in claim.payments if payment.state in PAID])


def movement(claim: Claim, version: int, notice: Notice, reserve: Reserve, cause: Cause) -> Output:
    """The record of a reserve that is no longer what the claim has, as from this version of the claim."""
    rule, reason = f"reserves.{reserve.basis}", _in_words(reserve, notice)
    moved = ReserveMovement(
        claim=claim.number,
        version=version,
        line=notice.line,
        before_minor=claim.reserve_minor,
        after_minor=reserve.amount_minor,
        currency=notice.currency,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=rule,
        reason=reason,
    )
    return Output(MOVEMENT, claim.number, moved, rule, reason)


def _cost(claim: Claim, notice: Notice) -> tuple[int, Basis]:
    if claim.policy is None or claim.outcome not in (None, Outcome.APPROVED):
        return 0, Basis.CLOSED
    settlement = claim.settlement
    if settlement is not None and (claim.outcome is not None or settlement.round == claim.round):
        return sum(settlement.covers.values()), Basis.SETTLED
    if claim.assessed:
        return sum([_assessed(known.agreed_minor, known.buckets.values()) for known in claim.assessed]), Basis.ASSESSED
    if claim.bills:
        return sum([bill.eligible_minor for bill in claim.bills]), Basis.ASSESSED
    valued = _valued(claim)
    if valued is not None:
        return valued, Basis.ASSESSED
    averages = terms_of(notice).reserve_minor
    average = averages.get(notice.cause, averages.get(ANY_OTHER))
    return (notice.estimated_loss_minor, Basis.NOTIFIED) if average is None else (average, Basis.AVERAGE)


def _assessed(agreed_minor: int | None, estimated: Iterable[int]) -> int:
    return sum(estimated) if agreed_minor is None else agreed_minor


def _valued(claim: Claim) -> int | None:
    """The loss as a loss adjuster valued it, else a surveyor."""
    for kind in (FindingKind.LOSS_ADJUSTER, FindingKind.SURVEY):
        found = claim.found(kind)
        if found is not None and found.loss_minor is not None:
            return found.loss_minor + (found.rescue_minor or 0)
    return None


def _in_words(reserve: Reserve, notice: Notice) -> str:
    cost = format_minor(reserve.cost_minor, notice.currency)
    match reserve.basis:
        case Basis.AVERAGE:
            words = f"a {notice.line} claim of this cause costs {cost} on average"
        case Basis.NOTIFIED:
            words = f"the product has no average for this cause; the loss as notified is {cost}"
        case Basis.ASSESSED:
            words = f"assessed at {cost} so far"
        case Basis.SETTLED:
            words = f"settled at {cost}"
        case _:
            words = "nothing is owed as things stand, so nothing is set aside"
    if reserve.paid_minor:
        return f"{words}; {format_minor(reserve.paid_minor, notice.currency)} is paid"
    return words
