"""A hub in this process on the embedded broker and a SQLite ledger: how it stops, and what a new one finds."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from sqlalchemy import Engine, func, select

from monitoring.health import Answer
from schemas.partitioner import partition_for
from schemas.records import LossNotice
from schemas.topics import BREAKS, CLOCKS
from sinks.ledger.migrate import migrate
from sinks.ledger.open import read_engine
from sinks.ledger.tables import claims, dead_letters, journal, outbox, payments, topics
from sinks.ledger.verify import verify
from streams import drift, intake
from streams.app import Hub, Leave
from streams.cluster import EmbeddedCluster
from streams.demo.departments import Departments
from streams.demo.stories import Said
from streams.exits import Exit
from streams.flows import FLOWS, Flow
from streams.settings import Settings
from tests import claims as make
from tests.integration.hub_world import LANES
from tests.integration.workers import codec, positions_in, records, said, told

LIMIT_S: Final = 20.0
NOTICE, ESTIMATE = "reporting.loss-notice.v1", "repair.estimate.v1"


class Left(Exception):
    """Ends what a thread or task was doing when the hub left."""


class Leaving:
    """In place of leaving the process: why the hub left, and what its health said by then."""

    def __init__(self) -> None:
        self.hub: Hub | None = None
        self.left: list[tuple[Exit, str, Answer]] = []

    def __call__(self, code: Exit, reason: str) -> NoReturn:
        assert self.hub is not None
        self.left.append((code, reason, self.hub.health.ready()))
        raise Left


async def test_a_lane_stops_at_the_limit_of_dead_letters_and_others_go_on(tmp_path: Path) -> None:
    """Five bad records in a row, together or one by one, leave three dead letters: the lane stands behind the third,
    readiness says so and what to do, and every other lane goes on."""
    home = partition_for(make.POLICY.encode(), LANES)
    together, apart = (home + 1) % LANES, (home + 2) % LANES
    settings = _settings(tmp_path, dead_letter_limit=3)
    sound = records(0, 20)
    others = {one.key for one in sound if _lane(one) not in (together, apart)} - {make.POLICY}
    async with _running(settings) as (hub, departments, engine):
        departments.send(*_bad(together, 5))
        for number, one in enumerate(_bad(apart, 5), 1):
            departments.send(one)
            await _until(partial(_died, engine, apart, min(number, 3)), "a bad record did not become a dead letter")
        await _until(
            lambda: {f"lane {together}", f"lane {apart}"} <= hub.health.ready().checks.keys(), "no lane stopped"
        )
        departments.send(*sound)
        await _until(lambda: _paying(engine) >= others, "the other lanes do not go on")
        ready = hub.health.ready()

        assert _dead(engine) == {together: 3, apart: 3}
        for lane in (together, apart):
            assert sum(at for (_, where), at in positions_in(engine).items() if where == lane) == 3
            reason = ready.checks[f"lane {lane}"].reason
            assert f"lane {lane} " in reason and "claimhub dead-letters ls" in reason
        assert {name for name, check in ready.checks.items() if not check.ok} == {f"lane {together}", f"lane {apart}"}
        assert _paying(engine) == others


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # Left, in the intake's thread
async def test_a_hub_that_gets_nowhere_says_so_and_then_leaves(tmp_path: Path) -> None:
    """Another process keeps the ledger locked while records wait: not ready first, then out with 79."""
    leaving = Leaving()
    async with _running(_settings(tmp_path, watchdog_s=2.0), leaving) as (hub, departments, engine):
        await _until(lambda: hub.health.ready().ok, "the hub is not ready")
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as locker:
            locker.execute("BEGIN EXCLUSIVE")
            departments.send(*records(0, 1))
            await _until(lambda: leaving.left != [], "the hub did not leave")
            assert told(engine) == []
        await asyncio.to_thread(hub._intake._drain)  # its thread is gone: nobody else closes what it had open
    (code, reason, health), *_ = leaving.left
    lane = reason.split(" has ")[0]

    assert code is Exit.STUCK
    assert "no progress" in reason
    assert not health.ok and not health.checks[f"progress of {lane}"].ok


async def test_a_claim_goes_on_in_a_new_hub_on_a_new_broker(tmp_path: Path) -> None:
    """The embedded broker forgets, the ledger does not: its logs begin anew as generation 2."""
    settings = _settings(tmp_path)
    *before, invoice = records(0, 1)
    async with _running(settings) as (_, departments, engine):
        departments.send(*before)
        await _until(lambda: _stages(engine) == ["assessing"], "the claim is not being assessed")
    async with _running(settings) as (_, departments, engine):
        departments.send(invoice)
        await _until(lambda: _paying(engine) == {invoice.key}, "the claim was not paid")
        assert told(engine) == _events([*before, invoice])
        assert _generations(engine) == {2}
        assert [check for check in verify(engine).checks if not check.ok] == []


async def test_a_hub_shows_how_far_departments_are_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads here, so everybody is behind with every claim of every lane as soon as somebody looked."""
    monkeypatch.setattr(drift, "LOOK_S", 0.05)
    async with _running(_settings(tmp_path)) as (hub, departments, _):
        departments.send(*records(0, 8))
        behind = partial(hub.metrics.registry.get_sample_value, "claimhub_drift_claims", {"department": "finance"})
        await _until(lambda: behind() == 8, "the claims were not seen to be missed")


