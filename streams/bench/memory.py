"""Memory of a worker: over many events, and with the database blocked while records wait."""

import statistics
import time
from typing import Any, Final

import psycopg

from streams.bench.ledgers import BenchLedger
from streams.bench.measure import BenchFailed, wait_for
from streams.bench.sizes import Sizes
from streams.bench.world import Worker, World, say

_SPREAD: Final = 6250
"""Claims between two records of one, as in a throughput run."""
_AHEAD: Final = 200_000
"""Records the sender is ahead: more than a worker takes in, so that its buffers are full from the start."""
_TENTHS: Final = 10
_WARM_UP: Final = 2
_POLL_S: Final = 0.1
_STILL_S: Final = 60.0


def memory(world: World, sizes: Sizes) -> dict[str, Any]:
    """Resident MiB of one worker: the median of each tenth of the events, and the most while the database is blocked.

    `growth` is the part by which any later tenth is above the first one after a warm-up of two tenths; `blocked.growth`
    that by which any moment while the database is blocked is above the last tenth.
    """
    with world.ledger() as ledger:
        with world.worker(ledger.url, WATCHDOG_S="600") as worker:
            tenths = _steady(world, ledger, worker, sizes.memory_records)
            blocked_s, most = _blocked(world, ledger, worker, sizes)
        ledger.check(ledger.taken(), published=False)
    return {
        "memory": {
            "records": sizes.memory_records,
            "rss_mib": tenths,
            "growth": max(tenths[_WARM_UP:]) / tenths[_WARM_UP] - 1,
            "blocked": {
                "records": sizes.blocked_records,
                "seconds": blocked_s,
                "rss_mib": most,
                "growth": most / tenths[-1] - 1,
            },
        }
    }


def _steady(world: World, ledger: BenchLedger, worker: Worker, records: int) -> list[float]:
    """Send records as the worker takes them; its resident MiB, the median of each tenth."""
    load = world.load(records, min(_SPREAD, records // 64))
    sender, samples = world.sender(load.spread), _Samples(ledger, worker, load.size)
    for number, record in enumerate(load.records, 1):
        sender.send(record)
        if not number % load.spread:
            while number - samples.look() > _AHEAD:
                time.sleep(_POLL_S)
    sender.flush()
    while samples.look() < load.size:
        time.sleep(_POLL_S)
    wait_for([worker.process], ledger, load.size, published=True)
    return samples.tenths()


def _blocked(world: World, ledger: BenchLedger, worker: Worker, sizes: Sizes) -> tuple[float, float]:
    """Keep the worker from committing while records come; for how many seconds, and its resident MiB at the most."""
    load = world.load(sizes.blocked_records, min(_SPREAD, sizes.blocked_records // 64))
    sender, most = world.sender(load.spread), 0.0
    with psycopg.connect(ledger.url) as locker:
        locker.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")
        say(f"the database is blocked; sending {load.size} records")
        began, before = time.monotonic(), ledger.taken()
        for number, record in enumerate(load.records, 1):
            sender.send(record)
            if not number % load.spread:
                most = max(most, worker.resident_mib())
        sender.flush()
        while time.monotonic() - began < sizes.blocked_s:
            most = max(most, worker.resident_mib())
            time.sleep(_POLL_S)
        blocked_s = time.monotonic() - began
        if ledger.taken() != before:
            raise BenchFailed("records were taken although the journal was locked")
    wait_for([worker.process], ledger, before + load.size // 20, published=False)
    return blocked_s, most


class _Samples:
    """Resident memory of a worker, by how far it has come."""

    def __init__(self, ledger: BenchLedger, worker: Worker, records: int) -> None:
        self._ledger = ledger
        self._worker = worker
        self._records = records
        self._tenths: list[list[float]] = [[] for _ in range(_TENTHS)]
        self._moved = time.monotonic(), 0

    def look(self) -> int:
        """Take a sample; the records taken so far. Raises BenchFailed when the worker stands still."""
        taken = self._ledger.taken()
        self._tenths[min(taken * _TENTHS // self._records, _TENTHS - 1)].append(self._worker.resident_mib())
        since, before = self._moved
        if taken != before:
            self._moved = time.monotonic(), taken
        elif time.monotonic() - since > _STILL_S:
            raise BenchFailed(f"the worker has taken {taken} of {self._records} records and stands still")
        return taken

    def tenths(self) -> list[float]:
        """The median of each tenth; of one without a sample, that of the one before."""
        medians: list[float] = []
        for samples in self._tenths:
            medians.append(statistics.median(samples) if samples else medians[-1])
        return medians
