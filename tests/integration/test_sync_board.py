"""The sync board on a real Kafka: a department that has read all, one that is behind, one that never read."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine

from monitoring.clock import SystemClock
from monitoring.metrics import Metrics
from schemas.records import Record, Role
from sinks.ledger.open import read_engine
from streams.cluster import ClusterUnavailable, KafkaCluster
from streams.drift import DriftWatch
from streams.rules.departments import departments
from streams.rules.sync import STATUS
from streams.sync_board import Drift, Seen, read_drift, read_seen
from tests import claims as make
from tests.e2e.filled_ledger import FilledLedger
from tests.integration.hub_world import fresh_topics
from tests.relay_world import wait_until

LANE: Final = 0
LATER_MS: Final = 10**15
"""A time after all records, whatever the broker's clock says."""


class ClockAt(SystemClock):
    """Stands still, as far as the time of day goes."""

    def __init__(self, at_ms: int) -> None:
        self._at_ms = at_ms

    def time(self) -> float:
        """See Clock."""
        return self._at_ms / 1000


class Board:
    """A ledger of one lane whose outputs are on a real Kafka, and departments that read them."""

    def __init__(self, kafka: str, url: str) -> None:
        self.kafka = kafka
        self.url = url
        self.cluster = KafkaCluster({"bootstrap.servers": kafka})
        self._ledger = FilledLedger(url)
        self.engine: Engine = read_engine(url)

    def take(self, *records: Record) -> "Board":
        """The hub takes these records, and publishes what follows."""
        self._ledger.take(*records)
        self._ledger.publish(self.kafka)
        return self

    def take_unpublished(self, *records: Record) -> None:
        """The hub takes these records, and its relay has not come to them."""
        self._ledger.take(*records)

    def read(self, department: str, upto: int | None = None) -> None:
        """A department's group reads all snapshots, or so many, and commits."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": departments()[department].group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        (_, end) = self.cluster.bounds([STATUS], [LANE])[STATUS, LANE]
        consumer.commit(offsets=[TopicPartition(STATUS, LANE, end if upto is None else upto)], asynchronous=False)
        consumer.close()

    def drift(self, department: str, now_ms: int = LATER_MS, most: int = 10_000) -> Drift:
        """How far one department is behind."""
        (found,) = read_drift(self.engine, self.cluster, [LANE], [department], now_ms, most)
        return found

    def behind(self, department: str) -> int:
        """With how many claims one department is behind."""
        return self.drift(department).claims_behind

    def is_behind_since(self, department: str, offset: int) -> bool:
        """Whether the oldest snapshot not seen is the one at this offset, by its time, to the millisecond."""
        sent_ms = self.sent_at_ms(offset)
        return [self.drift(department, sent_ms + later).oldest_s for later in (999, 1000)] == [0, 1]

    def seen(self, claim: str = make.CLAIM) -> dict[str, Seen]:
        """What each department has seen of a claim."""
        found = read_seen(self.engine, self.cluster, claim)
        assert found is not None
        return {one.department: one for one in found}

    def sent_at_ms(self, offset: int) -> int:
        """When the snapshot at this offset came to Kafka."""
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": "test"})
        consumer.assign([TopicPartition(STATUS, LANE, offset)])
        message = consumer.poll(10)
        consumer.close()
        assert message is not None and message.error() is None and message.offset() == offset
        return message.timestamp()[1]

    def close(self) -> None:
        """Let go of the ledger."""
        self.engine.dispose()
        self._ledger.close()


@pytest.fixture(params=["postgresql", pytest.param("sqlite", marks=pytest.mark.slow)])
def board(request: pytest.FixtureRequest, kafka_url: str, tmp_path: Path) -> Iterator[Board]:
    """An empty ledger on each database, and empty topics; no department has read anything."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/ledger.db" if sqlite else request.getfixturevalue("postgres_ledger")
    with fresh_topics(kafka_url, lanes=1):
        board = Board(kafka_url, url)
        wait_until(partial(_answers, board), "the new topic has no leader, or the groups have no coordinator")
        yield board
        board.close()
        _forget_groups(kafka_url)


def _answers(board: Board) -> bool:
    try:
        board.cluster.bounds([STATUS], [LANE])
        board.cluster.committed("finance", STATUS, [LANE])
    except ClusterUnavailable:
        return False
    return True


