"""Plays one seed and says what it led to."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from random import Random
from typing import NamedTuple, TextIO

import structlog

from monitoring.log import describe_exception
from tests.simulation.promises import Ledgered, broken, ledgered
from tests.simulation.scheduler import Stuck
from tests.simulation.workload import WORKLOADS
from tests.simulation.world import World


def log_to(stream: TextIO | None) -> None:
    """Let the engine's log lines go there, without the time of this machine; None: nowhere."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            describe_exception,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("DEBUG" if stream is not None else "CRITICAL"),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )


class Played(NamedTuple):
    """What came of one seed: what broke, the faults that struck by kind and call, and how long it was."""

    seed: int
    broken: tuple[str, ...]
    faults: Counter[tuple[str, str]]
    steps: int
    seconds: float


def play(seed: int, trace: Callable[[str], None] | None = None) -> Played:
    """All that one seed makes happen; the same every time."""
    number = seed % WORKLOADS
    world = World(Random(seed), number, trace=trace)
    found = list(_played(world))
    if not found:
        found = list(broken(world.database, world.log, undisturbed(number)))
    scheduler = world.scheduler
    return Played(seed, tuple(found), world.faults.happened, scheduler.steps, scheduler.now)


@cache
def undisturbed(number: int) -> Ledgered:
    """What a workload leads to when nothing goes wrong."""
    world = World(Random(0), number, calm=True, trace=None)
    found = [*_played(world)]
    assert not found, f"workload {number} does not come to its end even undisturbed: {found}"
    return ledgered(world.database)


def _played(world: World) -> list[str]:
    try:
        world.run()
    except Stuck as stuck:
        return [f"{stuck}: {world.unrest()}", *world.broken]
    return world.broken
