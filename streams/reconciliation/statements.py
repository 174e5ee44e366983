"""Whether a statement may be taken, and what is odd about it: whose account it is of, its number, its balances.

The numbers of an account's statements follow each other without a gap, and begin again with 1 in a new year if the bank
likes. What was opened with and all that was booked make what was closed with. A later page opens with what the page
before it closed with; a page that is not the last one closes with what was booked so far, whatever whole it repeats.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date
from functools import partial
from typing import Any, Final, NamedTuple

from msgspec import Struct

from connectors.bank.messages import Balance
from schemas.money import format_minor
from schemas.records import BreakKind
from streams.reconciliation.bank_file import Page
from streams.reconciliation.found import BookBreak, OfAccount, Source, book_break

OPENING: Final = ("OPBD", "PRCD")
CLOSING: Final = "CLBD"
SO_FAR: Final = "ITBD"
"""ISO 20022 balance types: opening booked, previously closed booked; closing booked; interim booked."""

_ELEMENT: Final = "Stmt"

Accounts = Collection[tuple[str, str]]
"""Our own accounts: number and currency."""


class Known(Struct, frozen=True):
    """A statement, or a page of one, that the book has of an account already."""

    sequence: int | None
    page: int | None
    day: date
    opening_minor: int
    closing_minor: int


class Checked(NamedTuple):
    """What became of a statement: `of` is None when nothing of it is taken; `row` is None when its balances are not
    known, or it is an advice, which has none."""

    of: OfAccount | None
    row: dict[str, Any] | None
    breaks: tuple[BookBreak, ...]


def account_of(page: Page, ours: Accounts) -> tuple[str, str] | None:
    """The account of ours that a statement is of; it need not say the currency of one that has one only."""
    number, currency = page.statement.account, page.statement.currency
    found = [it for it in ours if it[0] == number and currency in (None, it[1])]
    if len(found) > 1:
        said = {it.currency for it in page.last.values()} | page.booked.keys()
        found = [it for it in found if said == {it[1]}]
    return found[0] if len(found) == 1 else None


def check_statement(
    page: Page, account: tuple[str, str] | None, known: Sequence[Known], source: Source, today: date
) -> Checked:
    """Check one statement against what the book has of its account (`account_of`)."""
    key, line = f"{source.sha256}|{page.statement.statement}", page.statement.line
    if account is None:
        return Checked(None, None, (_foreign(page, key, source, today),))
    of = OfAccount(account[0], account[1], _day(page) or today)
    if source.advice:
        return Checked(of, None, ())
    told = partial(book_break, source=source, line=line, element=_ELEMENT, of=of)
    if _is_repeated(page, of.day, known):
        reason = f"statement {_number(page)} of this account came before: nothing of this one was taken"
        return Checked(None, None, (told(BreakKind.SEQUENCE, key, reason=reason),))
    breaks = []
    if (gap := _gap(page, of.day, known)) is not None:
        breaks.append(told(BreakKind.SEQUENCE, key, reason=gap))
    opening, closing = _balances(page, of, known)
    for place, odd in _odd_balances(page, of, known, opening, closing):
        raised = told(
            BreakKind.BALANCE,
            f"{key}|{place}",
            reason=f"statement {_number(page)} {odd.reason}",
            expected_minor=odd.expected_minor,
            found_minor=odd.found_minor,
        )
        breaks.append(raised)
    if opening is None or closing is None:
        return Checked(of, None, tuple(breaks))
    row = {
        "sha256": source.sha256,
        "number": page.statement.statement,
        "account": of.account,
        "currency": of.currency,
        "sequence": page.statement.sequence,
        "page": page.statement.page,
        "day": of.day,
        "opening_minor": opening,
        "closing_minor": closing,
        "line": line,
    }
    return Checked(of, row, tuple(breaks))


class _Odd(NamedTuple):
    reason: str
    expected_minor: int | None = None
    found_minor: int | None = None


def _odd_balances(
    page: Page, of: OfAccount, known: Sequence[Known], opening: int | None, closing: int | None
) -> Iterator[tuple[str, _Odd]]:
    """What does not add up, and where: the statement in itself, and with those before and after it."""
    before, after = _neighbours(page, of.day, known)
    if before is not None and opening not in (None, before.closing_minor):
        amounts = _money(opening, of), _money(before.closing_minor, of)
        reason = f"opens with {amounts[0]}, and the one before it closes with {amounts[1]}"
        yield "opening", _Odd(reason, before.closing_minor, opening)
    if after is not None and closing not in (None, after.opening_minor):
        amounts = _money(closing, of), _money(after.opening_minor, of)
        reason = f"closes with {amounts[0]}, and the one after it opens with {amounts[1]}"
        yield "closing", _Odd(reason, after.opening_minor, closing)
    if opening is None or closing is None:
        yield "sum", _Odd(f"does not say its {'opening' if opening is None else 'closing'} balance: it does not add up")
    elif (made := opening + page.booked.get(of.currency, 0)) != closing:
        reason = f"opens and books {_money(made, of)} in all, and closes with {_money(closing, of)}"
        yield "sum", _Odd(f"does not add up: it {reason}", made, closing)


def _foreign(page: Page, key: str, source: Source, today: date) -> BookBreak:
    said = page.statement
    what = "notification" if source.advice else "statement"
    reason = f"a {what} of an account that is none of ours: nothing of it was taken"
    of = OfAccount(said.account or "", said.currency or "", _day(page) or today)
    return book_break(BreakKind.ORPHAN, key, source, said.line, _ELEMENT, reason, of=of)


def _day(page: Page) -> date | None:
    """The day a statement is of: its closing balance's, else that of the last line."""
    closing = page.last.get(CLOSING) or page.last.get(SO_FAR)
    return (closing.on if closing is not None else None) or page.last_on


