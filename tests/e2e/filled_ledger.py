"""A ledger filled by the engine itself: one lane, records in, real commits."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import Engine, delete, select

from connectors.registry import EmbeddedRegistry
from monitoring.clock import SystemClock
from monitoring.metrics import Metrics
from schemas.codec import Codec
from schemas.records import Estimate, Record
from schemas.signing import Sign
from schemas.topics import INBOUND, OUTBOUND, TOPICS, Direction, Key
from sinks.clients import KafkaClients
from sinks.envelope import headers_of
from sinks.ledger.open import open_ledger, read_engine
from sinks.ledger.port import OutboxRow, TopicIdentity
from sinks.ledger.tables import (
    payments,
    report_claims,
    report_liabilities,
    report_marks,
    report_movements,
    report_people,
    report_providers,
)
from sinks.relay import Relay, RelayLane
from streams.lanes import Batch, Lane, LaneProcessor
from streams.received import Headers, Received
from tests import claims as make
from tests.keys import SIGN
from tests.lane import TOPIC_OF
from tests.ledgers import make_ledger

POISON: Final = b"no Avro \xff"


class FilledLedger:
    """What the hub would have written had these records come; records it sends itself come back to it."""

    def __init__(self, url: str, sign: Sign = SIGN) -> None:
        self.url = url
        make_ledger(url)
        self._ledger = open_ledger(url)
        inbound, outbound = ([TopicIdentity(topic, "id", 1) for topic in names] for names in (INBOUND, OUTBOUND))
        self._ledger.prepare(inbound, outbound, {(topic, 0): 0 for topic in INBOUND}, memory_only=False)
        ((taken,), _) = self._ledger.take("test", [0])
        self._lane = Lane(taken, 1, RelayLane(0, taken.token), 5000)
        self._codec = Codec(EmbeddedRegistry(), 1_000_000)
        self.metrics = Metrics()
        self._processor = LaneProcessor(self._ledger, self._codec, sign, self.metrics, 100, 72 * make.HOUR_MS)
        self._offsets: dict[str, int] = defaultdict(int)

    def take(self, *records: Record) -> None:
        """Apply records one after the other, and what each leads to inside the hub."""
        for record in records:
            self.take_at_once(record)

    def take_at_once(self, *records: Record) -> None:
        """Apply records in one batch, and then what they lead to inside the hub."""
        self._take([self._received(*self._said(record)) for record in records])

    def take_bytes(self, topic: str, key: str, value: bytes, headers: Headers | None = None) -> None:
        """Apply a record of any bytes."""
        self._take([self._received(topic, key, value, headers)])

    def _said(self, record: Record) -> tuple[str, str, bytes]:
        topic = TOPIC_OF[type(record)]
        key = getattr(record, "policy_number" if TOPICS[topic].key is Key.POLICY else "claim")
        return topic, key, self._codec.encode(topic, record)

    def _received(self, topic: str, key: str, value: bytes, headers: Headers | None = None) -> Received:
        offset = self._offsets[topic]
        self._offsets[topic] += 1
        return Received(topic, offset, key.encode(), value, headers or [], make.LOSS_MS + offset)

    def _take(self, batch: list[Received]) -> None:
        positions = {**self._lane.positions, **{received.topic: received.offset + 1 for received in batch}}
        effects = self._processor.process(Batch(self._lane, batch, positions))
        for row in effects.outbox:
            if TOPICS[row.topic].direction is Direction.INTERNAL:
                self.take_bytes(row.topic, row.key, row.value, headers_of(row))

    def tick(self, by_ms: int) -> list[OutboxRow]:
        """Send the ticks that are due by then; they are on their way."""
        return self._processor.process(Batch(self._lane, [], self._lane.positions, by_ms)).outbox

    def pass_time(self, until_ms: int) -> None:
        """Send ticks and take them in until nothing more is due by then."""
        while sent := self.tick(until_ms):
            for row in sent:
                if TOPICS[row.topic].direction is Direction.INTERNAL:
                    self.take_bytes(row.topic, row.key, row.value, headers_of(row))

    def tell_all(self) -> "FilledLedger":
        """A fast-track claim up to its instruction whose notice came before the policy, then claim 2's only record,
        a dead letter, and claim 3's, an estimate that waits for its notice."""
        self.take(make.notice(), make.policy(), make.estimate(), make.invoice())
        self.take_bytes(TOPIC_OF[Estimate], "CLM-2026-000002", POISON, [("sender", b"shop")])
        self.take(make.estimate(claim="CLM-2026-000003"))
        return self

    def publish(self, address: str) -> None:
        """Send what is not sent yet to this Kafka, as the lane's relay would, and wait for its delivery."""
        failures: list[str] = []
        lane = self._lane.relay
        lane.owe = True
        clients = KafkaClients({"bootstrap.servers": address})
        relay = Relay(self._ledger, clients, SystemClock(), lambda figures: None, failures.append)
        thread = threading.Thread(target=relay.run, name="relay")
        relay.add(lane)
        thread.start()
        relay.close(10.0)
        thread.join()
        assert not failures and self._ledger.published([0])[0].seq == self._lane.state.seq

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """An engine over the same database."""
        engine = read_engine(self.url)
        yield engine
        engine.dispose()

    def instructions(self, claim: str) -> list[str]:
        """The ids of a claim's payment attempts."""
        with self.engine() as engine, engine.begin() as connection:
            return list(connection.scalars(select(payments.c.id).where(payments.c.claim == claim)))

    def forget_reports(self) -> None:
        """Take away what reports keep, so that the next one begins anew."""
        with self.engine() as engine, engine.begin() as connection:
            kept = (report_claims, report_providers, report_movements, report_liabilities, report_people)
            for table in (report_marks, *kept):
                connection.execute(delete(table))

    def close(self) -> None:
        """Let go of the file."""
        self._ledger.close()
