"""`claimhub breaks`: what does not fit and somebody has to clear, whose it is, and for how long it has stood."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, literal_column, select

from schemas.money import format_minor
from schemas.records import BreakKind
from schemas.topics import BREAKS
from sinks.ledger.tables import outbox, parked
from sinks.ledger.written import read_written
from streams.commands import show
from streams.commands.failures import Failed
from streams.commands.why import record_at


class RaisedBreak(Struct, frozen=True):
    """A break as it stands; amounts in minor units. One about a parked record is open for as long as that waits; then
    `ended` says what became of the record."""

    id: str
    kind: str
    owner: str
    subject: str
    about: str
    since: str
    age_s: int
    raised: str
    open: bool
    ended: str | None
    reason: str
    expected_minor: int | None = None
    found_minor: int | None = None
    currency: str | None = None


def read_breaks(connection: Connection, owner: str | None = None, *, every: bool = False) -> list[RaisedBreak]:
    """The breaks that are open, or every one ever raised; the oldest first, and of one owner only if it is given."""
    found = [it for it in _raised(connection) if (every or it.open) and owner in (None, it.owner)]
    return sorted(found, key=lambda it: (it.since, it.id))


def show_breaks(breaks: list[RaisedBreak]) -> None:
    """Print the breaks."""
    rows = [(it.id, it.owner, it.subject, it.kind, show.age(it.age_s), it.ended or "open", it.reason) for it in breaks]
    show.table(("break", "owner", "claim or policy", "kind", "age", "stands", "reason"), rows, "no breaks")


def read_break(connection: Connection, id_: str) -> RaisedBreak:
    """One break. Raises Failed when there is none of this id."""
    for found in _raised(connection):
        if found.id == id_:
            return found
    raise Failed(f"no break has the id {id_}. See: claimhub breaks ls --all")


def show_break(found: RaisedBreak) -> None:
    """Print one break."""
    pairs: list[tuple[str, object]] = [
        ("break", found.id),
        ("kind", found.kind),
        ("owner", found.owner),
        ("claim or policy", found.subject),
        ("about", found.about),
        ("since", f"{found.since}, for {show.age(found.age_s)}"),
        ("raised", found.raised),
        ("stands", found.ended or "open"),
        ("reason", found.reason),
    ]
    for name, amount in (("expected", found.expected_minor), ("found", found.found_minor)):
        if amount is not None:
            pairs.append((name, format_minor(amount, found.currency or "")))
    show.pairs(pairs)


def _raised(connection: Connection) -> Iterator[RaisedBreak]:
    c = outbox.c
    # Written out, not bound: so that the databases see that the index on breaks serves.
    query = select(c.at_ms, c.value).where(c.topic == literal_column(f"'{BREAKS}'")).order_by(c.at_ms, c.lane, c.seq)
    waiting = {
        f"{topic}/{generation}/{partition}/{offset}" for topic, generation, partition, offset in _parked(connection)
    }
    now_ms = time.time_ns() // 1_000_000
    for at_ms, value in connection.execute(query):
        said = read_written(BREAKS, value)
        if said is not None:
            yield _break(connection, said, at_ms, now_ms, waiting)


def _break(connection: Connection, said: dict[str, Any], at_ms: int, now_ms: int, waiting: set[str]) -> RaisedBreak:
    since: datetime = said["since_at_ms"]
    since_ms = int(since.timestamp() * 1000)
    open_ = said["kind"] != BreakKind.PARKED_TOO_LONG or said["about"] in waiting
    row = None if open_ else record_at(connection, said["about"])
    return RaisedBreak(
        id=said["break_id"],
        kind=said["kind"],
        owner=said["owner"],
        subject=said["key"],
        about=said["about"],
        since=show.time(since_ms),
        age_s=max(0, now_ms - since_ms) // 1000,
        raised=show.time(at_ms),
        open=open_,
        ended=None if row is None else f"{row[1]}: {row[3]} [{row[2]}]",
        reason=said["reason"],
        expected_minor=said["expected_minor"],
        found_minor=said["found_minor"],
        currency=said["currency"],
    )


def _parked(connection: Connection) -> list[tuple[Any, ...]]:
    c = parked.c
    return [tuple(row) for row in connection.execute(select(c.topic, c.generation, c.partition, c.offset))]
