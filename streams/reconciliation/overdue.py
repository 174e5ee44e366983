"""Payments that the bank books too late, or not at all: found by the calendar, whatever came in.

The bank has so many banking days after a payment's value date to book it. One that no statement names then is missing,
for as long as none does; one that was booked after them is late, and stays so.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, exists, func, or_, select

from schemas.money import format_minor
from schemas.records import BreakKind
from sinks.ledger.bank_tables import (
    bank_breaks,
    bank_entries,
    bank_messages,
    bank_payments,
    bank_statements,
    bank_statuses,
)
from sinks.payments.book import BankState, EntryKind
from sinks.payments.new_rows import insert_new
from streams.reconciliation.found import day_ms
from streams.rules.banking_days import banking_day_after
from streams.rules.breaks import break_id

_UNBOOKED: Final = (BankState.DUE, BankState.HELD, BankState.SENT, BankState.ACCEPTED, BankState.UNKNOWN)
_IN_NO_FILE: Final = frozenset({BankState.DUE, BankState.HELD})
_SETTLED_CODES: Final = ("ACSC", "ACCC")
_DAY: Final = timedelta(days=1)


class Overdue(NamedTuple):
    """How many breaks are new."""

    missing: int
    late: int


def raise_overdue(book: Connection, as_of: date, days: int, now_ms: int) -> Overdue:
    """Raise a break for each payment that is missing or late by then, when the bank has `days` banking days; one that
    has its break already gets no other."""
    missing = list(_missing(book, as_of, days, now_ms))
    late = list(_late(book, as_of, days, now_ms))
    insert_new(book, bank_breaks, [*missing, *late])
    return Overdue(len(missing), len(late))


def last_overdue(as_of: date, days: int) -> date:
    """The last value date whose payments the bank should have booked before this day."""
    day = as_of
    while banking_day_after(day, days) >= as_of:
        day -= _DAY
    return day


def is_late(value_on: date, booked_on: date, days: int) -> bool:
    """Whether a payment was booked after the banking days the bank has for it."""
    return booked_on > banking_day_after(value_on, days)


def _missing(book: Connection, as_of: date, days: int, now_ms: int) -> Iterator[dict[str, Any]]:
    """Payments that should be on a statement, and which no line names: one of another amount is a break already."""
    c, status, entry = bank_payments.c, bank_statuses.c, bank_entries.c
    # Settled by what people say and not the bank is not on a statement for that.
    bank_settled = exists().where(status.instruction_id == c.instruction_id, status.code.in_(_SETTLED_CODES))
    query = _without(BreakKind.MISSING).where(
        c.value_on <= last_overdue(as_of, days),
        or_(c.state.in_(_UNBOOKED), and_(c.state == BankState.SETTLED, bank_settled)),
        ~exists().where(entry.instruction_id == c.instruction_id),
    )
    account, day = bank_statements.c.account, bank_statements.c.day
    newest = dict(tuple(row) for row in book.execute(select(account, func.max(day)).group_by(account)))
    for row in book.execute(query):
        known = newest.get(row.account)
        if row.state in _IN_NO_FILE:
            why = f"and it is {row.state}: no payment file has it"
        elif known is None:
            why = f"and it is {row.state}: no statement of its account has come"
        else:
            why = f"and it is {row.state}: no line names it in the statements up to {known}"
        told = f"{_named(row)} was to be booked within {days} banking days after {row.value_on}, {why}"
        yield _row(BreakKind.MISSING, row, told, now_ms) | {"expected_minor": -row.amount_minor}


def _late(book: Connection, as_of: date, days: int, now_ms: int) -> Iterator[dict[str, Any]]:
    c, entry = bank_payments.c, bank_entries.c
    query = _without(BreakKind.LATE).join(bank_entries, entry.instruction_id == c.instruction_id)
    query = query.add_columns(entry.day, entry.sha256, entry.line).order_by(entry.day)
    query = query.where(entry.kind == EntryKind.PAYMENT, entry.day > c.value_on, entry.day <= as_of)
    told_of = set()
    for row in book.execute(query):
        if is_late(row.value_on, row.day, days) and row.instruction_id not in told_of:
            told_of.add(row.instruction_id)
            told = (
                f"{_named(row)} was to be booked within {days} banking days after {row.value_on}, and was on {row.day}"
            )
            found = {"day": row.day, "sha256": row.sha256, "line": row.line, "element": "Ntry"}
            yield _row(BreakKind.LATE, row, told, now_ms) | found


def _without(kind: BreakKind) -> Select[Any]:
    """Payments that have no break of this kind yet, each with the account its file says."""
    c, message = bank_payments.c, bank_messages.c
    payment = select(c.instruction_id, c.claim, c.amount_minor, c.currency, c.value_on, c.state, message.account)
    told = exists().where(bank_breaks.c.instruction_id == c.instruction_id, bank_breaks.c.kind == kind)
    return payment.outerjoin_from(bank_payments, bank_messages, message.message_id == c.message_id).where(~told)


def _row(kind: BreakKind, payment: Row[Any], reason: str, now_ms: int) -> dict[str, Any]:
    """A break about a payment, since its value date."""
    return {
        "break_id": break_id(kind, payment.instruction_id),
        "kind": kind,
        "account": payment.account,
        "day": payment.value_on,
        "instruction_id": payment.instruction_id,
        "claim": payment.claim,
        "about": payment.instruction_id,
        "sha256": None,
        "line": None,
        "element": None,
        "expected_minor": None,
        "currency": payment.currency,
        "since_ms": day_ms(payment.value_on),
        "at_ms": now_ms,
        "reason": reason,
    }


def _named(payment: Row[Any]) -> str:
    return f"payment {payment.instruction_id} of {format_minor(payment.amount_minor, payment.currency)}"
