"""A real Kafka and PostgreSQL made ready for a hub: fresh topics, a migrated ledger, settings that name both."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.topics import INSTRUCTIONS, TOPICS
from sinks.ledger.migrate import migrate
from streams.settings import Settings
from tests.integration.workers import wait_until
from tests.keys import keys_in
from tests.relay_world import TO_THE_END

LANES: Final = 4
# Records keep their story's times, whatever the clock of this machine says.
TIMELESS: Final = {"retention.ms": "-1", "message.timestamp.after.max.ms": str(2**62)}

_LIMIT_S: Final = 30.0


def hub_settings(kafka: str, postgres: str, folder: Path) -> Settings:
    """Settings of a hub on these services, in a consumer group of its own; the ledger is migrated, a key made."""
    migrate(postgres)
    keys_in(folder / "keys")
    return Settings(
        kafka=kafka, ledger=postgres, data_dir=folder, lanes=LANES, group=f"test-{uuid4().hex}", http_port=0
    )


@contextmanager
def fresh_topics(kafka: str, lanes: int = LANES) -> Iterator[None]:
    """All topics of the hub, empty; they are taken away again. Each partition costs the broker 10 ms of processor."""
    admin = AdminClient({"bootstrap.servers": kafka})
    _delete(admin)
    _create(admin, lanes)
    yield
    _delete(admin)


def instruction_ids(kafka: str) -> list[str]:
    """The id of every record on the payment instructions' topic, repeats included."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "auditor", **TO_THE_END})
    consumer.assign([TopicPartition(INSTRUCTIONS, number, OFFSET_BEGINNING) for number in range(LANES)])
    ids, ended = [], 0
    while ended < LANES:
        for message in consumer.consume(100, 1.0):
            if message.error() is not None:
                ended += 1
            else:
                headers = dict(cast(list[tuple[str, bytes]], message.headers()))
                ids.append(headers["instruction_id"].decode())
    consumer.close()
    return ids


def _delete(admin: AdminClient) -> None:
    """By name, for a broker does not list at once what was just made."""
    for future in admin.delete_topics(list(TOPICS)).values():
        try:
            future.result(_LIMIT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise


def _create(admin: AdminClient, lanes: int) -> None:
    """The controller knows of both at once, the broker that a hub asks a moment later."""
    wait_until(lambda: not _listed(admin), "the topics of the test before are still listed")
    for future in admin.create_topics([NewTopic(topic, lanes, 1, config=TIMELESS) for topic in TOPICS]).values():
        future.result(_LIMIT_S)
    wait_until(lambda: _listed(admin) == dict.fromkeys(TOPICS, lanes), "the new topics are not listed")


def _listed(admin: AdminClient) -> dict[str, int]:
    """The hub's topics as the broker knows them by now, with their partitions."""
    there = admin.list_topics(timeout=_LIMIT_S).topics
    return {name: len(there[name].partitions) for name in TOPICS if name in there}
