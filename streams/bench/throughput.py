"""Throughput: floor and hub in turns on the same records, one worker and two, the median run of each."""

import sys
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import psutil

from streams.bench.ledgers import BenchLedger, Places
from streams.bench.measure import BenchFailed, wait_for, wait_until
from streams.bench.sizes import Sizes
from streams.bench.world import World, say

_FLOOR: Final = (sys.executable, "-m", "streams.bench.floor")


class Throughput(NamedTuple):
    """One run: events per second between the first commits and the last, and CPU seconds per million events."""

    events_per_s: float
    program_cpu_s_per_million: float
    database_cpu_s_per_million: float
    broker_cpu_s_per_million: float


def one_worker(world: World, sizes: Sizes) -> dict[str, Any]:
    """The hub with one worker against the floor."""
    start, records = world.end(), world.send(world.load(sizes.records))
    floors, hubs, per_batch = [], [], 0.0
    for number in range(1, sizes.runs + 1):
        with world.ledger(start) as ledger, world.running([*_FLOOR, world.kafka.address, ledger.url]) as program:
            floors.append(watch(world, [program], ledger, records, published=False))
        say(f"run {number}: floor {floors[-1].events_per_s:,.0f} events/s")
        with world.ledger(start) as ledger, world.worker(ledger.url) as worker:
            hubs.append(watch(world, [worker.process], ledger, records, published=True))
            per_batch = worker.metric("claimhub_sql_statements_total") / worker.metric("claimhub_batches_total")
        say(f"run {number}: hub   {hubs[-1].events_per_s:,.0f} events/s")
    floor, hub = median(floors), median(hubs)
    return {
        "records": records,
        "runs": sizes.runs,
        "floor": floor._asdict(),
        "hub": hub._asdict(),
        "ratio": hub.events_per_s / floor.events_per_s,
        "statements_per_batch": per_batch,
    }


def two_workers(world: World, sizes: Sizes) -> dict[str, Any]:
    """The hub with two worker processes, which take their lanes at the same time."""
    start, records = world.end(), world.send(world.load(sizes.records))
    runs = []
    for number in range(1, sizes.runs + 1):
        runs.append(_shared(world, start, records))
        say(f"run {number}: two workers {runs[-1].events_per_s:,.0f} events/s")
    return {"two_workers": median(runs)._asdict()}


def watch(
    world: World, programs: Sequence[psutil.Popen], ledger: BenchLedger, records: int, *, published: bool
) -> Throughput:
    """Watch programs take `records` records into a ledger, and publish what they led to if they are such that do.

    Counted from the first commits on: start-up is not throughput. Raises Incomplete when anything is missing then.
    """
    wait_for(programs, ledger, 1, published=False)
    began, already, cost_before = time.monotonic(), ledger.taken(), world.cost(programs, ledger)
    if already >= records:
        raise BenchFailed(f"all of {records} records were taken before anything was measured: send more")
    wait_for(programs, ledger, records, published=published)
    seconds, cost_after = time.monotonic() - began, world.cost(programs, ledger)
    ledger.check(records, published=published)
    events = records - already
    costs = [(after - before) / events * 1e6 for before, after in zip(cost_before, cost_after, strict=True)]
    return Throughput(events / seconds, *costs)


def median(runs: Sequence[Throughput]) -> Throughput:
    """The run with the median speed."""
    return sorted(runs)[len(runs) // 2]


def _shared(world: World, start: Places, records: int) -> Throughput:
    with world.ledger(start) as ledger, world.worker(ledger.url) as first, world.worker(ledger.url) as second:
        programs = [first.process, second.process]
        with ledger.held():
            wait_until(lambda: world.members(ledger) == len(programs), "the workers do not form a group", programs)
        return watch(world, programs, ledger, records, published=True)
