"""Stalls: how long a lane stands still while workers, or the broker, come and go under a steady load."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import psutil

from streams.bench.ledgers import BenchLedger
from streams.bench.measure import BenchFailed, end, family, wait_for, wait_for_lanes, wait_until
from streams.bench.progress import POLL_S, Progress, watching
from streams.bench.sizes import Sizes
from streams.bench.workload import STEPS
from streams.bench.world import World, say
from streams.cluster import ClusterUnavailable
from streams.intake import GROUP_SETTINGS

_APART_S: Final = 2
_LONGEST_S: Final = 1200


def _freeze(worker: psutil.Popen) -> None:
    """Stop every process of the worker, as a machine that hangs would."""
    for process in family(worker):
        process.suspend()


def _thaw(worker: psutil.Popen) -> None:
    for process in family(worker):
        process.resume()


_HAPPENS: Final[Mapping[str, Callable[[psutil.Popen], object]]] = {
    "leave": psutil.Popen.terminate,
    "kill": psutil.Popen.kill,
    "freeze": _freeze,
}
"""What happens to the second of two workers, which has half of the lanes."""


def stalls(world: World, sizes: Sizes) -> dict[str, Any]:
    """Seconds, of each event the longest; and how long a worker at full load takes to end when asked to."""
    found: dict[str, list[float]] = defaultdict(list)
    with world.ledger() as ledger, watching(world, ledger) as progress, world.worker(ledger.url) as first:
        wait_for_lanes([first.process], ledger)
        with _load(world, sizes.stall_rate) as sent:
            progress.wait_for_calm(owners=1)
            for number in range(1, sizes.stall_rounds + 1):
                for event in sizes.stalls:
                    _second_worker(world, ledger, progress, event, found)
                say(f"round {number}: " + ", ".join(f"{name} {times[-1]:.2f} s" for name, times in found.items()))
            if sizes.broker_restart:
                found["broker_away"], found["broker_restart"] = _broker_restart(world, progress)
        wait_for([first.process], ledger, sent(), published=True)
        ledger.check(sent(), published=False, in_order=False)
    found["drain"] = [_drain(world, sizes) for _ in range(sizes.stall_rounds)]
    return {
        "stalls": {
            "rate": sizes.stall_rate,
            "rounds": sizes.stall_rounds,
            **{f"{name}_s": max(times) for name, times in found.items()},
            "settings": GROUP_SETTINGS,
        }
    }


def _second_worker(
    world: World, ledger: BenchLedger, progress: Progress, event: str, found: dict[str, list[float]]
) -> None:
    """A second worker joins, and then something happens to it; the longest stall of any lane each time."""
    began = time.monotonic()
    with world.worker(ledger.url) as second:
        progress.wait_for_calm(owners=2)
        found["join"].append(progress.longest(began))
        began = time.monotonic()
        _HAPPENS[event](second.process)
        progress.wait_for_calm(owners=1)
        found[event].append(progress.longest(began))
        if event == "freeze":
            began = time.monotonic()
            _thaw(second.process)
            progress.wait_for_calm(owners=2)
            found["thaw"].append(progress.longest(began))
    progress.wait_for_calm(owners=1)


def _broker_restart(world: World, progress: Progress) -> tuple[list[float], list[float]]:
    """Stop the broker and start it again: seconds until it answers, and the longest stall of any lane."""
    began = time.monotonic()
    world.kafka.stop()
    world.kafka.start()
    away_s = time.monotonic() - began
    wait_until(lambda: _knows_the_leaders(world), "the bench's own client goes on")
    progress.wait_for_calm(owners=1)
    say(f"broker restart: away {away_s:.1f} s, stall {progress.longest(began):.1f} s")
    return [away_s], [progress.longest(began)]


def _knows_the_leaders(world: World) -> bool:
    """Whether the bench's client can ask for offsets: after a restart of the broker it learns by being refused."""
    try:
        world.end()
    except ClusterUnavailable:
        return False
    return True


def _drain(world: World, sizes: Sizes) -> float:
    """Seconds from SIGTERM to the end of a worker that has a backlog. Outputs not yet out are left to the next."""
    with world.ledger() as ledger:
        records = world.send(world.load(sizes.drain_records))
        with world.worker(ledger.url) as worker:
            wait_for([worker.process], ledger, records // 4, published=False)
            took_s = end(worker.process)
        taken = ledger.taken()
        if taken >= records:
            raise BenchFailed(f"all of {records} records were taken before the worker was asked to stop: send more")
        ledger.check(taken, published=False)
    return took_s


@contextmanager
def _load(world: World, rate: int) -> Iterator[Callable[[], int]]:
    """Records come at `rate` a second as long as the context lasts; how many came, once it has ended."""
    load, sender, enough = world.load(rate * _LONGEST_S, rate * _APART_S // STEPS), world.sender(), threading.Event()
    count = 0

    def send() -> None:
        nonlocal count
        started = time.monotonic()
        for record in load.records:
            ahead_s = started + count / rate - time.monotonic()
            if ahead_s > POLL_S and enough.wait(ahead_s):
                return
            sender.send(record)
            count += 1

    thread = threading.Thread(target=send, name="load", daemon=True)
    thread.start()
    try:
        yield lambda: count
    finally:
        enough.set()
        thread.join()
        sender.flush()
