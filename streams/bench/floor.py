"""The floor: the fastest plain program for the same rows. One thread consumes, decodes and fills in row templates; a
pool commits them with the ledger's own statements. No Faust, no rules, no relay, no care for order between topics.

Run as a process of its own: `python -m streams.bench.floor KAFKA LEDGER`.
"""

import os
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, TopicPartition
from msgspec.structs import replace

from connectors.registry import EmbeddedRegistry
from schemas import generated
from schemas.topics import INBOUND, OUTBOUND, avro_schema
from sinks.ledger.open import open_ledger
from sinks.ledger.port import ClaimRow, JournalRow, Lane, LaneCommit, Ledger, OutboxRow, PaymentRow, TraceRow
from streams.app import tune_the_interpreter
from streams.bench.templates import CLAIM, Template, templates
from streams.cluster import KafkaCluster
from streams.received import Received, from_kafka

FRAME_BYTES: Final = 5
"""Before each body: a zero byte and the schema's id."""
_BATCH: Final = 5000
_COMMITS: Final = 3
_CLAIM: Final = CLAIM.encode()
_pack = msgspec.msgpack.Encoder().encode

Fields = dict[str, Any]
Decoded = tuple[Received, Fields]


class FloorLane:
    """One lane's buffer and where it stands."""

    def __init__(self, taken: Lane) -> None:
        self.taken = taken
        self.seq = taken.seq
        self.entry = taken.entry
        self.positions = dict(taken.positions)
        self.records: list[Decoded] = []
        self.commit: Future[int] | None = None


class Rows:
    """Fills in the templates: what the hub would write for a record, without deciding anything."""

    def __init__(self) -> None:
        registry = EmbeddedRegistry()
        self._templates = templates()
        self._writers = {
            topic: (b"\0" + registry.id_of(topic).to_bytes(4, "big"), generated.writer(avro_schema(topic)))
            for topic in OUTBOUND
        }

    def commit_of(self, lane: FloorLane) -> LaneCommit:
        """The lane's waiting records as one commit; the lane moves on."""
        records, lane.records = lane.records[:_BATCH], lane.records[_BATCH:]
        seq, entry, no = lane.seq, lane.entry, lane.taken.lane
        after = dict(lane.positions)
        journal: list[JournalRow] = []
        outbox: list[OutboxRow] = []
        states: dict[str, ClaimRow] = {}
        payments: dict[str, PaymentRow] = {}
        traces: list[TraceRow] = []
        for (topic, offset, _, value, headers, at_ms), fields in records:
            after[topic] = offset + 1
            claim = fields["claim"]
            template = self._templates[topic, fields.get("version", 0)]
            ref = f"{topic}/1/{no}/{offset}"
            lane.entry += 1
            journal.append(
                JournalRow(
                    topic, 1, no, offset, no, lane.entry, claim, ref, "done", template.rule, template.reason, at_ms,
                    at_ms, template.inputs, _pack(headers), value,
                )
            )  # fmt: skip
            state = template.state.replace(_CLAIM, claim.encode())
            states[claim] = ClaimRow(claim, no, template.version, template.stage, at_ms, template.due_at_ms, state)
            if template.payment is not None:
                payment = template.payment._replace(id=template.payment.id[:20] + claim, claim=claim, lane=no)
                payments[claim] = payment
            traces += [TraceRow(trace.digest ^ hash(claim), at_ms, claim, no) for trace in template.traces]
            self._outputs(outbox, lane, template, claim, ref, at_ms)
        positions = [(topic, old, after[topic]) for topic, old in lane.positions.items() if after[topic] != old]
        lane.positions = after
        return LaneCommit(
            lane=no,
            token=lane.taken.token,
            seq=seq,
            seq_used=lane.seq - seq,
            entry=entry,
            entries_used=lane.entry - entry,
            positions=positions,
            journal=journal,
            claims=list(states.values()),
            payments=list(payments.values()),
            traces=traces,
            outbox=outbox,
        )

    def _outputs(
        self, outbox: list[OutboxRow], lane: FloorLane, template: Template, claim: str, ref: str, at_ms: int
    ) -> None:
        no = lane.taken.lane
        for output in template.outputs:
            lane.seq += 1
            frame, write = self._writers[output.topic]
            value = frame + write(replace(output.record, claim=claim, cause=ref))
            outbox.append(
                OutboxRow(
                    no, lane.seq, output.topic, no, claim, claim, ref, output.rule, output.reason, at_ms,
                    output.headers, value,
                )
            )  # fmt: skip


def take_lanes(kafka: str, ledger: Ledger) -> dict[int, FloorLane]:
    """All lanes, taken once: the floor is alone and keeps them."""
    cluster = KafkaCluster({"bootstrap.servers": kafka})
    inbound = cluster.identities(INBOUND)
    lanes = range(inbound[0].partitions)
    start = {place: low for place, (low, _) in cluster.bounds(INBOUND, lanes).items()}
    ledger.prepare(inbound, cluster.identities(OUTBOUND), start, False)
    taken, _ = ledger.take(f"floor-{os.getpid()}", lanes)
    return {lane.lane: FloorLane(lane) for lane in taken}


def run(kafka: str, ledger: Ledger) -> None:
    """Consume everything there is and go on until the process is ended."""
    lanes = take_lanes(kafka, ledger)
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "bench-floor",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "queued.max.messages.kbytes": 16_384,
        }
    )
    consumer.assign([TopicPartition(t, no, at) for no, lane in lanes.items() for t, at in lane.positions.items()])
    readers = {topic: generated.reader(avro_schema(topic)) for topic in INBOUND}
    tune_the_interpreter()
    pool, rows, room = ThreadPoolExecutor(_COMMITS), Rows(), threading.Event()
    while True:
        messages = consumer.consume(1000, 0.02) if sum(len(lane.records) for lane in lanes.values()) < 40_000 else []
        for message in messages:
            if message.error() is not None:
                raise SystemExit(f"floor: {message.error()}")
            record = from_kafka(message)
            fields, _ = readers[record.topic](record.value or b"", FRAME_BYTES)
            lanes[message.partition() or 0].records.append((record, fields))
        idle = True
        for lane in lanes.values():
            if lane.commit is not None and lane.commit.done():
                lane.commit.result()
                lane.commit = None
            if lane.commit is None and lane.records:
                idle = False
                lane.commit = pool.submit(_commit_and_wake, ledger, rows.commit_of(lane), room)
        if idle and not messages:
            room.wait(0.005)
            room.clear()


def _commit_and_wake(ledger: Ledger, commit: LaneCommit, room: threading.Event) -> int:
    ledger.commit(commit)
    room.set()
    return commit.entries_used


if __name__ == "__main__":
    run(sys.argv[1], open_ledger(sys.argv[2], None, f"floor-{os.getpid()}"))
