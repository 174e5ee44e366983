"""Which records the hub has dealt with since the last look, read from the ledger."""

from collections import Counter, defaultdict
from itertools import groupby
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Engine, Row, Select, Table, bindparam, literal, select

from schemas.topics import TOPICS, Direction
from sinks.ledger.tables import dead_letters, journal, lanes, outbox, parked

DONE: Final = "done"
PARKED: Final = "parked"
DEAD: Final = "dead letter"
RELEASED: Final = "released"


class Handled(Struct, frozen=True, kw_only=True):
    """One record and what became of it. `outcome` is the journal's, or parked, dead letter, or released: done after it
    was parked. `rule` is a dead letter's code; `sent` counts the outputs by topic."""

    at_ms: int
    topic: str
    partition: int
    offset: int
    subject: str
    outcome: str
    rule: str
    reason: str
    sent: dict[str, int]


class Feed:
    """Tells each record once when it is applied, parked or buried; a parked one again when it is released."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: set[tuple[str, str]] = set()
        self._read: dict[int, tuple[int, int]] = {}

    def new(self) -> list[Handled]:
        """What was dealt with since the last call. Within a lane in the order of the ledger, and a lane that was set
        going by another one after it."""
        with self._engine.connect() as connection:
            # Read before the rows: what is written meanwhile is read again next time.
            upto = {lane: (entry, seq) for lane, entry, seq in connection.execute(_LANES)}
            rows: list[Row[Any]] = []
            sent: defaultdict[str, Counter[str]] = defaultdict(Counter)
            for lane, now in upto.items():
                entry, seq = self._read.get(lane, (0, 0))
                if now == (entry, seq):
                    continue
                rows += (row for query in _QUERIES for row in connection.execute(query, {"of": lane, "after": entry}))
                for cause, topic in connection.execute(_SENT, {"of": lane, "after": seq}):
                    sent[cause][topic] += 1
            self._read = upto
        new = sorted((row for row in rows if (_ref(row), row.outcome) not in self._told), key=_lane_entry)
        by_lane = [list(lane) for _, lane in groupby(new, key=lambda row: row.lane)]
        by_lane.sort(key=lambda lane: TOPICS[lane[0].topic].direction is Direction.INTERNAL)
        return [self._handled(row, sent[_ref(row)]) for lane in by_lane for row in lane]

    def _handled(self, row: Row[Any], sent: Counter[str]) -> Handled:
        ref = _ref(row)
        self._told.add((ref, row.outcome))
        released = row.outcome == DONE and (ref, PARKED) in self._told
        return Handled(
            at_ms=row.at_ms,
            topic=row.topic,
            partition=row.partition,
            offset=row.offset,
            subject=row.subject,
            outcome=RELEASED if released else row.outcome,
            rule=row.rule,
            reason=row.reason,
            sent=dict(sent),
        )


def _records(table: Table, outcome: ColumnElement[str], rule: ColumnElement[str]) -> Select[Any]:
    place = (table.c.topic, table.c.generation, table.c.partition, table.c.offset)
    told = (table.c.subject, outcome.label("outcome"), rule.label("rule"), table.c.reason)
    columns = (table.c.lane, table.c.entry, table.c.at_ms, *place, *told)
    return select(*columns).where(table.c.lane == bindparam("of"), table.c.entry > bindparam("after"))


def _ref(row: Row[Any]) -> str:
    return f"{row.topic}/{row.generation}/{row.partition}/{row.offset}"


def _lane_entry(row: Row[Any]) -> tuple[int, int]:
    return row.lane, row.entry


_QUERIES: Final = (
    _records(journal, journal.c.outcome, journal.c.rule),
    _records(parked, literal(PARKED), literal("")),
    _records(dead_letters, literal(DEAD), dead_letters.c.code),
)
_SENT: Final = (
    select(outbox.c.cause, outbox.c.topic)
    .where(outbox.c.lane == bindparam("of"), outbox.c.seq > bindparam("after"))
    .order_by(outbox.c.seq)
)
_LANES: Final = select(lanes.c.lane, lanes.c.entry, lanes.c.seq)
