"""A Kafka and a PostgreSQL of one's own, and round after round of faults on them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import psycopg
from confluent_kafka import KafkaException, Producer
from msgspec import Struct
from sqlalchemy import Engine, NullPool, create_engine

from schemas.topics import INBOUND, OUTBOUND, TOPICS
from sinks.ledger.migrate import migrate
from sinks.ledger.open import open_ledger
from streams.cluster import ClusterUnavailable, KafkaCluster
from streams.stack.kafka import Kafka
from streams.stack.postgres import Postgres
from streams.stack.process import kept_port
from tests.crash import finance
from tests.crash.checks import Found, check, needless_repeats, plan_in_log
from tests.crash.crew import Crew, wait_for
from tests.crash.faults import Freeze, Strike, strikes
from tests.crash.finance import Finance
from tests.crash.log import Log
from tests.crash.proxy import Proxy
from tests.crash.reference import Logged, Reference
from tests.crash.sender import Sender
from tests.crash.torment import Torment
from tests.crash.workload import LANES, Workload, workload
from tests.keys import keys_in
from tests.services import FAST_KAFKA, empty_database, started

ROUNDS_AN_EPOCH: Final = 10
"""How many rounds share topics and ledger: all of it is compared after each."""
IDLE_S: Final = 120.0
LOOK_S: Final = 0.2
# Unlike elsewhere in the tests, a commit is written before it is answered: this server is crashed.
CRASHABLE: Final = {"fsync": "off", "max_connections": "200"}


class Report(Struct, frozen=True):
    """One round. `kills` counts processes of workers, brokers and databases; `missed` names those without a moment,
    `passed` the steps that workers came to since the ledger was made."""

    seed: int
    faults: tuple[str, ...]
    missed: tuple[str, ...]
    passed: tuple[str, ...]
    kills: int
    events_in: int
    lost: int
    double_effect: int
    repeats_on_topic: int
    ledger_hash_equal: bool
    problems: tuple[str, ...]
    seconds: float
    folder: str


def run(folder: Path, seeds: Sequence[int]) -> Iterator[Report]:
    """The rounds of these seeds on services started here. After a failing round a new ledger begins."""
    kafka, postgres = Kafka(folder / "kafka", FAST_KAFKA), Postgres(folder / "postgres", CRASHABLE)
    left = list(seeds)
    with started(postgres), started(kafka), _proxy(postgres) as proxy:
        cluster = KafkaCluster({"bootstrap.servers": kafka.address})
        cluster.create_missing(LANES, 1, dry_run=False)
        wait_for(lambda: _has_leaders(cluster), IDLE_S)
        for number in count(1):
            if not left:
                return
            with Epoch(folder / f"epoch-{number}", kafka, postgres, proxy) as epoch:
                for _ in range(min(ROUNDS_AN_EPOCH, len(left))):
                    report = epoch.round(left.pop(0))
                    yield report
                    if report.problems:
                        break


def _has_leaders(cluster: KafkaCluster) -> bool:
    try:
        return bool(cluster.bounds(TOPICS, range(LANES)))
    except ClusterUnavailable:
        return False


@contextmanager
def _proxy(postgres: Postgres) -> Iterator[Proxy]:
    proxy = Proxy(kept_port(postgres.folder / "port"))
    try:
        yield proxy
    finally:
        proxy.close()


class Epoch:
    """A fresh ledger, workers on them, and all that looks at them from outside."""

    def __init__(self, folder: Path, kafka: Kafka, postgres: Postgres, proxy: Proxy) -> None:
        self._folder = folder
        self._kafka = kafka
        self._postgres = postgres
        self._proxy = proxy
        self._stack = ExitStack()

    def __enter__(self) -> "Epoch":
        self._folder.mkdir(parents=True)
        keys_in(self._folder / "keys")
        enter, at_end = self._stack.enter_context, self._stack.callback
        self._database = enter(empty_database(self._postgres.address))
        self._cluster = KafkaCluster({"bootstrap.servers": self._kafka.address})
        start = self._begin()
        self.engine: Engine = create_engine(
            self._database.replace("postgresql:", "postgresql+psycopg:"),
            poolclass=NullPool,  # the server is crashed
        )
        at_end(self.engine.dispose)
        self.reference = Reference(self._folder)
        at_end(self.reference.close)
        self.log = Log(self._kafka.address, start)
        at_end(self.log.close)
        self.finance = Finance(
            self._kafka.address, {number: begin for (topic, number), begin in start.items() if topic == finance.TOPIC}
        )
        at_end(self.finance.close)
        self._producer = Producer(
            {"bootstrap.servers": self._kafka.address, "enable.idempotence": True, "log_level": 0}
        )
        name = self._database.rpartition("/")[2]
        through = f"postgresql://postgres@127.0.0.1:{self._proxy.port}/{name}?sslmode=disable&gssencmode=disable"
        environment = {
            "CLAIMHUB_KAFKA": self._kafka.address,
            "CLAIMHUB_LEDGER": through,
            "CLAIMHUB_DATA_DIR": str(self._folder),
            "CLAIMHUB_LANES": str(LANES),
            "CLAIMHUB_GROUP": f"crash-{name}",
            "CLAIMHUB_HTTP_PORT": "0",
        }
        self.crew = Crew(environment, self._folder)
        at_end(self.crew.close)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _begin(self) -> dict[tuple[str, int], int]:
        """A ledger that begins where the logs end now: a topic made anew might still answer as the old one."""
        migrate(self._database)
        ends = {place: end for place, (_, end) in self._cluster.bounds(TOPICS, range(LANES)).items()}
        ledger = open_ledger(self._database)
        inbound, outbound = (self._cluster.identities(topics) for topics in (INBOUND, OUTBOUND))
        ledger.prepare(inbound, outbound, ends, memory_only=False)
        ledger.close()
        return ends

    def round(self, seed: int) -> Report:
        """One round: the same for the same seed, as far as its plan goes."""
        self._new: list[Logged] = []
        began, plan, faults = time.monotonic(), workload(seed), strikes(seed)
        repeats = self.finance.repeats
        torment = Torment(self.crew, self._kafka, self._postgres, self._proxy, self._database)
        self.crew.want(1)
        problems = self._torment(plan, faults, torment)
        lost = double = 0
        hash_equal = False
        if not problems:
            try:
                found = self._compare(plan)
            except (ValueError, TimeoutError) as error:
                problems.append(str(error))
            else:
                lost, double, hash_equal = found.lost, found.double_effect, found.hash_equal
                problems += found.problems
        if not any(isinstance(it.fault, Freeze) for it in faults):
            problems += needless_repeats(self._new)
        problems += self.crew.problems
        self.crew.problems.clear()
        report = Report(
            seed=seed,
            faults=tuple(map(repr, faults)),
            missed=tuple(repr(it.fault) for it in faults if it.fault not in torment.struck),
            passed=tuple(self.crew.passed),
            kills=torment.kills,
            events_in=len(plan.records),
            lost=lost,
            double_effect=double,
            repeats_on_topic=self.finance.repeats - repeats,
            ledger_hash_equal=hash_equal,
            problems=tuple(problems),
            seconds=round(time.monotonic() - began, 1),
            folder=str(self._folder),
        )
        if problems:
            self._keep(report)
        return report

    def _torment(self, plan: Workload, faults: Sequence[Strike], torment: Torment) -> list[str]:
        """Send and strike until nothing is left to do; what did not come to an end."""
        sender = Sender(plan, self._producer, self._database)
        try:
            torment.run(faults, sender, len(plan.stories), plan.seed)
            sender.allowed = len(plan.stories)
            if not wait_for(lambda: sender.done, IDLE_S):
                return [f"after {IDLE_S:.0f} s the last records were not taken: {self._left()}"]
            if sender.failed:
                return [sender.failed]
            for woken in self.crew.woken:  # its producer may still hold records: they are out once it is gone
                self.crew.leave(woken)
            if not wait_for(lambda: self._left() is None, IDLE_S, LOOK_S):
                return [f"after {IDLE_S:.0f} s {self._left()}"]
        finally:
            sender.stop()
        return []

    def _left(self) -> str | None:
        """What the hub has left to do. Positions are read before the logs' ends: where they meet, nothing is missed."""
        try:
            with psycopg.connect(self._database) as connection:
                at = {
                    (topic, lane): next_
                    for topic, lane, next_ in connection.execute("SELECT topic, lane, next FROM positions")
                }
                behind = connection.execute(
                    "SELECT lane, published, seq FROM relay JOIN lanes USING (lane) WHERE published < seq"
                ).fetchall()
            self._ends = {place: end for place, (_, end) in self._cluster.bounds(TOPICS, range(LANES)).items()}
        except (psycopg.Error, ClusterUnavailable, KafkaException) as error:
            return str(error)
        if behind:
            return f"of (lane, published, seq) not all is published: {behind}"
        inbound = {place: end for place, end in self._ends.items() if place[0] in INBOUND}
        left = [f"{place}: {at.get(place)} of {end}" for place, end in inbound.items() if at.get(place) != end]
        return f"not all is taken: {'; '.join(left)}" if left else None

    def _compare(self, plan: Workload) -> Found:
        """Apply the round to the undisturbed run, step by step, and compare."""
        self._new = self.log.read(self._ends)
        self.finance.read({number: end for (topic, number), end in self._ends.items() if topic == finance.TOPIC})
        by_number = plan_in_log(plan.records, self.log.records)
        for step in range(max(map(len, plan.stories))):
            told = [it for story in plan.stories if step < len(story) for it in story[step].told]
            self.reference.take(by_number[it.number] for it in told)
            self.reference.settle()
        return check(self.engine, self.reference, self.log.records, self.finance.booked.values())

    def _keep(self, report: Report) -> None:
        """Write down what is needed to understand a failing round."""
        kept = self._folder / f"round-{report.seed}"
        kept.mkdir()
        lines = [f"seed {report.seed}", *report.faults, "", *report.problems]
        (kept / "report.txt").write_text("\n".join(lines) + "\n")
        for service in (self._kafka, self._postgres):
            log = service.folder / "log"
            if log.is_file():
                (kept / f"{service.name}.log").write_bytes(log.read_bytes()[-1_000_000:])
