"""The relay on the embedded broker: every output out, in order, once, whatever crashed before."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from sinks.deliveries import Place
from sinks.ledger.port import Published
from sinks.relay import PAGE
from tests.embedded_kafka import PRODUCE, EmbeddedKafka
from tests.relay_world import RelayWorld, wait_until

STATUS: Place = ("claims.status.v1", 0)
NOTICE: Place = ("customer.notice.v1", 0)
WAKE: Place = ("hub.wake.v1", 2)
OTHER_WAKE: Place = ("hub.wake.v1", 1)
CLOSED_PORT = "127.0.0.1:1"


@pytest.fixture
def kafka() -> Iterator[EmbeddedKafka]:
    """An embedded broker with the topics of these tests."""
    broker = EmbeddedKafka([STATUS[0], NOTICE[0], WAKE[0]])
    yield broker
    broker.stop()


@pytest.fixture
def world(tmp_path: Path, kafka: EmbeddedKafka) -> Iterator[RelayWorld]:
    """A ledger with three lanes."""
    world = RelayWorld(tmp_path, kafka.address, lanes=3)
    yield world
    world.close()


def test_outputs_leave_in_order_without_a_gap_and_as_they_were_stored(world: RelayWorld) -> None:
    """Each place has its rows in `seq` order, with the stored key, value and headers; the mark is the last number."""
    lane = world.take(0)
    places = [STATUS, NOTICE, WAKE, STATUS] * 1500
    world.commit(lane, places)
    world.start(lane)
    world.wait_published(0, len(places))

    found = world.read(STATUS, NOTICE, WAKE)
    for place, outs in found.items():
        rows = [world.row(0, seq, place) for seq, at in enumerate(places, 1) if at == place]
        assert [(out.seq, out.value, out.key) for out in outs] == [(r.seq, r.value, r.key.encode()) for r in rows]
        assert [dict(out.headers)["ce_id"] for out in outs] == [b"cause#%d" % row.seq for row in rows]
    assert world.ledger.published([0])[0].out_next == {place: len(outs) for place, outs in found.items()}


def test_a_commit_that_wakes_the_relay_is_published(world: RelayWorld) -> None:
    """Nothing is owed, then something is."""
    lane = world.take(0)
    relay = world.start(lane)
    wait_until(lambda: lane.deliveries is not None and not lane.owe, "the relay is idle")
    world.commit(lane, [STATUS, NOTICE])
    relay.wake()
    world.wait_published(0, 2)

    assert world.seqs(STATUS) == [1]


def test_lanes_share_a_place_and_keep_their_own_order(world: RelayWorld) -> None:
    """Numbers are per lane; a place other lanes write to is read by the `lane` header."""
    first, second = world.take(0), world.take(1)
    world.commit(first, [WAKE] * 300)
    world.commit(second, [WAKE] * 200)
    world.start(first, second)
    world.wait_published(0, 300)
    world.wait_published(1, 200)

    outs = world.read(WAKE)[WAKE]
    assert [out.seq for out in outs if out.lane == 0] == list(range(1, 301))
    assert [out.seq for out in outs if out.lane == 1] == list(range(1, 201))


def test_nothing_is_sent_twice_after_a_crash_between_delivery_and_mark(world: RelayWorld) -> None:
    """The next owner finds the records in the log, those in places of other partitions too, and sends only the rest."""
    lane, other = world.take(0), world.take(1)
    world.commit(lane, [STATUS, WAKE, OTHER_WAKE, NOTICE])
    world.commit(other, [WAKE] * 3)
    relay = world.start(lane, other)
    world.wait_published(0, 4)
    world.wait_published(1, 3)
    relay.close(5)
    world.forget_marks(0, 0, dict.fromkeys([STATUS, WAKE, OTHER_WAKE, NOTICE], 0))

    heir = world.take(0)
    world.commit(heir, [STATUS])
    world.start(heir)
    world.wait_published(0, 5)

    assert world.seqs(STATUS) == [1, 5]
    assert world.seqs(NOTICE) == [4]
    assert [out.seq for out in world.read(WAKE)[WAKE] if out.lane == 0] == [2]
    assert world.seqs(OTHER_WAKE) == [3]


def test_more_than_a_page_is_read_back(world: RelayWorld) -> None:
    """A gapless page leads to the next one, whose places may be new."""
    lane = world.take(0)
    world.commit(lane, [STATUS] * 4500 + [WAKE] * 10)
    relay = world.start(lane)
    world.wait_published(0, 4510)
    relay.close(5)
    world.forget_marks(0, 3, {STATUS: 3, WAKE: 0})

    heir = world.take(0)
    world.start(heir)
    world.wait_published(0, 4510)

    assert world.seqs(STATUS) == list(range(1, 4501))
    assert world.seqs(WAKE) == list(range(4501, 4511))


def test_from_the_first_gap_on_everything_is_sent_again_in_order(world: RelayWorld) -> None:
    """Else an old version of a key could be the last one in the log. The repeats are the same bytes."""
    lane = world.take(0)
    world.commit(lane, [STATUS] * 6)
    world.publish_by_hand(*(world.row(0, seq, STATUS) for seq in (1, 2, 4, 5)))
    world.forget_marks(0, 1, {STATUS: 1})
    relay = world.start(lane)
    world.wait_published(0, 6)
    relay.close(5)

    outs = world.read(STATUS)[STATUS]
    assert [out.seq for out in outs] == [1, 2, 4, 5, 3, 4, 5, 6]
    assert outs[2] == outs[5]
    assert outs[3] == outs[6]


def test_records_behind_a_gap_are_stepped_over_before_the_gap_is_closed(
    world: RelayWorld, kafka: EmbeddedKafka
) -> None:
    """Else a crash in the closing of the gap would make them count, and an old version would stay the last one."""
    lane = world.take(0)
    world.commit(lane, [STATUS, STATUS, WAKE, STATUS])
    world.publish_by_hand(world.row(0, 1, STATUS), world.row(0, 3, WAKE), world.row(0, 4, STATUS))
    world.forget_marks(0, 0, {STATUS: 0, WAKE: 0})
    kafka.answer(PRODUCE, *[KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)] * 4)
    world.start(lane)
    world.wait_published(0, 1)
    before_anything_is_sent = world.ledger.published([0])[0]
    world.wait_published(0, 4)

    assert before_anything_is_sent == Published(1, {STATUS: 2, WAKE: 1})
    assert world.seqs(STATUS) == [1, 4, 2, 4]
    assert world.seqs(WAKE) == [3, 3]


def test_places_that_only_rows_far_behind_the_gap_name_are_stepped_over_too(
    world: RelayWorld, kafka: EmbeddedKafka
) -> None:
    """A record far ahead of the gap is out already: it will go out again, so it must not be found later."""
    lane = world.take(0)
    world.commit(lane, [STATUS] * PAGE + [WAKE])
    world.publish_by_hand(world.row(0, PAGE + 1, WAKE))
    world.forget_marks(0, 0, {STATUS: 0, WAKE: 0})
    kafka.answer(PRODUCE, *[KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)] * 4)
    world.start(lane)
    wait_until(lambda: lane.not_before > 0, "the first delivery has failed")

    assert world.ledger.published([0])[0].out_next[WAKE] >= 1


def test_a_crash_in_the_closing_of_a_gap_repeats_what_lay_behind_it(world: RelayWorld) -> None:
    """In the log: 1, 4 and 3 from before, then 2 sent again. The old 3 and 4 do not count: they come after 2."""
    lane = world.take(0)
    world.commit(lane, [STATUS, STATUS, WAKE, STATUS])
    world.publish_by_hand(*(world.row(0, seq, STATUS) for seq in (1, 4, 2)), world.row(0, 3, WAKE))
    world.forget_marks(0, 1, {STATUS: 2, WAKE: 1})
    world.start(lane)
    world.wait_published(0, 4)

    assert world.seqs(STATUS) == [1, 4, 2, 4]
    assert world.seqs(WAKE) == [3, 3]


def test_a_place_has_its_offset_before_its_first_record(world: RelayWorld, kafka: EmbeddedKafka) -> None:
    """So whatever a lane published lies in a known place: here after the five records of another lane."""
    world.publish_by_hand(*(world.row(1, seq, WAKE) for seq in range(1, 6)))
    lane = world.take(0)
    world.commit(lane, [WAKE])
    kafka.answer(PRODUCE, *[KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)] * 2)
    world.start(lane)
    wait_until(lambda: lane.not_before > 0, "the first delivery has failed")

    assert world.ledger.published([0])[0] == Published(0, {WAKE: 5})
    world.wait_published(0, 1)
    assert world.ledger.published([0])[0] == Published(1, {WAKE: 6})


def test_nothing_is_marked_that_the_broker_has_not_answered(world: RelayWorld, kafka: EmbeddedKafka) -> None:
    """The broker goes away: the mark stays where its last answer was, and closing does not wait for ever."""
    lane = world.take(0)
    world.commit(lane, [STATUS, STATUS])
    relay = world.start(lane)
    world.wait_published(0, 2)
    kafka.stop()
    world.commit(lane, [STATUS] * 10)
    relay.wake()
    wait_until(lambda: lane.deliveries is not None and lane.deliveries.sent == 12, "everything handed over")
    assert relay.pending(lane)
    relay.close(0.3)

    assert world.ledger.published([0])[0].seq == 2


def test_without_a_broker_nothing_is_sent_or_marked(world: RelayWorld) -> None:
    """The log's end cannot be asked, so no record may go there; the lane is let go at once."""
    lane = world.take(0)
    world.commit(lane, [STATUS])
    relay = world.start(lane, address=CLOSED_PORT)
    wait_until(lambda: lane.not_before > 0, "the relay has tried")
    lane.dead = True

    assert not relay.pending(lane)
    assert world.ledger.published([0])[0] == Published(0, {})


