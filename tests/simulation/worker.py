"""One simulated worker process: the engine's own parts, wired as streams/app.py does, each thread an actor."""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, NoReturn, cast

from monitoring.health import Health
from monitoring.metrics import Metrics
from schemas.codec import Codec, Headers
from schemas.records import Record
from sinks.figures import show
from sinks.ledger.port import LedgerUnavailable
from sinks.relay import Relay
from streams.exits import Exit
from streams.intake import Intake
from streams.lanes import Batch, LaneProcessor
from streams.settings import Settings
from tests.keys import SIGN
from tests.lane import CODEC
from tests.simulation.faults import Faults
from tests.simulation.ledger import MemoryLedger, MemoryTables
from tests.simulation.log import Log, SimulatedClients, SimulatedCluster
from tests.simulation.scheduler import EPOCH_S, Killed, Process, Scheduler
from tests.simulation.workload import KILLER

_LATE_S: Final = 3.0

METRICS: Final = Metrics()  # of all workers: nobody looks, and a registry is slow to make


class ProcessClock:
    """The clock of one process: time goes on while it is frozen, and a sleep may take longer than asked."""

    def __init__(self, scheduler: Scheduler, process: Process) -> None:
        self._scheduler = scheduler
        self._process = process

    def time(self) -> float:
        return EPOCH_S + self._scheduler.now

    def monotonic(self) -> float:
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        self._check()
        self._scheduler.pause(seconds)
        self._check()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self._check()
        is_set = self._scheduler.wait(event, timeout_s + (0.5 * self._scheduler.random.random() if timeout_s else 0.0))
        self._check()
        return is_set

    def _check(self) -> None:
        if not self._process.alive:
            raise Killed


class ProcessLink:
    """One process's way to the database."""

    def __init__(self, scheduler: Scheduler, faults: Faults, process: Process, clock: ProcessClock) -> None:
        self._scheduler = scheduler
        self._faults = faults
        self._process = process
        self.monotonic = clock.monotonic
        self.sleep = clock.sleep

    def step(self, doing: str) -> None:
        call = f"ledger.{doing}"
        self._faults.strike(self._process, call)
        if self._faults.loses("ledger", call):
            raise LedgerUnavailable(f"{doing}: the connection is gone")

    def lost_commit(self, commit: Callable[[], None], roll_back: Callable[[], None]) -> None:
        random = self._scheduler.random
        end = commit if random.random() < 0.5 else roll_back
        if random.random() < 0.5:
            end()
        else:
            self._scheduler.later(_LATE_S * random.random(), end)

    def in_copy(self) -> bool:
        return self._scheduler.random.random() < 0.5


class DeadlyCodec:
    """The codec, and one record that ends the process whose decoder meets it."""

    def __init__(self, die: Callable[[], NoReturn]) -> None:
        self._die = die
        self.encode = CODEC.encode

    def decode(self, topic: str, value: bytes | None, headers: Headers) -> Record:
        if value == KILLER:
            self._die()
        return CODEC.decode(topic, value, headers)


class Worker(Process):
    """A worker from its start to its end. `on_end` hears how it ended: None when it was killed."""

    def __init__(
        self,
        name: str,
        scheduler: Scheduler,
        faults: Faults,
        log: Log,
        database: MemoryTables,
        settings: Settings,
        on_end: Callable[[Exit, str], None],
    ) -> None:
        super().__init__(name)
        self._scheduler = scheduler
        self._on_end = on_end
        clock = ProcessClock(scheduler, self)
        ledger = MemoryLedger(database, name, ProcessLink(scheduler, faults, self, clock))
        clients = SimulatedClients(log, self)
        relay = Relay(ledger, clients, clock, partial(show, METRICS), lambda reason: self._leave(Exit.RELAY, reason))
        self._batches: deque[Batch] = deque()
        self._free = settings.commits_in_flight
        self.intake = Intake(
            settings,
            SimulatedCluster(log, self),
            clients,
            ledger,
            LaneProcessor(
                ledger,
                cast(Codec, DeadlyCodec(self._die)),
                SIGN,
                METRICS,
                settings.dead_letter_limit,
                settings.parked_limit_ms,
            ),
            relay,
            clock,
            METRICS,
            Health(),
            name,
            self._dispatch,
            self._leave,
        )
        scheduler.spawn(self, "relay", relay.run)
        scheduler.spawn(self, "intake", self._consume)

    def _consume(self) -> None:
        self.intake.run()
        self._leave(Exit.OK, "stopped")

    def _dispatch(self, batch: Batch) -> None:
        self._batches.append(batch)
        if self._free:
            self._free -= 1
            self._scheduler.spawn(self, "commit", self._commit)

    def _commit(self) -> None:
        while self._batches:
            batch = self._batches.popleft()
            try:
                self.intake.process(batch)
            except Exception as error:
                self._leave(Exit.AGENT, f"a batch of lane {batch.lane.no} failed: {error!r}")
        self._free += 1

    def _die(self) -> NoReturn:
        self._scheduler.kill(self)
        raise Killed

    def _leave(self, code: Exit, reason: str) -> NoReturn:
        if self.alive:
            self._scheduler.kill(self)
            self._on_end(code, reason)
        raise Killed
