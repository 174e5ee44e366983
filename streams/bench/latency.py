"""Latency at a steady rate: from the record that decides a claim to its instruction in a read-committed consumer."""

import statistics
import threading
import time
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.codec import Codec
from schemas.partitioner import partition_for
from streams.bench.workload import DECIDING_TOPIC, STEPS, Sent, claims
from streams.cluster import KafkaCluster
from streams.received import from_kafka

_INSTRUCTIONS: Final = "finance.payment-instruction.v1"
_QUIET_S: Final = 10.0
_BURST_S: Final = 0.005
_WARM_UP_S: Final = 5


class Latency(NamedTuple):
    """Milliseconds at `rate` events a second, over `instructions` of them."""

    rate: int
    instructions: int
    p50: float
    p99: float
    p999: float


def produce(producer: Producer, codec: Codec, lanes: int, sent: Sent, event_id: str) -> None:
    """Hand one record to a producer as a department would: keyed, with CloudEvents headers."""
    key = sent.key.encode()
    headers: list[tuple[str, str | bytes | None]] = [("ce_source", b"bench"), ("ce_id", event_id.encode())]
    while True:
        try:
            producer.produce(
                sent.topic,
                codec.encode(sent.topic, sent.record),
                key,
                partition_for(key, lanes),
                headers=headers,
            )
            return
        except BufferError:
            producer.poll(0.05)


def measure(cluster: KafkaCluster, codec: Codec, lanes: int, *, rate: int, seconds: int, first_claim: int) -> Latency:
    """Send whole claims at `rate` events a second to a hub that is running and idle, and time their instructions.

    The first seconds, in which caches fill on all sides, do not count.
    """
    count = rate * (seconds + _WARM_UP_S) // STEPS
    finance = _Finance(_at_the_end(cluster, lanes), count)
    finance.start()
    producer = Producer(dict(cluster.options))
    sent_at: dict[bytes, float] = {}
    started = time.perf_counter()
    for number, sent in enumerate(claims(count, first_claim, spread=max(1, rate // STEPS))):
        ahead_s = started + number / rate - time.perf_counter()
        if ahead_s > _BURST_S:  # a sleep for every record would be a load of its own
            producer.poll(0)
            time.sleep(ahead_s)
        event_id = f"latency-{first_claim}-{number}"
        if sent.topic == DECIDING_TOPIC:
            sent_at[f"bench {event_id}".encode()] = time.perf_counter()
        produce(producer, codec, lanes, sent, event_id)
    producer.flush(10)
    finance.join(_QUIET_S)
    received_at = finance.received_at
    missing = sent_at.keys() - received_at.keys()
    if missing:
        raise RuntimeError(f"{len(missing)} of {count} instructions did not come within {_QUIET_S} s")
    counted = [(cause, began) for cause, began in sent_at.items() if began > started + _WARM_UP_S]
    took_ms = [(received_at[cause] - began) * 1000 for cause, began in counted]
    cuts = statistics.quantiles(took_ms, n=1000, method="inclusive")
    return Latency(rate, len(took_ms), cuts[499], cuts[989], cuts[998])


class _Finance(threading.Thread):
    """Receives instructions until there are `count`; when each came, by the event that caused it."""

    def __init__(self, consumer: Consumer, count: int) -> None:
        super().__init__(name="finance", daemon=True)
        self._consumer = consumer
        self._count = count
        self.received_at: dict[bytes, float] = {}

    def run(self) -> None:
        """Consume; ends with the last instruction, or with the process."""
        while len(self.received_at) < self._count:
            message = self._consumer.poll(1.0)
            if message is not None and message.error() is None:
                cause = dict(from_kafka(message).headers)["causationid"] or b""
                self.received_at.setdefault(cause, time.perf_counter())
        self._consumer.close()


def _at_the_end(cluster: KafkaCluster, lanes: int) -> Consumer:
    options: dict[str, Any] = {
        **cluster.options,
        "group.id": "bench-finance",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
    }
    consumer = Consumer(options)
    ends = cluster.bounds([_INSTRUCTIONS], range(lanes))
    consumer.assign([TopicPartition(_INSTRUCTIONS, lane, ends[_INSTRUCTIONS, lane][1]) for lane in range(lanes)])
    return consumer
