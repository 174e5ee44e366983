"""Reads from the log what a lane's earlier owners have published: the one witness after a crash."""

import logging
from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from monitoring.clock import Clock
from sinks.clients import Clients
from sinks.deliveries import Place

REQUEST_S = 2.0
STANDSTILL_S = 5.0
LATEST = -1  # as a timestamp: the log's end


class LogUnreadable(Exception):
    """The broker did not answer, or a topic is not there; try again."""


class LogReader:
    """Looks at output partitions with one consumer that is in no group and stores nothing. Not thread-safe."""

    def __init__(self, clients: Clients, clock: Clock) -> None:
        self._clock = clock
        self._consumer = clients.consumer(
            {
                "group.id": "claimhub-read-back",  # the client asks for one; it is never joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",  # retention may have passed the offset we start at
                "isolation.level": "read_uncommitted",  # the relay writes without transactions
                "fetch.wait.max.ms": 10,
                "logger": logging.getLogger("kafka.read-back"),
            }
        )

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """The offset after the last record of each place, in one request. Raises LogUnreadable."""
        asked = [TopicPartition(topic, partition, LATEST) for topic, partition in places]
        if not asked:
            return {}
        try:
            answered = self._consumer.offsets_for_times(asked, timeout=REQUEST_S)
        except KafkaException as error:
            raise LogUnreadable(f"log ends: {_name(error.args[0])}") from error
        for end in answered:
            if end.error is not None:
                raise LogUnreadable(f"log end of {end.topic}/{end.partition}: {_name(end.error)}")
        return {(end.topic, end.partition): end.offset for end in answered}

    def numbers(self, lane: int, ranges: Mapping[Place, tuple[int, int]]) -> set[int]:
        """The `seq` headers of the records whose `lane` header is `lane`, in [start, end) of each place.

        Raises LogUnreadable when nothing comes for 5 s.
        """
        mine, found = b"%d" % lane, set[int]()
        for message in self.records(ranges):
            headers = dict(message.headers() or ())
            if headers.get("lane") == mine and (seq := headers.get("seq")):
                found.add(int(seq))
        return found

    def records(self, ranges: Mapping[Place, tuple[int, int]], *, first_only: bool = False) -> Iterator[Message]:
        """The records in [start, end) of each place, or only the first of each, in the order of each place's log.

        Raises LogUnreadable when nothing comes for 5 s.
        """
        todo = {place for place, (start, end) in ranges.items() if start < end}
        if not todo:
            return
        self._consumer.assign([TopicPartition(*place, ranges[place][0]) for place in todo])
        try:
            heard = self._clock.monotonic()
            while todo:
                for message in self._consumer.consume(len(todo) if first_only else 1000, 0.01):
                    heard = self._clock.monotonic()
                    place = message.topic() or "", message.partition() or 0
                    if place not in todo:
                        continue
                    end, offset, at_end = ranges[place][1], message.offset() or 0, _at_end(message)
                    if not at_end and offset < end:
                        yield message
                    if at_end or first_only or offset + 1 >= end:
                        todo.discard(place)
                if self._clock.monotonic() - heard > STANDSTILL_S:
                    raise LogUnreadable(f"no answer for {STANDSTILL_S:.0f} s from {sorted(todo)}")
        finally:
            self._consumer.unassign()

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()


def _at_end(message: Message) -> bool:
    """Whether this is the client's note that the partition ends here. Raises LogUnreadable on any other error."""
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise LogUnreadable(f"reading {message.topic()}/{message.partition()}: {_name(error)}")


def _name(error: object) -> str:
    return error.name() if isinstance(error, KafkaError) else type(error).__name__
