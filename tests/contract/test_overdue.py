"""Payments that the bank books too late or not at all, on each kind of database."""

from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, select, update

from schemas.records import BreakKind
from sinks.ledger.bank_tables import bank_breaks, bank_payments, bank_statuses
from sinks.payments.book import BankState, EntryKind
from streams.reconciliation.overdue import Overdue, is_late, last_overdue, raise_overdue
from streams.rules.banking_days import banking_day_after
from tests import book as make
from tests.claims import LOSS_MS

TUESDAY = make.DAY
FRIDAY = TUESDAY + timedelta(days=3)
DAYS = 2
IN_TIME, LATE, ALL = Overdue(0, 0), Overdue(0, 1), TUESDAY + timedelta(days=60)


def look(book: Engine, as_of: date = FRIDAY) -> Overdue:
    """Look as of a day, in a transaction of its own."""
    with book.begin() as connection:
        return raise_overdue(connection, as_of, DAYS, LOSS_MS)


def breaks(book: Engine) -> list[Any]:
    """The breaks there are, by kind and payment."""
    with book.connect() as connection:
        c = bank_breaks.c
        return list(connection.execute(select(bank_breaks).order_by(c.kind, c.instruction_id)))


def said(connection: Connection, code: str, instruction: str) -> None:
    """The bank's status of a payment."""
    row = {"sha256": instruction, "number": 1, "instruction_id": instruction, "level": "transaction", "code": code}
    connection.execute(bank_statuses.insert().values({**row, "line": 1, "at_ms": 1}))


@given(as_of=st.dates(date(2025, 1, 1), date(2026, 12, 31)), days=st.integers(0, 12))
def test_the_last_value_date_that_is_overdue_is_the_last_one(as_of: date, days: int) -> None:
    """Of it the bank's days are over, of the day after it they are not."""
    last = last_overdue(as_of, days)

    assert banking_day_after(last, days) < as_of <= banking_day_after(last + timedelta(days=1), days)
    assert not is_late(last, banking_day_after(last, days), days) and is_late(last, as_of, days)


def test_a_payment_that_no_line_names_is_missing_once_the_banks_days_are_over(book: Engine) -> None:
    """Not before; once; with what is known of it, and since its value date."""
    with book.begin() as connection:
        make.message(connection)
        make.payment(connection)
    assert look(book, FRIDAY - timedelta(days=1)) == IN_TIME
    assert look(book) == Overdue(1, 0)
    assert look(book, ALL) == IN_TIME
    (found,) = breaks(book)

    assert (found.kind, found.instruction_id, found.account, found.day) == ("missing", "PI-1", make.ACCOUNT, TUESDAY)
    assert (found.expected_minor, found.found_minor, found.currency) == (-2_800_00, None, "CNY")
    assert found.since_ms == 1_775_520_000_000 and found.at_ms == LOSS_MS
    assert found.reason == (
        "payment PI-1 of 2 800.00 CNY was to be booked within 2 banking days after 2026-04-07, and it is sent: no "
        "statement of its account has come"
    )


def test_the_reason_says_what_statements_there_are_and_what_was_never_sent(book: Engine) -> None:
    """Whoever looks for the money looks at the bank in one case, and at home in the other."""
    with book.begin() as connection:
        make.message(connection)
        make.file(connection)
        make.statement(connection)
        make.payment(connection)
        make.payment(connection, instruction_id="PI-2", state=BankState.HELD, message_id=None)
    assert look(book) == Overdue(2, 0)
    sent, held = (found.reason.rpartition(", and ")[2] for found in breaks(book))

    assert sent == "it is sent: no line names it in the statements up to 2026-04-07"
    assert held == "it is held: no payment file has it"


def test_missing_is_what_might_still_be_booked_and_nothing_else(book: Engine) -> None:
    """One that is dead is not waited for, nor one of which a line says another amount, nor one that people say is paid;
    but one that the bank says is settled is."""
    with book.begin() as connection:
        for state in BankState:
            make.payment(connection, instruction_id=state, state=state, message_id=None)
        make.payment(connection, instruction_id="of another amount")
        make.file(connection)
        make.entry(connection, instruction_id="of another amount", kind=EntryKind.BREAK)
        make.payment(connection, instruction_id="settled by the bank", state=BankState.SETTLED)
        said(connection, "ACSC", "settled by the bank")
        said(connection, "ACSP", BankState.SETTLED)
    look(book)

    waiting = {"due", "held", "sent", "accepted", "unknown", "settled by the bank"}
    assert {found.instruction_id for found in breaks(book)} == waiting


def test_a_payment_is_late_when_it_was_booked_after_the_banks_days(book: Engine) -> None:
    """Told once, with the line that says so, and never as of a day before it; a return is not late."""
    with book.begin() as connection:
        make.message(connection)
        make.file(connection)
        for number, (day, kind) in enumerate(
            ((FRIDAY, EntryKind.PAYMENT), (TUESDAY + timedelta(days=2), EntryKind.PAYMENT), (ALL, EntryKind.RETURN)), 1
        ):
            make.payment(connection, instruction_id=f"PI-{number}", state=BankState.BOOKED)
            make.entry(connection, number=number, instruction_id=f"PI-{number}", day=day, kind=kind, line=number)
    assert look(book, TUESDAY + timedelta(days=2)) == IN_TIME
    assert look(book, ALL) == LATE
    assert look(book, ALL) == IN_TIME
    (found,) = breaks(book)

    assert (found.kind, found.instruction_id, found.day) == (BreakKind.LATE, "PI-1", FRIDAY)
    assert (found.sha256, found.line, found.element) == (make.FILE, 1, "Ntry")
    assert found.reason.endswith("was to be booked within 2 banking days after 2026-04-07, and was on 2026-04-10")


def test_missing_and_then_late_are_two_breaks(book: Engine) -> None:
    """The first ends by itself when the line comes, and the second says how late it came."""
    with book.begin() as connection:
        make.payment(connection)
    look(book)
    with book.begin() as connection:
        connection.execute(update(bank_payments).values(state=BankState.BOOKED))
        make.file(connection)
        make.entry(connection, day=ALL)
    assert look(book, ALL) == LATE

    assert [found.kind for found in breaks(book)] == ["late", "missing"]
