"""Two lanes that settle claims of one policy at the same moment, on real ledgers."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import select

from connectors.registry import EmbeddedRegistry
from monitoring.metrics import Metrics
from schemas.codec import Codec
from schemas.partitioner import partition_for
from schemas.records import PaymentInstruction, PolicyCover, Record
from schemas.signing import Signed
from schemas.topics import INBOUND, INSTRUCTIONS, OUTBOUND, TOPICS, Key
from sinks.ledger.open import open_ledger, read_engine
from sinks.ledger.port import Ledger, TopicIdentity, UsedMeanwhile
from sinks.ledger.tables import outbox
from sinks.relay import RelayLane
from streams.lanes import Batch, Lane, LaneProcessor
from streams.received import Received
from tests import claims as make
from tests.keys import SIGN
from tests.lane import TOPIC_OF
from tests.ledgers import make_ledger

MEDICAL = PolicyCover(cover="medical", sum_insured_minor=1_500_00, reimbursement_bp=10_000)


class _TwoLanes:
    """The engine's steps of two workers, each with one lane; `meanwhile` runs once, when the next instruction is
    decided and not written."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._codec = Codec(EmbeddedRegistry(), 1_000_000)
        self._workers = [
            LaneProcessor(ledger, self._codec, self._sign, Metrics(), 100, 72 * make.HOUR_MS) for _ in range(2)
        ]
        self.lanes = {number: self.take(number) for number in (0, 1)}
        self.meanwhile: Callable[[], None] | None = None

    def take(self, number: int) -> Lane:
        ((taken,), _) = self._ledger.take("test", [number])
        return Lane(taken, 2, RelayLane(number, taken.token), 5000)

    def batch(self, *records: Record) -> list[tuple[str, bytes, bytes]]:
        said = []
        for record in records:
            topic = TOPIC_OF[type(record)]
            key = getattr(record, "policy_number" if TOPICS[topic].key is Key.POLICY else "claim")
            said.append((topic, key.encode(), self._codec.encode(topic, record)))
        return said

    def apply(self, said: list[tuple[str, bytes, bytes]]) -> None:
        """One batch, all of one lane, from where the ledger says the lane is."""
        lane = self.lanes[partition_for(said[0][1], 2)]
        positions, records = dict(lane.positions), []
        for topic, key, value in said:
            records.append(Received(topic, positions[topic], key, value, [], make.LOSS_MS + positions[topic]))
            positions[topic] += 1
        self._workers[lane.no].process(Batch(lane, records, positions))

    def _sign(self, instruction: PaymentInstruction, lane: int, seq: int) -> Signed:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return SIGN(instruction, lane, seq)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        found: str = request.getfixturevalue("postgres_ledger")
        return found
    made = f"sqlite:///{tmp_path}/ledger.db"
    make_ledger(made)
    return made


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = open_ledger(url)
    inbound, outbound = ([TopicIdentity(topic, "id", 2) for topic in names] for names in (INBOUND, OUTBOUND))
    opened.prepare(inbound, outbound, {(topic, lane): 0 for topic in INBOUND for lane in (0, 1)}, memory_only=False)
    yield opened
    opened.close()


def _claim_of(lane: int) -> str:
    return next(name for number in count(1) if partition_for((name := f"C-{number}").encode(), 2) == lane)


def test_what_two_lanes_settle_at_the_same_moment_is_within_the_sum_insured(ledger: Ledger, url: str) -> None:
    """The second has not seen what the first used: nothing of it is written, and once its lane is taken up again it is
    decided anew, with what is left. One instruction for each, of 1 500.00 in all."""
    hub = _TwoLanes(ledger)
    hub.apply(hub.batch(make.policy_of("health", make.PATIENT, MEDICAL)))
    first, second = (
        hub.batch(
            make.notice_of("health", make.PATIENT, "treatment", claim=claim, loss_at_ms=at_ms, notified_at_ms=at_ms),
            make.bill(1_000_00, claim=claim),
        )
        for claim, at_ms in ((_claim_of(0), make.LOSS_MS), (_claim_of(1), make.LOSS_MS + make.DAY_MS))
    )
    hub.meanwhile = lambda: hub.apply(first)

    with pytest.raises(UsedMeanwhile):
        hub.apply(second)
    hub.lanes[1] = hub.take(1)
    hub.apply(second)

    codec = Codec(EmbeddedRegistry(), 1_000_000)
    engine = read_engine(url)
    with engine.connect() as connection:
        sent = connection.execute(select(outbox.c.value).where(outbox.c.topic == INSTRUCTIONS)).scalars().all()
    engine.dispose()
    amounts = [codec.decode(INSTRUCTIONS, value, []).amount_minor for value in sent]  # type: ignore[attr-defined]
    assert sorted(amounts) == [500_00, 1_000_00]
