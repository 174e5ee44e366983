"""The real services of a test session: addresses from the environment, else started when first asked for."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NoReturn
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from streams.stack.errors import MissingPart
from streams.stack.kafka import Kafka
from streams.stack.postgres import Postgres
from streams.stack.registry import Registry

START = "start"

# Every Java here lives for minutes, on few cores: what the best code takes to make is not earned back.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# Nothing a test writes must outlive a power failure.
FAST_POSTGRES = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
MEMORY: Final = Path("/dev/shm")  # noqa: S108  where Linux keeps files that no disk sees
ROOM_BYTES: Final = 4 * 1024**3
FAST_KAFKA = {
    # Internal topics are made when the first group forms; one partition each is made fastest.
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    "log.cleaner.backoff.ms": "500",  # a test waits for compaction
}


@contextmanager
def kafka(folder: Path) -> Iterator[str]:
    """Bootstrap servers of a real Kafka for as long as the context lasts."""
    with _in_memory(folder / "kafka"):
        yield from _given_or_started("KAFKA", Kafka(folder / "kafka", FAST_KAFKA))


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """URL of a real PostgreSQL whose user may create databases."""
    with _in_memory(folder / "postgres"):
        yield from _given_or_started("POSTGRES", Postgres(folder / "postgres", FAST_POSTGRES))


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """URL of a real schema registry; skips unless CLAIMHUB_TEST_REGISTRY names one or says `start`, or in CI."""
    if not registry_wanted():
        absent("the registry is a download of 160 MB. Run: make check (or set CLAIMHUB_TEST_REGISTRY to a URL)")
    yield from _given_or_started("REGISTRY", Registry(folder / "registry"))


def registry_wanted() -> bool:
    """Whether the registry's download was asked for."""
    return in_ci() or bool(os.environ.get("CLAIMHUB_TEST_REGISTRY"))


def in_ci() -> bool:
    """Whether this is continuous integration, which promises every service."""
    return os.environ.get("CI") == "true"


@contextmanager
def _in_memory(service: Path) -> Iterator[None]:
    """The service's data is kept in memory, where there is room: Kafka waits for the disk at every partition it makes.
    Its log stays in its folder."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield
        return
    with TemporaryDirectory(prefix="claimhub-test-", dir=MEMORY, ignore_cleanup_errors=True) as data:
        service.mkdir(parents=True)
        (service / "data").symlink_to(data)
        yield


@contextmanager
def empty_database(server: str, template: str = "template1") -> Iterator[str]:
    """URL of a new database on the server, empty or as the one named `template`; dropped afterwards, whoever is still
    connected."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield database_url(server, name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def database_url(server: str, name: str) -> str:
    """The server's URL with another database's name."""
    address, _, query = server.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{'?' + query if query else ''}"


@contextmanager
def started(service: Kafka | Postgres | Registry) -> Iterator[str]:
    """Address of a service started here and stopped afterwards."""
    try:
        yield service.start()
    except MissingPart as error:
        absent(str(error))
    finally:
        service.stop()


def _given_or_started(name: str, service: Kafka | Postgres | Registry) -> Iterator[str]:
    given = os.environ.get(f"CLAIMHUB_TEST_{name}") or START
    if given != START:
        yield given
        return
    with started(service) as address:
        yield address


def absent(reason: str) -> NoReturn:
    """Skip the test; in continuous integration fail it."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
