"""Finance, as another company would write it: plain confluent-kafka and fastavro, nothing of the hub's.

Of each partition a record whose `seq` is not above the highest one seen is a repeat; an instruction is applied once.
"""

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import Consumer, Message, TopicPartition

TOPIC = "finance.payment-instruction.v1"
SCHEMA = Path(__file__).parents[2] / "schemas" / "avro" / "released" / "payment-instruction.v1.avsc"
HEADER_BYTES = 5  # a zero and the schema's number


class Booked(NamedTuple):
    """An instruction that was applied."""

    id: str
    claim: str
    settlement_version: int
    amount_minor: int
    currency: str


class Finance:
    """Books of all that was instructed on one topic, in each partition from an offset on."""

    def __init__(self, kafka: str, start: dict[int, int]) -> None:
        self._schema = fastavro.parse_schema(json.loads(SCHEMA.read_text()))
        self._next = dict(start)
        self._highest: dict[int, int] = {}
        self.booked: dict[str, Booked] = {}
        self.seen: Counter[str] = Counter()
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": "finance-department",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(TOPIC, number, offset) for number, offset in start.items()])

    @property
    def repeats(self) -> int:
        """How often an instruction stood on the topic after its first time."""
        return sum(self.seen.values()) - len(self.seen)

    def read(self, ends: dict[int, int], limit_s: float = 20.0) -> None:
        """Read every partition up to this offset. Raises TimeoutError."""
        while any(self._next[number] < end for number, end in ends.items()):
            message = self._consumer.poll(limit_s)
            if message is None:
                raise TimeoutError(f"{TOPIC} was read up to {self._next} of {ends}")
            if message.error() is None:  # after others the client connects again by itself
                self._take(message)

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _take(self, message: Message) -> None:
        headers = dict(message.headers() or ())
        seq, number = int(headers["seq"] or b""), message.partition() or 0
        self._next[number] = (message.offset() or 0) + 1
        fields: Any = fastavro.schemaless_reader(
            io.BytesIO((message.value() or b"")[HEADER_BYTES:]), self._schema, None
        )
        booked = Booked(*(fields[name] for name in ("instruction_id", *Booked._fields[1:])))
        self.seen[booked.id] += 1
        if seq <= self._highest.get(number, 0):
            return
        self._highest[number] = seq
        self.booked.setdefault(booked.id, booked)
