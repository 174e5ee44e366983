"""What every test may ask for: real services, started once for the session when first asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

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
def registry_url(services_folder: Path) -> Iterator[str]:
    """URL of a real schema registry; skips unless CLAIMHUB_TEST_REGISTRY is set, as `make check` does."""
    with services.registry(services_folder) as url:
        yield url
