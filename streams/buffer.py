"""What a lane has fetched and not yet applied, handed out oldest first over its topics.

Kafka orders a claim's records within a topic only. After a pause the topics of a lane come in runs of thousands, and an
invoice would often overtake its estimate and be parked for nothing. So a record is handed out once no topic of the lane
can still deliver an older one: each has a younger record here, or has been read to its end (as Kafka Streams does,
KIP-353).
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from operator import itemgetter

from streams.received import Received

AtEnd = Callable[[str], bool]

_MOST_BYTES = 32 * 1024 * 1024
"""Once as many bytes of records are taken the rest waits: they are one parameter of a statement."""


class Buffer:
    """The fetched records of one lane. Not thread-safe: its lane's owner holds the lock."""

    def __init__(self, topics: Iterable[str]) -> None:
        self._waiting: dict[str, deque[tuple[int, Received]]] = {topic: deque() for topic in topics}
        self._newest: dict[str, float] = dict.fromkeys(self._waiting, -math.inf)
        self._ready: deque[Received] = deque()
        self.size = 0

    def add(self, record: Received) -> None:
        """Take in the next record of its topic. A clock set back counts as standing still: topic order comes first."""
        newest = max(self._newest[record.topic], record.timestamp_ms)
        self._newest[record.topic] = newest
        self._waiting[record.topic].append((int(newest), record))
        self.size += 1

    def held(self, topic: str) -> int:
        """How many records of one topic wait to be ordered."""
        return len(self._waiting[topic])

    def oldest_ms(self, topic: str) -> int | None:
        """The time of the oldest record of a topic that waits to be ordered; None when none does."""
        waiting = self._waiting[topic]
        return waiting[0][0] if waiting else None

    def take(self, most: int, at_end: AtEnd) -> list[Received]:
        """The next records in order, at most `most` and not too many bytes; none while a topic that was not read to its
        end might be older."""
        if len(self._ready) < most:
            self._order(at_end)
        ready, room = self._ready, _MOST_BYTES
        taken: list[Received] = []
        while ready and len(taken) < most and room > 0:
            record = ready.popleft()
            room -= len(record.value or b"")
            taken.append(record)
        self.size -= len(taken)
        return taken

    def _order(self, at_end: AtEnd) -> None:
        horizon = min((self._newest[topic] for topic in self._waiting if not at_end(topic)), default=math.inf)
        released: list[tuple[int, Received]] = []
        for waiting in self._waiting.values():
            while waiting and waiting[0][0] <= horizon:
                released.append(waiting.popleft())
        released.sort(key=itemgetter(0))
        self._ready.extend(record for _, record in released)

    def clear(self) -> None:
        """Drop everything: the lane is lost, its next owner reads again from the ledger's position."""
        for waiting in self._waiting.values():
            waiting.clear()
        self._ready.clear()
        self.size = 0
