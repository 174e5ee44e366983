"""The outbox against the topics of a real Kafka: silent when both agree, and what only one of them has is named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Producer

from monitoring.clock import SystemClock
from schemas.topics import OUTBOUND
from sinks.clients import KafkaClients
from sinks.deliveries import Place
from sinks.ledger.open import read_engine
from sinks.ledger.port import OutboxRow, Published
from sinks.read_back import LogReader
from sinks.topic_check import OnTopics, Ranges, check_topics, published_marks
from streams.cluster import ClusterUnavailable, KafkaCluster
from tests.integration.hub_world import LANES, fresh_topics
from tests.relay_world import LIMIT_S, RelayWorld, wait_until

STATUS, NOTICE = "claims.status.v1", "customer.notice.v1"
INSTRUCTION, WAKE = "finance.payment-instruction.v1", "hub.wake.v1"
KEYS: Final = 7
"""How many keys the rows of a lane have."""


@pytest.fixture(scope="module")
def topics(kafka_url: str) -> Iterator[None]:
    """All topics of the hub, each partition with its leader."""
    cluster = KafkaCluster({"bootstrap.servers": kafka_url})

    def answer() -> bool:
        try:
            cluster.bounds(OUTBOUND, range(LANES))
        except ClusterUnavailable:
            return False
        return True

    with fresh_topics(kafka_url):
        wait_until(answer, "the new topics have no leaders")
        yield


@pytest.fixture
def world(tmp_path: Path, kafka_url: str, topics: None) -> Iterator[RelayWorld]:
    """A ledger with four lanes, and a broker."""
    world = RelayWorld(tmp_path, kafka_url, LANES)
    yield world
    world.close()


class Topics:
    """The hub's topics from where they ended when the test began."""

    def __init__(self, address: str) -> None:
        self._cluster = KafkaCluster({"bootstrap.servers": address})
        self.start = {place: end for place, (_, end) in self._bounds().items()}

    def ranges(self) -> Ranges:
        """What has come since, as far as it is still there."""
        return {place: (max(start, self.start[place]), end) for place, (start, end) in self._bounds().items()}

    def _bounds(self) -> Ranges:
        return self._cluster.bounds(OUTBOUND, range(LANES))


@pytest.fixture
def since(kafka_url: str, topics: None) -> Topics:
    """The topics as they are now."""
    return Topics(kafka_url)


def places(lane: int, count: int) -> list[Place]:
    """Outputs of a lane: notices to its own partition, each third a wake to any."""
    return [(WAKE, n % LANES) if n % 3 == 0 else (NOTICE, lane) for n in range(count)]


def published(world: RelayWorld, count: int = 600) -> list[OutboxRow]:
    """Two lanes with so many outputs each, all on the topics; the rows of lane 0."""
    lanes = [world.take(0), world.take(1)]
    for lane in lanes:
        world.commit(lane, places(lane.lane, count))
    world.start(*lanes).close(LIMIT_S)
    return [world.row(0, seq, place) for seq, place in enumerate(places(0, count), 1)]


def written_only(world: RelayWorld, listed: list[Place], marked: int) -> list[OutboxRow]:
    """Outputs of lane 0 that no relay has sent, marked as published up to a number."""
    lane = world.take(0)
    world.commit(lane, listed)
    world.ledger.mark_published({0: Published(marked, {})})
    return [world.row(0, seq, place) for seq, place in enumerate(listed, 1)]


def sent_by_hand(world: RelayWorld, place: Place, headers: dict[str, bytes], value: bytes = b"?") -> None:
    """A record that no relay has sent."""
    producer = Producer({"bootstrap.servers": world.address})
    producer.produce(place[0], value, b"claim-1", place[1], headers=list(headers.items()))
    assert producer.flush(LIMIT_S) == 0


def checked(world: RelayWorld, since: Topics) -> tuple[list[str], list[str], OnTopics]:
    """What the outbox does not have, what the topics do not have, and the counts."""
    engine = read_engine(f"sqlite:///{world.file}")
    log = LogReader(KafkaClients({"bootstrap.servers": world.address}), SystemClock())
    try:
        marks = published_marks(engine)
        (known, there), counts = check_topics(engine, marks, log, since.ranges())
    finally:
        log.close()
        engine.dispose()
    assert (known.ok, there.ok) == (not known.rows, not there.rows)
    return list(known.rows), list(there.rows), counts


def test_what_a_relay_has_published_is_in_both(world: RelayWorld, since: Topics) -> None:
    """Two lanes that share the partitions of wakes; nothing was sent twice."""
    published(world)

    assert checked(world, since) == ([], [], OnTopics(records=1200))


