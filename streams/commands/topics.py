"""`claimhub topics`: the registry's topics, and making them in a Kafka cluster."""

from msgspec import Struct

from schemas.topics import TOPICS
from streams.cluster import KafkaCluster, mismatched
from streams.commands import show
from streams.settings import Settings


class TopicRow(Struct, frozen=True):
    """One topic of the registry."""

    name: str
    direction: str
    owner: str
    record: str
    key: str
    compacted: bool
    retention_days: int | None
    compatibility: str


class Applied(Struct, frozen=True):
    """What `topics apply` made, or would make, and the topics whose partition count is not the setting `lanes`."""

    created: list[str]
    lanes: int
    dry_run: bool
    mismatched: dict[str, int]


def read_topics() -> list[TopicRow]:
    """Every topic of the registry."""
    return [
        TopicRow(
            name=topic.name,
            direction=topic.direction,
            owner=topic.owner,
            record=topic.record.__name__,
            key=topic.key,
            compacted=topic.compacted,
            retention_days=topic.retention_days,
            compatibility=topic.compatibility,
        )
        for topic in TOPICS.values()
    ]


def show_topics(topics: list[TopicRow]) -> None:
    """Print the registry."""
    rows = [
        (
            topic.name,
            topic.direction,
            topic.record,
            topic.key,
            "compacted" if topic.compacted else f"{topic.retention_days} days" if topic.retention_days else "for ever",
            topic.compatibility,
        )
        for topic in topics
    ]
    show.table(("topic", "direction", "record", "key", "kept", "compatibility"), rows, "no topics")


def apply(settings: Settings, *, dry_run: bool) -> Applied:
    """Make the topics that are missing, `lanes` partitions each, with the brokers' default of replicas.

    Never changes a topic that is there. The embedded broker has them all. Raises
    ClusterUnavailable.
    """
    if settings.embedded_kafka:
        return Applied([], settings.lanes, dry_run, {})
    cluster = KafkaCluster(settings.kafka_client())
    created = cluster.create_missing(settings.lanes, -1, dry_run=dry_run)
    there = cluster.identities([name for name in TOPICS if name not in created])
    return Applied(created, settings.lanes, dry_run, mismatched(there, settings.lanes))


def show_applied(applied: Applied) -> None:
    """Print what was made and what does not fit."""
    verb = "would create" if applied.dry_run else "created"
    for name in applied.created:
        show.line(f"{verb} {name} with {applied.lanes} partitions")
    if not applied.created:
        show.line("every topic is there")
    for name, count in applied.mismatched.items():
        show.line(f"{name} has {count} partitions, the setting lanes says {applied.lanes}")
