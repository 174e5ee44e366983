"""What is open on each day, for finance's budget: set aside, approved and not instructed, instructed and not paid."""

from typing import Final

from msgspec import Struct

from schemas.records import ClaimStatus, PaymentInstruction, ReserveMovement
from streams.reports.claim_figures import ClaimFigures, day_number
from streams.rules.claim import Stage

RESERVE: Final = "reserve"
APPROVED: Final = "approved"
INSTRUCTED: Final = "instructed"
_APPROVED: Final = frozenset({Stage.DECIDED, Stage.AGREED, Stage.PAYING})
_ENDED_UNPAID: Final = frozenset(
    {"payments.rejected", "payments.cancelled", "statements.returned", "closures.not-paid"}
)
"""The rules by which the payment that was on its way ends without the money being with the payee."""


class Liability(Struct, frozen=True):
    """By how much what is open of a claim changed on a day like 20260331, in minor units."""

    kind: str
    claim: str
    day: int
    amount_minor: int


def reserved(figures: ClaimFigures, movement: ReserveMovement) -> Liability:
    """What was set aside, or less than before when below zero."""
    day = day_number(movement.at_ms, movement.line)
    return Liability(RESERVE, figures.claim, day, movement.after_minor - movement.before_minor)


def instructed(figures: ClaimFigures, instruction: PaymentInstruction) -> Liability:
    """What finance was told to pay."""
    figures.instructed_minor += instruction.amount_minor
    day = day_number(instruction.issued_at_ms, figures.line)
    return Liability(INSTRUCTED, figures.claim, day, instruction.amount_minor)


def changed(figures: ClaimFigures, status: ClaimStatus, paid_minor: int) -> list[Liability]:
    """What of a claim's instructed and approved amounts is open after a snapshot that says `paid_minor` more was paid.
    One payment of a claim is on its way at a time."""
    on_its_way = 0 if status.rule in _ENDED_UNPAID else figures.instructed_minor
    on_its_way = max(0, on_its_way - max(0, paid_minor))
    approved = 0
    if status.stage in _APPROVED and not on_its_way:
        approved = max(0, status.payable_minor or 0)
    day = day_number(status.at_ms, status.line)
    moves = ((INSTRUCTED, on_its_way - figures.instructed_minor), (APPROVED, approved - figures.approved_minor))
    figures.instructed_minor, figures.approved_minor = on_its_way, approved
    return [Liability(kind, figures.claim, day, moved) for kind, moved in moves if moved]
