"""Sends the bench's records as departments do: keyed, with CloudEvents headers, to the partition of their key."""

import time
from collections.abc import Iterable
from typing import Final
from uuid import uuid4

from confluent_kafka import Producer

from streams.bench.encoded import Encoded
from streams.cluster import ClientOptions
from streams.commands.failures import Failed

_ROOM_S: Final = 0.05
_FLUSH_S: Final = 60.0
_MILLISECOND_S: Final = 0.001
_POLL_EVERY: Final = 500
_SOURCE: Final = b"bench"


class NotSent(Failed):
    """The broker did not take all records."""


class Sender:
    """One producer. No two records, of whatever sender, have the same event id.

    Every `wave` records it waits until the broker has them, and for the next millisecond: what comes after a wave has a
    later time in the log, whatever its topic. Records of one claim must not be in one wave, or the broker may have them
    in another order.
    """

    def __init__(self, options: ClientOptions, wave: int | None = None) -> None:
        self._producer = Producer(
            {
                **options,
                "enable.idempotence": True,
                "linger.ms": 0,  # a record is on its way when it is handed over, or its latency would be the sender's
                "partitioner": "murmur2_random",
                "log_level": 3,
            }
        )
        self._name = uuid4().hex[:8].encode()
        self._wave = wave
        self._count = 0

    def send(self, record: Encoded) -> bytes:
        """Hand over one record, as soon as there is room for it; the id it will have in the ledger."""
        event = b"%s-%d" % (self._name, self._count)
        self._count += 1
        headers: list[tuple[str, str | bytes | None]] = [("ce_source", _SOURCE), ("ce_id", event)]
        while True:
            try:
                self._producer.produce(record.topic, record.value, record.key, headers=headers)
                break
            except BufferError:
                self._producer.poll(_ROOM_S)
        if self._wave is not None and not self._count % self._wave:
            self.flush()
            time.sleep(_MILLISECOND_S)
        elif not self._count % _POLL_EVERY:
            self._producer.poll(0)
        return b"%s %s" % (_SOURCE, event)

    def send_all(self, records: Iterable[Encoded]) -> int:
        """Send records and wait until the broker has them; how many. Raises NotSent."""
        before = self._count
        for record in records:
            self.send(record)
        self.flush()
        return self._count - before

    def poll(self) -> None:
        """Let the producer see to its deliveries."""
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until the broker has all that was handed over. Raises NotSent."""
        left = self._producer.flush(_FLUSH_S)
        if left:
            raise NotSent(f"{left} records were not taken by the broker within {_FLUSH_S:.0f} s")
