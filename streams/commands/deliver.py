"""Sends records to Kafka, each to the partition of its key, and waits until every one is delivered."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.partitioner import partition_for
from streams.cluster import ClientOptions
from streams.commands import show
from streams.commands.failures import Unavailable

_ANSWER_S: Final = 5.0
_DELIVERY_S: Final = 15.0

Headers = list[tuple[str, bytes | None]]
Report = Callable[[KafkaError | None, Message], None]


class Outgoing(NamedTuple):
    """A record to send. A record without key goes to `partition`."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int = 0


class Delivered(NamedTuple):
    """Where a record stands in Kafka now."""

    topic: str
    partition: int
    offset: int


class Planned(NamedTuple):
    """A record that would be sent."""

    topic: str
    key: str
    size_bytes: int


def deliver(options: ClientOptions, records: Sequence[Outgoing]) -> list[Delivered]:
    """Send records in order and wait for their delivery; where each one stands.

    Raises Unavailable when Kafka does not answer, lacks a topic, or does not take all of them: sending them again is
    then the right thing, since their ids are the same.
    """
    producer = Producer(
        {
            **options,
            "acks": "all",
            "enable.idempotence": True,
            "message.timeout.ms": int(_DELIVERY_S * 1000),
            "log_level": 0,  # what matters is raised
        }
    )
    counts = _partition_counts(producer, {record.topic for record in records}, str(options["bootstrap.servers"]))
    reports = _Reports()
    for number, record in enumerate(records):
        partition = partition_for(record.key, counts[record.topic]) if record.key else record.partition
        try:
            _produce(producer, record, partition, reports.of(number, record.topic, partition))
        except KafkaException as error:
            reports.refused.append(error.args[0].str())
    _wait(producer, reports.refused)
    delivered = reports.delivered
    if len(delivered) < len(records):
        why = reports.refused[0] if reports.refused else "no answer in time"
        raise Unavailable(
            f"Kafka at {options['bootstrap.servers']} took {len(delivered)} of {len(records)} records ({why}). "
            "Run the command again: what it took already is known by its id and changes nothing"
        )
    return [delivered[number] for number in range(len(records))]


def show_delivered(delivered: Sequence[Delivered]) -> None:
    """Print how many records went to each partition, and the last one's offset."""
    counts = Counter((place.topic, place.partition) for place in delivered)
    last = {(place.topic, place.partition): place.offset for place in delivered}
    for place, count in sorted(counts.items()):
        show.line(f"{count} to {place[0]} partition {place[1]}, last offset {last[place]}")
    show.line(f"{len(delivered)} delivered")


def planned(records: Sequence[Outgoing]) -> list[Planned]:
    """What would be sent: topic, key and size of each record."""
    return [Planned(r.topic, (r.key or b"").decode(errors="replace"), len(r.value or b"")) for r in records]


def show_planned(records: Sequence[Planned]) -> None:
    """Print what would be sent."""
    show.table(("topic", "key", "bytes"), records, "nothing to send")
    show.note(f"{len(records)} would be sent, nothing was")


class _Reports:
    """What Kafka says of each record, by its number."""

    def __init__(self) -> None:
        self.delivered: dict[int, Delivered] = {}
        self.refused: list[str] = []

    def of(self, number: int, topic: str, partition: int) -> Report:
        """What the client calls for the record of this number."""

        def report(error: KafkaError | None, message: Message) -> None:
            if error is None:
                self.delivered[number] = Delivered(topic, partition, message.offset() or 0)
            else:
                self.refused.append(error.str())

        return report


def _produce(producer: Producer, record: Outgoing, partition: int, report: Report) -> None:
    while True:
        try:
            producer.produce(
                record.topic,
                record.value,
                record.key,
                partition=partition,
                headers=list(record.headers),
                on_delivery=report,
            )
        except BufferError:  # the client's queue is full: let some go out
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _wait(producer: Producer, refused: list[str]) -> None:
    """Wait for every report. Never flush(): on a fatal error it goes on with an exception set, which breaks reports."""
    end = time.monotonic() + _DELIVERY_S + 1
    while len(producer) and time.monotonic() < end:
        try:
            producer.poll(0.1)
        except KafkaException as error:
            refused.append(error.args[0].str())


def _partition_counts(producer: Producer, topics: set[str], address: str) -> Mapping[str, int]:
    try:
        known = producer.list_topics(timeout=_ANSWER_S).topics
    except KafkaException as error:
        raise Unavailable(
            f"Kafka at {address} does not answer ({error.args[0].str()}). Start it or correct CLAIMHUB_KAFKA; "
            "see: claimhub doctor"
        ) from None
    missing = sorted(topics - known.keys())
    if missing:
        raise Unavailable(f"Kafka at {address} has no topic {', '.join(missing)}. Run: claimhub topics apply")
    return {topic: len(known[topic].partitions) for topic in topics}
