"""Risk signals: each from its border on, and what their sum leads to."""

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.records import FindingKind, LossNotice, Policy
from streams.rules import risk
from streams.rules.claim import SettlementVersion, TaskKind
from streams.rules.product import product
from streams.rules.risk import Signal, score
from tests.claims import (
    COMPULSORY,
    DAY_MS,
    HOUR_MS,
    INCEPTION_MS,
    LOSS_MS,
    OTHER_PAYEE,
    OWN_DAMAGE,
    PAYEE,
    estimate,
    finding,
    invoice,
    notice,
    policy,
)
from tests.unit.rules.hub import Hub

MINUTE_MS = 60_000
TERMS = product("motor").terms[0]
SOMEBODY_ELSE = replace(PAYEE, name="收款人乙")


def _early(days: int, more_ms: int = 0) -> LossNotice:
    loss_at_ms = INCEPTION_MS + days * DAY_MS + more_ms
    return notice(loss_at_ms=loss_at_ms, notified_at_ms=loss_at_ms)


@pytest.mark.parametrize(
    ("reported", "settled", "risk"),
    [
        (notice(), 2_000_00, "risk 0"),
        (_early(7), 2_000_00, "risk 25 ("),
        (_early(7, 1), 2_000_00, "risk 10 ("),
        (_early(30), 2_000_00, "risk 10 ("),
        (_early(30, 1), 2_000_00, "risk 0"),
        (notice(notified_at_ms=LOSS_MS + 48 * HOUR_MS), 2_000_00, "risk 0"),
        (notice(notified_at_ms=LOSS_MS + 48 * HOUR_MS + 1), 2_000_00, "risk 10 ("),
        (notice(notified_at_ms=LOSS_MS + 99 * HOUR_MS, facts={"late_reason": "住院"}), 2_000_00, "risk 0"),
        (notice(), 4_749_99, "risk 0"),
        (notice(), 4_750_00, "risk 10 ("),
        (notice(), 5_000_00, "risk 10 ("),
        (notice(), 5_000_01, "risk 0"),
        (notice(), 47_500_00, "risk 10 ("),
    ],
)
def test_signals_at_their_borders(reported: LossNotice, settled: int, risk: str) -> None:
    """Days after inception, hours to the notice, and amounts just under a limit."""
    loss = {"parts": settled + 500_00}
    hub = Hub().play(policy(), reported, estimate(loss), invoice(loss))

    assert f"; {risk}" in hub.decisions[-1].reason


@pytest.mark.parametrize(
    ("records", "evidence"),
    [
        ((_early(3), notice(loss_at_ms=INCEPTION_MS + DAY_MS, notified_at_ms=LOSS_MS)), "risk 35"),
        ((notice(), finding(contradicts_notice=True)), "the survey contradicts the notice: 40"),
        ((notice(), notice(payee=OTHER_PAYEE)), "a later notice named another payee account: 30"),
        ((notice(), finding(kind=FindingKind.POLICE, contradicts_notice=True)), "the police record contradicts"),
        ((notice(payee=SOMEBODY_ELSE),), "the payee account is not in the name of the policy's holder: 30"),
    ],
)
def test_from_thirty_on_a_person_decides(records: tuple[LossNotice, ...], evidence: str) -> None:
    """The score stops what would else be automatic, and the reason names the evidence."""
    hub = Hub().play(policy(), *records, estimate(), invoice())

    assert hub.tasks == [TaskKind.APPROVAL]
    assert evidence in hub.decisions[-1].reason


