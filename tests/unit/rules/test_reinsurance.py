"""Reinsurance: what the reinsurer of a large claim is told, once each, and that nothing waits for what it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import (
    DecisionAction,
    PolicyCover,
    RecoveryCase,
    RecoveryKind,
    RecoveryReceipt,
    ReinsuranceNotice,
    ReinsuranceNoticeKind,
    ReinsuranceReply,
    Role,
)
from streams.rules.claim import Stage
from streams.rules.product import Treaty
from streams.rules.reinsurance import share_minor, step_of
from tests.claims import (
    CLAIM,
    DAY_MS,
    LOSS_MS,
    amount_answer,
    decision,
    estimate,
    finding,
    invoice,
    notice,
    payment_status,
    policy,
)
from tests.unit.rules.hub import Hub

TREATY = Treaty(name="t", threshold_minor=1_000, share_bp=8_000, step_minor=500, cash_call_minor=400)
NOTICE, RELEASE = ReinsuranceNoticeKind.NOTICE, ReinsuranceNoticeKind.RELEASE
CASH_CALL, DUE = ReinsuranceNoticeKind.CASH_CALL, ReinsuranceNoticeKind.RECOVERY_DUE


def told(hub: Hub) -> list[tuple[ReinsuranceNoticeKind, int, int]]:
    """Kind, gross and share of each notice, in yuan."""
    return [(it.kind, it.gross_minor // 100, it.ceded_minor // 100) for it in hub.told(ReinsuranceNotice)]


def large(*estimates: int) -> Hub:
    """A motor claim with estimates of these amounts in yuan, one after the other."""
    cover = PolicyCover(cover="own-damage", sum_insured_minor=9_000_000_00)
    hub = Hub().play(policy(covers=(cover,)), notice(photos=(), estimated_loss_minor=500_000_00), finding())
    for version, amount in enumerate(estimates, 1):
        hub.play(estimate({"parts": amount * 100}, version=version))
    return hub


def paid(amount: int) -> Hub:
    """The same for one amount, paid."""
    hub = large(amount).play(invoice({"parts": amount * 100}), amount_answer())
    hub.play(decision(Role.HANDLER), decision(Role.APPROVER), decision(Role.MANAGER))
    return hub.play(payment_status(hub.payments[0].id, amount * 100))


def test_the_reinsurer_hears_of_each_step_above_the_threshold_once() -> None:
    """At the reserve, as it grows; one that falls a step and rises again is no news."""
    assert told(large(1_000_000)) == []
    assert told(large(1_000_001, 1_500_000)) == [(NOTICE, 1_000_001, 0)]
    assert told(large(1_200_000, 1_600_000, 1_300_000, 1_700_000, 2_000_001)) == [
        (NOTICE, 1_200_000, 160_000),
        (NOTICE, 1_600_000, 480_000),
        (NOTICE, 2_000_001, 800_000),
    ]


def test_a_claim_no_longer_above_the_threshold_is_released_and_may_be_noticed_again() -> None:
    """By a lower estimate, and by a rejection."""
    hub = large(1_200_000, 900_000, 1_300_000)
    assert told(hub) == [(NOTICE, 1_200_000, 160_000), (RELEASE, 900_000, 0), (NOTICE, 1_300_000, 240_000)]
    hub.play(invoice({"parts": 1_300_000_00}), amount_answer(), decision(action=DecisionAction.REJECT))
    assert told(hub)[3:] == [(RELEASE, 0, 0)]
    assert len({it.notice_id for it in hub.told(ReinsuranceNotice)}) == 4


@pytest.mark.parametrize(
    ("amount", "kind", "share"), [(1_625_000, CASH_CALL, 500_000), (1_624_999, DUE, 499_999), (1_000_001, DUE, 0)]
)
def test_its_share_of_what_is_paid_is_called_when_it_is_large_else_due(
    amount: int, kind: ReinsuranceNoticeKind, share: int
) -> None:
    """As a recovery, once; the notice names it."""
    hub = paid(amount)
    cases = [it.record for it in hub.sent("recovery.case.v1")]
    (case,) = [it for it in cases if isinstance(it, RecoveryCase)]

    assert told(hub)[-1] == (kind, amount, share)
    assert (case.kind, case.recovery_id, case.due_minor) == (
        RecoveryKind.REINSURANCE,
        hub.told(ReinsuranceNotice)[-1].recovery_id,
        hub.told(ReinsuranceNotice)[-1].ceded_minor,
    )
    assert hub.stage is Stage.PAID


def test_nothing_is_due_of_a_payment_below_the_threshold() -> None:
    """And nothing is told."""
    hub = paid(1_000_000)

    assert (told(hub), hub.claim.recoveries) == ([], ())


def test_the_payment_goes_whatever_the_reinsurer_says_or_whether_it_does() -> None:
    """Insurance Law art. 29; its word is kept, and its money comes as any receipt."""
    silent, hub = paid(1_800_000), large(1_800_000)
    hub.play(reply(hub, agreed=False), invoice({"parts": 1_800_000_00}), amount_answer())
    hub.play(decision(Role.HANDLER), decision(Role.APPROVER), decision(Role.MANAGER))
    hub.play(payment_status(hub.payments[0].id, 1_800_000_00), reply(hub, agreed=True))

    assert [it.amount_minor for it in hub.payments] == [it.amount_minor for it in silent.payments] == [1_800_000_00]
    assert [known.agreed for known in hub.claim.ceded] == [True, None]
    (recovery,) = hub.claim.recoveries
    hub.play(
        RecoveryReceipt(
            claim=CLAIM,
            recovery_id=recovery.id,
            receipt_id="RR-1",
            amount_minor=640_000_00,
            currency="CNY",
            at_ms=LOSS_MS,
        )
    )
    assert hub.decisions[-1].rule == "recoveries.closed"


def test_a_reply_to_no_notice_is_refused() -> None:
    """Whatever the claim costs."""
    for hub in (large(100), large(1_800_000), Hub()):
        hub.play(ReinsuranceReply(claim=CLAIM, notice_id="RN-nobody-sent", agreed=True, reason="已入账", at_ms=LOSS_MS))
        assert [dead.code for dead in hub.dead] == ["no-notice"]


def reply(hub: Hub, **changes: Any) -> ReinsuranceReply:
    """What the reinsurer says to the first notice."""
    values: dict[str, Any] = {
        "notice_id": hub.told(ReinsuranceNotice)[0].notice_id,
        "reason": "已入账",
        "at_ms": LOSS_MS + DAY_MS,
    }
    return ReinsuranceReply(claim=CLAIM, **values | changes)


@given(st.integers(0, 10**12))
def test_a_share_is_of_what_is_above_the_threshold_and_each_begun_step_counts(gross: int) -> None:
    """Against the slow way."""
    above = max(gross - 1_000, 0)

    assert share_minor(gross, TREATY) == (above * 8 + 5) // 10
    assert (step_of(gross, TREATY) - 1) * 500 < above or above == step_of(gross, TREATY) == 0
    assert above <= step_of(gross, TREATY) * 500
