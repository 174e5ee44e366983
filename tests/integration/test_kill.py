"""A worker killed in the middle of a batch, on a real Kafka and PostgreSQL."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy import Engine, select

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from schemas.records import Record
from sinks.ledger.open import read_engine
from sinks.ledger.tables import claims, journal, lanes, payments
from sinks.ledger.verify import verify
from streams.demo.departments import Departments
from streams.demo.finance import Finance
from streams.demo.idle import Idle
from streams.demo.stories import Said
from streams.settings import Settings
from tests import claims as make
from tests.integration.hub_world import LANES, fresh_topics, hub_settings, instruction_ids

CLAIMHUB: Final = str(Path(sys.executable).with_name("claimhub"))
LIMIT_S: Final = 60.0
BEFORE, DURING = 40, 200
"""Claims whose records come before the worker is killed in a batch, and claims in and behind that batch."""

A_COMMIT_WAITS: Final = """
    SELECT count(*) FROM pg_locks WHERE relation = 'claims'::regclass AND mode = 'RowExclusiveLock' AND NOT granted
"""


def test_a_worker_killed_in_mid_batch_loses_and_doubles_nothing(
    kafka_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """A table lock holds a commit open, the worker dies there, another one goes on: every record sent is journalled
    exactly once, each claim is paid by one instruction, and the ledger keeps every promise."""
    settings = hub_settings(kafka_url, postgres_url, tmp_path)
    options = settings.kafka_client()
    engine = read_engine(postgres_url)
    departments = Departments(options, _codec(settings), LANES)
    finance = Finance(options, _codec(settings), Departments(options, _codec(settings), LANES), LANES)
    idle = Idle(engine, options, finance, LANES)
    first, second = _records(0, BEFORE), _records(BEFORE, BEFORE + DURING)
    with fresh_topics(kafka_url):
        finance.start()
        try:
            with _worker(settings) as worker:
                departments.send(*first)
                idle.wait(LIMIT_S)
                with psycopg.connect(postgres_url) as locker:
                    locker.execute("LOCK TABLE claims IN SHARE MODE")
                    departments.send(*second)
                    _wait_until_a_commit_waits(postgres_url)
                    worker.send_signal(signal.SIGKILL)
                    worker.wait(LIMIT_S)
            with _worker(settings):
                idle.wait(LIMIT_S)
        finally:
            finance.stop()
            idle.close()
        published = instruction_ids(kafka_url)
    _check(engine, [*first, *second], published)
    assert len(finance.paid) == BEFORE + DURING
    engine.dispose()


def _check(engine: Engine, sent: Sequence[Said], published: Sequence[str]) -> None:
    numbers = {said.key for said in sent} - {make.POLICY}
    with engine.connect() as connection:
        ids = [row.id for row in connection.execute(select(payments.c.id))]
        paid = {row.claim for row in connection.execute(select(claims.c.claim).where(claims.c.stage == "paid"))}
        events = [row.event_id for row in connection.execute(select(journal.c.event_id))]
        tokens = [row.token for row in connection.execute(select(lanes.c.token))]
    told = [f"{said.sender} {said.event_id}" for said in sent]

    assert sorted(event for event in events if not event.startswith(("finance ", "claimhub "))) == sorted(told)
    assert paid == numbers
    assert len(ids) == len(numbers)
    assert set(published) == set(ids)
    assert all(token >= 2 for token in tokens)
    assert [check for check in verify(engine).checks if not check.ok] == []


def _records(start: int, end: int) -> list[Said]:
    """What departments say of claims that nobody needs to touch, all on one policy."""
    said = (
        [_said("underwriting.policy.v1", make.POLICY, make.LOSS_MS - make.DAY_MS, make.policy())] if not start else []
    )
    for number in range(start, end):
        claim, at_ms = f"C-{number:05d}", make.LOSS_MS + number * 1000
        said += [
            _said("reporting.loss-notice.v1", claim, at_ms, make.notice(claim=claim)),
            _said("repair.estimate.v1", claim, at_ms + 1, make.estimate(claim=claim)),
            _said("repair.invoice.v1", claim, at_ms + 2, make.invoice(claim=claim, number=f"{number:08d}")),
        ]
    return said


def _said(topic: str, key: str, at_ms: int, record: Record) -> Said:
    return Said(sender="test", event_id=f"{topic}/{key}", topic=topic, key=key, at_ms=at_ms, content=record)


def _codec(settings: Settings) -> Codec:
    return Codec(EmbeddedRegistry(), settings.max_record_bytes)


@contextmanager
def _worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process; asked to stop at the end, unless it is dead already."""
    named = {
        "KAFKA": settings.kafka,
        "LEDGER": settings.ledger,
        "DATA_DIR": str(settings.data_dir),
        "GROUP": settings.group,
        "HTTP_PORT": "0",
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("CLAIMHUB_")}
    environment = {**others, **{f"CLAIMHUB_{name}": value for name, value in named.items()}}
    process = subprocess.Popen([CLAIMHUB, "up", "--role", "worker"], env=environment)
    try:
        yield process
        process.terminate()
        assert process.wait(LIMIT_S) in {0, -signal.SIGKILL}
    finally:
        process.kill()
        process.wait()


def _wait_until_a_commit_waits(postgres: str) -> None:
    end = time.monotonic() + LIMIT_S
    with psycopg.connect(postgres, autocommit=True) as watcher:
        while (row := watcher.execute(A_COMMIT_WAITS).fetchone()) is None or not row[0]:
            assert time.monotonic() < end, "no commit came to wait for the lock"
