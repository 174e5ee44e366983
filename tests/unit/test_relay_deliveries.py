"""Marks follow delivery reports without a gap, whatever their order."""

from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st

from sinks.deliveries import Deliveries, Page, Place
from sinks.ledger.port import OutboxRow, Published

PLACES: list[Place] = [("hub.wake.v1", 1), ("claims.status.v1", 0), ("hub.wake.v1", 0)]
REFUSED = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


def rows(first: int, places: list[Place]) -> list[OutboxRow]:
    """Rows with the numbers from `first` on, one for each place."""
    return [
        OutboxRow(0, seq, *place, "C1", "C1", "ref", "rule", "why", 0, b"", b"")
        for seq, place in enumerate(places, first)
    ]


def begun(deliveries: Deliveries, places: list[Place]) -> Page:
    """A page of the next rows, all of it handed over."""
    page = deliveries.begin(rows(deliveries.sent + 1, places))
    page.handed = len(page.rows)
    return page


def delivered_at(offset: int | None) -> Message:
    """The message of a delivery report."""
    return Message(offset=offset) if offset is not None else Message()


def test_a_page_goes_out_topic_by_topic_and_each_place_in_order() -> None:
    """The broker gets a few requests of many records."""
    page = Page(rows(1, [PLACES[0], PLACES[1], PLACES[2], PLACES[1], PLACES[0]]))

    assert [(row.topic, row.partition, row.seq) for row in page.rows] == [
        ("claims.status.v1", 0, 2),
        ("claims.status.v1", 0, 4),
        ("hub.wake.v1", 1, 1),
        ("hub.wake.v1", 0, 3),
        ("hub.wake.v1", 1, 5),
    ]
    assert page.last == 5


@given(data=st.data(), pages=st.lists(st.lists(st.sampled_from(PLACES), min_size=1, max_size=4), max_size=5))
def test_delivered_is_the_last_page_before_the_first_report_that_is_missing(
    data: st.DataObject, pages: list[list[Place]]
) -> None:
    """After any reports in any order: `delivered` is contiguous, `out_next` belongs to it, and a failure ends it."""
    deliveries = Deliveries(Published(100, {PLACES[0]: 7}))
    begun_pages = [begun(deliveries, places) for places in pages]
    awaited = [(page, row) for page in begun_pages for row in page.rows]
    # Reports of one partition come in its order.
    turns = data.draw(st.permutations([(row.topic, row.partition) for _, row in awaited]))
    failing = data.draw(st.sets(st.sampled_from([row.seq for _, row in awaited]), max_size=1)) if awaited else set()
    reported: set[int] = set()

    for place in turns:
        page, row = next((page, row) for page, row in awaited if (row.topic, row.partition) == place)
        awaited.remove((page, row))
        deliveries.report(page, place, REFUSED if row.seq in failing else None, delivered_at(row.seq * 10))
        if not deliveries.failure:
            reported.add(row.seq)
        whole = [page for page in begun_pages if {row.seq for row in page.rows} <= reported]
        first = begun_pages[: next((n for n, page in enumerate(begun_pages) if page not in whole), len(begun_pages))]
        out = sorted((row.seq, (row.topic, row.partition)) for page in first for row in page.rows)
        assert deliveries.delivered == (out[-1][0] if out else 100)
        assert deliveries.out_next == {PLACES[0]: 7} | {place: seq * 10 + 1 for seq, place in out}
        assert sum(deliveries.counts.values()) == len(out)

    assert deliveries.outstanding == 0
    assert bool(deliveries.failure) == bool(failing)
    assert deliveries.errors == len(failing)


def test_a_page_that_is_only_partly_handed_over_does_not_count_as_delivered() -> None:
    """The producer was full: the rest of the page follows, and only then is it delivered."""
    deliveries = Deliveries(Published(0, {}))
    page = deliveries.begin(rows(1, [PLACES[1]] * 3))
    page.handed = 2
    for seq in (1, 2):
        deliveries.report(page, PLACES[1], None, delivered_at(seq))
    assert (deliveries.delivered, deliveries.outstanding, deliveries.unfinished) == (0, 0, page)

    page.handed = 3
    assert (deliveries.outstanding, deliveries.unfinished) == (1, None)
    deliveries.report(page, PLACES[1], None, delivered_at(3))
    assert (deliveries.delivered, deliveries.out_next) == (3, {PLACES[1]: 4})


def test_only_places_that_moved_are_marked_again() -> None:
    """A mark writes what is new, once."""
    deliveries = Deliveries(Published(0, {PLACES[0]: 7, PLACES[1]: 3}))
    assert deliveries.unmarked() is None
    deliveries.report(begun(deliveries, [PLACES[0]]), PLACES[0], None, delivered_at(8))

    known = deliveries.unmarked()
    assert known == Published(1, {PLACES[0]: 9})
    deliveries.know(known)
    assert deliveries.unmarked() is None


def test_a_record_the_broker_had_already_counts_as_delivered_and_moves_no_offset() -> None:
    """A retry answered with "duplicate" has no offset; a lower `out_next` only means reading a little more."""
    deliveries = Deliveries(Published(0, {PLACES[0]: 7}))
    deliveries.report(begun(deliveries, [PLACES[0]]), PLACES[0], None, delivered_at(None))

    assert (deliveries.delivered, deliveries.out_next) == (1, {PLACES[0]: 7})


def test_an_abandoned_producer_leaves_nothing_to_wait_for() -> None:
    """Reports that will never come are not waited for, and what was not reported is not delivered."""
    deliveries = Deliveries(Published(0, {}))
    begun(deliveries, [PLACES[0]] * 3)
    deliveries.abandon("fatal")

    assert (deliveries.outstanding, deliveries.delivered, deliveries.failure) == (0, 0, "fatal")