def _number(page: Page) -> str:
    """A statement's number for people."""
    said = page.statement
    number = f"{said.sequence}" if said.sequence is not None else "without a number"
    return f"{number}, page {said.page}" if _is_later(page) else number


def _is_later(page: Page) -> bool:
    return page.statement.page is not None and page.statement.page > 1


def _is_repeated(page: Page, day: date, known: Sequence[Known]) -> bool:
    said = page.statement
    place = (said.sequence, said.page or 1, day.year)
    return said.sequence is not None and any((it.sequence, it.page or 1, it.day.year) == place for it in known)


def _gap(page: Page, day: date, known: Sequence[Known]) -> str | None:
    """What is missing before a statement, in words. The first that the book has of an account has none before it."""
    sequence = page.statement.sequence
    if sequence is None:
        return None
    if _is_later(page):
        if _page_before(page, day, known) is None:
            return f"statement {_number(page)} came without the page before it"
        return None
    before = [(it.day.year, it.sequence) for it in known if it.sequence is not None]
    last = max((it for it in before if it < (day.year, sequence)), default=None)
    if last is None or last[1] + 1 == sequence or (last[0] < day.year and sequence == 1):
        return None
    return f"statement {sequence} came after {last[1]}: what is between them is missing"


def _neighbours(page: Page, day: date, known: Sequence[Known]) -> tuple[Known | None, Known | None]:
    """The last page of the statement before this one, and the first of the one after it, by their numbers in one year;
    none before a later page, none after one that is not the last."""
    sequence = page.statement.sequence
    if sequence is None:
        return None, None
    of_year = [it for it in known if it.day.year == day.year]
    earlier = [it for it in of_year if it.sequence == sequence - 1 and not _is_later(page)]
    later = [it for it in of_year if it.sequence == sequence + 1 and page.statement.last_page is not False]
    return (
        max(earlier, key=lambda it: it.page or 1, default=None),
        min(later, key=lambda it: it.page or 1, default=None),
    )


def _page_before(page: Page, day: date, known: Sequence[Known]) -> Known | None:
    said = page.statement
    if said.page is None:
        return None
    wanted = (said.sequence, said.page - 1, day.year)
    return next((it for it in known if (it.sequence, it.page or 1, it.day.year) == wanted), None)


def _balances(page: Page, of: OfAccount, known: Sequence[Known]) -> tuple[int | None, int | None]:
    """Opening and closing balance of a statement or a page; None for one that is not told, or not in its currency."""
    if _is_later(page):
        before = _page_before(page, of.day, known)
        opening = None if before is None else before.closing_minor
    else:
        opening = _minor(next((page.first[it] for it in OPENING if it in page.first), None), of)
    if page.statement.last_page is not False:
        return opening, _minor(page.last.get(CLOSING), of)
    return opening, None if opening is None else opening + page.booked.get(of.currency, 0)


def _money(amount_minor: int | None, of: OfAccount) -> str:
    return "?" if amount_minor is None else format_minor(amount_minor, of.currency)


def _minor(balance: Balance | None, of: OfAccount) -> int | None:
    return None if balance is None or balance.currency != of.currency else balance.amount_minor
