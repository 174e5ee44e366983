"""Sends what the departments say to their topics, as they would: Avro, keyed, with CloudEvents headers."""

import logging
from datetime import UTC, datetime
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from schemas.codec import Codec
from schemas.partitioner import partition_for
from streams.cluster import ClientOptions
from streams.demo.stories import Said

_DELIVERY_S: Final = 10.0


class NotSent(Exception):
    """The broker did not take a record."""


class Departments:
    """A producer for all senders of a story. One thread at a time."""

    def __init__(self, options: ClientOptions, codec: Codec, partitions: int) -> None:
        self._producer = Producer({**options, "acks": "all", "linger.ms": 0, "logger": logging.getLogger("kafka.demo")})
        self._codec = codec
        self._partitions = partitions
        self._refused: KafkaError | None = None

    def send(self, *said: Said) -> None:
        """Send records in order, with the Kafka time they were said at. Raises NotSent unless all are durable."""
        for one in said:
            content = one.content
            self._producer.produce(
                one.topic,
                content if isinstance(content, bytes) else self._codec.encode(one.topic, content),
                one.key,
                partition_for(one.key.encode(), self._partitions),
                headers=_cloud_event(one),
                timestamp=one.at_ms,
                on_delivery=self._delivered,
            )
        if self._producer.flush(_DELIVERY_S) or self._refused is not None:
            why = "no answer" if self._refused is None else self._refused.name()
            raise NotSent(f"the broker did not take a record of {said[0].topic} for {said[0].key} ({why})")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        self._refused = self._refused or error


def _cloud_event(said: Said) -> list[tuple[str, str | bytes | None]]:
    return [
        ("ce_specversion", "1.0"),
        ("ce_id", said.event_id),
        ("ce_source", said.sender),
        ("ce_type", said.topic),
        ("ce_time", datetime.fromtimestamp(said.at_ms / 1000, UTC).isoformat()),
        ("ce_subject", said.key),
    ]
