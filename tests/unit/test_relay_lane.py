"""What is handed from a commit to the relay in memory: only ever the very next rows, the ledger has the rest."""

from collections.abc import Iterable

from sinks.ledger.port import OutboxRow
from sinks.relay import KEPT, PAGE, RelayLane


def rows(numbers: Iterable[int]) -> list[OutboxRow]:
    return [
        OutboxRow(0, seq, "claims.status.v1", 0, "C1", "C1", "ref", "rule", "why", 0, b"\x90", b"") for seq in numbers
    ]


def numbers(page: list[OutboxRow]) -> list[int]:
    return [row.seq for row in page]


def test_rows_come_back_in_order_a_page_at_a_time() -> None:
    """Each once."""
    lane = RelayLane(0, 1)
    lane.committed(rows(range(1, PAGE + 3)))

    assert numbers(lane.committed_after(0)) == list(range(1, PAGE + 1))
    assert numbers(lane.committed_after(PAGE)) == [PAGE + 1, PAGE + 2]
    assert lane.committed_after(PAGE + 2) == []


def test_rows_found_delivered_already_are_skipped() -> None:
    """Read-back found them on the topic."""
    lane = RelayLane(0, 1)
    lane.committed(rows(range(1, 6)))

    assert numbers(lane.committed_after(3)) == [4, 5]


def test_a_gap_is_left_to_the_ledger() -> None:
    """Rows before ours are not in memory: nothing may overtake them. Once they are sent, ours follow."""
    lane = RelayLane(0, 1)
    lane.committed(rows([7, 8]))

    assert lane.committed_after(5) == []
    assert numbers(lane.committed_after(6)) == [7, 8]


def test_a_page_ends_before_a_gap() -> None:
    """A batch that was too much to keep lies between."""
    lane = RelayLane(0, 1)
    lane.committed(rows([1, 2, 5]))

    assert numbers(lane.committed_after(0)) == [1, 2]
    assert lane.committed_after(2) == []


def test_memory_is_bounded_when_the_broker_is_away() -> None:
    """What does not fit is owed all the same."""
    lane = RelayLane(0, 1)
    lane.committed(rows(range(1, KEPT + 1)))
    lane.owe = False
    lane.committed(rows([KEPT + 1]))

    assert lane.owe
    assert lane.committed_after(KEPT) == []