def _forget_groups(kafka: str) -> None:
    """Another test's topics begin anew, and so must the departments."""
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.delete_consumer_groups([one.group for one in departments().values()]).values():
        with suppress(KafkaException):  # one that never read
            future.result(10)


def three_claims(board: Board) -> Board:
    """Claims 1 to 3 with versions 1, then claim 1 with versions 2 and 3: snapshots at offsets 0 to 4, each sent on its
    own, so that its time is its own."""
    notices = [make.notice(claim=f"CLM-2026-00000{n}") for n in (1, 2, 3)]
    for record in (make.policy(), *notices, make.estimate(), make.invoice()):
        board.take(record)
    return board


def test_a_department_that_never_read_is_behind_with_every_claim(board: Board) -> None:
    """Since the first snapshot. Nobody is behind while there is nothing to see."""
    assert board.drift("finance") == Drift("finance", "finance.claims-status", 0, False, 0, 300, False)

    three_claims(board)

    assert board.behind("finance") == 3
    assert board.is_behind_since("finance", 0)
    assert board.seen()["finance"] == Seen("finance", 3, 0, 0, 0)


def test_a_department_that_read_all_is_level_until_the_next_change(board: Board) -> None:
    """The others stay where they are."""
    three_claims(board).read("finance")

    assert (board.behind("finance"), board.behind("siu")) == (0, 3)
    assert board.seen()["finance"] == Seen("finance", 3, 3, 3, 0)

    board.take(make.notice(claim="CLM-2026-000004"))

    assert board.behind("finance") == 1
    assert board.is_behind_since("finance", 5)
    assert board.seen("CLM-2026-000004")["finance"].behind


def test_a_department_that_read_half_is_behind_with_what_changed_since(board: Board) -> None:
    """It read claim 1 at version 2 and the others; what it has not seen is version 3 of claim 1."""
    three_claims(board).read("finance", 4)

    assert board.behind("finance") == 1
    assert board.is_behind_since("finance", 4)
    assert board.seen()["finance"] == Seen("finance", 3, 2, 2, 0)
    assert not board.seen("CLM-2026-000002")["finance"].behind


def test_drift_is_an_alarm_once_it_is_older_than_the_departments_limit(board: Board) -> None:
    """Each department by its own."""
    three_claims(board)
    sent_ms, limit_s = board.sent_at_ms(0), departments()["finance"].drift_limit_s

    assert not board.drift("finance", sent_ms + limit_s * 1000 + 999).alarm
    assert board.drift("finance", sent_ms + limit_s * 1000 + 1000).alarm
    assert not board.drift("archive", sent_ms + limit_s * 1000 + 1000).alarm


def test_what_is_not_published_yet_was_not_sent(board: Board) -> None:
    """The outbox has alarms of its own; a department cannot have seen what did not leave."""
    three_claims(board).read("finance")
    board.take_unpublished(make.notice(claim="CLM-2026-000004"), make.command("finance", 3))
    never = board.seen("CLM-2026-000004")["siu"]

    assert (board.behind("finance"), board.behind("siu")) == (0, 3)
    assert (never.sent, never.behind) == (0, False)


def test_an_acknowledgement_counts_as_seen(board: Board) -> None:
    """Claim by claim: of the newest version it makes the claim level, of an older one it moves the time."""
    three_claims(board).take(make.command("finance", 1, claim="CLM-2026-000002"), make.command("finance", 2))

    assert board.behind("finance") == 2
    assert board.is_behind_since("finance", 2)  # claim 3's only snapshot
    assert board.seen()["finance"] == Seen("finance", 3, 2, 0, 2)
    assert board.seen("CLM-2026-000002")["finance"] == Seen("finance", 1, 1, 0, 1)

    board.take(make.command("finance", 1, claim="CLM-2026-000003"))
    assert board.behind("finance") == 1
    assert board.is_behind_since("finance", 4)  # claim 1's third

    board.take(make.command("finance", 3))
    assert board.behind("finance") == 0
    assert board.behind("siu") == 3


