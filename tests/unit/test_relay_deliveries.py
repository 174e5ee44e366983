"""Marks follow delivery reports without a gap, whatever their order."""

from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st

from sinks.deliveries import Deliveries, Place
from sinks.ledger.port import Published

PLACES: list[Place] = [("claims.status.v1", 0), ("hub.wake.v1", 0), ("hub.wake.v1", 1)]
REFUSED = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


def delivered_at(offset: int | None) -> Message:
    """The message of a delivery report."""
    return Message(offset=offset) if offset is not None else Message()


@given(data=st.data(), places=st.lists(st.sampled_from(PLACES), max_size=12))
def test_delivered_is_the_last_number_before_the_first_report_that_is_missing(
    data: st.DataObject, places: list[Place]
) -> None:
    """After any reports in any order: `delivered` is contiguous, `out_next` belongs to it, and a failure ends it."""
    seqs = range(101, 101 + len(places))
    order = data.draw(st.permutations(seqs))
    failing = data.draw(st.sets(st.sampled_from(seqs), max_size=1)) if seqs else set()
    deliveries = Deliveries(Published(100, {PLACES[0]: 7}))
    deliveries.handed_over(100 + len(places))
    reported: set[int] = set()

    for seq in order:
        deliveries.report(seq, places[seq - 101], REFUSED if seq in failing else None, delivered_at(seq * 10))
        if not deliveries.failure:
            reported.add(seq)
        contiguous = 100
        while contiguous + 1 in reported:
            contiguous += 1
        assert deliveries.delivered == contiguous
        last = {places[seq - 101]: seq * 10 + 1 for seq in range(101, contiguous + 1)}
        assert deliveries.out_next == {PLACES[0]: 7} | last

    assert deliveries.outstanding == 0
    assert bool(deliveries.failure) == bool(failing)
    assert deliveries.errors == len(failing)


def test_only_places_that_moved_are_marked_again() -> None:
    """A mark writes what is new, once."""
    deliveries = Deliveries(Published(0, {PLACES[0]: 7, PLACES[1]: 3}))
    assert deliveries.unmarked() is None
    deliveries.handed_over(2)
    deliveries.report(1, PLACES[0], None, delivered_at(8))

    known = deliveries.unmarked()
    assert known == Published(1, {PLACES[0]: 9})
    deliveries.know(known)
    assert deliveries.unmarked() is None


def test_a_record_the_broker_had_already_counts_as_delivered_and_moves_no_offset() -> None:
    """A retry answered with "duplicate" has no offset; a lower `out_next` only means reading a little more."""
    deliveries = Deliveries(Published(0, {PLACES[0]: 7}))
    deliveries.handed_over(1)
    deliveries.report(1, PLACES[0], None, delivered_at(None))

    assert (deliveries.delivered, deliveries.out_next) == (1, {PLACES[0]: 7})


def test_an_abandoned_producer_leaves_nothing_to_wait_for() -> None:
    """Reports that will never come are not waited for, and what was not reported is not delivered."""
    deliveries = Deliveries(Published(0, {}))
    deliveries.handed_over(3)
    deliveries.abandon("fatal")

    assert (deliveries.outstanding, deliveries.delivered, deliveries.failure) == (0, 0, "fatal")