def test_a_stale_token_sends_nothing(world: RelayWorld) -> None:
    """Another owner has taken the lane: the relay of the old one does nothing, however often it is woken."""
    old = world.take(0)
    new = world.take(0)
    world.commit(new, [STATUS] * 3)
    fresh = world.take(1)
    relay = world.start(old, fresh)
    world.commit(fresh, [NOTICE])
    relay.wake()
    world.wait_published(1, 1)  # the old lane has had its turn before
    old.owe = True
    world.commit(fresh, [NOTICE])
    relay.wake()
    world.wait_published(1, 2)

    assert world.seqs(STATUS) == []
    assert world.ledger.published([0])[0] == Published(0, {})


@pytest.mark.parametrize(
    "error", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER], ids=["delivery", "fatal"]
)
def test_after_a_failed_delivery_the_lane_starts_over(world: RelayWorld, kafka: EmbeddedKafka, error: int) -> None:
    """A refused record, or a producer that cannot go on: read back, then in order from the first gap on."""
    lane, other = world.take(0), world.take(1)
    world.commit(lane, [STATUS] * 5)
    heard: list[str] = []
    relay = world.start(lane, other, on_fatal=heard.append)
    world.wait_published(0, 5)
    kafka.answer(PRODUCE, KafkaError(error))
    world.commit(lane, [STATUS, NOTICE, WAKE] * 50)
    world.commit(other, [OTHER_WAKE] * 5)
    relay.wake()
    world.wait_published(0, 155)
    world.wait_published(1, 5)

    for place, outs in world.read(STATUS, NOTICE, WAKE).items():
        expected = [seq for seq in range(6, 156) if (STATUS, NOTICE, WAKE)[(seq - 6) % 3] == place]
        newest = list(dict.fromkeys(out.seq for out in reversed(outs) if out.seq > 5))[::-1]
        assert newest == expected
    assert heard == []


