"""The undisturbed run: the same log through the same engine, in this process, into a ledger of its own.

No Kafka, no worker, no PostgreSQL: only what decides (decoding, parking, rules) is shared with the disturbed run.
"""

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Engine

from monitoring.metrics import Metrics
from schemas.signing import unsigned
from schemas.topics import INBOUND, OUTBOUND, TOPICS, Direction
from sinks.envelope import headers_of
from sinks.ledger.business_hash import business_hash
from sinks.ledger.open import open_ledger, read_engine
from sinks.ledger.port import OutboxRow, TopicIdentity
from sinks.relay import RelayLane
from streams.lanes import Batch, Lane, LaneProcessor
from streams.received import Headers, Received
from tests import claims as make
from tests.crash.workload import LANES
from tests.lane import CODEC
from tests.ledgers import make_ledger

BATCH = 40
DEAD_LETTER_LIMIT = 1_000


class Logged(NamedTuple):
    """One record of an inbound topic where it stands in the log."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


class Reference:
    """An undisturbed hub over a SQLite file. What its lanes send to each other waits in `between` until `settle`."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'reference.db'}"
        make_ledger(url)
        self._ledger = open_ledger(url)
        self.engine: Engine = read_engine(url)
        inbound, outbound = ([TopicIdentity(topic, "id", LANES) for topic in names] for names in (INBOUND, OUTBOUND))
        start = {(topic, lane): 0 for topic in INBOUND for lane in range(LANES)}
        self._ledger.prepare(inbound, outbound, start, memory_only=False)
        taken, _ = self._ledger.take("reference", range(LANES))
        self._lanes = {it.lane: Lane(it, LANES, RelayLane(it.lane, it.token), BATCH) for it in taken}
        self._processor = LaneProcessor(self._ledger, CODEC, unsigned, Metrics(), DEAD_LETTER_LIMIT, 72 * make.HOUR_MS)
        self._internal: dict[tuple[str, int], int] = defaultdict(int)
        self.between: deque[OutboxRow] = deque()

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()
        self._ledger.close()

    def take(self, records: Iterable[Logged]) -> None:
        """Apply records in this order, each lane's in batches."""
        by_lane: dict[int, list[Logged]] = defaultdict(list)
        for record in records:
            by_lane[record.partition].append(record)
        for number, waiting in by_lane.items():
            for start in range(0, len(waiting), BATCH):
                self._batch(self._lanes[number], waiting[start : start + BATCH])

    def hand_over(self, row: OutboxRow) -> None:
        """Apply one record that a lane sent to a lane."""
        headers = headers_of(row)
        self.take([Logged(row.topic, row.partition, 0, row.key.encode(), row.value, headers, 0)])

    def settle(self) -> None:
        """Hand over all that lanes sent to each other, until nothing is on its way."""
        while self.between:
            self.hand_over(self.between.popleft())

    def waiting(self, policy: str) -> set[str]:
        """The claims known to wait for a policy."""
        state = self._ledger.load_policies([policy], []).get(policy, b"{}")
        return set(json.loads(state).get("waiting", ()))

    def hash(self) -> str:
        """The business hash of all that was applied."""
        with self.engine.connect() as connection:
            return business_hash(connection)

    def _batch(self, lane: Lane, records: list[Logged]) -> None:
        positions = dict(lane.positions)
        received = []
        for it in records:
            offset = it.offset
            if TOPICS[it.topic].direction is Direction.INTERNAL:  # the hub's own are numbered anew, in a log of ours
                offset = self._internal[it.topic, it.partition]
                self._internal[it.topic, it.partition] += 1
            positions[it.topic] = max(positions[it.topic], offset + 1)
            received.append(Received(it.topic, offset, it.key, it.value, it.headers, it.timestamp_ms))
        effects = self._processor.process(Batch(lane, received, positions))
        self.between.extend(row for row in effects.outbox if TOPICS[row.topic].direction is Direction.INTERNAL)
