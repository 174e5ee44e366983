"""What goes wrong in one seed: which kinds and how often is drawn once, when and where step by step."""

from collections import Counter
from random import Random
from typing import Final

from streams.lanes import DEATHS
from tests.simulation.scheduler import Killed, Process, Scheduler

RARELY: Final = 0.1
"""The weight of a call that is made over and over."""
FOR_GOOD_S: Final = 1e6
_FREEZES_S: Final = (0.5, 3.0, 7.0, 9.0, 16.0, FOR_GOOD_S)


class Faults:
    """Chooses what becomes of each call that leaves a process. `happened` counts by kind and call; a request of the
    producer takes up to `delivery_s`.

    At most `_deaths` crashes and freezes and `_losses` lost calls strike, so that the world comes to rest.
    """

    def __init__(self, scheduler: Scheduler, *, calm: bool = False) -> None:
        self.happened: Counter[tuple[str, str]] = Counter()
        self._scheduler = scheduler
        self._random = random = scheduler.random
        # Fewer than it takes to have a lane taken record by record, and then one of these blamed for them.
        self._deaths = 0 if calm else random.randrange(2 * DEATHS)
        self._losses = 0 if calm else random.randrange(20)
        self._crash, self._freeze = self._rate(random), self._rate(random)
        kinds = ("ledger", "broker", "delivery", "fatal", "full", "again", "skip")
        self._lose = {kind: self._rate(random) for kind in kinds}
        self._latency_s = 0.0 if calm else random.choice((0.0, 0.001, 0.01, 0.3))
        self.delivery_s = 0.05 if calm else random.choice((0.01, 0.05, 1.0))

    @staticmethod
    def _rate(random: Random) -> float:
        return random.choice((0.0, 0.002, 0.006, 0.02))

    def strike(self, process: Process, call: str, weight: float = 1.0) -> None:
        """A call that leaves the process: it may die or freeze here, and others go on meanwhile. Raises Killed."""
        if not process.alive:
            raise Killed
        random = self._random
        self._scheduler.say_of_current(call)
        if self._deaths:
            chance = random.random()
            if chance < self._crash * weight:
                self._die(process, call)
            elif chance > 1 - self._freeze * weight:
                self._stand_still(process, call)
        if process.frozen_until > self._scheduler.now or random.random() < 0.5:
            self._scheduler.pause(self._latency_s * random.random())

    def loses(self, kind: str, call: str) -> bool:
        """Whether a call of this kind of service fails."""
        if not self._losses or self._random.random() >= self._lose[kind]:
            return False
        self._losses -= 1
        self.happened[kind, call] += 1
        self._scheduler.say(f"-- {call} fails")
        return True

    def spare(self, most: int) -> None:
        """From now on at most so many crashes and freezes."""
        self._deaths = min(self._deaths, most)

    def cease(self) -> None:
        """Nothing more goes wrong."""
        self._deaths = self._losses = 0

    def _die(self, process: Process, call: str) -> None:
        self._deaths -= 1
        self.happened["crash", call] += 1
        self._scheduler.kill(process)
        raise Killed

    def _stand_still(self, process: Process, call: str) -> None:
        self._deaths -= 1
        self.happened["freeze", call] += 1
        self._scheduler.freeze(process, self._random.choice(_FREEZES_S))
