"""What a ledger took, sent and keeps waiting, as streams in the order it happened."""

from collections.abc import Iterator
from heapq import merge
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, Table, and_, not_, or_, select, true, union

from schemas.records import BreakKind
from schemas.topics import CLOCKS, INSTRUCTIONS
from sinks.ledger.port import DeadRow, JournalRow, OutboxRow, ParkedRow
from sinks.ledger.streaming import stream
from sinks.ledger.tables import dead_letters, journal, outbox, parked, row_columns

_PAGE: Final = 100  # rows that may hold a megabyte each
_TIME_PASSED: Final = or_(outbox.c.topic == CLOCKS, outbox.c.rule == f"breaks.{BreakKind.PARKED_TOO_LONG}")


class Part(Struct, frozen=True):
    """Part of a ledger: the claims and policies that a record of the window [since_ms, until_ms) concerns, by the
    records' own times; `subject` leaves only one of them."""

    since_ms: int
    until_ms: int
    subject: str | None = None

    def holds(self, at_ms: int) -> bool:
        """Whether a time is in the window."""
        return self.since_ms <= at_ms < self.until_ms


def taken(connection: Connection, part: Part | None = None) -> Iterator[JournalRow | DeadRow]:
    """Every record that was applied or became a dead letter: lane by lane in `entry` order; of a part subject by
    subject, and whole from each subject's first record on."""
    by = _by_lane if part is None else _by_subject
    applied = (JournalRow(*row) for row in stream(connection, _rows(journal, "entry", part), _PAGE))
    buried = (DeadRow(*row) for row in stream(connection, _rows(dead_letters, "entry", part), _PAGE))
    return merge(applied, buried, key=by)


def waiting(connection: Connection, part: Part | None = None) -> Iterator[ParkedRow]:
    """Every parked record: by lane and subject, in `entry` order."""
    query = select(*row_columns(parked)).where(_concerned(parked, part))
    c = parked.c
    return (ParkedRow(*row) for row in stream(connection, query.order_by(c.lane, c.subject, c.entry), _PAGE))


def sent(connection: Connection, part: Part | None = None) -> Iterator[OutboxRow]:
    """The outbox, but for what was sent because time had passed: lane by lane in `seq` order; of a part subject by
    subject, and only what the records of its window led to."""
    query = _rows(outbox, "seq", part).where(not_(_TIME_PASSED))
    if part is not None:
        query = query.where(_within(outbox, part))
    return (OutboxRow(*row) for row in stream(connection, query, _PAGE))


def ticks(connection: Connection, lane: int) -> Iterator[OutboxRow]:
    """What a lane sent because time had passed, in `seq` order: no record led to it."""
    query = _rows(outbox, "seq", None).where(_TIME_PASSED, outbox.c.lane == lane)
    return (OutboxRow(*row) for row in stream(connection, query, _PAGE))


def instructions(connection: Connection, lane: int) -> Iterator[OutboxRow]:
    """The payment instructions of a lane, in `seq` order."""
    query = _rows(outbox, "seq", None).where(outbox.c.topic == INSTRUCTIONS, outbox.c.lane == lane)
    return (OutboxRow(*row) for row in stream(connection, query, _PAGE))


def _by_lane(row: JournalRow | DeadRow) -> tuple[int, int]:
    return row.lane, row.entry


def _by_subject(row: JournalRow | DeadRow) -> tuple[int, str, int]:
    return row.lane, row.subject, row.entry


def _rows(table: Table, number: str, part: Part | None) -> Select[Any]:
    c = table.c
    order = [c.lane, c[number]] if part is None else [c.lane, c.subject, c[number]]
    return select(*row_columns(table)).where(_concerned(table, part)).order_by(*order)


def _concerned(table: Table, part: Part | None) -> ColumnElement[bool]:
    """Whether a row is of a subject that a record of the window concerns."""
    if part is None:
        return true()
    if part.subject is not None:
        return table.c.subject == part.subject
    ends = (journal, dead_letters, parked)
    return table.c.subject.in_(union(*(select(end.c.subject).where(_within(end, part)) for end in ends)))


def _within(table: Table, part: Part) -> ColumnElement[bool]:
    return and_(table.c.at_ms >= part.since_ms, table.c.at_ms < part.until_ms)
