"""Progress of the lanes of a ledger, seen from outside: when each went on, and for how long it did not."""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import Final

from streams.bench.ledgers import BenchLedger
from streams.bench.measure import wait_until
from streams.bench.world import LANES, World

POLL_S: Final = 0.01
_CALM_S: Final = 1.0
_GAP_S: Final = 0.5


class Progress(threading.Thread):
    """Notes when each lane went on."""

    def __init__(self, ledger: BenchLedger) -> None:
        super().__init__(name="progress", daemon=True)
        self._ledger = ledger
        self._moved: dict[int, list[float]] = defaultdict(list)
        self._ended = threading.Event()

    def run(self) -> None:
        """Look at the lanes until `stop`."""
        before: dict[int, int] = {}
        while not self._ended.wait(POLL_S):
            now, taken = time.monotonic(), self._ledger.by_lane()
            for lane, count in taken.items():
                if count != before.get(lane):
                    self._moved[lane].append(now)
            before = taken

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self.join()

    def longest(self, since: float) -> float:
        """Seconds of the longest stall of any lane that lasted into the time since then."""
        now = time.monotonic()
        return max(
            later - earlier
            for moved in list(self._moved.values())
            for earlier, later in pairwise([*moved, now])
            if later > since
        )

    def wait_for_calm(self, owners: int) -> None:
        """Return once so many workers hold lanes and every lane went on for a second. Raises BenchFailed."""

        def calm() -> bool:
            return (
                len(self._ledger.owners()) == owners
                and len(self._moved) == LANES
                and self.longest(time.monotonic() - _CALM_S) < _GAP_S
            )

        wait_until(calm, f"{owners} workers do not go on with all lanes")


@contextmanager
def watching(world: World, ledger: BenchLedger) -> Iterator[Progress]:
    """The progress of a ledger's lanes, noted for as long as the context lasts."""
    with closing(BenchLedger(ledger.url, world.cluster, LANES)) as seen_by_thread:
        progress = Progress(seen_by_thread)
        progress.start()
        try:
            yield progress
        finally:
            progress.stop()
