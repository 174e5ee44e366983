"""Time that passes reaches a claim as a record: what a tick is, what it leaves in the ledger, and why a replay needs no
clock."""

import pytest
from msgspec import json

from schemas.topics import CLOCKS
from sinks.envelope import headers_of
from streams.decide import Decider, Effects, Lookup
from streams.rules.claim import Claim
from tests import claims as make
from tests.lane import OneLane
from tests.unit.rules.test_deadlines import end_of
from tests.unit.test_replay import Replayed

OTHER = "CLM-2026-000002"
HALF, LAST = end_of("2026-04-16"), end_of("2026-05-01")


def ticks(lane: OneLane, *claims: str) -> Effects:
    """What one batch sends these claims when something is due for them."""
    decider = Decider(lane.state, Lookup({}), lane.codec.encode, 100)
    decider.tick([lane.state.claims[claim] for claim in claims])
    return decider.effects


def test_a_tick_says_which_clock_came_to_what_and_why() -> None:
    """It is of the moment the clock came to, not of when that was seen, and is caused by the record it started with."""
    lane = OneLane([make.policy()])
    lane.take(make.notice())
    (row,) = ticks(lane, make.CLAIM).outbox
    headers = dict(headers_of(row))

    assert (row.topic, row.key, row.partition, row.at_ms, row.rule) == (CLOCKS, make.CLAIM, 0, HALF, "clocks.due")
    assert row.cause == "reporting.loss-notice.v1/1/0/0"
    assert row.reason.startswith("50 % of the decision clock have passed: due by the end of 2026-05-01, 30 days after")
    assert headers["ce_id"] == f"{row.cause}#decision-50".encode()
    assert headers["ce_time"] == b"2026-04-16T16:00:00.000Z"
    assert headers["seq"] == b"%d" % row.seq == b"%d" % lane.state.seq


def test_nothing_is_due_for_a_claim_whose_tick_is_on_its_way() -> None:
    """Its row says so, whether it is of this batch or an older one."""
    lane = OneLane([make.policy()])
    rows = lane.take(make.notice()).claims
    decider = Decider(lane.state, Lookup(lane.known), lane.codec.encode, 100)
    decider.effects.claims.update(rows)
    decider.tick([lane.state.claims[make.CLAIM]])

    assert rows[make.CLAIM].due_at_ms == HALF
    assert (decider.effects.claims[make.CLAIM].due_at_ms, decider.effects.ticked) == (None, [])
    assert ticks(lane, make.CLAIM).ticked == [make.CLAIM]


def test_a_tick_passes_what_waits() -> None:
    """Time goes on for a claim whose records wait, and they go on waiting."""
    lane = OneLane([make.policy()])
    lane.take(make.notice(), make.invoice())
    parked = dict(lane.parked)
    lane.pass_time(LAST)

    assert [row.rule for row in lane.journal if row.topic == CLOCKS] == ["clocks.warning"] * 2 + ["clocks.breach"]
    assert lane.parked == parked != {}


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_a_replay_needs_no_clock(size: int) -> None:
    """Ticks stand again where they were sent: the same rows, numbers and states, in batches of any size."""
    lane = OneLane([make.policy()])
    lane.take(make.policy(), make.notice(), make.notice(claim=OTHER))
    lane.pass_time(HALF)
    lane.take(make.estimate(), make.invoice())
    lane.pass_time(LAST)
    replayed = Replayed(lane, size)

    assert replayed.differences == []
    assert (replayed.journal, replayed.outbox) == (lane.journal, lane.outbox)
    assert {number: json.decode(json.encode(claim), type=Claim) for number, claim in lane.state.claims.items()} == (
        replayed.claims
    )
    assert sum(row.topic == CLOCKS for row in lane.outbox) == 7
