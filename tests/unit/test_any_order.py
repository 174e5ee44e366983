"""Every story's records in any order: nothing is lost, no stage follows where it cannot, and nothing is paid twice."""

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import ClaimStatus, PaymentInstruction
from schemas.topics import INSTRUCTIONS, TOPICS, Direction
from streams.demo.finance import ANSWERS, status_of
from streams.demo.stories import Said, Story, stories
from streams.rules.claim import DEAD, Stage
from streams.rules.sync import STATUS
from tests.lane import OneLane

YEAR_MS: Final = 365 * 86_400_000

_OPEN: Final = {Stage.REGISTERED, Stage.INVESTIGATING, Stage.ASSESSING}
_ENDED: Final = {Stage.DECIDED, Stage.AGREED, Stage.PAYING, Stage.CLOSED}
FOLLOWS: Final[Mapping[Stage, set[Stage]]] = {
    Stage.REPORTED: {Stage.NOT_ACCEPTED, Stage.CLOSED, *_OPEN},
    Stage.NOT_ACCEPTED: set(),
    Stage.REGISTERED: {Stage.REPORTED, *_OPEN, *_ENDED},
    Stage.INVESTIGATING: {Stage.REPORTED, *_OPEN, *_ENDED},
    Stage.ASSESSING: {Stage.REPORTED, *_OPEN, *_ENDED},
    Stage.DECIDED: {Stage.AGREED, Stage.PAYING, Stage.CLOSED},
    Stage.AGREED: {Stage.PAYING, Stage.CLOSED},
    Stage.PAYING: {Stage.PAID},
    Stage.PAID: {Stage.PAYING, Stage.REPORTED},
    Stage.CLOSED: {Stage.REPORTED},
}
"""The stages that one record may lead to. Nothing is decided before its policy is found; a claim is opened again only
as one that looks for its policy anew; a payment that comes back is paid again; what is not accepted stays so."""


@pytest.mark.parametrize("story", stories(), ids=lambda story: story.name)
@settings(max_examples=40)
@given(data=st.data())
def test_no_order_loses_a_record_or_takes_a_claim_where_it_cannot_go(story: Story, data: st.DataObject) -> None:
    """Every record has one end, stages follow each other as they may, and each settlement is paid once at most. Records
    whose order matters may be refused or go on waiting: each with its reason."""
    lane, finance, said = OneLane(), _Finance(story), [it for it in story.said if isinstance(it, Said)]
    told = 0
    while said:
        one = said.pop(data.draw(st.integers(0, len(said) - 1)))
        lane.take(
            lane.received(one.content, one.topic, one.key, [("ce_source", b"story"), ("ce_id", one.event_id.encode())])
        )
        lane.answer_itself()
        said += finance.answers(lane)
        told += 1
    lane.pass_time(max(row.at_ms for row in lane.journal) + YEAR_MS)
    lane.answer_itself()

    ends = Counter([*(row[:4] for row in lane.journal), *(row[:4] for row in lane.dead), *lane.parked])
    assert set(ends.values()) == {1}
    assert sum(TOPICS[topic].direction is not Direction.INTERNAL for topic, *_ in ends) == told
    assert all(row.reason for row in lane.dead) and all(row.reason for row in lane.parked.values())
    for claim in {end.claim for end in story.ends}:
        for before, after in pairwise(_stages(lane, claim)):
            assert after is before or after in FOLLOWS[before], f"{claim}: {before} -> {after}"
    alive = Counter((it.claim, it.settlement_version) for it in lane.payments.values() if it.state not in DEAD)
    assert all(count == 1 for count in alive.values())


class _Finance:
    """Says of each instruction, once, what finance says of it in the story."""

    def __init__(self, story: Story) -> None:
        self._answers = {story.claim: deque(story.finance)}
        self._read = 0

    def answers(self, lane: OneLane) -> Iterator[Said]:
        """What it says to the instructions since it was last asked."""
        new, self._read = lane.outbox[self._read :], len(lane.outbox)
        for row in new:
            if row.topic == INSTRUCTIONS:
                instruction = lane.codec.decode(row.topic, row.value, [])
                assert isinstance(instruction, PaymentInstruction)
                waiting = self._answers.get(instruction.claim)
                for answer in waiting.popleft() if waiting else ANSWERS:
                    yield status_of(instruction, answer, instruction.issued_at_ms)


def _stages(lane: OneLane, claim: str) -> list[Stage]:
    told = [lane.codec.decode(row.topic, row.value, []) for row in lane.outbox if row.topic == STATUS]
    return [Stage(it.stage) for it in told if isinstance(it, ClaimStatus) and it.claim == claim]