def test_what_was_sent_again_counts_as_a_repeat_and_breaks_nothing(world: RelayWorld, since: Topics) -> None:
    """Same number, same bytes: receivers know it by both."""
    rows = published(world)
    world.publish_by_hand(*rows[-5:])

    assert checked(world, since) == ([], [], OnTopics(records=1205, repeats=5))


@pytest.mark.parametrize("number", [b"601", b"99999"])
def test_a_record_that_was_never_written_is_named(world: RelayWorld, since: Topics, number: bytes) -> None:
    """It says it is the hub's, and the outbox has no such number."""
    published(world)
    sent_by_hand(world, (INSTRUCTION, 2), {"lane": b"0", "seq": number})

    known, there, _ = checked(world, since)

    assert known == [f"{INSTRUCTION}/2/{since.start[INSTRUCTION, 2]}: outbox 0/{number.decode()} is not there"]
    assert there == []


def test_a_record_of_nobody_is_named_on_a_topic_that_is_the_hubs_alone(world: RelayWorld, since: Topics) -> None:
    """On an internal topic an operator may speak too."""
    sent_by_hand(world, (INSTRUCTION, 0), {})
    sent_by_hand(world, (INSTRUCTION, 1), {"lane": b"x", "seq": b"1"})
    sent_by_hand(world, (WAKE, 0), {"ce_source": b"claimhub-operator"})

    known, there, counts = checked(world, since)

    assert sorted(known) == [
        f"{INSTRUCTION}/{number}/{since.start[INSTRUCTION, number]}: not a record of the hub" for number in (0, 1)
    ]
    assert (there, counts) == ([], OnTopics(others=1))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"value": b"other"}, "value"),
        ({"key": "claim-x"}, "key"),
        ({"topic": INSTRUCTION}, "topic"),
        ({"partition": 3}, "partition"),
        ({"headers": b"\x92\x92\xa4lane\xc4\x010\x92\xa3seq\xc4\x012"}, "headers"),
    ],
)
def test_a_record_that_is_not_as_it_was_written_is_named_and_not_shown(
    world: RelayWorld, since: Topics, change: dict[str, object], field: str
) -> None:
    """By its place, its number in the outbox and the field."""
    row = published(world)[1]
    forged = row._replace(**change)  # type: ignore[arg-type]
    world.publish_by_hand(forged)

    known, there, counts = checked(world, since)

    (line,) = known
    assert line.startswith(f"{forged.topic}/{forged.partition}/")
    assert line.endswith(f": outbox 0/2 has another {field}")
    assert (there, counts.repeats) == ([], 0)


def test_what_is_published_and_not_there_is_named_and_what_is_not_yet_published_waits(
    world: RelayWorld, since: Topics
) -> None:
    """A hole in the middle, one at the end, and two rows above the mark."""
    rows = written_only(world, [(NOTICE, 0)] * 6, marked=4)
    world.publish_by_hand(rows[0], rows[2])

    known, there, counts = checked(world, since)

    assert known == []
    assert there == [f"outbox 0/2: not on {NOTICE}/0", f"outbox 0/4: not on {NOTICE}/0"]
    assert counts == OnTopics(records=2, pending=2)


def test_of_a_compacted_topic_the_newest_of_each_key_is_enough(world: RelayWorld, since: Topics) -> None:
    """What compaction leaves: the last record of each key, at any offset."""
    rows = written_only(world, [(STATUS, 0)] * 50, marked=50)
    world.publish_by_hand(*rows[-KEYS:])

    assert checked(world, since) == ([], [], OnTopics(records=KEYS, replaced=50 - KEYS))


def test_of_a_compacted_topic_the_newest_of_each_key_must_be_there(world: RelayWorld, since: Topics) -> None:
    """An older one is no substitute."""
    rows = written_only(world, [(STATUS, 0)] * 50, marked=50)
    world.publish_by_hand(*rows[: -KEYS + 1], *rows[-KEYS + 2 :])

    known, there, _ = checked(world, since)

    lost = rows[-KEYS + 1]
    assert (known, there) == ([], [f"outbox 0/{lost.seq}: {STATUS} has not the newest of {lost.key}"])


def test_what_went_with_the_logs_start_is_counted_and_not_missed(world: RelayWorld, since: Topics) -> None:
    """Retention deletes what is old: only what lies after the log's start can be missing."""
    rows = written_only(world, [(NOTICE, 0)] * 9, marked=9)
    world.publish_by_hand(*rows[:5], *rows[6:])
    world.delete_before((NOTICE, 0), since.start[NOTICE, 0] + 3)

    known, there, counts = checked(world, since)

    assert (known, there) == ([], [f"outbox 0/6: not on {NOTICE}/0"])
    assert counts == OnTopics(records=5, expired=3)
