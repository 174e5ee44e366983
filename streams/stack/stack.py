"""All the real services of one folder together: up, down, status."""

from dataclasses import dataclass
from pathlib import Path

from streams.stack.kafka import Kafka
from streams.stack.postgres import Postgres
from streams.stack.registry import Registry


@dataclass(frozen=True, kw_only=True)
class ServiceStatus:
    """What is known of one service."""

    name: str
    running: bool
    address: str
    folder: Path


class Stack:
    """Kafka, PostgreSQL and the registry, each in its own folder below `folder`; ports and data outlive a restart."""

    def __init__(self, folder: Path) -> None:
        self.kafka = Kafka(folder / "kafka")
        self.postgres = Postgres(folder / "postgres")
        self.registry = Registry(folder / "registry")

    def up(self, *, registry: bool = False) -> list[ServiceStatus]:
        """Start what does not run yet and wait until it answers. The registry (a download of 160 MB) only when asked.

        Raises MissingPart naming what is not installed, StackError when a service does not come up.
        """
        self.postgres.start()
        self.kafka.start()
        if registry:
            self.registry.start()
        return self.status()

    def down(self) -> None:
        """Stop all services in good order; their data stays."""
        self.registry.stop()
        self.kafka.stop()
        self.postgres.stop()

    def status(self) -> list[ServiceStatus]:
        """Every service that was ever started in this folder."""
        return [
            ServiceStatus(name=service.name, running=service.running, address=service.address, folder=service.folder)
            for service in (self.kafka, self.postgres, self.registry)
            if (service.folder / "port").exists()
        ]
