"""The bench's own check: a run that is not complete gives no figure."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from schemas.topics import INBOUND, OUTBOUND
from sinks.ledger.migrate import migrate
from sinks.ledger.open import open_ledger
from sinks.ledger.port import JournalRow, Lane, LaneCommit, Ledger
from streams.bench.ledgers import BenchLedger, Incomplete, log_ends
from streams.cluster import ClusterUnavailable, KafkaCluster
from tests.integration.hub_world import LANES, fresh_topics
from tests.integration.workers import wait_until

NOTICE = "reporting.loss-notice.v1"


@pytest.fixture
def cluster(kafka_url: str) -> Iterator[KafkaCluster]:
    """A cluster with empty topics that everybody knows of: Kafka answers for a new one only after a moment."""
    opened = KafkaCluster({"bootstrap.servers": kafka_url})

    def known() -> bool:
        try:
            opened.bounds((*INBOUND, *OUTBOUND), range(LANES))
        except ClusterUnavailable:
            return False
        return True

    with fresh_topics(kafka_url):
        wait_until(known, "the new topics are not known")
        yield opened


@pytest.fixture
def ledger(cluster: KafkaCluster, postgres_url: str) -> Iterator[Ledger]:
    """A ledger that knows the topics."""
    migrate(postgres_url)
    with closing(open_ledger(postgres_url, None, "test")) as opened:
        starts = log_ends(cluster, INBOUND, range(LANES))
        opened.prepare(cluster.identities(INBOUND), cluster.identities(OUTBOUND), starts, False)
        yield opened


@pytest.fixture
def watched(cluster: KafkaCluster, ledger: Ledger, postgres_url: str) -> Iterator[BenchLedger]:
    """The same ledger as the bench sees it, at the beginning of a run."""
    with closing(BenchLedger(postgres_url, cluster, LANES)) as bench:
        bench.begin(log_ends(cluster, INBOUND, range(LANES)))
        yield bench


def test_a_run_with_all_records_in_the_journal_is_complete(ledger: Ledger, watched: BenchLedger) -> None:
    """One record was taken, and it is there."""
    ledger.commit(_commit(ledger, journal=[_row(0)], position=1))

    watched.check(1, published=False)


def test_a_record_passed_over_fails_the_run(ledger: Ledger, watched: BenchLedger) -> None:
    """The position is behind two records, and only one is in the journal."""
    ledger.commit(_commit(ledger, journal=[_row(0)], position=2))

    with pytest.raises(Incomplete, match="1 of 2 records are in the journal"):
        watched.check(2, published=False)


def test_an_output_that_was_never_sent_fails_the_run(ledger: Ledger, watched: BenchLedger) -> None:
    """The lane used a number for an output, and no topic has grown."""
    ledger.commit(_commit(ledger, journal=[_row(0)], position=1, seq_used=2))

    with pytest.raises(Incomplete, match="0 records are in the outbound topics, 2 are in the outbox"):
        watched.check(1, published=True)


def test_an_earlier_run_does_not_count(cluster: KafkaCluster, ledger: Ledger, watched: BenchLedger) -> None:
    """A ledger may serve several runs; each is checked by itself."""
    ledger.commit(_commit(ledger, journal=[_row(0)], position=1))
    watched.begin({(NOTICE, 0): 1})

    assert watched.taken() == 0
    watched.check(0, published=False)


def _commit(ledger: Ledger, *, journal: list[JournalRow], position: int, seq_used: int = 0) -> LaneCommit:
    lane = _take(ledger)
    return LaneCommit(
        lane=0,
        token=lane.token,
        seq=lane.seq,
        seq_used=seq_used,
        entry=lane.entry,
        entries_used=position,
        positions=[(NOTICE, lane.positions[NOTICE], position)],
        journal=journal,
    )


def _take(ledger: Ledger) -> Lane:
    (taken,), _ = ledger.take("test", [0])
    return taken


def _row(offset: int) -> JournalRow:
    return JournalRow(
        NOTICE, 1, 0, offset, 0, offset + 1, "C-1", "test 1", "done", "rule", "reason", 0, 0, None, b"\x90", b""
    )
