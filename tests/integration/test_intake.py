"""The intake on the embedded broker, its batches in the test's hands: what it hands out, how it gets a lane back."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, Queue
from typing import Final, NoReturn

import psycopg
import pytest
from sqlalchemy import select

from connectors.registry import EmbeddedRegistry
from monitoring.clock import SystemClock
from monitoring.health import Health
from monitoring.metrics import Dropped, Metrics
from schemas.codec import Codec
from schemas.partitioner import partition_for
from schemas.topics import INBOUND, OUTBOUND
from sinks.clients import KafkaClients
from sinks.figures import show
from sinks.ledger.migrate import migrate
from sinks.ledger.open import open_ledger, read_engine
from sinks.ledger.tables import lanes
from sinks.relay import Relay
from streams import intake
from streams.cluster import EmbeddedCluster
from streams.demo.departments import Departments
from streams.exits import Exit
from streams.intake import Intake
from streams.lanes import DEATHS, Batch, LaneProcessor
from streams.settings import Settings
from tests import claims as make
from tests.contract.ledger_factory import identities
from tests.integration.hub_world import LANES
from tests.integration.workers import positions_in, said
from tests.keys import SIGN
from tests.relay_world import LIMIT_S, wait_until

ESTIMATE: Final = "repair.estimate.v1"
LANE: Final = partition_for(make.CLAIM.encode(), LANES)


class IntakeWorld:
    """An intake with a broker and a ledger, and nobody but the test to process its batches. Close it.

    Without `threads` it hands out every batch.
    """

    def __init__(self, settings: Settings, threads: int = 0) -> None:
        settings = settings.model_copy(update={"commits_in_flight": threads})
        self.ledger = open_ledger(settings.ledger_url, owner="worker")
        self._engine = read_engine(settings.ledger_url)
        self.batches: Queue[Batch] = Queue()
        self._cluster = EmbeddedCluster()
        clients, clock, metrics = KafkaClients(self._cluster.options), SystemClock(), Metrics()
        self._metrics = metrics
        codec = Codec(EmbeddedRegistry(), settings.max_record_bytes)
        limits = settings.dead_letter_limit, settings.parked_limit_ms
        processor = LaneProcessor(self.ledger, codec, SIGN, metrics, *limits)
        relay = Relay(self.ledger, clients, clock, partial(show, metrics), print)
        self.left: list[tuple[Exit, str]] = []
        parts = clients, self.ledger, processor, relay, clock, metrics, Health(), "worker"
        self.intake = Intake(settings, self._cluster, *parts, self._dispatch, self._leave)
        self._departments = Departments(self._cluster.options, codec, LANES)
        self._threads = [threading.Thread(target=run, daemon=True) for run in (relay.run, self.intake.run)]
        for thread in self._threads:
            thread.start()

    def send(self, many: int, claim: str = make.CLAIM, value: bytes | None = None) -> None:
        """Estimates of one claim, in lane `LANE`; they wait for their claim's notice and lead to nothing else."""
        one = said(ESTIMATE, claim, make.SAID_MS, value or make.estimate(claim=claim))
        self._departments.send(*[one] * many)

    def process_until(self, holds: Callable[[], bool], what: str) -> None:
        """Process every batch that is handed out, until it holds."""

        def process_and_look() -> bool:
            try:
                self.intake.process(self.batches.get(timeout=0.02))
            except Empty:
                return holds()
            return False

        wait_until(process_and_look, what)

    def taken_in(self) -> int:
        """How many estimates the ledger has."""
        return positions_in(self._engine).get((ESTIMATE, LANE), 0)

    def dropped(self, why: Dropped) -> float:
        """How many lanes the intake let go of for this reason."""
        return self._metrics.registry.get_sample_value("claimhub_lanes_dropped_total", {"reason": why}) or 0

    def _dispatch(self, batch: Batch) -> None:
        """A batch that only asks what is due is none of the test's."""
        if batch.records:
            self.batches.put(batch)
        else:
            self.intake.process(batch)

    def _leave(self, code: Exit, reason: str) -> NoReturn:
        """Instead of the process its thread ends."""
        self.left.append((code, reason))
        raise SystemExit

    def close(self) -> None:
        """Let the intake drain."""
        assert self.left == []
        self.intake.stop()
        self.process_until(lambda: not any(thread.is_alive() for thread in self._threads), "the intake does not drain")
        self.ledger.close()
        self._engine.dispose()
        self._cluster.close()


