"""Kafka clients, as intake and relay ask for them."""

from collections.abc import Mapping
from typing import Any, Protocol

from confluent_kafka import Consumer, Producer

Options = Mapping[str, Any]


class Clients(Protocol):
    """Makes clients of one cluster. `options` are librdkafka's, and the client's own."""

    def consumer(self, options: Options) -> Consumer:
        """A new consumer."""

    def producer(self, options: Options) -> Producer:
        """A new producer."""


class KafkaClients:
    """Clients of a real broker. What they share (servers, SASL, TLS) is in `shared`."""

    def __init__(self, shared: Options) -> None:
        self._shared = dict(shared)

    def consumer(self, options: Options) -> Consumer:
        """See Clients."""
        return Consumer({**self._shared, **options})

    def producer(self, options: Options) -> Producer:
        """See Clients."""
        return Producer({**self._shared, **options})
