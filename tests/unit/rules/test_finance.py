"""The amount check: finance is asked about large or much corrected amounts before anybody approves."""

import pytest

from schemas.records import AmountAnswer, AmountQuery, Role
from streams.rules.claim import ClockKind, Stage, TaskKind
from tests.claims import (
    OWN_DAMAGE,
    amount_answer,
    decision,
    estimate,
    finding,
    invoice,
    notice,
    policy,
)
from tests.unit.rules.hub import Hub


def settled(amount: int, first: int | None = None) -> Hub:
    """A claim settled for an amount, first estimated at another."""
    cover = type(OWN_DAMAGE)(cover="own-damage", sum_insured_minor=2_000_000_00)
    hub = Hub().play(policy(covers=(cover,)), notice(estimated_loss_minor=500_000_00), finding())
    hub.play(estimate({"parts": first or amount}))
    if first is not None:
        hub.play(estimate({"parts": amount}, version=2))
    return hub.play(invoice({"parts": amount}))


@pytest.mark.parametrize(
    ("amount", "first", "why"),
    [
        (200_000_00, None, None),
        (200_000_01, None, "200 000.01 CNY is above 200 000.00 CNY"),
        (12_000_00, 10_000_00, None),
        (12_000_01, 10_000_00, "the estimates of own-vehicle differ by more than 20 %"),
        (7_999_99, 10_000_00, "the estimates of own-vehicle differ by more than 20 %"),
    ],
)
def test_finance_is_asked_above_the_limit_and_when_estimates_differ(
    amount: int, first: int | None, why: str | None
) -> None:
    """Once, with the amount, before the task of those who approve."""
    hub = settled(amount, first)

    kind = TaskKind.APPROVAL if why is None else TaskKind.AMOUNT_CHECK
    assert hub.tasks == [kind]
    assert [(it.amount_minor, it.settlement_version, it.reason) for it in hub.told(AmountQuery)] == (
        [] if why is None else [(amount, 1, why)]
    )


@pytest.mark.parametrize("agreed", [True, False])
def test_after_the_answer_people_decide_and_are_told_it(*, agreed: bool) -> None:
    """Also when finance does not agree; the clock of the check ends."""
    hub = settled(250_000_00)
    assert [clock.kind for clock in hub.claim.clocks if clock.ended is None] == [
        ClockKind.DECISION,
        ClockKind.AMOUNT_CHECK,
    ]
    hub.play(notice(estimated_loss_minor=500_000_00), amount_answer(agreed=agreed))

    assert len(hub.told(AmountQuery)) == 1
    assert hub.tasks == [TaskKind.APPROVAL]
    assert hub.decisions[-1].reason.startswith("finance agrees" if agreed else "finance does not agree")
    assert ClockKind.AMOUNT_CHECK not in [clock.kind for clock in hub.claim.clocks if clock.ended is None]
    hub.play(decision(Role.HANDLER), decision(Role.APPROVER))
    assert hub.stage is Stage.PAYING


def test_another_amount_is_asked_about_again() -> None:
    """The answer holds for one settlement version; an answer to the older query is refused."""
    hub = settled(250_000_00).play(amount_answer())
    hub.play(invoice({"parts": 240_000_00}, number="00000002"), amount_answer())

    assert [(it.settlement_version, it.amount_minor) for it in hub.told(AmountQuery)] == [
        (1, 250_000_00),
        (2, 240_000_00),
    ]
    assert [dead.code for dead in hub.dead] == ["no-query"]
    hub.play(amount_answer(2))
    assert hub.tasks == [TaskKind.APPROVAL]


@pytest.mark.parametrize("answer", [amount_answer(), amount_answer(query_id="AQ-nobody-gave")])
def test_an_answer_to_no_query_is_refused(answer: AmountAnswer) -> None:
    """Finance was not asked about a small amount."""
    hub = settled(100_000_00).play(answer)

    assert [dead.code for dead in hub.dead] == ["no-query"]
    assert hub.tasks == [TaskKind.APPROVAL]
