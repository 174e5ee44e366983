"""`claimhub payments`: every payment attempt as it stands."""

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, select

from schemas.money import format_minor
from sinks.ledger.tables import payments
from streams.commands import show


class PaymentAttempt(Struct, frozen=True):
    """One payment attempt; the amount in minor units. Who is paid is in the instruction alone."""

    id: str
    claim: str
    settlement_version: int
    attempt: int
    amount_minor: int
    currency: str
    state: str
    proposed_by: str
    approved_by: str
    cause: str
    at: str

    @property
    def amount(self) -> str:
        """The amount for people."""
        return format_minor(self.amount_minor, self.currency)


def read_payments(
    connection: Connection, claim: str | None = None, *, instruction: str | None = None
) -> list[PaymentAttempt]:
    """The attempts of one claim or of all, oldest first; or the one of an instruction."""
    c = payments.c
    query = select(
        c.id,
        c.claim,
        c.settlement_version,
        c.attempt,
        c.amount_minor,
        c.currency,
        c.state,
        c.proposed_by,
        c.approved_by,
        c.cause,
        c.at_ms,
    ).order_by(c.at_ms, c.claim, c.settlement_version, c.attempt)
    if claim is not None:
        query = query.where(c.claim == claim)
    if instruction is not None:
        query = query.where(c.id == instruction)
    rows: Iterable[tuple[Any, ...]] = map(tuple, connection.execute(query))
    return [PaymentAttempt(*(*row[:-1], show.time(row[-1]))) for row in rows]


def show_payments(attempts: list[PaymentAttempt]) -> None:
    """Print the attempts."""
    rows = [
        (p.id, p.claim, p.settlement_version, p.attempt, p.amount, p.state, p.proposed_by, p.approved_by, p.at)
        for p in attempts
    ]
    headings = ("payment", "claim", "settlement", "attempt", "amount", "state", "proposed by", "approved by", "time")
    show.table(headings, rows, "no payments")
