"""The workers of a cell: as many as wanted, started again when they end, killed and frozen on demand."""

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Mapping, MutableSequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import psutil

from streams.exits import Exit
from tests.crash import worker
from tests.crash.steps import STEPS
from tests.crash.worker import Armed, Orders

LOOK_S: Final = 0.05
LIMIT_S: Final = 60.0
# A worker may leave by itself for these reasons alone: what it needs was away, or it could not stop in time.
MAY_LEAVE: Final = frozenset((Exit.OK, Exit.UNAVAILABLE, Exit.KAFKA, Exit.RELAY, Exit.STUCK))

# Workers are forked from a process that has loaded all they need and has no thread.
_forks: Final = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([worker.__name__])


Whom = Literal["worker", "relay", "both"]
"""Which processes of a worker."""


class Worker:
    """One worker: its process and its relay's. `frozen` while one of them is stopped."""

    def __init__(
        self, environment: Mapping[str, str], log: Path, passed: MutableSequence[int], armed: Armed | None
    ) -> None:
        self.log = log
        self.was_frozen = False
        self.leaving = False
        self._stopped: list[psutil.Process] = []
        self._woken: list[psutil.Process] = []
        self._asking = threading.Lock()
        memory: MutableSequence[int] = _forks.RawArray("q", Orders.SIZE)
        self.orders = Orders(memory)
        self.orders.arm(armed)
        self._process = _forks.Process(target=worker.run, args=[environment, memory, passed, log])
        self._process.start()

    @property
    def ended(self) -> bool:
        """Whether the worker's own process is gone."""
        return self.exit_code is not None

    @property
    def exit_code(self) -> int | None:
        """How it ended; negative: by this signal."""
        with self._asking:  # two threads that ask at once would make one of them read nothing
            return self._process.exitcode

    @property
    def frozen(self) -> bool:
        """Whether one of its processes is stopped."""
        return bool(self._stopped)

    @property
    def lives(self) -> bool:
        """Whether one of its processes is there: a relay may outlive its worker while it is stopped."""
        return not self.ended or any(map(_is_there, (*self._stopped, *self._woken)))

    def kill(self, whom: Whom = "both") -> None:
        """kill -9. What is left of the worker ends by itself."""
        for process in (*self._family(whom), *(self._stopped if whom == "both" else ())):
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def freeze(self, whom: Whom = "both") -> None:
        """Stop its processes."""
        self._stop(*self._family(whom))

    def look(self) -> None:
        """Know of a process that stopped itself."""
        pid = self.orders.struck
        if pid is not None and self.orders.freezes and not any(process.pid == pid for process in self._stopped):
            with suppress(psutil.NoSuchProcess):
                self._stop(psutil.Process(pid))

    def thaw(self) -> None:
        """Let all of them go on."""
        for process in self._stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self.orders.arm(None)
        self._woken += self._stopped
        self._stopped.clear()

    def end(self, limit_s: float) -> bool:
        """Ask it to stop; whether it did in time. It is gone in any case."""
        self.thaw()
        self._woken += self._family("both")
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self._pid).terminate()
        in_time = wait_for(lambda: not self.lives, limit_s)
        if not in_time:
            self.kill()
        return in_time

    @property
    def _pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def _family(self, whom: Whom) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self._pid)
            relay = [] if whom == "worker" else process.children()
            return relay if whom == "relay" else [process, *relay]
        return []

    def _stop(self, *processes: psutil.Process) -> None:
        self.was_frozen = True
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                self._stopped.append(process)


class Crew:
    """Keeps `wanted` workers alive. Those frozen do not count: others do their work."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        self.wanted = 0
        self.problems: list[str] = []
        self._environment = environment
        self._started = 0
        self._next_armed: Armed | None = None
        self._passed: MutableSequence[int] = _forks.RawArray("q", len(STEPS))
        self._workers: list[Worker] = []
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="crew")
        self._thread.start()

    def close(self) -> None:
        """End all workers."""
        self._stopping.set()
        self._thread.join()
        for one in self._workers:
            one.kill()
            wait_for(lambda: one.ended, LIMIT_S)  # noqa: B023 - at once

    @property
    def passed(self) -> list[str]:
        """The steps that any of the workers ever came to."""
        return [step for step, count in zip(STEPS, self._passed, strict=True) if count]

    @property
    def at_work(self) -> list[Worker]:
        """The workers that are alive and not frozen, oldest first."""
        with self._lock:
            return [one for one in self._workers if not one.frozen and not one.ended]

    @property
    def frozen(self) -> list[Worker]:
        """The workers that were frozen and not let go on."""
        with self._lock:
            return [one for one in self._workers if one.frozen]

    @property
    def woken(self) -> list[Worker]:
        """The workers that were frozen and go on."""
        with self._lock:
            return [one for one in self._workers if one.was_frozen and not one.frozen]

    @property
    def struck(self) -> Worker | None:
        """The worker that struck itself."""
        with self._lock:
            return next((one for one in self._workers if one.orders.struck is not None), None)

    def want(self, count: int) -> None:
        """Have this many workers; surplus ones leave in good order, oldest first."""
        self.wanted = count
        for one in self.at_work[: max(0, len(self.at_work) - count)]:
            self.leave(one)
        self.look()

    def leave(self, one: Worker) -> None:
        """Let a worker end in good order."""
        one.leaving = not one.ended
        if not one.end(LIMIT_S):
            self.problems.append(f"{one.log} did not stop within {LIMIT_S:.0f} s")
        self.look()

    def arm_next(self, armed: Armed | None) -> None:
        """The next worker to be started is armed from its start; None: it is not."""
        with self._lock:
            self._next_armed = armed

    def disarm(self) -> None:
        """No worker strikes itself any more; those that did are known to be frozen, or gone."""
        self.look()
        with self._lock:
            for one in self._workers:
                one.orders.arm(None)

    def look(self) -> None:
        """See what happened, and start workers in place of those that ended."""
        with self._lock:
            for one in list(self._workers):
                one.look()
                if not one.lives and one.orders.struck is None:
                    self._workers.remove(one)
                    self._judge(one)
            while not self._stopping.is_set() and len(self.at_work) < self.wanted:
                self._started += 1
                log = self.folder / f"worker-{self._started}.log"
                self._workers.append(Worker(self._environment, log, self._passed, self._next_armed))
                self._next_armed = None

    def _judge(self, one: Worker) -> None:
        code = one.exit_code
        if code == -signal.SIGKILL or (one.leaving and code == -signal.SIGTERM):  # too young to heed it
            return
        if code not in MAY_LEAVE:
            self.problems.append(f"{one.log} left with {code}")
        elif code == Exit.OK and not one.leaving:
            self.problems.append(f"{one.log} stopped without being asked")

    def _supervise(self) -> None:
        while not self._stopping.wait(LOOK_S):
            self.look()


def _is_there(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def wait_for(holds: Callable[[], bool], limit_s: float, look_s: float = LOOK_S / 2) -> bool:
    """Whether it came to hold in time."""
    end = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(look_s)
    return True