@pytest.mark.parametrize(
    ("said", "risk"),
    [
        ({"loss_at_ms": LOSS_MS + 120 * MINUTE_MS, "place": "北京市，另一处"}, "risk 0"),
        (
            {"loss_at_ms": LOSS_MS + 121 * MINUTE_MS},
            "the loss 121 minutes from the notice's time: 30",
        ),
        (
            {"loss_at_ms": LOSS_MS - 121 * MINUTE_MS},
            "the loss 121 minutes from the notice's time: 30",
        ),
        ({"place": "天津市，停车场"}, "the police record has the loss in 天津市, the notice in 北京市: 30"),
        ({"place": "停车场"}, "risk 0"),
        (
            {"place": "天津市，停车场", "contradicts_notice": True},
            "(the police record contradicts the notice: 30)",
        ),
        ({"place": "天津市，停车场", "kind": FindingKind.SURVEY}, "risk 0"),
    ],
)
def test_the_police_record_is_of_the_loss_that_was_notified(said: dict[str, Any], risk: str) -> None:
    """Its time and its region are compared with the notice's, and count once, with what its reader says."""
    found = finding(**{"kind": FindingKind.POLICE, **said})
    hub = Hub().play(policy(), notice(), found, estimate(), invoice())

    assert risk in hub.decisions[-1].reason


def _raised(days_before_loss: int, more_ms: int = 0, by_minor: int = 1) -> Policy:
    """An endorsement that changes the sum insured of own damage so long before the loss."""
    raised = replace(OWN_DAMAGE, sum_insured_minor=OWN_DAMAGE.sum_insured_minor + by_minor)
    from_ms = LOSS_MS - days_before_loss * DAY_MS - more_ms
    return policy(version=2, effective_from_ms=from_ms, covers=(COMPULSORY, raised))


@pytest.mark.parametrize(
    ("endorsement", "risk"),
    [
        (_raised(30), "risk 20 (the loss came 30.0 days after the cover was raised: 20)"),
        (_raised(30, 1), "risk 0"),
        (_raised(0), "risk 20 (the loss came 0.0 days after the cover was raised: 20)"),
        (_raised(0, -1), "risk 0"),
        (_raised(30, by_minor=-1), "risk 0"),
        (policy(version=2, effective_from_ms=LOSS_MS, covers=(OWN_DAMAGE,)), "risk 0"),
    ],
)
def test_a_cover_raised_just_before_the_loss(endorsement: Policy, risk: str) -> None:
    """Only what came into force within 30 days before the loss, and insures more under a cover than before."""
    hub = Hub().play(policy(), endorsement, notice(), estimate(), invoice())

    assert f"; {risk}" in hub.decisions[-1].reason


def test_the_score_is_never_above_one_hundred() -> None:
    """However many signals there are."""
    found = (Signal("a", 60, ""), Signal("b", 60, ""))

    assert score(found, TERMS.risk) == 100
    assert score(found, replace(TERMS.risk, highest=90)) == 90


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, ["cover-raised: 20", "late-notice: 10"]),
        ({"early_days": 89}, ["cover-raised: 20", "late-notice: 10"]),
        ({"early_days": 90}, ["early-loss: 10", "cover-raised: 20", "late-notice: 10"]),
        ({"early_days": 90, "very_early_days": 90}, ["early-loss: 25", "cover-raised: 20", "late-notice: 10"]),
        ({"cover_raised_days": 24}, ["late-notice: 10"]),
        ({"late_notice_hours": 50}, ["cover-raised: 20"]),
        ({"near_limit_per_cent": 60}, ["cover-raised: 20", "late-notice: 10"]),
        ({"near_limit_per_cent": 61}, ["cover-raised: 20", "late-notice: 10", "near-limit: 10"]),
    ],
)
def test_from_where_on_a_thing_is_a_signal_is_product_data(changes: dict[str, int], names: list[str]) -> None:
    """A loss 90 days after inception, 25 after a cover was raised, notified 50 hours late, settled for 1 980.00."""
    late = notice(notified_at_ms=LOSS_MS + 50 * HOUR_MS)
    registered = Hub().play(policy(), _raised(25), late).claim
    assert registered.notice is not None and registered.policy is not None
    settlement = SettlementVersion(
        version=1, covers={"own-damage": 1_980_00}, payable_minor=1_980_00, currency="CNY", payee="", cause=""
    )

    terms = replace(TERMS, risk=replace(TERMS.risk, **changes))
    found = risk.signals(registered, registered.notice, registered.policy, terms)
    near = risk.near_limit(settlement, terms.authority, terms.risk)
    assert [f"{signal.name}: {signal.weight}" for signal in (*found, *near)] == names