@contextmanager
def _running(settings: Settings, threads: int = 0) -> Iterator[IntakeWorld]:
    """An intake on a migrated ledger, drained at the end."""
    migrate(settings.ledger_url)
    world = IntakeWorld(settings, threads)
    try:
        yield world
    finally:
        world.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[IntakeWorld]:
    """On a SQLite ledger."""
    with _running(Settings(data_dir=tmp_path, lanes=LANES)) as world:
        yield world


def test_a_lane_has_one_batch_in_flight_and_the_next_is_all_that_came_meanwhile(world: IntakeWorld) -> None:
    """Two commits of one lane at once would lock each other out, or let an old state overwrite a new one."""
    world.send(1)
    first = world.batches.get(timeout=LIMIT_S)
    world.send(30)
    wait_until(lambda: first.lane.buffer.size == 30, "the lane does not keep what it may not hand out yet")
    assert world.batches.empty()
    world.intake.process(first)
    second = world.batches.get(timeout=LIMIT_S)
    world.intake.process(second)

    assert len(second.records) == 30


def test_a_thread_goes_on_with_its_lane_unless_another_lane_waits_for_it(tmp_path: Path) -> None:
    """A busy lane costs no hand-over, and cannot keep the others from their turn."""
    other = next(claim for claim in (f"C-{n}" for n in range(99)) if partition_for(claim.encode(), LANES) != LANE)
    with _running(Settings(data_dir=tmp_path, lanes=LANES), threads=1) as world:
        world.send(1)
        first = world.batches.get(timeout=LIMIT_S)
        world.send(30)
        wait_until(lambda: first.lane.buffer.size == 30, "the lane does not keep what it may not hand out yet")
        world.intake.process(first)
        assert (world.taken_in(), world.batches.empty()) == (31, True)

        world.send(1)
        again = world.batches.get(timeout=LIMIT_S)
        world.send(1)
        wait_until(lambda: again.lane.buffer.size == 1, "the lane does not keep what it may not hand out yet")
        world.send(1, other)
        waiting = world.batches.get(timeout=LIMIT_S)
        world.intake.process(again)
        assert world.taken_in() == 32
        last = world.batches.get(timeout=LIMIT_S)
        assert [waiting.lane.no == LANE, last.lane.no == LANE] == [False, True]
        for batch in (waiting, last):
            world.intake.process(batch)


def test_a_batch_that_may_not_be_written_comes_again_under_a_new_token(postgres_url: str, tmp_path: Path) -> None:
    """Whatever the database did before its session ended: the lane is taken anew, and its position says whether those
    records are in the ledger. Neither going on behind them nor writing the same batch again would be safe: the ledger
    would refuse it, and the lane be let go of as stale."""
    with _running(Settings(data_dir=tmp_path, lanes=LANES, ledger=postgres_url)) as world:
        world.send(1)
        world.process_until(lambda: world.taken_in() == 1, "the lane does not begin")
        world.send(1)
        unwritten = world.batches.get(timeout=LIMIT_S)
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'worker'")
        world.intake.process(unwritten)
        world.send(1)
        again = world.batches.get(timeout=LIMIT_S)
        world.intake.process(again)

        assert again.lane.token == unwritten.lane.token + 1
        assert again.records[:1] == unwritten.records
        world.process_until(lambda: world.taken_in() == 3, "the lane does not go on")
        assert (world.dropped(Dropped.LEDGER) > 0, world.dropped(Dropped.STALE)) == (True, 0)


