"""A worker killed in the middle of a batch, on a real Kafka and PostgreSQL."""

import signal
from pathlib import Path

import psycopg
from sqlalchemy import Engine, select

from sinks.ledger.tables import lanes
from tests.integration.hub_world import fresh_topics, hub_settings, instruction_ids
from tests.integration.workers import (
    LIMIT_S,
    check_all_paid_once,
    records,
    surroundings,
    wait_until_a_commit_waits,
    worker,
)

BEFORE, DURING = 40, 200
"""Claims whose records come before the worker is killed in a batch, and claims in and behind that batch."""


def test_a_worker_killed_in_mid_batch_loses_and_doubles_nothing(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """A table lock holds a commit open, the worker dies there, another one goes on: every record sent is journalled
    exactly once, each claim is paid by one instruction, and the ledger keeps every promise."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    first, second = records(0, BEFORE), records(BEFORE, BEFORE + DURING)
    with fresh_topics(kafka_url), surroundings(settings) as around:
        with worker(settings) as killed:
            around.departments.send(*first)
            around.idle.wait(LIMIT_S)
            with psycopg.connect(postgres_url) as locker:
                locker.execute("LOCK TABLE claims IN SHARE MODE")
                around.departments.send(*second)
                wait_until_a_commit_waits(postgres_url)
                killed.send_signal(signal.SIGKILL)
                killed.wait(LIMIT_S)
        with worker(settings):
            around.idle.wait(LIMIT_S)
        check_all_paid_once(around.engine, [*first, *second], instruction_ids(kafka_url))
        assert len(around.finance.paid) == BEFORE + DURING
        assert all(token >= 2 for token in _tokens(around.engine))


def _tokens(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return [row.token for row in connection.execute(select(lanes.c.token))]
