"""Latency at a steady rate: from the record that decides a claim to its instruction in a read-committed consumer."""

import statistics
import time
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.codec import Codec
from schemas.partitioner import partition_for
from streams.bench.workload import DECIDING_TOPIC, STEPS, Sent, claims
from streams.cluster import KafkaCluster

_INSTRUCTIONS: Final = "finance.payment-instruction.v1"
_QUIET_S: Final = 10.0


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
    """Send whole claims at `rate` events a second for a hub that is running and idle, and time their instructions."""
    consumer = _at_the_end(cluster, lanes)
    producer = Producer({**cluster.options, "linger.ms": 0})
    count = rate * seconds // STEPS
    sent_at: dict[str, float] = {}
    took_ms: list[float] = []
    started = time.perf_counter()
    for number, sent in enumerate(claims(count, first_claim, spread=max(1, rate // STEPS))):
        event_id = f"latency-{first_claim}-{number}"
        while (now := time.perf_counter()) < started + number / rate:
            _collect(consumer, sent_at, took_ms, min(0.001, started + number / rate - now))
        if sent.topic == DECIDING_TOPIC:
            sent_at[f"bench {event_id}"] = time.perf_counter()
        produce(producer, codec, lanes, sent, event_id)
        producer.poll(0)
    producer.flush(10)
    quiet = time.perf_counter()
    while sent_at and time.perf_counter() - quiet < _QUIET_S:
        _collect(consumer, sent_at, took_ms, 0.05)
    consumer.close()
    if sent_at:
        raise RuntimeError(f"{len(sent_at)} of {count} instructions did not come within {_QUIET_S} s")
    cuts = statistics.quantiles(took_ms, n=1000, method="inclusive")
    return Latency(rate, len(took_ms), cuts[499], cuts[989], cuts[998])


def _collect(consumer: Consumer, sent_at: dict[str, float], took_ms: list[float], timeout_s: float) -> None:
    for message in consumer.consume(500, timeout_s):
        if message.error() is None:
            cause = dict(message.headers() or [])["causationid"]
            began = sent_at.pop(cause.decode() if isinstance(cause, bytes) else "", None)
            if began is not None:
                took_ms.append((time.perf_counter() - began) * 1000)


def _at_the_end(cluster: KafkaCluster, lanes: int) -> Consumer:
    options: dict[str, Any] = {
        **cluster.options,
        "group.id": "bench-finance",
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "fetch.wait.max.ms": 5,
    }
    consumer = Consumer(options)
    ends = cluster.bounds([_INSTRUCTIONS], range(lanes))
    consumer.assign([TopicPartition(_INSTRUCTIONS, lane, ends[_INSTRUCTIONS, lane][1]) for lane in range(lanes)])
    return consumer