def test_a_lane_whose_taker_went_away_again_is_taken_back(world: IntakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka gave the lane to another worker for a moment and then to us without a word: nobody but us can notice that
    our token is stale, and the lane would stand still under nobody's."""
    monkeypatch.setattr(intake, "_STALE_RETAKE_S", 0.1)
    world.send(1)
    first = world.batches.get(timeout=LIMIT_S)
    world.ledger.take("another", [LANE])
    world.intake.process(first)
    again = world.batches.get(timeout=LIMIT_S)

    assert again.lane.token == first.lane.token + 2
    assert again.records == first.records
    world.intake.process(again)
    assert world.taken_in() == 1


def test_a_partition_paused_when_its_lane_was_lost_is_read_again(
    world: IntakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka's library keeps a pause over a new assignment: the lane's new object knows nothing of it."""
    monkeypatch.setattr(intake, "_STALE_RETAKE_S", 0.1)
    monkeypatch.setattr(intake, "_HOLD_RECORDS", 50)
    monkeypatch.setattr(intake, "_GO_ON_RECORDS", 10)
    world.send(1)
    first = world.batches.get(timeout=LIMIT_S)
    world.send(200)
    wait_until(lambda: first.lane.paused == {ESTIMATE}, "a partition far ahead of its lane is not paused")
    world.ledger.take("another", [LANE])
    world.intake.process(first)

    world.process_until(lambda: world.taken_in() == 201, "the lane stands still")


def test_a_lane_whose_owner_froze_inside_its_copy_is_taken_from_it(postgres_url: str, tmp_path: Path) -> None:
    """Its transaction holds the lane's row and waits for rows that never come; no timeout ends that, so we do."""
    settings = Settings(data_dir=tmp_path, lanes=LANES, ledger=postgres_url)
    migrate(postgres_url)
    ledger = open_ledger(postgres_url, owner="frozen")
    starts = {(topic, lane): 0 for topic in INBOUND for lane in range(LANES)}
    ledger.prepare(identities(*INBOUND), identities(*OUTBOUND), starts, memory_only=True)
    ledger.take("frozen", [LANE])
    ledger.close()
    with psycopg.connect(postgres_url, application_name="frozen") as frozen, frozen.cursor() as cursor:
        cursor.execute("UPDATE lanes SET seq = seq + 1 WHERE lane = %s", (LANE,))
        frozen_in_it = suppress(psycopg.OperationalError)  # when its session is ended
        with frozen_in_it, cursor.copy("COPY outbox FROM STDIN"), _running(settings) as world:
            world.send(1)
            world.process_until(lambda: world.taken_in() == 1, "the lane stays with its frozen owner")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # the intake's thread left
def test_a_log_that_was_cut_off_behind_a_paused_partition_is_named(
    world: IntakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker drops what it has no room for, the next records of a partition among it that waits for its lane: the
    process leaves with 70, and says how to see what was lost."""
    monkeypatch.setattr(intake, "_HOLD_RECORDS", 50)
    monkeypatch.setattr(intake, "_GO_ON_RECORDS", 10)
    world.send(1)
    first = world.batches.get(timeout=LIMIT_S)
    world.send(100)
    wait_until(lambda: first.lane.paused == {ESTIMATE}, "a partition far ahead of its lane is not paused")
    world.send(12, value=b"x" * 900_000)
    world.intake.process(first)
    world.process_until(lambda: world.left != [], "the intake does not leave")
    world.intake._drain()  # its thread is gone: nobody else closes what it had open
    ((code, reason),) = world.left
    world.left.clear()

    assert code is Exit.LOG_LOST
    assert f"{ESTIMATE}/{LANE}: the log no longer holds our position" in reason
    assert "claimhub positions ls" in reason


def test_while_a_suspect_is_at_work_nothing_else_is(tmp_path: Path) -> None:
    """Or the process might end in another lane's batch, and the suspect be blamed. The lanes take turns meanwhile."""
    settings = Settings(data_dir=tmp_path, lanes=LANES)
    other = next(claim for claim in (f"C-{n}" for n in range(99)) if partition_for(claim.encode(), LANES) != LANE)
    with _after_deaths(settings), _running(settings) as world:
        world.send(3)
        suspect = world.batches.get(timeout=LIMIT_S)
        world.send(3, other)
        held = world.intake._lanes[partition_for(other.encode(), LANES)].buffer
        wait_until(lambda: held.size == 3, "the other lane's records do not come")
        assert world.batches.empty()
        world.intake.process(suspect)
        turn = world.batches.get(timeout=LIMIT_S)
        assert world.batches.empty()
        world.intake.process(turn)
        second = world.batches.get(timeout=LIMIT_S)
        world.intake.process(second)

        handed_out = [(batch.lane.no == LANE, len(batch.records)) for batch in (suspect, turn, second)]
        assert handed_out == [(True, 1), (False, 3), (True, 1)]


def test_a_worker_that_drains_lets_go_of_its_lanes_in_the_ledger(tmp_path: Path) -> None:
    """Else each stop would count as a death, and three of them would slow the lane down."""
    settings = Settings(data_dir=tmp_path, lanes=LANES)
    with _running(settings) as world:
        world.send(1)
        world.process_until(lambda: world.taken_in() == 1, "the record is not taken")
    engine = read_engine(settings.ledger_url)
    with engine.connect() as connection:
        assert set(connection.execute(select(lanes.c.owner)).scalars()) == {""}
    engine.dispose()


@contextmanager
def _after_deaths(settings: Settings) -> Iterator[None]:
    """On a ledger where processes have died in lane `LANE`, one after the other."""
    migrate(settings.ledger_url)
    ledger = open_ledger(settings.ledger_url)
    starts = {(topic, lane): 0 for topic in INBOUND for lane in range(LANES)}
    ledger.prepare(identities(*INBOUND), identities(*OUTBOUND), starts, memory_only=True)
    for number in range(DEATHS):
        ledger.take(f"died-{number}", [LANE])
    ledger.close()
    yield
