"""What every part of the bench stands on: real services, records to send, fresh ledgers, programs to run on them."""

import socket
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import psutil
import psycopg
from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg import sql
from rich.console import Console

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from schemas.topics import INBOUND, TOPICS
from sinks.ledger.migrate import migrate
from sinks.payments.keys import KeyFolder
from streams.bench.encoded import Encoded, Encoder
from streams.bench.ledgers import BenchLedger, Places, log_ends
from streams.bench.measure import BenchFailed, Cost, cpu_s, family, family_cpu_s, running, wait_until
from streams.bench.sender import Sender
from streams.bench.workload import POLICIES, STEPS, claims, policies
from streams.cluster import KafkaCluster
from streams.stack.kafka import Kafka
from streams.stack.postgres import Postgres
from streams.stack.process import spawned

LANES: Final = 4
_POSTGRES: Final = {"shared_buffers": "2GB", "max_wal_size": "4GB"}
# Records that are no longer needed give their room back soon.
_KAFKA: Final = {
    "log.segment.bytes": str(64 * 1024 * 1024),
    "log.retention.check.interval.ms": "5000",
    "log.segment.delete.delay.ms": "1000",
}
_BASE: Final = "bench_base"
_ANSWER_S: Final = 10.0
_MIB: Final = 1024 * 1024

_console: Final = Console(stderr=True)


def say(text: str) -> None:
    """Tell how the bench gets on, on standard error."""
    _console.print(text)


class Worker(NamedTuple):
    """A hub worker that was started, and where it tells its metrics."""

    process: psutil.Popen
    metrics_url: str

    def resident_mib(self) -> float:
        """Its resident memory now, that of its relay included."""
        return sum(float(process.memory_info().rss) for process in family(self.process)) / _MIB

    def metric(self, name: str) -> float:
        """A metric without labels as it stands now."""
        with urllib.request.urlopen(self.metrics_url, timeout=_ANSWER_S) as answer:
            lines: list[str] = answer.read().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).rpartition(" ")[2])


class Load(NamedTuple):
    """Records to send, in order; any `spread` of them that follow each other are of as many claims."""

    size: int
    spread: int
    records: Iterator[Encoded]


