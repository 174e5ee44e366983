"""`claimhub up`, but the worker's process or its relay's ends or freezes itself at a named step when told to.

What is armed and what was passed is in memory shared with the driver: the relay's process is a fork of the worker's,
and neither may have a thread of ours.
"""

import ctypes
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping, MutableSequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from streams.cli import main
from streams.commands import up
from tests.crash.steps import STEPS, wrap

_PLACES: Final = {step: place for place, step in enumerate(STEPS)}
_PR_SET_PDEATHSIG: Final = 1


class Armed(Struct, frozen=True):
    """What a process does to itself the `hit`th time it comes to `step`."""

    step: str
    hit: int
    number: signal.Signals


class Orders:
    """What the driver has armed, and who was struck: (order, step, hit, signal, order that struck, process struck).

    A new order number begins a new count of hits. At most one process is struck by an order.
    """

    SIZE: Final = 6

    def __init__(self, memory: MutableSequence[int]) -> None:
        self._memory = memory
        self._given = 0

    def arm(self, armed: Armed | None) -> None:
        """Give a new order; None: strike at no step. For the driver alone."""
        self._memory[0] = 0
        if armed is not None:
            self._given += 1
            for place, value in enumerate((_PLACES[armed.step], armed.hit, armed.number), 1):
                self._memory[place] = value
            self._memory[0] = self._given

    @property
    def struck(self) -> int | None:
        """The process that struck itself by the last order."""
        return self._memory[5] if self._memory[0] and self._memory[4] == self._memory[0] else None

    @property
    def number(self) -> int:
        """The order in force; 0 is none."""
        return self._memory[0] if self._memory[4] != self._memory[0] else 0

    @property
    def freezes(self) -> bool:
        """Whether the last order was to stop, rather than to end."""
        return self._memory[3] == signal.SIGSTOP

    def strikes(self, place: int, hits: int) -> signal.Signals | None:
        """The signal to send oneself at this step after so many hits."""
        order, step, hit, number, struck, _ = self._memory
        if not order or struck == order or step != place or hits < hit:
            return None
        self._memory[5] = os.getpid()
        self._memory[4] = order
        return signal.Signals(number)


class Steps:
    """Counts the steps this process passes, and strikes at the one that is armed."""

    def __init__(self, orders: Orders, passed: MutableSequence[int]) -> None:
        self._orders = orders
        self._passed = passed
        self._since: Counter[int] = Counter()
        self._order = 0
        self._lock = threading.Lock()

    def passes(self, step: str) -> None:
        """Note it; the process may not come back from here."""
        place = _PLACES[step]
        with self._lock:
            self._passed[place] += 1
            if (order := self._orders.number) != self._order:
                self._order = order
                self._since.clear()
            self._since[place] += 1
            number = self._orders.strikes(place, self._since[place])
        if number is not None:
            os.kill(os.getpid(), number)


def run(environment: Mapping[str, str], orders: MutableSequence[int], passed: MutableSequence[int], log: Path) -> None:
    """The process: what it says goes to `log`. It ends with the one it was forked from, which ends with the driver."""
    with suppress(OSError, AttributeError):  # not on this system: then it may outlive a driver that was killed
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    wrap(Steps(Orders(orders), passed).passes)
    os.environ.update(environment)
    sys.argv = ["claimhub", "up", "--role", up.WORKER]
    main()