def test_who_read_further_than_it_acknowledged_is_behind_since_what_it_did_neither(board: Board) -> None:
    """It read version 2 of claim 1, acknowledged version 1, and all of claim 2: version 3 is what it has not seen."""
    board.take(make.policy(), make.notice(), make.estimate()).read("finance")
    for record in (make.notice(claim="CLM-2026-000002"), make.invoice()):
        board.take(record)
    board.take(make.command("finance", 1), make.command("finance", 1, claim="CLM-2026-000002"))

    assert board.behind("finance") == 1
    assert board.is_behind_since("finance", 3)


def test_a_newer_version_than_the_acknowledged_one_is_behind_only_once_it_was_sent(board: Board) -> None:
    """Between a commit and its delivery nobody is late."""
    three_claims(board).read("finance", 4)
    board.take(make.command("finance", 3))
    board.take_unpublished(make.decision(Role.HANDLER), make.document())

    assert board.behind("finance") == 0


def test_a_resync_makes_nobody_behind(board: Board) -> None:
    """It is no version: departments that were level stay so, and for others the time does not change."""
    three_claims(board).read("finance")
    board.read("siu", 4)
    board.take(make.command("finance"))

    assert (board.behind("finance"), board.behind("siu")) == (0, 1)
    assert board.is_behind_since("siu", 4)

    board.take(make.notice(claim="CLM-2026-000004"))

    assert (board.behind("finance"), board.behind("siu")) == (1, 2)
    assert board.is_behind_since("finance", 6)
    assert board.seen()["finance"] == Seen("finance", 3, 3, 3, 0)


def test_no_more_rows_are_looked_at_than_told(board: Board) -> None:
    """Whoever is very far behind is so with at least so many claims, since the very first."""
    three_claims(board)
    found = board.drift("finance", most=2)

    assert (found.claims_behind, found.at_least) == (2, True)
    assert found.oldest_s == board.drift("finance").oldest_s
    assert not board.drift("finance", most=6).at_least


def test_what_was_acknowledged_is_looked_past(board: Board) -> None:
    """A department that acknowledges all it gets, and never commits, is still behind with what it did not."""
    three_claims(board).take(make.command("finance", 3), make.command("finance", 1, claim="CLM-2026-000002"))

    assert board.drift("finance", most=2).claims_behind == 1
    assert board.is_behind_since("finance", 2)


def test_a_record_that_is_not_the_hubs_is_passed(board: Board) -> None:
    """It has no number; the next one has."""
    three_claims(board).read("finance")
    producer = Producer({"bootstrap.servers": board.kafka})
    producer.produce(STATUS, b"?", b"?", LANE)
    assert producer.flush(10) == 0

    assert board.behind("finance") == 0

    board.take(make.notice(claim="CLM-2026-000004"))

    assert board.behind("finance") == 1
    assert board.is_behind_since("finance", 6)


def test_a_log_that_begins_later_makes_nobody_level(board: Board) -> None:
    """What compaction or retention took away before a department came was not seen by it."""
    three_claims(board)
    admin = AdminClient({"bootstrap.servers": board.kafka})
    (deleted,) = admin.delete_records([TopicPartition(STATUS, LANE, 3)]).values()
    deleted.result(10)

    assert board.behind("finance") == 3
    assert board.is_behind_since("finance", 3)
    assert board.seen()["finance"] == Seen("finance", 3, 0, 0, 0)


def test_a_worker_shows_the_drift_of_its_lanes_as_metrics(board: Board) -> None:
    """By department, with its limit; of a lane that is another worker's now it shows nothing."""
    three_claims(board).read("finance")
    metrics, lanes, later = Metrics(), [LANE], board.sent_at_ms(0) + 5000
    watch = DriftWatch(board.url, None, {"bootstrap.servers": board.kafka}, metrics, ClockAt(later), lambda: lanes)

    def shown(department: str) -> tuple[float | None, ...]:
        names = ("claims", "seconds", "limit_seconds")
        read = metrics.registry.get_sample_value
        return tuple(read(f"claimhub_drift_{name}", {"department": department}) for name in names)

    watch.look(board.engine, board.cluster)
    assert (shown("finance"), shown("siu")) == ((0, 0, 300), (3, 5, 900))

    lanes.clear()
    watch.look(board.engine, board.cluster)
    assert shown("siu") == (0, 0, 900)


def test_there_is_nothing_to_show_of_an_unknown_claim(board: Board) -> None:
    """Nobody was sent anything of it."""
    assert read_seen(board.engine, board.cluster, "CLM-2026-999999") is None
