"""`claimhub reconcile report`: per account and day, what we say was paid against what the bank booked."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from typing import Any, Final, NamedTuple

from msgspec import Struct
from sqlalchemy import Connection, and_, func, select

from sinks.ledger.bank_tables import bank_breaks, bank_entries, bank_messages, bank_payments, bank_statements
from sinks.payments.book import BankState, EntryKind
from streams.commands import show
from streams.commands.breaks import read_breaks
from streams.commands.failures import WrongInput
from streams.commands.reports import ReportView

COLUMNS: Final = (
    "account",
    "currency",
    "day",
    "opening_minor",
    "ours_minor",
    "theirs_minor",
    "difference_minor",
    "other_minor",
    "closing_minor",
    "adds_up",
    "open_breaks",
)

_PAID: Final = (
    BankState.SENT,
    BankState.ACCEPTED,
    BankState.UNKNOWN,
    BankState.SETTLED,
    BankState.BOOKED,
    BankState.RETURNED,
)
"""Where a payment stands that we say left the account on the day its file says; a dead one did not."""


class _Of(NamedTuple):
    """One account's day."""

    account: str
    currency: str
    day: date


class _Balances(Struct, frozen=True):
    opening_minor: int
    closing_minor: int


def read_report(book: Connection, account: str | None, since: str | None, until: str | None) -> ReportView:
    """A row per account and day: `ours` is what we say left and came back, `theirs` what the bank booked of payments,
    returns and what fits none, `other` its fees and what came in; opening + theirs + other = closing, or it does not
    add up. Of a day without a statement there are no balances.

    A payment counts for the day its file says, a line for its statement's. `account` is a number or its last digits;
    amounts below zero left it. Raises WrongInput for a day that is none.
    """
    first, last = _day(since, "--from", date.min), _day(until, "--to", date.max)
    balances, ours = _balances(book), Counter(dict(_ours(book)))
    theirs, other = Counter[_Of](), Counter[_Of]()
    for of, kind, amount_minor in _booked(book):
        (other if kind == EntryKind.OTHER else theirs)[of] += amount_minor
        if kind == EntryKind.RETURN:
            ours[of] += amount_minor
    days = sorted({*balances, *ours, *theirs, *other})
    wanted = [of for of in days if of.account.endswith(account or "") and first <= of.day <= last]
    breaks = Counter(_open_breaks(book))
    rows = [_row(of, balances.get(of), ours[of], theirs[of], other[of], breaks[of.account, of.day]) for of in wanted]
    return ReportView(COLUMNS, rows)


def _row(of: _Of, said: _Balances | None, ours: int, theirs: int, other: int, breaks: int) -> tuple[Any, ...]:
    opening, closing = (None, None) if said is None else (said.opening_minor, said.closing_minor)
    adds_up = None if opening is None else opening + theirs + other == closing
    account, day = show.masked(of.account), of.day.isoformat()
    return account, of.currency, day, opening, ours, theirs, theirs - ours, other, closing, adds_up, breaks


def _balances(book: Connection) -> dict[_Of, _Balances]:
    """Where the first statement of a day begins and the last one ends."""
    c = bank_statements.c
    query = select(c.account, c.currency, c.day, c.opening_minor, c.closing_minor)
    rows = book.execute(query.order_by(c.account, c.currency, c.day, c.sequence, c.page, c.number)).all()
    found = {}
    for of, group in groupby(rows, lambda row: _Of(row.account, row.currency, row.day)):
        statements = list(group)
        found[of] = _Balances(statements[0].opening_minor, statements[-1].closing_minor)
    return found


def _ours(book: Connection) -> Iterator[tuple[_Of, int]]:
    payment, message = bank_payments.c, bank_messages.c
    of = (message.account, payment.currency, message.execute_on)
    query = select(*of, func.sum(payment.amount_minor)).join_from(
        bank_payments, bank_messages, payment.message_id == message.message_id
    )
    for account, currency, day, total_minor in book.execute(query.where(payment.state.in_(_PAID)).group_by(*of)):
        yield _Of(account, currency, day), -int(total_minor)


def _booked(book: Connection) -> Iterator[tuple[_Of, str, int]]:
    """What statements booked, by kind; what a notification told before is not booked a second time."""
    entry, statement = bank_entries.c, bank_statements.c
    same = and_(statement.sha256 == entry.sha256, statement.number == entry.statement)
    of = (statement.account, entry.currency, statement.day)
    query = select(*of, entry.kind, func.sum(entry.amount_minor)).join_from(bank_entries, bank_statements, same)
    for account, currency, day, kind, total_minor in book.execute(query.group_by(*of, entry.kind)):
        yield _Of(account, currency, day), kind, int(total_minor)


def _open_breaks(book: Connection) -> Iterator[tuple[str, date]]:
    """Account and day of each, of those that are about a day of an account."""
    open_ids, c = {it.id for it in read_breaks(book)}, bank_breaks.c
    for row in book.execute(select(c.break_id, c.account, c.day)):
        if row.break_id in open_ids:
            yield row.account, row.day


def _day(text: str | None, option: str, otherwise: date) -> date:
    try:
        return otherwise if text is None else date.fromisoformat(text)
    except ValueError:
        raise WrongInput(f"{option} is not a day like 2026-03-31") from None
