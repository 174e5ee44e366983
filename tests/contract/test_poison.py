"""A record that ends every process that takes it: found by taking its batch apart, and made a dead letter unread."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from connectors.registry import EmbeddedRegistry
from monitoring.metrics import Metrics
from schemas.codec import Codec
from schemas.records import Record
from schemas.topics import INBOUND, OUTBOUND
from sinks.ledger.open import open_ledger, read_engine
from sinks.ledger.port import TopicIdentity
from sinks.ledger.tables import dead_letters, journal, parked
from sinks.ledger.verify import verify
from sinks.relay import RelayLane
from streams.lanes import DEATHS, Batch, Lane, LaneProcessor
from streams.received import Headers, Received
from tests import claims as make
from tests.keys import SIGN
from tests.ledgers import make_ledger

NOTICE, ESTIMATE = "reporting.loss-notice.v1", "repair.estimate.v1"
KILLER = b"\0\0\0\0\1 kills"
BATCH = 4


class Died(BaseException):
    """The process is gone, in the middle of what it did."""


class MortalCodec(Codec):
    """A codec that does not survive certain bytes, as a fault in a C library may not."""

    def __init__(self) -> None:
        super().__init__(EmbeddedRegistry(), 1_000_000)
        self.kills: list[bytes | None] = [KILLER]

    def decode(self, topic: str, value: bytes | None, headers: Headers) -> Record:
        if value in self.kills:
            raise Died
        return super().decode(topic, value, headers)


class World:
    """A lane's log and ledger, and one process after the other to take it."""

    def __init__(self, url: str) -> None:
        make_ledger(url)
        self.engine = read_engine(url)
        self.log: list[Received] = []
        self.lives: list[list[int]] = []
        self.metrics = Metrics()
        self._url = url
        self.codec = MortalCodec()

    def comes(self, topic: str, claim: str, value: bytes | Record) -> None:
        """The next record of the lane's log."""
        written = self.codec.encode(topic, value) if isinstance(value, Record) else value
        offset = sum(record.topic == topic for record in self.log)
        self.log.append(Received(topic, offset, claim.encode(), written, [], make.LOSS_MS + len(self.log)))

    def notices(self, *claims: str) -> None:
        """A notice for each claim."""
        for claim in claims:
            self.comes(NOTICE, claim, make.notice(claim=claim))

    def live(self) -> Lane:
        """A new process takes the lane and goes on where the ledger stands, up to the log's end or its own; the sizes
        of its batches are in `lives`."""
        self.lives.append([])
        owner = f"worker-{len(self.lives)}"
        ledger = open_ledger(self._url, owner=owner)
        inbound, outbound = ([TopicIdentity(topic, "id", 1) for topic in names] for names in (INBOUND, OUTBOUND))
        ledger.prepare(inbound, outbound, {(topic, 0): 0 for topic in INBOUND}, memory_only=False)
        ((taken,), _) = ledger.take(owner, [0])
        lane = Lane(taken, 1, RelayLane(0, taken.token), BATCH)
        processor = LaneProcessor(ledger, self.codec, SIGN, self.metrics, 100, 72 * make.HOUR_MS)
        try:
            while records := self._next(lane):
                self.lives[-1].append(len(records))
                positions = {**lane.positions, **{record.topic: record.offset + 1 for record in records}}
                processor.process(Batch(lane, records, positions))
            ledger.let_go({lane.no: lane.token})
        finally:
            ledger.close()
        return lane

    def deaths_until_all_is_taken(self) -> int:
        """One process after the other is started, until one lives; how many did not."""
        for deaths in range(50):
            try:
                self.live()
            except Died:
                continue
            return deaths
        raise AssertionError("the lane never goes on")

    def dead(self) -> list[tuple[str, int, str, str, bytes | None]]:
        """The dead letters: topic, offset, code, claim and bytes."""
        c = dead_letters.c
        with self.engine.connect() as connection:
            query = select(c.topic, c.offset, c.code, c.subject, c.value).order_by(c.entry)
            return [tuple(row) for row in connection.execute(query)]

    def applied(self) -> list[str]:
        """The claims whose records are in the journal, in the order of application."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(journal.c.subject).order_by(journal.c.entry)).scalars())

    def _next(self, lane: Lane) -> list[Received]:
        waiting = [record for record in self.log if record.offset >= lane.positions[record.topic]]
        return waiting[: 1 if lane.careful else BATCH]


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """An empty lane over a ledger of each kind."""
    sqlite = f"sqlite:///{tmp_path / 'ledger.db'}"
    world = World(sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_ledger"))
    yield world
    world.engine.dispose()


@pytest.mark.parametrize("place", [0, 1, BATCH - 1, BATCH, BATCH + 2])
def test_the_killer_is_a_dead_letter_and_all_others_are_applied(world: World, place: int) -> None:
    """Wherever it stands: three processes end in its batch, three in the record alone, the next one goes on. It is kept
    with its bytes, unread, and whoever looks at the ledger finds every promise kept."""
    claims = [f"C-{number}" for number in range(2 * BATCH)]
    world.notices(*claims[:place])
    world.comes(ESTIMATE, "C-KILLED", KILLER)
    world.notices(*claims[place:])

    assert world.deaths_until_all_is_taken() == 2 * DEATHS
    assert world.dead() == [(ESTIMATE, 0, "kills-the-process", "C-KILLED", KILLER)]
    assert world.applied() == claims
    assert [check for check in verify(world.engine).checks if not check.ok] == []
    alone = [sizes for sizes in world.lives[DEATHS:-1] if set(sizes) == {1}]
    assert len(alone) == DEATHS, "a record is blamed for nothing that happened in a larger batch"


def test_after_as_many_records_as_the_batch_may_have_had_batches_are_whole_again(world: World) -> None:
    """Being careful costs a transaction a record; it ends."""
    world.comes(ESTIMATE, "C-KILLED", KILLER)
    world.notices(*(f"C-{number}" for number in range(3 * BATCH)))
    world.deaths_until_all_is_taken()

    assert world.lives[-1] == [*[1] * BATCH, *[BATCH] * 2, 1]


def test_two_killers_in_one_batch_are_both_found(world: World) -> None:
    """The second is met while the lane is still taken with care, so its batch costs no further process."""
    world.comes(ESTIMATE, "C-ONE", KILLER)
    world.notices("C-A")
    world.comes(ESTIMATE, "C-TWO", KILLER)
    world.notices("C-B")

    assert world.deaths_until_all_is_taken() == 3 * DEATHS
    assert [subject for *_, subject, _ in world.dead()] == ["C-ONE", "C-TWO"]
    assert world.applied() == ["C-A", "C-B"]


def test_a_process_that_ends_twice_costs_nobody_a_record(world: World) -> None:
    """A crash or two of whatever cause: the lane goes on in whole batches."""
    world.notices("C-A")
    world.comes(ESTIMATE, "C-B", KILLER)
    for _ in range(DEATHS - 1):
        with pytest.raises(Died):
            world.live()
    world.log.pop()
    world.notices("C-B", "C-C")
    world.live()

    assert world.lives[-1] == [3]
    assert world.dead() == []


def test_a_waiting_record_that_kills_stops_its_own_claim_only(world: World) -> None:
    """What was parked ends the process as soon as its claim is looked at. The record that had it looked at is the dead
    letter: nothing of the claim is touched for that, and the lane goes on."""
    world.comes(ESTIMATE, "C-1", make.estimate(claim="C-1"))
    world.live()
    world.codec.kills.append(world.log[0].value)
    world.notices("C-1", "C-2")

    assert world.deaths_until_all_is_taken() == 2 * DEATHS
    assert [(topic, subject) for topic, _, _, subject, _ in world.dead()] == [(NOTICE, "C-1")]
    assert world.applied() == ["C-2"]
    with world.engine.connect() as connection:
        assert connection.execute(select(parked.c.topic, parked.c.subject)).all() == [(ESTIMATE, "C-1")]


def test_a_lane_that_is_well_is_asked_for_no_more_statements(world: World) -> None:
    """Counting the dead costs a batch nothing: the fence it writes anyway does it."""

    def statements() -> float:
        return world.metrics.registry.get_sample_value("claimhub_sql_statements_total") or 0

    world.comes(ESTIMATE, "C-1", b"no Avro")
    world.live()
    well = statements()
    world.comes(ESTIMATE, "C-2", b"no Avro")
    world.comes(ESTIMATE, "C-3", KILLER)
    for _ in range(DEATHS):
        with pytest.raises(Died):
            world.live()
    before = statements()
    with pytest.raises(Died):
        world.live()

    assert statements() - before == (well + 1) + 1, "the record before the killer, and naming each"
