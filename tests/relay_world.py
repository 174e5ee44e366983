"""A ledger with outputs to publish, a broker to publish them to, and what is in its log afterwards."""

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from msgspec import msgpack

from monitoring.clock import SystemClock
from monitoring.metrics import Metrics
from sinks.clients import KafkaClients
from sinks.deliveries import Place
from sinks.envelope import headers_of
from sinks.figures import show
from sinks.ledger.open import open_ledger
from sinks.ledger.port import LaneCommit, OutboxRow, Published, TopicIdentity
from sinks.relay import Relay, RelayLane
from tests.ledgers import make_ledger

LIMIT_S = 20.0
TO_THE_END: dict[str, bool | int] = {"enable.partition.eof": True, "fetch.wait.max.ms": 10}
"""Of a consumer that reads what there is: a broker tells it of the end at once, not after half a second."""


class Out(NamedTuple):
    """A record in the log, by what a receiver sees."""

    lane: int
    seq: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class RelayWorld:
    """One migrated SQLite ledger with `lanes` lanes, and one broker. Close it."""

    def __init__(self, folder: Path, address: str, lanes: int) -> None:
        self.address = address
        self.file = folder / "ledger.db"
        make_ledger(f"sqlite:///{self.file}")
        self.ledger = open_ledger(f"sqlite:///{self.file}")
        inbound = [TopicIdentity("reporting.loss-notice.v1", "inbound", lanes)]
        self.ledger.prepare(inbound, [], {(inbound[0].topic, lane): 0 for lane in range(lanes)}, memory_only=False)
        self._relays: dict[Relay, threading.Thread] = {}
        self._owner = 0

    def close(self) -> None:
        """End every relay and close the ledger."""
        for relay, thread in self._relays.items():
            relay.close(LIMIT_S)
            thread.join(LIMIT_S)
            # One left behind would call into a broker that is gone, or into an interpreter that is ending.
            assert not thread.is_alive(), "a relay outlives its test"
        self.ledger.close()

    def take(self, lane: int) -> RelayLane:
        """Take the lane as a new owner."""
        self._owner += 1
        ((taken,), _) = self.ledger.take(f"worker-{self._owner}", [lane])
        return RelayLane(lane, taken.token)

    def commit(self, lane: RelayLane, places: list[Place], entry: int = 0, size_bytes: int = 20) -> None:
        """Commit one output to each place, with the next numbers of the lane, as the owner of its token."""
        with sqlite3.connect(self.file) as database:
            (last,) = database.execute("SELECT seq FROM lanes WHERE lane = ?", (lane.lane,)).fetchone()
        rows = [self.row(lane.lane, last + n, place, size_bytes) for n, place in enumerate(places, 1)]
        self.ledger.commit(
            LaneCommit(
                lane=lane.lane,
                token=lane.token,
                seq=last,
                seq_used=len(rows),
                entry=entry,
                positions=[],
                outbox=rows,
            )
        )
        lane.owe = True

    def row(self, lane: int, seq: int, place: Place, size_bytes: int = 20) -> OutboxRow:
        """The outbox row of this lane and number: always the same."""
        headers = [("ce_id", b"cause#%d" % seq)]
        value = (b"%d/%d " % (lane, seq)).ljust(size_bytes, b".")
        texts = (f"claim-{seq % 7}", f"claim-{seq % 7}", "cause", "rule", "reason")
        return OutboxRow(lane, seq, *place, *texts, 0, msgpack.encode(headers), value)

    def start(self, *lanes: RelayLane, on_fatal: Callable[[str], None] = print, address: str = "") -> Relay:
        """A running relay over these lanes."""
        clients = KafkaClients({"bootstrap.servers": address or self.address})
        relay = Relay(self.ledger, clients, SystemClock(), partial(show, Metrics()), on_fatal)
        for lane in lanes:
            relay.add(lane)
        thread = threading.Thread(target=relay.run, name="relay", daemon=True)
        thread.start()
        self._relays[relay] = thread
        return relay

    def wait_published(self, lane: int, seq: int) -> None:
        """Wait until the ledger's mark of this lane is at `seq`."""
        wait_until(lambda: self.ledger.published([lane])[lane].seq >= seq, f"lane {lane} published up to {seq}")

    def forget_marks(self, lane: int, seq: int, out_next: Mapping[Place, int]) -> None:
        """Put the lane's marks back: what a crash between a delivery and its mark leaves."""
        with sqlite3.connect(self.file) as database:
            database.execute("UPDATE relay SET published = ? WHERE lane = ?", (seq, lane))
            database.execute("DELETE FROM relay_next WHERE lane = ?", (lane,))
        self.ledger.mark_published({lane: Published(seq, dict(out_next))})

    def lose_row(self, lane: int, seq: int) -> None:
        """Delete a row of the outbox."""
        with sqlite3.connect(self.file) as database:
            database.execute("DELETE FROM outbox WHERE lane = ? AND seq = ?", (lane, seq))

    def publish_by_hand(self, *rows: OutboxRow) -> None:
        """Put these rows into the log as an earlier owner would have."""
        producer = Producer({"bootstrap.servers": self.address, "enable.idempotence": True})
        for row in rows:
            producer.produce(row.topic, row.value, row.key, row.partition, headers=[*headers_of(row)])
        assert producer.flush(LIMIT_S) == 0

    def delete_before(self, place: Place, offset: int) -> None:
        """Move the log's start, as retention does."""
        admin = AdminClient({"bootstrap.servers": self.address})
        for done in admin.delete_records([TopicPartition(*place, offset)]).values():
            done.result(LIMIT_S)

    def read(self, *places: Place) -> dict[Place, list[Out]]:
        """All records in these places now."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "reader", **TO_THE_END})
        found: dict[Place, list[Out]] = {place: [] for place in places}
        try:
            for place, outs in found.items():
                consumer.assign([TopicPartition(*place, OFFSET_BEGINNING)])
                at_end = False
                while not at_end:
                    for message in consumer.consume(1000, 0.02):
                        if (error := message.error()) is not None:
                            assert error.code() == KafkaError._PARTITION_EOF, error
                            at_end = True
                            continue
                        headers = tuple(cast(list[tuple[str, bytes]], message.headers() or []))
                        numbers = dict(headers)
                        lane, seq = int(numbers["lane"]), int(numbers["seq"])
                        outs.append(Out(lane, seq, message.key(), message.value(), headers))
        finally:
            consumer.close()
        return found

    def seqs(self, place: Place) -> list[int]:
        """The numbers in this place, in the order of the log."""
        return [out.seq for out in self.read(place)[place]]


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition. Raises TimeoutError after 20 s."""
    end = time.monotonic() + LIMIT_S
    pause = threading.Event()
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {LIMIT_S:.0f} s: {what}")
        pause.wait(0.005)
