"""Worker processes, all that happens around them, and what must hold once they are done."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg
from sqlalchemy import Engine, select

from connectors.registry import EmbeddedRegistry
from monitoring.clock import SystemClock
from schemas.codec import Codec
from schemas.records import Record
from sinks.ledger.open import read_engine
from sinks.ledger.tables import claims, journal, payments, positions
from sinks.ledger.verify import verify
from sinks.payments.keys import KeyFolder
from streams.demo.departments import Departments
from streams.demo.finance import Finance
from streams.demo.idle import Idle
from streams.demo.stories import Said
from streams.exits import Exit
from streams.settings import Settings
from tests import claims as make

CLAIMHUB: Final = str(Path(sys.executable).with_name("claimhub"))
LIMIT_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.02
_A_COMMIT_WAITS: Final = """
    SELECT count(*) FROM pg_locks WHERE relation = 'claims'::regclass AND mode = 'RowExclusiveLock' AND NOT granted
"""


class Surroundings(NamedTuple):
    """What is around a hub's workers: who sends, who pays, the ledger to look at, and whether anything is left."""

    engine: Engine
    departments: Departments
    finance: Finance
    idle: Idle


@contextmanager
def surroundings(settings: Settings) -> Iterator[Surroundings]:
    """All that the hub of these settings works for; finance answers until the end."""
    options, lanes = settings.kafka_client(), settings.lanes
    engine = read_engine(settings.ledger_url)
    answers, keys = Departments(options, codec(settings), lanes), KeyFolder(settings.keys)
    finance = Finance(options, codec(settings), answers, lanes, keys)
    idle = Idle(engine, options, finance, lanes, SystemClock())
    finance.start()
    try:
        yield Surroundings(engine, Departments(options, codec(settings), lanes), finance, idle)
    finally:
        finance.stop()
        idle.close()
        engine.dispose()


@contextmanager
def worker(
    settings: Settings, ends: Exit = Exit.OK, stderr: BinaryIO | None = None, command: Sequence[str] = (CLAIMHUB,)
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process of this `claimhub` command, asked to stop at the end. It must end with `ends`, unless it was
    killed."""
    process = subprocess.Popen([*command, "up", "--role", "worker"], env=_environment(settings), stderr=stderr)
    try:
        yield process
        process.terminate()
        assert process.wait(LIMIT_S) in {ends, -signal.SIGKILL}
    finally:
        process.kill()
        process.wait()


def claimhub(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a `claimhub` command with these settings says and ends with."""
    return subprocess.run(
        [CLAIMHUB, *arguments], env=_environment(settings), capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def _environment(settings: Settings) -> dict[str, str]:
    given = settings.model_dump(include=settings.model_fields_set)
    others = {name: value for name, value in os.environ.items() if not name.startswith("CLAIMHUB_")}
    return {**others, **{f"CLAIMHUB_{name.upper()}": str(value) for name, value in given.items()}}


def answer(stderr: Path, page: str) -> tuple[int, str]:
    """Status and text of a page of the worker that writes this file, once it says where its pages are."""

    def said_where() -> bool:
        return "/metrics" in stderr.read_text()

    wait_until(said_where, "the worker does not say where its pages are")
    address = stderr.read_text().partition(" at ")[2].partition("/health")[0]
    try:
        with urlopen(f"{address}{page}", timeout=LIMIT_S) as page_read:  # the worker started here
            return page_read.status, page_read.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def metric(stderr: Path, sample: str) -> float:
    """The value of one sample, as named in a scrape of that worker; 0 when it is not there."""
    _, scrape = answer(stderr, "/metrics")
    return next((float(line.split()[-1]) for line in scrape.splitlines() if line.startswith(f"{sample} ")), 0.0)


def codec(settings: Settings) -> Codec:
    """A codec of these settings; each thread takes its own."""
    return Codec(EmbeddedRegistry(), settings.max_record_bytes)


def records(start: int, end: int) -> list[Said]:
    """What departments say of claims that nobody needs to touch, all on one policy, which comes with claim 0."""
    told = [] if start else [said("underwriting.policy.v1", make.POLICY, make.SAID_MS - make.DAY_MS, make.policy())]
    for number in range(start, end):
        claim, at_ms = f"C-{number:05d}", make.SAID_MS + number * 1000
        told += [
            said("reporting.loss-notice.v1", claim, at_ms, make.notice(claim=claim)),
            said("repair.estimate.v1", claim, at_ms + 1, make.estimate(claim=claim)),
            said("repair.invoice.v1", claim, at_ms + 2, make.invoice(claim=claim, number=f"{number:08d}")),
        ]
    return told


def said(topic: str, key: str, at_ms: int, content: Record | bytes) -> Said:
    """One record of a topic and key; its event id is that of no other topic or key."""
    return Said(sender="test", event_id=f"{topic}/{key}", topic=topic, key=key, at_ms=at_ms, content=content)


def told(engine: Engine) -> list[str]:
    """The event ids of the departments' records in the journal, sorted."""
    with engine.connect() as connection:
        events = [row.event_id for row in connection.execute(select(journal.c.event_id))]
    return sorted(event for event in events if not event.startswith(("finance ", "claimhub ")))


def positions_in(engine: Engine) -> dict[tuple[str, int], int]:
    """The ledger's next offset of every topic and lane."""
    with engine.connect() as connection:
        rows = connection.execute(select(positions.c.topic, positions.c.lane, positions.c.next))
        return {(topic, lane): at for topic, lane, at in rows}


def check_all_paid_once(engine: Engine, sent: Sequence[Said], published: Sequence[str]) -> None:
    """Every record sent is journalled exactly once, each claim is paid by one instruction of those published, and the
    ledger keeps every promise."""
    numbers = {one.key for one in sent} - {make.POLICY}
    with engine.connect() as connection:
        ids = [row.id for row in connection.execute(select(payments.c.id))]
        paid = {row.claim for row in connection.execute(select(claims.c.claim).where(claims.c.stage == "paid"))}

    assert told(engine) == sorted(f"{one.sender} {one.event_id}" for one in sent)
    assert paid == numbers
    assert len(ids) == len(numbers)
    assert set(published) == set(ids)
    assert [check for check in verify(engine).checks if not check.ok] == []


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Return once it holds; `what` is said of it when it does not come to hold in time."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, f"after {LIMIT_S:.0f} s: {what}"
        time.sleep(_LOOK_AGAIN_S)


def wait_until_a_commit_waits(postgres: str) -> None:
    """Return once a commit waits for a lock on the table of claims."""
    with psycopg.connect(postgres, autocommit=True) as watcher:

        def waits() -> bool:
            row = watcher.execute(_A_COMMIT_WAITS).fetchone()
            return row is not None and row[0] > 0

        wait_until(waits, "no commit came to wait for the lock")
