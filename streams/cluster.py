"""What the hub asks of a Kafka cluster beside its records: which topics there are, where their logs begin and end."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from schemas.topics import TOPICS
from sinks.ledger.port import TopicIdentity

ClientOptions = Mapping[str, str | int | float | bool]

_ANSWER_S = 5.0


def mismatched(topics: Iterable[TopicIdentity], lanes: int) -> dict[str, int]:
    """Partition count of the topics that do not have `lanes` partitions."""
    return {topic.topic: topic.partitions for topic in sorted(topics) if topic.partitions != lanes}


def partitions_in_words(wrong: Mapping[str, int], lanes: int) -> str:
    """What `mismatched` found, for people."""
    counts = ", ".join(f"{topic} has {count}" for topic, count in wrong.items())
    return f"partitions: {counts}; the setting lanes says {lanes}"


class ClusterUnavailable(Exception):
    """No broker answered."""


class TopicsMissing(Exception):
    """Topics of the registry do not exist in the cluster."""


class Cluster(Protocol):
    """A Kafka cluster, as far as intake needs it. `memory_only` logs begin anew with each start of the broker."""

    memory_only: bool
    options: ClientOptions

    def identities(self, topics: Sequence[str]) -> list[TopicIdentity]:
        """Each topic's id and partition count. Raises TopicsMissing, ClusterUnavailable."""

    def bounds(self, topics: Iterable[str], partitions: Iterable[int]) -> dict[tuple[str, int], tuple[int, int]]:
        """First offset and offset after the last, by topic and partition. Raises ClusterUnavailable."""

    def close(self) -> None:
        """Let go of the cluster; an embedded one ends."""


class KafkaCluster:
    """A real Apache Kafka."""

    memory_only = False

    def __init__(self, options: ClientOptions) -> None:
        self.options = options
        self._admin = self._new_admin()

    def identities(self, topics: Sequence[str]) -> list[TopicIdentity]:
        """See Cluster."""
        found, missing = [], []
        for topic, future in self._admin.describe_topics(
            TopicCollection(list(topics)), request_timeout=_ANSWER_S
        ).items():
            try:
                described = future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise self._unavailable(error) from None
                missing.append(topic)
            else:
                found.append(TopicIdentity(topic, str(described.topic_id), len(described.partitions)))
        if missing:
            raise TopicsMissing(f"Kafka has no topic {', '.join(sorted(missing))}. Run: claimhub topics apply")
        return found

    def bounds(self, topics: Iterable[str], partitions: Iterable[int]) -> dict[tuple[str, int], tuple[int, int]]:
        """See Cluster."""
        places = [TopicPartition(topic, partition) for partition in partitions for topic in topics]
        try:
            start = self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
            end = self._offsets(places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        except KafkaException as error:
            # The library remembers each leader with its epoch and would go on asking for that one, for minutes after a
            # crash of the broker. Asking about all topics makes it learn anew, but not always: a new client knows none.
            if error.args[0].code() == KafkaError.FENCED_LEADER_EPOCH:
                self._admin = self._new_admin()
            else:
                self._topic_names()
            raise self._unavailable(error) from None
        return {place: (start[place], end[place]) for place in start}

    def create_missing(self, lanes: int, replicas: int, *, dry_run: bool) -> list[str]:
        """Create the registry's topics that are not there, `lanes` partitions each; the names of those."""
        there = self._topic_names()
        new = [topic for topic in TOPICS.values() if topic.name not in there]
        if not dry_run and new:
            futures = self._admin.create_topics(
                [
                    NewTopic(
                        topic.name,
                        lanes,
                        replicas,
                        config={
                            "cleanup.policy": topic.cleanup_policy,
                            "retention.ms": str(topic.retention_ms),
                            "max.message.bytes": "2000000",
                            # Kept by the broker's clock: a department's old timestamp must not shorten a record's life.
                            "message.timestamp.type": "LogAppendTime",
                        },
                    )
                    for topic in new
                ],
                request_timeout=_ANSWER_S * 3,
            )
            for future in futures.values():
                try:
                    future.result()
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise self._unavailable(error) from None
        return [topic.name for topic in new]

    def holder(self, group: str, topic: str, partition: int) -> str | None:
        """The client id of the group's member that has this partition, if one has. Raises ClusterUnavailable."""
        future = self._admin.describe_consumer_groups([group], request_timeout=_ANSWER_S)[group]
        try:
            members = future.result().members
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return None
            raise self._unavailable(error) from None
        held = ((place, member) for member in members for place in member.assignment.topic_partitions)
        return next((m.client_id for place, m in held if (place.topic, place.partition) == (topic, partition)), None)

    def committed(self, group: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The next offset a consumer group reads, by partition; a partition it never read is not there. Raises
        ClusterUnavailable."""
        asked = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, partition) for partition in partitions])
        future = self._admin.list_consumer_group_offsets([asked], request_timeout=_ANSWER_S)[group]
        try:
            places = future.result().topic_partitions
        except KafkaException as error:
            raise self._unavailable(error) from None
        return {place.partition: place.offset for place in places if place.offset >= 0}

    def close(self) -> None:
        """See Cluster."""

    def _new_admin(self) -> AdminClient:
        return AdminClient({**self.options, "socket.timeout.ms": 10_000, "log_level": 0})  # its answers say it all

    def _topic_names(self) -> set[str]:
        try:
            return set(self._admin.list_topics(timeout=_ANSWER_S).topics)
        except KafkaException as error:
            raise self._unavailable(error) from None

    def _offsets(self, places: list[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], int]:
        futures = self._admin.list_offsets(dict.fromkeys(places, spec), request_timeout=_ANSWER_S)
        return {(place.topic, place.partition): future.result().offset for place, future in futures.items()}

    def _unavailable(self, error: KafkaException) -> ClusterUnavailable:
        return ClusterUnavailable(
            f"Kafka at {self.options['bootstrap.servers']} does not answer ({error.args[0].str()}). "
            "Start it, or set CLAIMHUB_KAFKA; then: claimhub doctor"
        )


class EmbeddedCluster:
    """librdkafka's in-process broker: for trying out. Its logs live in memory, 4 partitions each, and end with it."""

    memory_only = True

    def __init__(self) -> None:
        self._broker = Producer({"test.mock.num.brokers": 1, "log_level": 3})
        host = next(iter(self._broker.list_topics(timeout=_ANSWER_S).brokers.values()))
        self.options: ClientOptions = {"bootstrap.servers": f"{host.host}:{host.port}", "log_level": 3}
        self._incarnation = uuid.uuid4().hex
        self.identities(tuple(TOPICS))  # naming a topic makes it, and a consumer must find them all at once

    def identities(self, topics: Sequence[str]) -> list[TopicIdentity]:
        """See Cluster."""
        return [
            TopicIdentity(
                topic,
                self._incarnation,
                len(self._broker.list_topics(topic, timeout=_ANSWER_S).topics[topic].partitions),
            )
            for topic in topics
        ]

    def bounds(self, topics: Iterable[str], partitions: Iterable[int]) -> dict[tuple[str, int], tuple[int, int]]:
        """See Cluster."""
        consumer = Consumer({**self.options, "group.id": "claimhub-bounds"})
        try:
            return {
                (topic, partition): consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_ANSWER_S)
                for topic in topics
                for partition in partitions
            }
        except KafkaException as error:
            raise ClusterUnavailable(f"the embedded broker does not answer ({error.args[0].str()})") from None
        finally:
            consumer.close()

    def close(self) -> None:
        """See Cluster."""
        del self._broker
