"""Taking lanes: what must be known of topics and logs before a record is read."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from schemas.topics import INBOUND, TOPICS
from sinks.ledger.open import open_ledger
from sinks.ledger.port import LaneCommit, Ledger, TopicIdentity
from streams.cluster import ClientOptions
from streams.exits import CannotGoOn, Exit
from streams.take import take_lanes
from tests.ledgers import make_ledger

LANES = 2
NOTICE = "reporting.loss-notice.v1"


class DescribedCluster:
    """A cluster that is nothing but what is said of it."""

    def __init__(self, *, memory_only: bool = False) -> None:
        self.memory_only = memory_only
        self.options: ClientOptions = {}
        self.ids = dict.fromkeys(TOPICS, "first")
        self.partitions = dict.fromkeys(TOPICS, LANES)
        self.logs = dict.fromkeys(((topic, lane) for topic in INBOUND for lane in range(LANES)), (0, 0))

    def identities(self, topics: Sequence[str]) -> list[TopicIdentity]:
        return [TopicIdentity(topic, self.ids[topic], self.partitions[topic]) for topic in topics]

    def bounds(self, topics: Iterable[str], partitions: Iterable[int]) -> dict[tuple[str, int], tuple[int, int]]:
        return {(topic, lane): self.logs[topic, lane] for lane in partitions for topic in topics}

    def close(self) -> None:
        """Nothing to let go of."""


class BusyCluster(DescribedCluster):
    """A cluster where, right after its next answer, eight notices come to lane 0 and are dealt with."""

    meanwhile: Callable[[], None] | None = None

    def bounds(self, topics: Iterable[str], partitions: Iterable[int]) -> dict[tuple[str, int], tuple[int, int]]:
        answer = super().bounds(topics, partitions)
        if self.meanwhile is not None:
            self.logs[NOTICE, 0] = (0, 8)
            self.meanwhile()
            self.meanwhile = None
        return answer


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    make_ledger(url)
    return open_ledger(url)


def test_each_taking_raises_the_token_and_keeps_the_positions(ledger: Ledger) -> None:
    """A new owner goes on where the ledger stands; the old token is worth nothing."""
    cluster = DescribedCluster()
    cluster.logs[NOTICE, 0] = (5, 9)

    first, _ = take_lanes(cluster, ledger, "one", [0, 1], LANES)
    second, late = take_lanes(cluster, ledger, "two", [0, 1], LANES)

    assert [(lane.lane, lane.token) for lane in second] == [(lane.lane, lane.token + 1) for lane in first]
    assert [lane.positions[NOTICE] for lane in second] == [5, 0]
    assert late == []


def test_records_deleted_before_they_were_read_stop_the_hub_by_name(ledger: Ledger) -> None:
    """Silently starting at the log's new beginning would lose them."""
    cluster = DescribedCluster()
    take_lanes(cluster, ledger, "one", [0], LANES)
    cluster.logs[NOTICE, 0] = (7, 20)

    with pytest.raises(CannotGoOn, match=rf"{NOTICE}/0: records 0 to 6 were deleted") as stopped:
        take_lanes(cluster, ledger, "one", [0], LANES)

    assert stopped.value.code is Exit.LOG_LOST


def test_a_log_shorter_than_what_was_read_stops_the_hub(ledger: Ledger) -> None:
    """It is another log: its offsets would be taken for known ones."""
    cluster = DescribedCluster()
    cluster.logs[NOTICE, 1] = (8, 8)
    take_lanes(cluster, ledger, "one", [1], LANES)
    cluster.logs[NOTICE, 1] = (0, 3)

    with pytest.raises(CannotGoOn, match=rf"{NOTICE}/1: the log ends at 3 but was read up to 8") as stopped:
        take_lanes(cluster, ledger, "one", [1], LANES)

    assert stopped.value.code is Exit.TOPIC_CHANGED


def test_a_log_that_grows_while_its_lane_is_taken_is_not_taken_for_a_shorter_one(ledger: Ledger) -> None:
    """Records come, and their owner commits them, after the first look at the log: only bounds that are read after the
    positions can be compared with them."""
    cluster = BusyCluster()
    (owner,), _ = take_lanes(cluster, ledger, "one", [0], LANES)
    cluster.meanwhile = lambda: ledger.commit(
        LaneCommit(lane=0, token=owner.token, seq=0, entry=0, positions=[(NOTICE, 0, 8)])
    )

    (heir,), _ = take_lanes(cluster, ledger, "two", [0], LANES)

    assert heir.positions[NOTICE] == 8


def test_topics_of_different_partition_counts_are_refused(ledger: Ledger) -> None:
    """Else a claim's records reach different lanes."""
    cluster = DescribedCluster()
    cluster.partitions["repair.estimate.v1"] = 6

    with pytest.raises(CannotGoOn, match=r"repair\.estimate\.v1 has 6; the setting lanes says 2") as stopped:
        take_lanes(cluster, ledger, "one", [0], LANES)

    assert stopped.value.code is Exit.LANES_NOT_WHOLE


def test_a_topic_created_anew_is_refused_on_kafka(ledger: Ledger) -> None:
    """Its offsets start over; the ledger's positions mean nothing there."""
    cluster = DescribedCluster()
    take_lanes(cluster, ledger, "one", [0], LANES)
    cluster.ids[NOTICE] = "second"

    with pytest.raises(CannotGoOn, match=NOTICE) as stopped:
        take_lanes(cluster, ledger, "one", [0], LANES)

    assert stopped.value.code is Exit.TOPIC_CHANGED


def test_a_memory_only_log_that_starts_anew_is_a_new_generation(ledger: Ledger) -> None:
    """The embedded broker forgets with its process; the ledger goes on and tells the old records from the new."""
    cluster = DescribedCluster(memory_only=True)
    cluster.logs[NOTICE, 0] = (3, 3)
    (before,), _ = take_lanes(cluster, ledger, "one", [0], LANES)
    cluster.ids = dict.fromkeys(TOPICS, "second")
    cluster.logs[NOTICE, 0] = (0, 0)
    (after,), _ = take_lanes(cluster, ledger, "one", [0], LANES)

    assert (before.generations[NOTICE], before.positions[NOTICE]) == (1, 3)
    assert (after.generations[NOTICE], after.positions[NOTICE]) == (2, 0)
