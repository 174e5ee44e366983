"""What every test may ask for: real services, started once for the session when first asked for."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from sinks.ledger.migrate import migrate
from tests import services

settings.register_profile("claimhub", deadline=None)  # how long an example takes says nothing on a busy machine
settings.load_profile("claimhub")

SERVICES = {"kafka_url": "kafka", "postgres_server": "postgres", "registry_url": "registry"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the services it asks for, so that `-m "not kafka"` leaves those out."""
    for item in items:
        for fixture, mark in SERVICES.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: (not _asks_for_kafka(item.path), "unit" in item.path.parts))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Share the tests among processes by file, all of Kafka's to the first: one Kafka to start, for one to have its
    topics made anew at a time. The order is that of the sorted items: long ones first, short ones last."""
    config.option.loadscopereorder = False
    return _KafkaTogether(config, log)


class _KafkaTogether(LoadFileScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "kafka" if _asks_for_kafka(self.config.rootpath / file) else file


@cache
def _asks_for_kafka(file: Path) -> bool:
    return "kafka_url: str" in file.read_text()


@pytest.fixture(scope="session")
def services_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the session's services keep data and logs."""
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="session")
def kafka_url(services_folder: Path) -> Iterator[str]:
    """Bootstrap servers of a real Kafka; tests share it, so each uses topics and groups of its own."""
    with services.kafka(services_folder) as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture(scope="session")
def postgres_server(services_folder: Path) -> Iterator[str]:
    """URL of a real PostgreSQL that may be asked to create databases."""
    with services.postgres(services_folder) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of a PostgreSQL database made for this test alone, empty."""
    with services.empty_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> Iterator[str]:
    """Name of a database with an empty ledger in it."""
    with services.empty_database(postgres_server) as url:
        migrate(url)
        yield url.rpartition("/")[2].partition("?")[0]


@pytest.fixture
def postgres_ledger(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """URL of a PostgreSQL database made for this test alone, with an empty ledger: a copy, quicker than migrating."""
    with services.empty_database(postgres_server, postgres_template) as url:
        yield url


@pytest.fixture(scope="session")
def registry_url(services_folder: Path) -> Iterator[str]:
    """URL of a real schema registry; skips unless CLAIMHUB_TEST_REGISTRY is set, as `make check` does."""
    with services.registry(services_folder) as url:
        yield url
