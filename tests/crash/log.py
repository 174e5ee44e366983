"""All topics of the hub as they stand in Kafka, read along by a plain consumer."""

from collections.abc import Mapping
from typing import Final, cast

from confluent_kafka import Consumer, KafkaError, TopicPartition

from tests.crash.reference import Logged

LIMIT_S: Final = 20.0
Ends = Mapping[tuple[str, int], int]


class Log:
    """What was read so far: `records`, of each partition in its order."""

    def __init__(self, kafka: str, start: Ends) -> None:
        self.records: list[Logged] = []
        self._read = dict(start)
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": "crash-log",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in start.items()])

    def read(self, ends: Ends) -> list[Logged]:
        """Every record up to these offsets that was not read before. Raises TimeoutError."""
        new: list[Logged] = []
        while any(self._read[place] < end for place, end in ends.items()):
            messages = self._consumer.consume(1000, LIMIT_S / 20)
            for message in messages:
                error = message.error()
                if error is not None:
                    if error.code() != KafkaError._PARTITION_EOF and error.fatal():
                        raise RuntimeError(error.str())
                    continue
                topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
                self._read[topic, partition] = offset + 1
                headers = cast(list[tuple[str, bytes | None]], message.headers() or [])
                _, timestamp_ms = message.timestamp()
                new.append(Logged(topic, partition, offset, message.key(), message.value(), headers, timestamp_ms))
        self.records += new
        return new

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()
