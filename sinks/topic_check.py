"""The outbox against the topics, both ways: what was published is there, and what is there was written.

Memory holds a thousand records, and one bit for each output ever written.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from confluent_kafka import Message
from msgspec import Struct
from sqlalchemy import Connection, Engine, func, select

from schemas.topics import TOPICS, Direction
from sinks.deliveries import Place
from sinks.envelope import headers_of
from sinks.ledger.port import OutboxRow
from sinks.ledger.streaming import snapshot, stream
from sinks.ledger.tables import outbox, relay
from sinks.ledger.verify import MOST_ROWS, Check, run
from sinks.read_back import LogReader

Ranges = Mapping[Place, tuple[int, int]]
"""First offset and offset after the last, by topic and partition."""

_CHUNK: Final = 1000
_COMPACTED: Final = frozenset(name for name, topic in TOPICS.items() if topic.compacted)


class OnTopics(Struct):
    """What was compared. `records` of the hub are on the topics, `repeats` of them once more than they must; `others`
    are an operator's, on internal topics. Of the outputs that are not there `pending` are not marked as published,
    `expired` went with the log's start, and `replaced` are not the newest of their key."""

    records: int = 0
    repeats: int = 0
    others: int = 0
    pending: int = 0
    expired: int = 0
    replaced: int = 0


def published_marks(engine: Engine) -> dict[int, int]:
    """The last number of each lane that is known to be out. To be read before the ends of the logs."""
    with engine.connect() as connection:
        return {row.lane: row.published for row in connection.execute(select(relay.c.lane, relay.c.published))}


def check_topics(
    engine: Engine, marks: Mapping[int, int], log: LogReader, ranges: Ranges
) -> tuple[tuple[Check, ...], OnTopics]:
    """Compare both ways, a hub in use or not: the marks are older than the logs' ends, and the outbox is read after
    both. Raises LogUnreadable."""
    comparison = _Comparison(marks, ranges)
    with snapshot(engine) as connection:
        known = run("topics-known", comparison.topics_known, connection, log)
        return (known, run("published-there", comparison.published_there, connection)), comparison.counts


class _Comparison:
    """The log first, then the outbox: `topics_known` must have been read to its end."""

    def __init__(self, marks: Mapping[int, int], ranges: Ranges) -> None:
        self._marks = marks
        self._ranges = ranges
        self._seen: dict[int, bytearray] = {}
        self._oldest: dict[tuple[int, Place], int] = {}
        self.counts = OnTopics()

    def topics_known(self, connection: Connection, log: LogReader) -> Iterator[str]:
        """Every record of the hub on its topics is in the outbox, with the same key, value and headers."""
        for lane, last in connection.execute(select(outbox.c.lane, func.max(outbox.c.seq)).group_by(outbox.c.lane)):
            self._seen[lane] = bytearray(last // 8 + 1)
        unlike: list[str] = []
        records = log.records(self._ranges)
        while chunk := list(islice(records, _CHUNK)):
            for line in self._unlike(connection, chunk):
                if len(unlike) <= MOST_ROWS:  # the log is read to its end all the same
                    unlike.append(line)
        yield from unlike

    def published_there(self, connection: Connection) -> Iterator[str]:
        """Every published output is on its topic; on a compacted topic the newest of each key is."""
        for lane, topic, key, seq in self._newest(connection):
            if not self._is_seen(lane, seq):
                yield f"outbox {lane}/{seq}: {topic} has not the newest of {key}"
        o = outbox.c
        query = select(o.lane, o.seq, o.topic, o.partition).order_by(o.lane, o.seq)
        for lane, seq, topic, partition in stream(connection, query):
            if self._is_seen(lane, seq):
                continue
            if seq > self._marks.get(lane, 0):
                self.counts.pending += 1
            elif topic in _COMPACTED:
                self.counts.replaced += 1
            elif self._is_expired(lane, seq, (topic, partition)):
                self.counts.expired += 1
            else:
                yield f"outbox {lane}/{seq}: not on {topic}/{partition}"

    def _unlike(self, connection: Connection, messages: Sequence[Message]) -> Iterator[str]:
        """Note what is there; what the outbox does not have, or has otherwise."""
        named = [(message, name_of(message)) for message in messages]
        rows = _rows(connection, {name for _, name in named if name is not None})
        for message, name in named:
            topic, place = message.topic() or "", (message.topic() or "", message.partition() or 0)
            where = f"{topic}/{place[1]}/{message.offset()}"
            if name is None and TOPICS[topic].direction is Direction.INTERNAL:
                self.counts.others += 1
            elif name is None:
                yield f"{where}: not a record of the hub"
            elif (row := rows.get(name)) is None:
                yield f"{where}: outbox {name[0]}/{name[1]} is not there"
            elif (field := _unlike_field(row, message)) is not None:
                yield f"{where}: outbox {name[0]}/{name[1]} has another {field}"
            else:
                self._see(name, place)

    def _see(self, name: tuple[int, int], place: Place) -> None:
        lane, seq = name
        self.counts.records += 1
        self.counts.repeats += self._is_seen(lane, seq)
        self._seen[lane][seq // 8] |= 1 << seq % 8
        self._oldest.setdefault((lane, place), seq)

    def _is_seen(self, lane: int, seq: int) -> bool:
        return bool(self._seen[lane][seq // 8] >> seq % 8 & 1)

    def _is_expired(self, lane: int, seq: int, place: Place) -> bool:
        """Whether it stood before the log's start: a lane's records stand in the order of their numbers."""
        start, _ = self._ranges[place]
        return start > 0 and seq < self._oldest.get((lane, place), seq + 1)

    def _newest(self, connection: Connection) -> Iterator[tuple[int, str, str, int]]:
        """Lane, topic, key and number of the newest published output of each key of the compacted topics."""
        o = outbox.c
        for lane, mark in self._marks.items():
            published = select(o.lane, o.topic, o.key, func.max(o.seq)).where(
                o.lane == lane, o.seq <= mark, o.topic.in_(_COMPACTED)
            )
            yield from stream(connection, published.group_by(o.lane, o.topic, o.key))


def name_of(message: Message) -> tuple[int, int] | None:
    """Lane and number, as the hub writes them into the headers of what it sends."""
    headers = dict(message.headers() or ())
    lane, seq = headers.get("lane"), headers.get("seq")
    if not isinstance(lane, bytes) or not isinstance(seq, bytes) or not (lane.isdigit() and seq.isdigit()):
        return None
    return int(lane), int(seq)


def _rows(connection: Connection, names: set[tuple[int, int]]) -> dict[tuple[int, int], OutboxRow]:
    """Those of the outputs that are written."""
    by_lane: defaultdict[int, list[int]] = defaultdict(list)
    for lane, seq in names:
        by_lane[lane].append(seq)
    found = {}
    for lane, seqs in by_lane.items():
        for row in connection.execute(select(outbox).where(outbox.c.lane == lane, outbox.c.seq.in_(seqs))):
            found[row.lane, row.seq] = OutboxRow(*row)
    return found


def _unlike_field(row: OutboxRow, message: Message) -> str | None:
    """In what a record is not the output it says it is."""
    alike = {
        "topic": row.topic == message.topic(),
        "partition": row.partition == message.partition(),
        "key": row.key.encode() == message.key(),
        "value": row.value == message.value(),
        "headers": headers_of(row) == message.headers(),
    }
    return next((field for field, same in alike.items() if not same), None)
