"""One seed: workers, a sender and the weather around them, until all that was sent has come to its end."""

from collections.abc import Callable
from random import Random
from typing import Final

from schemas.topics import TOPICS
from streams.exits import Exit
from streams.lanes import DEATHS
from streams.settings import Settings
from tests.simulation.faults import Faults
from tests.simulation.ledger import MemoryTables
from tests.simulation.log import Log
from tests.simulation.scheduler import EPOCH_S, Process, Scheduler
from tests.simulation.worker import Worker
from tests.simulation.workload import KILLER, LANES, Phase, Sent, workload

_LIMIT_S: Final = 600.0
_LOOK_AGAIN_S: Final = 0.3
_SETTLED_S: Final = 20.0  # longer than any wait of the engine's


class World:
    """All there is outside the workers."""

    def __init__(self, random: Random, number: int, *, calm: bool = False, trace: Callable[[str], None] | None) -> None:
        self.scheduler = Scheduler(random, _LIMIT_S, trace)
        self.faults = Faults(self.scheduler, calm=calm)
        self.database = MemoryTables()
        self.log = Log(self.scheduler, self.faults, TOPICS, LANES, self.database)
        self.phases = workload(number)
        if any(isinstance(item, Sent) and item.value == KILLER for phase in self.phases for item in phase):
            self.faults.spare(DEATHS - 1)  # with more of them, a record that is taken alone may be blamed for them
        self._calm = calm
        self._random = random
        self._settings = Settings.model_construct(
            lanes=LANES,
            commits_in_flight=random.choice((1, 2, 3)),
            batch_records=random.choice((1, 3, 5000)),
            dead_letter_limit=1000,
            watchdog_s=60.0,
        )
        self.broken: list[str] = []
        self._running: list[Worker] = []
        self._started = 0
        self._nature = Process("world")
        self._workers = 1 if calm else random.choice((1, 2, 2, 3))

    def run(self) -> None:
        """Let everything happen. `broken` says what should not have; raises Stuck."""
        for _ in range(self._workers):
            self.scheduler.later(3.0 * self._random.random(), self._start)
        self.scheduler.spawn(self._nature, "sender", self._send_all)
        if not self._calm:
            self.scheduler.spawn(self._nature, "operator", self._come_and_go)
        self.scheduler.run()

    def at_rest(self) -> bool:
        """Whether everything in the log is in the ledger, and everything in the outbox is in the log and marked."""
        database = self.database
        if not database.positions:
            return False
        for place, next_ in database.positions.items():
            if len(self.log.partitions[place]) != next_:
                return False
        if self._due():
            return False
        return all(row.seq == database.published[lane] for lane, row in database.lanes.items())

    def unrest(self) -> str:
        """What is still to be done, in words."""
        database = self.database
        behind = [
            f"{place} is at {next_} of {len(self.log.partitions[place])}"
            for place, next_ in database.positions.items()
            if next_ != len(self.log.partitions[place])
        ]
        owed = [
            f"lane {lane} has published {database.published[lane]} of {row.seq}"
            for lane, row in database.lanes.items()
            if database.published[lane] != row.seq
        ]
        return "; ".join([*behind, *owed, *(f"claim {claim} is due" for claim in self._due())])

    def _due(self) -> list[str]:
        """The claims whose clocks have come to a moment that no tick was sent for."""
        now_ms = 1000 * (EPOCH_S + self.scheduler.now)
        return [row.claim for row in self.database.claims.values() if (row.due_at_ms or now_ms + 1) <= now_ms]

    def _start(self) -> None:
        self._started += 1
        name = f"worker-{self._started}"
        worker: Worker

        def ended(code: Exit, reason: str) -> None:
            if code is not Exit.OK and not (code is Exit.STUCK and worker.frozen_until > 0):
                self.broken.append(f"{name} left with {code.name}: {reason}")
                self.scheduler.finished = True

        worker = Worker(name, self.scheduler, self.faults, self.log, self.database, self._settings, ended)
        self._running.append(worker)
        worker.on_silence.append(lambda: self.scheduler.later(0.1, lambda: self._replace(worker)))

    def _replace(self, worker: Worker) -> None:
        """A worker that is dead or frozen for good is started again; beside one that is frozen there is sometimes a new
        one."""
        lost = not worker.alive or worker.frozen_until > _LIMIT_S
        if lost and worker in self._running:
            self._running.remove(worker)
            if len(self._running) < self._workers:
                self.scheduler.later(2.0 * self._random.random(), self._start)
        elif not lost and self._random.random() < 0.2:
            self._start()

    def _send_all(self) -> None:
        patient = not self._calm and self._random.random() < 0.25
        for number, phase in enumerate(self.phases, 1):
            if patient and number == len(self.phases):
                self.faults.cease()
                self.scheduler.pause(_SETTLED_S)
            self._send(phase)
            while not self.at_rest():
                self.scheduler.pause(_LOOK_AGAIN_S)
        if patient:
            self.scheduler.pause(_SETTLED_S)
            self.broken += self._strangers()
        self.scheduler.finished = True

    def _strangers(self) -> list[str]:
        """Once nothing has gone wrong for a while, each lane is held by the worker it was assigned to."""
        holders = {lane: process.name for lane, process in sorted(self.log.group.holders.items())}
        owners = {lane: row.owner for lane, row in sorted(self.database.lanes.items())}
        return [] if holders == owners else [f"the group gave the lanes to {holders}, the ledger to {owners}"]

    def _send(self, phase: Phase) -> None:
        pace_s = self._random.choice((0.0, 0.01, 0.3))
        for item in phase:
            if isinstance(item, Sent):
                self.log.append(item.place, item.key, item.value, item.headers)
            else:
                self.log.append_control(item)
            if self._random.random() < 0.5:
                self.scheduler.pause(pace_s * self._random.random())

    def _come_and_go(self) -> None:
        """Workers are stopped and started, and the group is made to rebalance, a few times."""
        for _ in range(self._random.randrange(4)):
            self.scheduler.pause(10.0 * self._random.random())
            if self._random.random() < 0.5:
                self.log.group.rebalance()
                self.faults.happened["rebalance", "group"] += 1
            elif self._running:
                self._random.choice(self._running).intake.stop()
                self.faults.happened["stop", "worker"] += 1