class World:
    """Running services with the hub's topics. A part of the bench leaves nothing behind but numbers already used."""

    def __init__(self, kafka: Kafka, postgres: Postgres, keys: KeyFolder, log: Path) -> None:
        self.kafka = kafka
        self.cluster = KafkaCluster({"bootstrap.servers": kafka.address})
        self._postgres = postgres
        self._codec = Codec(EmbeddedRegistry(), 1_000_000)
        self._encoder = Encoder(self._codec)
        self.kept = ExitStack()
        """What several parts share: closed with the world."""
        self.full: BenchLedger | None = None
        self._admin = AdminClient({**self.cluster.options, "log_level": 0})
        self._log = log
        self._keys = keys
        self._claims = 0
        self._ledgers = 0

    def load(self, events: int, spread: int | None = None) -> Load:
        """About `events` records of claims that no other load has. See `workload.claims` for `spread`."""
        count = events // STEPS
        first, self._claims = self._claims, self._claims + count
        apart = spread or max(1, count // STEPS)
        return Load(count * STEPS, apart, self._encoder.encode(claims(count, first, apart)))

    def sender(self, wave: int | None = None) -> Sender:
        """Someone who sends records; see Sender."""
        return Sender(self.cluster.options, wave)

    def send(self, load: Load) -> int:
        """Send a load as fast as the broker takes it; how many records. Raises NotSent."""
        self.sender(load.spread).send_all(load.records)
        return load.size

    def end(self) -> Places:
        """Where the inbound topics end now."""
        return log_ends(self.cluster, INBOUND, range(LANES))

    @contextmanager
    def ledger(self, at: Places | None = None) -> Iterator[BenchLedger]:
        """A fresh ledger that knows the policies and reads from here on, or from `at`; dropped afterwards."""
        self._ledgers += 1
        with (
            _database(self._postgres.address, f"bench_{self._ledgers}", _BASE) as url,
            closing(BenchLedger(url, self.cluster, LANES)) as ledger,
        ):
            ledger.execute("UPDATE lanes SET owner = ''")
            ledger.begin(self.end() if at is None else at)
            yield ledger

    @contextmanager
    def worker(self, ledger: str, **settings: str) -> Iterator[Worker]:
        """A hub worker in a process of its own, stopped afterwards. Workers of one ledger are of one group."""
        port = _free_port()
        of_worker = {
            "KAFKA": self.kafka.address,
            "LEDGER": ledger,
            "GROUP": _group(ledger),
            "LANES": str(LANES),
            "KEYS_DIR": str(self._keys.folder),
            "HTTP_PORT": str(port),
            "LOG_LEVEL": "WARNING",
            **settings,
        }
        environment = {f"CLAIMHUB_{name}": value for name, value in of_worker.items()}
        with running([sys.executable, "-m", "streams", "up", "--role", "worker"], environment, self._log) as process:
            yield Worker(process, f"http://127.0.0.1:{port}/metrics")

    def running(self, program: Sequence[str], folder: Path | None = None) -> AbstractContextManager[psutil.Popen]:
        """Any other program, ended afterwards; what it says is kept until it ends badly."""
        return running(program, {}, self._log, folder)

    def cost(self, programs: Sequence[psutil.Process], ledger: BenchLedger) -> Cost:
        """What programs and services have cost so far. Raises BenchFailed when a service is away."""
        broker, database = spawned(self.kafka.folder), psutil.Process(ledger.backend_pid).parent()
        if broker is None or database is None:
            raise BenchFailed("a service ended")
        return Cost(sum(map(family_cpu_s, programs)), family_cpu_s(database), cpu_s(broker))

    def members(self, ledger: BenchLedger) -> int:
        """How many workers of a ledger have lanes assigned to them by Kafka."""
        group = _group(ledger.url)
        found = self._admin.describe_consumer_groups([group], request_timeout=_ANSWER_S)[group].result()
        return sum(bool(member.assignment.topic_partitions) for member in found.members)

    def forget_records(self) -> None:
        """Have the broker drop all records, so that its disk does not fill. Compacted topics keep theirs: few."""
        deletable = [topic.name for topic in TOPICS.values() if not topic.compacted]
        places = [TopicPartition(topic, lane, OFFSET_END) for topic in deletable for lane in range(LANES)]
        for future in self._admin.delete_records(places).values():
            future.result(_ANSWER_S)

    @contextmanager
    def _base(self) -> Iterator[None]:
        """Topics, and a ledger that knows the policies, which every run's is a copy of."""
        self.cluster.create_missing(LANES, 1, dry_run=False)
        sent = (Encoded(one.topic, one.key.encode(), self._codec.encode(one.topic, one.record)) for one in policies())
        Sender(self.cluster.options).send_all(sent)
        with _database(self._postgres.address, _BASE, "template1") as url:
            migrate(url)
            with closing(psycopg.connect(url, autocommit=True)) as connection, self.worker(url) as worker:

                def known() -> int:
                    row = connection.execute("SELECT count(*) FROM policies").fetchone()
                    return row[0] if row else 0

                wait_until(lambda: known() == POLICIES, "the hub did not take the policies", [worker.process])
            yield


@contextmanager
def open_world() -> Iterator[World]:
    """Services in a temporary folder, ready for a bench; they end with the context."""
    with tempfile.TemporaryDirectory(prefix="claimhub-bench-") as folder:
        kafka, postgres = Kafka(Path(folder) / "kafka", _KAFKA), Postgres(Path(folder) / "postgres", _POSTGRES)
        try:
            kafka.start()
            postgres.start()
            keys = KeyFolder(Path(folder) / "keys")
            keys.make("claimhub", "key of a bench", datetime.now(UTC))
            world = World(kafka, postgres, keys, Path(folder) / "log")
            with world._base(), world.kept:
                yield world
        finally:
            kafka.kill()
            postgres.stop("immediate")


@contextmanager
def _database(server: str, name: str, template: str) -> Iterator[str]:
    """URL of a new copy of a database, dropped afterwards."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute("CHECKPOINT")


def _group(ledger: str) -> str:
    """Workers of one ledger are of one consumer group, named as its database."""
    return ledger.rpartition("/")[2]


def _free_port() -> int:
    """A port of this machine nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
