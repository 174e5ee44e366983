"""The relay on a real Kafka: order, one delivery after a crash, and places shared by lanes."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from monitoring.clock import SystemClock
from sinks.clients import KafkaClients
from sinks.deliveries import Place
from sinks.ledger.port import Published
from sinks.read_back import LogReader
from tests.relay_world import RelayWorld, wait_until

LANES = 4


@pytest.fixture
def world(tmp_path: Path, kafka_url: str) -> Iterator[RelayWorld]:
    """A ledger with four lanes."""
    world = RelayWorld(tmp_path, kafka_url, LANES)
    yield world
    world.close()


@pytest.fixture
def topics(kafka_url: str) -> Iterator[tuple[str, str]]:
    """A topic for statuses and one for wakes, of this test alone."""
    names = f"claims.status.{uuid.uuid4().hex[:8]}", f"hub.wake.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka_url})
    for made in admin.create_topics([NewTopic(name, LANES, 1) for name in names]).values():
        made.result(20)
    yield names
    for gone in admin.delete_topics(list(names)).values():
        gone.result(20)


@pytest.fixture
def compacted(kafka_url: str) -> Iterator[str]:
    """A topic that keeps the newest record of each key, of this test alone; compaction is eager."""
    name = f"claims.status.{uuid.uuid4().hex[:8]}"
    eager = {"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0.01"}
    admin = AdminClient({"bootstrap.servers": kafka_url})
    admin.create_topics([NewTopic(name, LANES, 1, config=eager)])[name].result(20)
    yield name
    admin.delete_topics([name])[name].result(20)


def mixed(topics: tuple[str, str], lane: int, count: int) -> list[Place]:
    """Outputs of a lane: most to its own partition, each fifth to any."""
    status, wake = topics
    return [(wake, n % LANES) if n % 5 == 0 else (status, lane) for n in range(count)]


def test_every_lane_is_out_in_order_and_marked(world: RelayWorld, topics: tuple[str, str]) -> None:
    """Several lanes, several pages: what each place holds of a lane is the outbox, in order, once."""
    lanes = [world.take(number) for number in range(LANES)]
    places = {lane.lane: mixed(topics, lane.lane, 6000) for lane in lanes}
    for lane in lanes:
        world.commit(lane, places[lane.lane], size_bytes=300)
    world.start(*lanes).close(20)

    log = world.read(*{place for listed in places.values() for place in listed})
    for lane in lanes:
        assert world.ledger.published([lane.lane])[lane.lane].seq == 6000
        for place, outs in log.items():
            expected = [seq for seq, at in enumerate(places[lane.lane], 1) if at == place]
            assert [out.seq for out in outs if out.lane == lane.lane] == expected


def test_marks_lost_in_a_crash_are_found_in_the_log(world: RelayWorld, topics: tuple[str, str]) -> None:
    """Every mark of the run is lost; the next owner sends nothing again and goes on."""
    lane, other = world.take(0), world.take(1)
    places = mixed(topics, 0, 5000)
    world.commit(lane, places)
    world.commit(other, mixed(topics, 1, 500))
    world.start(lane, other).close(20)
    before = world.ledger.published([0])[0]
    world.forget_marks(0, 0, dict.fromkeys(places, 0))

    heir = world.take(0)
    world.commit(heir, [(topics[0], 0)])
    world.start(heir).close(20)

    outs = [out for listed in world.read(*set(places)).values() for out in listed if out.lane == 0]
    assert sorted(out.seq for out in outs) == list(range(1, 5002))
    assert before.seq == 5000
    assert world.ledger.published([0])[0].seq == 5001


def test_from_the_first_gap_on_everything_is_sent_again(world: RelayWorld, topics: tuple[str, str]) -> None:
    """Record 3 was lost: 3, 4 and 5 go out in order, with the bytes they had."""
    place = topics[0], 2
    lane = world.take(2)
    world.commit(lane, [place] * 5)
    world.publish_by_hand(*(world.row(2, seq, place) for seq in (1, 2, 4)))
    world.forget_marks(2, 0, {place: 0})
    world.start(lane).close(20)

    outs = world.read(place)[place]
    assert [out.seq for out in outs] == [1, 2, 4, 3, 4, 5]
    assert outs[2] == outs[4]


def test_a_lane_taken_again_while_its_records_are_on_their_way_repeats_nothing(
    world: RelayWorld, topics: tuple[str, str]
) -> None:
    """Within one process the old object's deliveries are waited for."""
    place = topics[0], 0
    old = world.take(0)
    world.commit(old, [place] * 4000)
    relay = world.start(old)
    wait_until(lambda: old.deliveries is not None and old.deliveries.sent > 0, "something is on its way")
    old.dead = True
    new = world.take(0)
    world.commit(new, [place])
    relay.add(new)
    world.wait_published(0, 4001)

    assert world.seqs(place) == list(range(1, 4002))


def test_a_compacted_topic_read_back_after_a_crash_still_ends_with_the_newest_of_each_key(
    world: RelayWorld, compacted: str
) -> None:
    """Records are missing because compaction took them, and one because it never left: both look alike, so all from the
    first hole on are sent again. Sending what is missing alone would put older records behind newer ones."""
    place = compacted, 1
    lane = world.take(1)
    world.commit(lane, [place] * 10)
    before = [1, 2, 3, 4, 6, 7, 8, 9]
    for seq in before:  # each in a segment of its own
        world.publish_by_hand(world.row(1, seq, place))
    wait_until(lambda: world.seqs(place) != before, "the topic is compacted")
    world.forget_marks(1, 0, {place: 0})
    world.start(lane).close(20)

    newest = {world.row(1, seq, place).key.encode(): seq for seq in range(1, 11)}
    assert {out.key: out.seq for out in world.read(place)[place]} == newest
    assert world.ledger.published([1])[1].seq == 10


def test_read_back_starts_where_retention_has_left_the_log(world: RelayWorld, topics: tuple[str, str]) -> None:
    """An offset no longer in the log means its beginning, and an empty range is not asked for."""
    place, empty = (topics[0], 1), (topics[0], 3)
    world.publish_by_hand(*(world.row(1, seq, place) for seq in range(1, 6)))
    world.delete_before(place, 3)
    reader = LogReader(KafkaClients({"bootstrap.servers": world.address}), SystemClock())
    ends = reader.ends([place, empty])
    found = reader.numbers(1, {place: (0, ends[place]), empty: (0, ends[empty])})
    others = reader.numbers(2, {place: (0, ends[place])})
    reader.close()

    assert ends == {place: 5, empty: 0}
    assert (found, others) == ({4, 5}, set())
    assert world.ledger.published([1])[1] == Published(0, {})
