"""The buffer of a lane: oldest first over the topics, each topic in its own order, nothing held without need."""

from collections.abc import Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from streams.buffer import Buffer
from streams.received import Received

NOTICE, ESTIMATE = "reporting.loss-notice.v1", "repair.estimate.v1"


def received(topic: str, offset: int, at_ms: int) -> Received:
    return Received(topic, offset, b"C1", b"", [], at_ms)


def buffer(records: Iterable[Received]) -> Buffer:
    made = Buffer((NOTICE, ESTIMATE))
    for record in records:
        made.add(record)
    return made


def places(records: Iterable[Received]) -> list[tuple[str, int]]:
    return [(record.topic, record.offset) for record in records]


def test_after_a_pause_an_estimate_does_not_overtake_its_notice() -> None:
    """Topics arrive in runs; the records come out in the order of their time."""
    held = buffer(
        [received(ESTIMATE, 0, 20), received(ESTIMATE, 1, 40), received(NOTICE, 0, 10), received(NOTICE, 1, 30)]
    )

    assert places(held.take(10, lambda topic: True)) == [(NOTICE, 0), (ESTIMATE, 0), (NOTICE, 1), (ESTIMATE, 1)]


def test_nothing_is_handed_out_that_an_unread_topic_may_still_precede() -> None:
    """The notices are not read to their end: an estimate younger than the newest notice waits."""
    held = buffer([received(ESTIMATE, 0, 20), received(ESTIMATE, 1, 40), received(NOTICE, 0, 30)])

    assert places(held.take(10, lambda topic: topic == ESTIMATE)) == [(ESTIMATE, 0), (NOTICE, 0)]
    assert places(held.take(10, lambda topic: True)) == [(ESTIMATE, 1)]


def test_a_topic_never_heard_of_holds_the_others_until_it_is_read_to_its_end() -> None:
    """Only the broker's word that a topic is empty lets the others go."""
    held = buffer([received(ESTIMATE, 0, 20)])

    assert held.take(10, lambda topic: topic == ESTIMATE) == []
    assert places(held.take(10, lambda topic: True)) == [(ESTIMATE, 0)]


def test_a_batch_is_no_larger_than_asked_and_the_rest_follows() -> None:
    """The size counts what was not handed out yet."""
    held = buffer(received(NOTICE, offset, offset) for offset in range(7))

    assert [len(held.take(3, lambda topic: True)) for _ in range(4)] == [3, 3, 1, 0]
    assert held.size == 0


@given(
    st.lists(st.tuples(st.sampled_from((NOTICE, ESTIMATE)), st.integers(0, 50)), max_size=60),
    st.integers(1, 7),
    st.randoms(),
)
def test_each_topic_keeps_its_order_and_nothing_is_lost(
    arrivals: list[tuple[str, int]], most: int, random: Random
) -> None:
    """Whatever the clocks of the senders say and however the topics' ends become known."""
    held = Buffer((NOTICE, ESTIMATE))
    next_offset = {NOTICE: 0, ESTIMATE: 0}
    out: list[Received] = []
    for topic, at_ms in arrivals:
        held.add(received(topic, next_offset[topic], at_ms))
        next_offset[topic] += 1
        out += held.take(most, lambda topic: bool(random.getrandbits(1)))
    while taken := held.take(most, lambda topic: True):
        out += taken

    for topic, count in next_offset.items():
        assert [record.offset for record in out if record.topic == topic] == list(range(count))