def test_an_older_object_of_the_lane_is_waited_for(world: RelayWorld) -> None:
    """A lane taken again in the same process: what is on its way arrives before the log is read, so nothing repeats."""
    old = world.take(0)
    world.commit(old, [STATUS] * 3000)
    relay = world.start(old)
    wait_until(lambda: old.deliveries is not None and old.deliveries.sent > 0, "something is on its way")
    old.dead = True
    new = world.take(0)
    world.commit(new, [STATUS])
    relay.add(new)
    world.wait_published(0, 3001)

    assert world.seqs(STATUS) == list(range(1, 3002))


def test_closing_sends_what_is_owed_and_marks_it(world: RelayWorld) -> None:
    """After a close in time nothing is left to read back."""
    lane = world.take(0)
    world.commit(lane, [STATUS] * 5000)
    world.start(lane).close(20)

    assert world.ledger.published([0])[0] == Published(5000, {STATUS: 5000})
    assert world.seqs(STATUS) == list(range(1, 5001))


def test_a_dead_lane_is_settled_at_once(world: RelayWorld) -> None:
    """The intake waits for this before it lets a lane go: nothing pending means delivered and marked."""
    lane = world.take(0)
    world.commit(lane, [STATUS] * 100)
    relay = world.start(lane)
    wait_until(lambda: lane.deliveries is not None and lane.deliveries.sent == 100, "all is on its way")
    lane.dead = True
    relay.wake()
    wait_until(lambda: not relay.pending(lane), "the lane is settled")

    assert world.ledger.published([0])[0].seq == 100


def test_a_row_missing_from_the_outbox_ends_the_process(world: RelayWorld) -> None:
    """Numbers are gapless by construction: without one the ledger is damaged, and going on would hide it."""
    lane = world.take(0)
    world.commit(lane, [STATUS] * 5)
    world.lose_row(0, 3)
    heard: list[str] = []
    world.start(lane, on_fatal=heard.append)
    wait_until(lambda: bool(heard), "the relay says why it ended")

    assert heard == ["relay: outbox of lane 0: 4 follows 2. Run: claimhub verify"]
