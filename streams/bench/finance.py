"""Finance as the bench plays it: a read-committed consumer that notes when each payment instruction came."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from schemas.topics import INSTRUCTIONS
from streams.bench.measure import BenchFailed
from streams.cluster import KafkaCluster
from streams.received import from_kafka

_QUIET_S: Final = 60.0


class Finance(threading.Thread):
    """Receives what comes to the instructions' topic from its start on, until it is stopped."""

    def __init__(self, cluster: KafkaCluster, lanes: int) -> None:
        super().__init__(name="finance", daemon=True)
        options: dict[str, Any] = {
            **cluster.options,
            "group.id": "bench-finance",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
        }
        self._consumer = Consumer(options)
        ends = cluster.bounds([INSTRUCTIONS], range(lanes))
        self._consumer.assign([TopicPartition(*place, end) for place, (_, end) in ends.items()])
        self._stopped = threading.Event()
        self.received_at: dict[bytes, float] = {}
        """When the first instruction of each causing event came, by the performance counter."""

    def run(self) -> None:
        """Consume until `stop`."""
        while not self._stopped.is_set():
            message = self._consumer.poll(0.5)
            if message is not None and message.error() is None:
                now = time.perf_counter()
                cause = dict(from_kafka(message).headers)["causationid"] or b""
                self.received_at.setdefault(cause, now)
        self._consumer.close()

    def wait_for(self, events: set[bytes]) -> dict[bytes, float]:
        """When the instruction of each of these events came. Raises BenchFailed when one does not come."""
        deadline = time.monotonic() + _QUIET_S
        while missing := events - self.received_at.keys():
            if time.monotonic() > deadline:
                raise BenchFailed(f"{len(missing)} of {len(events)} instructions did not come within {_QUIET_S:.0f} s")
            time.sleep(0.05)
        return {event: self.received_at[event] for event in events}

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join()


@contextmanager
def finance(cluster: KafkaCluster, lanes: int) -> Iterator[Finance]:
    """Finance at work, from what comes next on."""
    thread = Finance(cluster, lanes)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()