async def test_what_was_sent_before_a_stop_is_in_the_ledger_after_it(tmp_path: Path) -> None:
    """The embedded broker dies with the hub, so stopping takes in all that it holds, the hub's own records too."""
    sent = records(0, 50)
    settings = _settings(tmp_path)
    async with _running(settings) as (hub, departments, _):
        await _until(lambda: hub.health.ready().ok, "the hub is not ready")
        departments.send(*sent)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
        ((parked,),) = ledger.execute("SELECT count(*) FROM parked")
    engine = read_engine(settings.ledger_url)

    assert told(engine) == _events(sent)
    assert parked == 0
    assert _paying(engine) == {one.key for one in sent} - {make.POLICY}
    engine.dispose()


async def test_a_fault_in_a_rule_ends_the_hub_with_the_position_unmoved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule that raises what it may not raise: out with 75, and the batch is not in the ledger."""

    def broken(*given: Any) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setitem(FLOWS, NOTICE, Flow(LossNotice, broken, FLOWS[NOTICE].looks_up))
    monkeypatch.setattr(intake, "_STOP_WAIT_S", 0.2)  # the batch in flight never ends; a process would not wait for it
    leaving = Leaving()
    async with _running(_settings(tmp_path), leaving) as (_, departments, engine):
        _, notice, *_ = records(0, 1)
        departments.send(notice)
        await _until(lambda: leaving.left != [], "the hub did not leave")
        (code, reason, _), *_ = leaving.left

        assert code is Exit.AGENT
        assert f"lane {_lane(notice)} " in reason and "ZeroDivisionError" in reason
        assert set(positions_in(engine).values()) == {0}
        assert told(engine) == []


async def test_a_clock_that_has_run_out_is_told_by_the_machines_time(tmp_path: Path) -> None:
    """A claim said to be complete years ago: two warnings and a breach come as records, each once, and are counted."""
    policy, notice, *_ = records(0, 1)
    notice = said(NOTICE, notice.key, 1_600_000_000_000, notice.content)
    async with _running(_settings(tmp_path)) as (hub, departments, engine):
        departments.send(policy, notice)
        counted = partial(hub.metrics.registry.get_sample_value, "claimhub_clock_breaches_total")
        await _until(lambda: counted() == 1, "no breach is counted")

    assert _ticks(engine) == ["clocks.warning", "clocks.warning", "clocks.breach"]


async def test_a_record_that_waits_too_long_is_told_by_the_machines_time(tmp_path: Path) -> None:
    """An estimate of years ago, and one of now: the first is a break, once, and counted; both go on waiting."""
    old = said(ESTIMATE, "C-1", 1_600_000_000_000, make.estimate(claim="C-1"))
    new = said(ESTIMATE, "C-2", make.SAID_MS, make.estimate(claim="C-2"))
    async with _running(_settings(tmp_path)) as (hub, departments, engine):
        departments.send(old, new)
        counted = partial(hub.metrics.registry.get_sample_value, "claimhub_overdue_records_total")
        await _until(lambda: counted() == 1, "no break is counted")

    assert _breaks(engine) == [old.key]


def _settings(folder: Path, **changes: Any) -> Settings:
    settings = Settings(data_dir=folder, lanes=LANES, http_port=0, **changes)
    migrate(settings.ledger_url)
    return settings


def _never(code: Exit, reason: str) -> NoReturn:
    raise AssertionError(f"the hub left ({code.name}): {reason}")


@asynccontextmanager
async def _running(settings: Settings, leave: Leave = _never) -> AsyncIterator[tuple[Hub, Departments, Engine]]:
    """A hub with a broker of its own, who sends to it, and its ledger; stopped at the end."""
    cluster = EmbeddedCluster()
    engine = read_engine(settings.ledger_url)
    hub = Hub(settings, cluster, leave)
    if isinstance(leave, Leaving):
        leave.hub = hub
    await hub.start()
    try:
        yield hub, Departments(cluster.options, codec(settings), LANES), engine
    finally:
        await hub.stop()
        engine.dispose()
        cluster.close()


async def _until(holds: Callable[[], bool], what: str) -> None:
    """As `wait_until`, in the hub's own event loop."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, f"after {LIMIT_S:.0f} s: {what}"
        await asyncio.sleep(0.01)


def _lane(one: Said) -> int:
    return partition_for(one.key.encode(), LANES)


def _bad(lane: int, many: int) -> list[Said]:
    """Estimates of claims of one lane that are no Avro."""
    claims_there = (f"B-{number}" for number in count() if partition_for(f"B-{number}".encode(), LANES) == lane)
    return [said(ESTIMATE, claim, make.SAID_MS, b"no Avro") for claim in islice(claims_there, many)]


def _events(sent: list[Said]) -> list[str]:
    return sorted(f"{one.sender} {one.event_id}" for one in sent)


def _dead(engine: Engine) -> dict[int, int]:
    with engine.connect() as connection:
        counted = select(dead_letters.c.lane, func.count().label("many")).group_by(dead_letters.c.lane)
        return {row.lane: row.many for row in connection.execute(counted)}


def _died(engine: Engine, lane: int, least: int) -> bool:
    return _dead(engine).get(lane, 0) >= least


def _paying(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.execute(select(payments.c.claim)).scalars())


def _ticks(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        c = journal.c
        return list(connection.execute(select(c.rule).where(c.topic == CLOCKS).order_by(c.lane, c.entry)).scalars())


def _breaks(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(outbox.c.key).where(outbox.c.topic == BREAKS)).scalars())


def _stages(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(claims.c.stage)).scalars())


def _generations(engine: Engine) -> set[int]:
    with engine.connect() as connection:
        return set(connection.execute(select(topics.c.generation)).scalars())
