"""What taking a file finds: the file it stands in, and the breaks of the book."""

from datetime import UTC, date, datetime

from msgspec import Struct

from schemas.records import BreakKind
from streams.rules.breaks import break_id


class Source(Struct, frozen=True):
    """The file that something was found in. `advice` is one that tells early of what a statement repeats; `told_at_ms`
    is when the bank made it, as far as it says so."""

    name: str
    sha256: str
    advice: bool
    received_at_ms: int
    told_at_ms: int


class OfAccount(Struct, frozen=True):
    """One account of ours on the day of a statement."""

    account: str
    currency: str
    day: date


class BookBreak(Struct, frozen=True, kw_only=True):
    """A row of `bank_breaks`; amounts below zero leave the account."""

    break_id: str
    kind: BreakKind
    account: str | None
    day: date | None
    instruction_id: str | None
    claim: str | None
    about: str
    sha256: str
    line: int
    element: str
    expected_minor: int | None
    found_minor: int | None
    currency: str | None
    since_ms: int
    at_ms: int
    reason: str


def book_break(
    kind: BreakKind,
    key: str,
    source: Source,
    line: int,
    element: str,
    reason: str,
    *,
    of: OfAccount | None = None,
    instruction_id: str | None = None,
    claim: str | None = None,
    expected_minor: int | None = None,
    found_minor: int | None = None,
    currency: str | None = None,
) -> BookBreak:
    """A break about `key`: raised again of the same thing it is the same break."""
    return BookBreak(
        break_id=break_id(kind, key),
        kind=kind,
        account=None if of is None else of.account,
        day=None if of is None else of.day,
        instruction_id=instruction_id,
        claim=claim,
        about=instruction_id or f"{source.name}, line {line}",
        sha256=source.sha256,
        line=line,
        element=element,
        expected_minor=expected_minor,
        found_minor=found_minor,
        currency=currency or (None if of is None else of.currency),
        since_ms=source.told_at_ms if of is None else day_ms(of.day),
        at_ms=source.received_at_ms,
        reason=reason,
    )


def day_ms(day: date) -> int:
    """A day as the time it begins, in UTC: shown as a date it is that day again."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
