"""Holding a payment that is due, and releasing it: who holds it does not release it."""

from typing import Final

from sqlalchemy import Connection, func, insert, select, update

from sinks.ledger.bank_tables import bank_payment_actions, bank_payments
from sinks.payments.book import BankState, PaymentAction
from sinks.payments.people import same_person

HUB: Final = "claimhub"
"""Who holds what a payment file cannot carry."""


class NotHeld(Exception):
    """A payment is not held, or not released. The text says why; nothing was changed."""


def hold(book: Connection, instruction_id: str, person: str, reason: str, now_ms: int) -> None:
    """Keep a payment that is due out of every file until somebody else releases it. Raises NotHeld."""
    c = bank_payments.c
    due = update(bank_payments).where(c.instruction_id == instruction_id, c.state == BankState.DUE)
    if book.execute(due.values(state=BankState.HELD, held_by=person, reason=reason)).rowcount != 1:
        raise NotHeld(_why(book, instruction_id, "only a payment that is due can be held"))
    _keep(book, instruction_id, PaymentAction.HELD, person, None, reason, now_ms)


def release(book: Connection, instruction_id: str, person: str, reason: str, now_ms: int) -> None:
    """Let a held payment be due again. Raises NotHeld, also for the person who holds it."""
    c = bank_payments.c
    one = bank_payments.c.instruction_id == instruction_id
    held_by = book.execute(select(c.held_by).where(one, c.state == BankState.HELD)).scalar_one_or_none()
    if held_by is None:
        raise NotHeld(_why(book, instruction_id, "only a payment that is held can be released"))
    if same_person(held_by, person):
        raise NotHeld(f"{instruction_id} is held by {person}: somebody else has to release it. Nothing was changed")
    held = update(bank_payments).where(one, c.state == BankState.HELD, c.held_by == held_by)
    if book.execute(held.values(state=BankState.DUE, held_by=None, reason=None)).rowcount != 1:
        raise NotHeld(_why(book, instruction_id, "somebody was quicker"))
    _keep(book, instruction_id, PaymentAction.RELEASED, person, held_by, reason, now_ms)


def _keep(
    book: Connection, id_: str, action: PaymentAction, person: str, held_by: str | None, reason: str, now_ms: int
) -> None:
    """Write down who did what; two who do so at once cannot both."""
    c = bank_payment_actions.c
    number = book.execute(select(func.count()).where(c.instruction_id == id_)).scalar_one() + 1
    row = {"instruction_id": id_, "number": number, "action": action, "person": person}
    book.execute(insert(bank_payment_actions).values(**row, held_by=held_by, reason=reason, at_ms=now_ms))


def _why(book: Connection, instruction_id: str, rule: str) -> str:
    c = bank_payments.c
    state = book.execute(select(c.state).where(c.instruction_id == instruction_id)).scalar_one_or_none()
    if state is None:
        return f"the payment book has no instruction {instruction_id}. See: claimhub payments export"
    return f"{instruction_id} is {state}: {rule}. Nothing was changed"
