"""A slow database holds Kafka back, not the worker's memory: on a real Kafka and PostgreSQL."""

from pathlib import Path
from typing import Final

import psycopg
import pytest
from sqlalchemy import select

from sinks.ledger.tables import journal
from sinks.ledger.verify import verify
from streams.demo.departments import Departments
from streams.demo.stories import Said
from streams.intake import _COLLECT_RECORDS, _HOLD_RECORDS
from tests import claims as make
from tests.integration.hub_world import fresh_topics, hub_settings
from tests.integration.workers import (
    LIMIT_S,
    codec,
    metric,
    records,
    said,
    surroundings,
    wait_until,
    worker,
)

DOCUMENT: Final = "reporting.document.v1"
BOUND: Final = 2 * (_HOLD_RECORDS + _COLLECT_RECORDS)
"""The most records of one lane and topic in a worker: as many waiting to be put in order, and as many in order."""
WAITING: Final = BOUND + 2_000
AT_ONCE: Final = 2_000
MOST_GROWTH: Final = 1.4
"""Three times as many more records waiting would take twice the memory of the whole worker."""


@pytest.mark.slow
def test_a_blocked_database_holds_kafka_back_and_the_workers_memory_still(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """While no commit goes through, the worker keeps a bounded number of records and lets the others wait in Kafka: its
    memory is the same for four times as many. When the lock goes, all of them are taken in order."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path).model_copy(update={"watchdog_s": 600.0})
    stderr = tmp_path / "stderr"
    held: list[float] = []
    memory: list[float] = []
    policy, notice, *_ = records(0, 1)
    large = make.document(claim=notice.key, url="https://documents.example/" + "x" * 2000)
    document = said(DOCUMENT, notice.key, notice.at_ms, codec(settings).encode(DOCUMENT, large))
    with (
        fresh_topics(kafka_url),
        surroundings(settings) as around,
        stderr.open("wb") as log,
        worker(settings, stderr=log),
    ):
        around.departments.send(policy, notice)
        around.idle.wait(LIMIT_S)
        with psycopg.connect(postgres_url) as locker:
            locker.execute("LOCK TABLE journal IN SHARE MODE")
            for many in (WAITING, 3 * WAITING):
                _send(around.departments, document, many)
                refused = metric(stderr, 'claimhub_lanes_dropped_total{reason="ledger"}')

                def has_filled_up(refused: float = refused) -> bool:
                    """Since then its batches were refused twice, so that it has read all it may again."""
                    held.append(metric(stderr, "claimhub_buffered_records"))
                    again = metric(stderr, 'claimhub_lanes_dropped_total{reason="ledger"}') - refused
                    return again >= 2 and held[-1] > _HOLD_RECORDS

                wait_until(has_filled_up, "the worker reads nothing")
                memory.append(metric(stderr, "process_resident_memory_bytes"))
        around.idle.wait(4 * LIMIT_S)

        assert max(held) <= BOUND
        assert memory[1] < MOST_GROWTH * memory[0]
        with around.engine.connect() as connection:
            of_topic = select(journal.c.offset).where(journal.c.topic == DOCUMENT).order_by(journal.c.entry)
            assert list(connection.execute(of_topic).scalars()) == list(range(4 * WAITING))
        assert [check for check in verify(around.engine).checks if not check.ok] == []


def _send(departments: Departments, document: Said, many: int) -> None:
    """One document again and again: the first counts, the others are known by its id."""
    for left in range(many, 0, -AT_ONCE):
        departments.send(*[document] * min(left, AT_ONCE))
