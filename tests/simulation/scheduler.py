"""One thread and many actors: chance says who goes on at each step, and time passes only when all of them wait."""

import heapq
import threading
from collections.abc import Callable
from random import Random
from typing import Final

from greenlet import GreenletExit, getcurrent, greenlet

EPOCH_S: Final = 1_775_000_000.0
"""What `time()` says at the start: all seeds begin at the same moment."""
_MOST_STEPS: Final = 100_000


class Killed(GreenletExit):  # type: ignore[misc]  # greenlet is published without types
    """The actor's process is dead: nothing it still does has any effect."""


class Stuck(Exception):
    """The world did not come to rest in time."""


class Process:
    """What freezes and dies as one. `on_silence` are called when it does either."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.frozen_until = 0.0
        self.on_silence: list[Callable[[], None]] = []


class _Actor:
    __slots__ = ("event", "greenlet", "name", "process", "turn")

    def __init__(self, name: str, process: Process, run: Callable[[], None]) -> None:
        self.name = name
        self.process = process
        self.greenlet = greenlet(run)
        self.event: threading.Event | None = None
        self.turn = 0  # the number of its entry in the queue that counts


class Scheduler:
    """Runs actors until `finished` is set. `trace` hears of every step."""

    def __init__(self, random: Random, limit_s: float, trace: Callable[[str], None] | None = None) -> None:
        self.random = random
        self.now = 0.0
        self.steps = 0
        self.finished = False
        self._limit_s = limit_s
        self._trace = trace
        # Who comes when: the time, and among those of one time chance.
        self._queue: list[tuple[float, float, int, _Actor | Callable[[], None]]] = []
        self._count = 0
        self._actors: dict[_Actor, None] = {}
        self._waiting: list[_Actor] = []  # for an event
        self._dying: list[Process] = []
        self._current: _Actor
        self._hub: greenlet

    def spawn(self, process: Process, name: str, run: Callable[[], None]) -> None:
        """Add an actor; its exceptions end the run, except Killed."""
        actor = _Actor(name, process, run)
        self._actors[actor] = None
        self._enqueue(actor, self.now)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Let the world outside the processes do something after this long."""
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self.random.random(), self._count, act))

    def run(self) -> None:
        """Go on until `finished`. Raises Stuck, and whatever an actor raises."""
        self._hub = getcurrent()
        try:
            while not self.finished:
                self._step()
        finally:
            for actor in self._actors:
                actor.process.alive = False
            self._bury(list(self._actors))

    def pause(self, seconds: float) -> None:
        """The current actor lets others go on, and comes back after this long at the earliest."""
        actor = self._current
        self._enqueue(actor, self.now + seconds)
        self._hub.switch()
        self._current = actor

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """The current actor comes back once the event is set, or after this long; whether it is set."""
        actor = self._current
        actor.event = event
        self._waiting.append(actor)
        self.pause(seconds)
        if actor.event is not None:
            actor.event = None
            self._waiting.remove(actor)
        return event.is_set()

    def freeze(self, process: Process, seconds: float) -> None:
        """Let nothing of this process go on for this long; its current actor must pause next."""
        process.frozen_until = self.now + seconds
        for tell in process.on_silence:
            tell()
        self.say(f"-- {process.name} freezes for {seconds:.1f} s")

    def kill(self, process: Process) -> None:
        """End a process. When it is the current actor's, that one must raise Killed next."""
        process.alive = False
        self._dying.append(process)
        for tell in process.on_silence:
            tell()
        self.say(f"-- {process.name} is dead")

    def say(self, what: str) -> None:
        """Tell the trace."""
        if self._trace is not None:
            self._trace(f"{self.now:10.4f} {what}")

    def say_of_current(self, what: str) -> None:
        """Tell the trace what the current actor does."""
        if self._trace is not None:
            self.say(f"{self._current.process.name} {self._current.name}: {what}")

    def _enqueue(self, actor: _Actor, at: float) -> None:
        self._count = actor.turn = self._count + 1
        heapq.heappush(self._queue, (at, self.random.random(), self._count, actor))

    def _step(self) -> None:
        at, _, turn, next_ = heapq.heappop(self._queue)
        if isinstance(next_, _Actor) and (next_.turn != turn or not next_.process.alive):
            return
        self.steps += 1
        self.now = max(self.now, at)
        if self.now > self._limit_s:
            raise Stuck(f"not at rest after {self._limit_s:.0f} simulated seconds")
        if self.steps > _MOST_STEPS:
            raise Stuck(f"not at rest after {_MOST_STEPS} steps and {self.now:.0f} simulated seconds")
        if not isinstance(next_, _Actor):
            next_()
        elif next_.process.frozen_until > self.now:
            self._enqueue(next_, next_.process.frozen_until)
        else:
            self._current = next_
            next_.greenlet.switch()
            if next_.greenlet.dead:
                del self._actors[next_]
        while self._dying:
            process = self._dying.pop()
            self._bury([actor for actor in self._actors if actor.process is process])
        for actor in self._waiting:
            if actor.event is not None and actor.event.is_set():
                actor.event = None
                self._enqueue(actor, self.now)
        self._waiting = [actor for actor in self._waiting if actor.event is not None]

    def _bury(self, actors: list[_Actor]) -> None:
        for actor in actors:
            self._current = actor
            del self._actors[actor]
            if actor in self._waiting:
                self._waiting.remove(actor)
            if actor.greenlet:  # begun, and not at its end
                actor.greenlet.throw(Killed)
