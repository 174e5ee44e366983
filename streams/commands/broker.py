"""Which Kafka a command speaks to; a running hub's embedded broker is found by a file in the data folder."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streams.cluster import ClientOptions
from streams.commands.failures import Unavailable
from streams.settings import Settings


def address_file(settings: Settings) -> Path:
    """Where a running hub writes the address of its embedded broker."""
    return settings.data_dir / "embedded-broker"


def check_alone(settings: Settings) -> None:
    """Raise Unavailable when a hub with its embedded broker runs on this data folder already.

    A second one would take the ledger's lanes for another broker's log.
    """
    file = address_file(settings)
    if settings.embedded_kafka and file.exists():
        address = file.read_text()
        host, _, port = address.rpartition(":")
        with suppress(OSError, ValueError), socket.create_connection((host, int(port)), timeout=1):
            raise Unavailable(
                f"a hub with its embedded broker runs in {settings.data_dir} already ({address}). "
                "Stop it, or set CLAIMHUB_DATA_DIR to another folder"
            )


@contextmanager
def announced(settings: Settings, options: ClientOptions) -> Iterator[None]:
    """Let other processes find the embedded broker for as long as the context lasts; nothing for a real Kafka."""
    if not settings.embedded_kafka:
        yield
        return
    file = address_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(str(options["bootstrap.servers"]))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def client_options(settings: Settings) -> ClientOptions:
    """Options for a client of the Kafka that is set, or of a running hub's embedded broker. Raises Unavailable."""
    if not settings.embedded_kafka:
        return settings.kafka_client()
    try:
        address = address_file(settings).read_text()
    except FileNotFoundError:
        raise Unavailable(
            f"the setting kafka is `embedded`, and no hub with its embedded broker runs in {settings.data_dir}. "
            "Start one: claimhub up; or set CLAIMHUB_KAFKA to a real Kafka"
        ) from None
    return {"bootstrap.servers": address}
