"""A lane's topics go on where they were asked to, or are asked once more."""

import pytest

from sinks.ledger.port import Lane as TakenLane
from sinks.relay import RelayLane
from streams.lanes import Lane

TOPIC = "repair.invoice.v1"


@pytest.fixture
def lane() -> Lane:
    """A lane whose topic was just assigned from offset 705 on."""
    taken = TakenLane(lane=0, token=1, seq=0, entry=0, positions={TOPIC: 705}, generations={TOPIC: 1}, parked=0)
    lane = Lane(taken, 4, RelayLane(0, 1), 500)
    lane.unproven = {TOPIC: False}
    return lane


def test_what_skips_records_is_asked_for_once_more(lane: Lane) -> None:
    """A record, or the end, behind the first offset wanted may leave records out: the first time it is not believed."""
    assert not lane.proves(TOPIC, 707)
    assert lane.proves(TOPIC, 705), "it came when asked again"
    assert not lane.unproven


def test_offsets_without_records_are_stepped_over(lane: Lane) -> None:
    """What skips the same offsets when asked again has none to give there: they are of transactions, or compacted."""
    assert not lane.proves(TOPIC, 707)
    assert lane.proves(TOPIC, 707)
    assert not lane.unproven


def test_what_comes_once_more_proves_nothing(lane: Lane) -> None:
    """A record from before the position is known already; the one after it may still skip some."""
    assert lane.proves(TOPIC, 704)
    assert not lane.proves(TOPIC, 706)


def test_what_goes_on_where_it_should_is_not_looked_at_again(lane: Lane) -> None:
    """Later offsets may be apart: nothing was assigned or resumed since."""
    assert lane.proves(TOPIC, 705)
    assert not lane.unproven
