"""A record that waits for too long is told as a break: once, to whoever owes what it waits for."""

from collections.abc import Sequence

import pytest

from schemas.records import Break
from schemas.topics import BREAKS
from streams.decide import Decider, Lookup
from streams.received import unpack_headers
from streams.rules.breaks import owner_of
from tests import claims as make
from tests.lane import OneLane
from tests.unit.test_replay import Replayed

LIMIT_MS = 72 * make.HOUR_MS
AT_MS = make.LOSS_MS


def pass_time(lane: OneLane) -> Sequence[Break]:
    """Tell of all that waits on its own account, as a batch does once the limit is over."""
    decider = Decider(lane.state, Lookup(lane.known), lane.codec.encode, 100)
    decider.raise_breaks([row for row in lane.parked.values() if row.since_ms is not None], LIMIT_MS)
    for place in decider.effects.overdue:
        lane.parked[place] = lane.parked[place]._replace(since_ms=None)
    lane.keep(decider.effects)
    found = [lane.codec.decode(row.topic, row.value, []) for row in decider.effects.outbox]
    return [it for it in found if isinstance(it, Break)]


def test_an_estimate_without_its_notice_becomes_a_break_of_the_reporting_desk() -> None:
    """With the record it is about, since when that waits, and what for; it goes on waiting."""
    lane = OneLane([make.policy()])
    lane.take(make.estimate())
    (found,) = pass_time(lane)
    row = lane.outbox[-1]

    assert (found.kind, found.owner, found.key) == ("parked-too-long", "reporting", make.CLAIM)
    assert (found.about, found.since_at_ms, found.at_ms) == ("repair.estimate.v1/1/0/0", AT_MS, AT_MS + LIMIT_MS)
    assert found.reason == (
        "a record of repair.estimate.v1 has waited 72 hours and more: estimate E01 waits for the claim's loss notice"
    )
    assert (row.topic, row.key, row.cause, row.rule) == (BREAKS, make.CLAIM, found.about, "breaks.parked-too-long")
    assert dict(unpack_headers(row.headers))["ce_id"] == b"repair.estimate.v1/1/0/0#breaks.parked-too-long"
    assert len(lane.parked) == 1


def test_a_record_raises_one_break_however_long_it_waits_and_for_what() -> None:
    """Neither when it waits on, nor when it then waits for something else."""
    lane = OneLane([make.policy()])
    lane.take(make.invoice())
    assert len(pass_time(lane)) == 1
    assert pass_time(lane) == []
    lane.take(make.notice())

    (waiting,) = lane.parked.values()
    assert waiting.reason == "the invoice of own-vehicle waits for an estimate" and waiting.since_ms is None
    assert pass_time(lane) == []


def test_what_waits_behind_another_raises_no_break_before_it_waits_for_something_itself() -> None:
    """The one in front has told; once that has gone on, the next counts from its own time."""
    lane = OneLane([make.policy()])
    lane.take(make.document(), make.decision())
    assert [found.about for found in pass_time(lane)] == ["reporting.document.v1/1/0/0"]
    assert pass_time(lane) == []
    lane.take(make.notice())
    (found,) = pass_time(lane)

    assert (found.about, found.owner, found.since_at_ms) == ("adjuster.decision.v1/1/0/0", "adjuster", AT_MS)
    assert found.reason.endswith("the decision waits for settlement 1")


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_replay_raises_the_same_breaks_without_a_clock(size: int) -> None:
    """They stand where they were sent, whether what they are about still waits or has gone on; a claim's own clocks are
    as due as before."""
    lane = OneLane([make.policy()])
    lane.take(make.policy(), make.estimate(), make.document(claim="CLM-2026-000002"))
    assert len(pass_time(lane)) == 2
    lane.take(make.notice(), make.invoice())
    replayed = Replayed(lane, size)

    assert replayed.differences == []
    assert (replayed.journal, replayed.outbox, replayed.ticked) == (lane.journal, lane.outbox, [])


def test_a_break_belongs_to_whoever_owes_what_is_waited_for() -> None:
    """One department if only its record can end the wait, the adjuster of the claim if several may."""
    assert owner_of(("repair.estimate.v1",)) == "repair"
    assert owner_of(("reporting.loss-notice.v1", "hub.wake.v1")) == "underwriting", "its policy is what is missing"
    assert owner_of(("repair.estimate.v1", "hospital.bill.v1")) == "adjuster"
    assert owner_of(()) == "operations", "a schema that nobody knows"
