"""Does to a hub what `faults.py` drew, and says what came of it."""

import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import psycopg

from streams.stack.kafka import Kafka
from streams.stack.postgres import Postgres
from tests.crash.crew import Crew, Whom, Worker, wait_for
from tests.crash.faults import (
    BothDie,
    BrokerDies,
    BrokerFreezes,
    ComeAndGo,
    CutCommit,
    DatabaseDies,
    Die,
    Fault,
    Freeze,
    LinkStalls,
    Refuse,
    SlowDatabase,
    Strike,
)
from tests.crash.proxy import Proxy
from tests.crash.sender import Sender
from tests.crash.steps import STEPS
from tests.crash.worker import Armed

STRUCK_S: Final = 20.0
"""How long a fault may wait for its moment."""


class Torment:
    """The faults of one round, one after the other. `struck` tells which found their moment."""

    def __init__(self, crew: Crew, kafka: Kafka, postgres: Postgres, proxy: Proxy, database: str) -> None:
        self._crew = crew
        self._kafka = kafka
        self._postgres = postgres
        self._proxy = proxy
        self._database = database
        self._draw = random.Random()
        self.kills = 0
        self.struck: list[Fault] = []

    def run(self, strikes: Sequence[Strike], sender: Sender, stories: int, seed: int) -> None:
        """Each fault meets its share of the stories. Whoever was frozen goes on, and leaves, before this returns."""
        self._draw.seed(f"torment {seed}")
        for number, strike in enumerate(strikes, 1):
            before = sender.sent
            sender.allowed = stories * number // len(strikes)
            wait_for(lambda: sender.sent - before >= strike.after or not sender.telling, STRUCK_S)  # noqa: B023 - at once
            if self._do(strike.fault):
                self.struck.append(strike.fault)
            time.sleep(strike.pause_s)
        for frozen in self._crew.frozen:
            frozen.thaw()

    def _do(self, fault: Fault) -> bool:
        """Whether the fault found its moment."""
        match fault:
            case Die():
                return self._strike(fault, signal.SIGKILL)
            case Freeze():
                return self._freeze(fault)
            case BrokerDies():
                self._crash(fault.down_s, broker=True, database=False, whom=fault.whom)
            case BrokerFreezes():
                self._kafka.kill(signal.SIGSTOP)
                self._kill(fault.whom)
                time.sleep(fault.seconds)
                self._kafka.kill(signal.SIGCONT)
            case DatabaseDies():
                self._crash(fault.down_s, broker=False, database=True)
            case BothDie():
                self._crash(fault.down_s, broker=True, database=True)
            case CutCommit():
                return self._cut(fault)
            case LinkStalls():
                self._proxy.stand_still(True)
                time.sleep(fault.seconds)
                self._proxy.stand_still(False)
            case ComeAndGo():
                return self._come_and_go()
            case Refuse():
                return self._refuse(fault)
            case SlowDatabase():
                self._lock(fault)
        return True

    def _some_worker(self) -> Worker:
        wait_for(lambda: bool(self._crew.at_work), STRUCK_S)
        return self._draw.choice(self._crew.at_work)

    def _strike(self, fault: Die | Freeze, number: signal.Signals) -> bool:
        """Let a worker strike itself at a step, or strike it at once; whether it came to that step."""
        if fault.step is None:
            one = self._some_worker()
        else:
            struck = self._at_step(Armed(fault.step, fault.hit, number))
            self._crew.disarm()
            if struck is None:
                return False
            one = struck
        self.kills += number is signal.SIGKILL
        if fault.step is not None and fault.whom != "both":
            return True
        if number is signal.SIGKILL:
            one.kill(fault.whom)
        else:
            one.freeze(fault.whom)
        return True

    def _at_step(self, armed: Armed) -> Worker | None:
        """The worker that struck itself, once it did."""
        needs = STEPS[armed.step].needs
        if needs == "taking":
            self._crew.arm_next(armed)
            if self._draw.random() < 0.5:
                self._crew.want(len(self._crew.at_work) + 1)
            else:
                self._kill("both")
        else:
            self._some_worker().orders.arm(armed)
            if needs == "giving":
                self._crew.want(len(self._crew.at_work) + 1)
        wait_for(lambda: self._crew.struck is not None, STRUCK_S)
        self._crew.arm_next(None)
        return self._crew.struck

    def _freeze(self, fault: Freeze) -> bool:
        if not self._strike(fault, signal.SIGSTOP):
            return False
        time.sleep(fault.seconds)
        for frozen in self._crew.frozen:
            frozen.thaw()
        return True

    def _kill(self, whom: Whom | None) -> None:
        if whom is not None:
            self.kills += 1
            self._some_worker().kill(whom)

    def _crash(self, down_s: float, *, broker: bool, database: bool, whom: Whom | None = None) -> None:
        if broker:
            self._kafka.kill()
            self._kill(whom)
        if database:
            self._postgres.stop("immediate")
        self.kills += broker + database
        time.sleep(down_s)
        if database:
            self._postgres.start()
        if broker:
            self._kafka.start()

    def _cut(self, fault: CutCommit) -> bool:
        made = self._proxy.cut(fault.cut)
        if fault.cut.of == "take":
            self._crew.want(len(self._crew.at_work) + 1)
        done = wait_for(made.done, STRUCK_S)
        self._proxy.disarm()
        return done

    def _come_and_go(self) -> bool:
        """One worker, three, then one of the new ones; whether lanes were ever shared."""
        self._crew.want(3)
        shared = wait_for(lambda: len(self._owners()) >= 3, STRUCK_S)
        self._crew.want(1)
        return shared

    def _owners(self) -> set[str]:
        with suppress(psycopg.Error), psycopg.connect(self._database) as connection:
            return {owner for (owner,) in connection.execute("SELECT owner FROM lanes")}
        return set()

    def _refuse(self, fault: Refuse) -> bool:
        """A trigger raises the error; a sequence counts, since it moves even in a transaction that fails."""
        kind, timing = (
            ("CONSTRAINT TRIGGER", "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW")
            if fault.at_commit
            else ("TRIGGER", "FOR EACH STATEMENT")
        )
        self._execute(
            f"CREATE SEQUENCE refusals MAXVALUE {fault.times + 1} START 1",
            f"""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF (SELECT NOT is_called OR last_value < {fault.times} FROM refusals) THEN
                    PERFORM nextval('refusals');
                    RAISE EXCEPTION 'no' USING ERRCODE = '{fault.sqlstate}';
                END IF;
                RETURN NULL;
            END $$""",
            f"CREATE {kind} refuse AFTER INSERT OR UPDATE ON {fault.table} {timing} EXECUTE FUNCTION refuse()",
        )
        done = wait_for(lambda: self._count() >= fault.times, STRUCK_S)
        self._execute(f"DROP TRIGGER refuse ON {fault.table}", "DROP FUNCTION refuse", "DROP SEQUENCE refusals")
        return done

    def _count(self) -> int:
        with psycopg.connect(self._database) as connection:
            row = connection.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM refusals").fetchone()
        return 0 if row is None else int(row[0])

    def _execute(self, *statements: str) -> None:
        with psycopg.connect(self._database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def _lock(self, fault: SlowDatabase) -> None:
        with psycopg.connect(self._database) as connection:
            connection.execute(f"LOCK TABLE {fault.table} IN SHARE MODE".encode())
            time.sleep(fault.seconds)
