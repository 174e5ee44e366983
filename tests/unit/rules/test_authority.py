"""Authority: who may decide how much, and that nobody decides twice."""

import pytest

from schemas.records import CustomerNotice, DecisionAction, Fault, NoticeKind, Role
from streams.rules.authority import may_be_automatic, roles_needed
from streams.rules.claim import Outcome, Stage, TaskKind
from streams.rules.product import product
from tests.claims import (
    HOUR_MS,
    LOSS_MS,
    OWN_DAMAGE,
    THIRD,
    amount_answer,
    decision,
    estimate,
    finding,
    invoice,
    notice,
    policy,
)
from tests.unit.rules.hub import Hub

LIMITS = product("motor").terms[0].authority
H, A, M = Role.HANDLER, Role.APPROVER, Role.MANAGER


@pytest.mark.parametrize(
    ("amount", "roles"),
    [
        (0, (H,)),
        (50_000_00, (H,)),
        (50_000_01, (H, A)),
        (500_000_00, (H, A)),
        (500_000_01, (H, A, M)),
    ],
)
def test_who_must_approve(amount: int, roles: tuple[Role, ...]) -> None:
    """The borders of the motor table."""
    assert roles_needed(amount, LIMITS) == roles


@pytest.mark.parametrize(
    ("amount", "risk", "automatic"), [(5_000_00, 29, True), (5_000_01, 29, False), (5_000_00, 30, False), (0, 0, True)]
)
def test_what_needs_nobody(amount: int, risk: int, *, automatic: bool) -> None:
    """Low amount and low risk, both."""
    assert may_be_automatic(amount, risk, LIMITS) is automatic


@pytest.mark.parametrize(
    ("changes", "settled", "automatic"),
    [
        ({}, 5_000_00, True),
        ({}, 5_000_01, False),
        ({"estimated_loss_minor": 5_000_00}, 5_000_00, True),
        ({"estimated_loss_minor": 5_000_01}, 1_000_00, False),
        ({"photos": ()}, 1_000_00, False),
        ({"fault": Fault.UNKNOWN}, 1_000_00, False),
        ({"notified_at_ms": LOSS_MS + 49 * HOUR_MS}, 1_000_00, True),
    ],
)
def test_fast_track_borders(changes: dict[str, object], settled: int, *, automatic: bool) -> None:
    """Photos, known fault, estimated loss and settlement up to 5 000.00; one small signal does not matter."""
    loss = {"parts": settled + 500_00}
    hub = Hub().play(
        policy(), notice(**changes), finding() if not automatic else estimate(loss), estimate(loss), invoice(loss)
    )

    if settled == 5_000_01:
        assert hub.tasks == [TaskKind.APPROVAL]
    assert (hub.claim.outcome is Outcome.APPROVED) is automatic


def _up_for_approval(settled: int) -> Hub:
    loss = {"parts": settled + 500_00}
    return Hub().play(
        policy(covers=(OWN_DAMAGE.__class__(cover="own-damage", sum_insured_minor=10**9, deductible_minor=500_00),)),
        notice(),
        estimate(loss),
        invoice(loss),
    )


@pytest.mark.parametrize("roles", [(H, A), (A, H)])
def test_two_people_in_any_order(roles: tuple[Role, ...]) -> None:
    """Both are needed; the money goes out with the second, proposed by one and approved by the other."""
    hub = _up_for_approval(60_000_00).play(decision(roles[0]))
    assert (hub.stage, hub.claim.open_tasks[0].addressee) == (Stage.ASSESSING, roles[1])

    hub.play(decision(roles[1]))

    assert (hub.stage, hub.dead) == (Stage.PAYING, [])
    assert (hub.payments[0].proposed_by, hub.payments[0].approved_by) == ("handler-07", "approver-07")


def test_one_handler_approves_what_the_hub_computed() -> None:
    """Up to 50 000.00 one person is enough, and is not the one who proposed."""
    hub = _up_for_approval(40_000_00).play(decision())

    assert (hub.payments[0].proposed_by, hub.payments[0].approved_by) == ("hub:settlement", "handler-07")


def test_three_people_above_half_a_million() -> None:
    """Two are not enough."""
    hub = _up_for_approval(600_000_00).play(amount_answer(), decision(H), decision(A))
    assert not hub.payments

    hub.play(decision(M))

    assert [payment.approved_by for payment in hub.payments] == ["manager-07"]


@pytest.mark.parametrize(
    "second", [decision(A, "handler-07"), decision(H, "handler-08"), decision(M, "manager-01"), decision(H)]
)
def test_no_second_role_no_second_holder_no_idle_role(second: object) -> None:
    """Nobody holds two roles, no role is held twice, and a role the amount does not need decides nothing."""
    hub = _up_for_approval(60_000_00).play(decision(H), second)  # type: ignore[arg-type]

    assert [dead.code for dead in hub.dead] == ["no-authority"]
    assert (hub.payments, len(hub.claim.approvals)) == ((), 1)


def test_a_changed_amount_needs_all_approvals_again() -> None:
    """A supplement before the last approval makes version 2; decisions on version 1 are refused."""
    hub = _up_for_approval(60_000_00).play(decision(H))
    more = {"parts": 70_000_00}

    hub.play(estimate(more, version=2), invoice(more, number="2"), decision(A))

    assert hub.claim.settlement is not None and hub.claim.settlement.version == 2
    assert ([dead.code for dead in hub.dead], hub.claim.approvals) == (["old-version"], ())

    hub.play(decision(A, settlement_version=2), decision(H, settlement_version=2))

    assert hub.payments[0].settlement_version == 2


def test_an_unchanged_amount_keeps_version_and_approvals() -> None:
    """A finding that changes no money costs nobody a signature."""
    hub = _up_for_approval(60_000_00).play(decision(H), finding(), decision(A))

    assert (hub.stage, hub.payments[0].settlement_version) == (Stage.PAYING, 1)


def test_a_decision_waits_for_its_settlement() -> None:
    """A version that is not there yet is waited for, and does not hold up the decision on the one that is."""
    hub = Hub().play(policy(), notice(), decision(settlement_version=2))
    assert "repair.invoice.v1" in hub.waiting[0][1].until

    loss = {"parts": 40_000_00}
    hub.play(estimate(loss), invoice(loss), decision())

    assert (hub.stage, [dead.code for dead in hub.dead]) == (Stage.PAYING, ["too-late"])


def test_one_rejection_ends_the_claim_and_tells_why() -> None:
    """Closed without a payment; the person's reason is for the customer alone."""
    hub = _up_for_approval(60_000_00)

    hub.play(decision(H), decision(A, action=DecisionAction.REJECT, reason="保单免责"))

    assert (hub.stage, hub.claim.outcome, hub.payments) == (Stage.CLOSED, Outcome.REJECTED, ())
    refusal = hub.sent("customer.notice.v1")[-1].record
    assert isinstance(refusal, CustomerNotice)
    assert refusal.kind is NoticeKind.REJECTION and "保单免责" in refusal.text
    assert "保单免责" not in hub.decisions[-1].reason


def test_nothing_payable_is_decided_without_a_payment() -> None:
    """A loss below the deductible."""
    hub = Hub().play(policy(), notice(), estimate({"parts": 400_00}), invoice({"parts": 400_00}))

    assert (hub.stage, hub.claim.outcome, hub.payments) == (Stage.DECIDED, Outcome.APPROVED, ())


@pytest.mark.parametrize(("found", "paid"), [(Fault.NONE, 100_00), (Fault.MINOR, 2_000_00)])
def test_compulsory_limits_follow_the_fault_found(found: Fault, paid: int) -> None:
    """The survey's fault counts before the notice's."""
    loss = {"other": 3_000_00}
    hub = Hub().play(policy(), notice(damaged=(THIRD,), photos=()), finding(fault=found))

    hub.play(estimate(loss, damaged=THIRD), invoice(loss, damaged=THIRD))

    assert hub.claim.settlement is not None and hub.claim.settlement.payable_minor == paid


def test_an_unknown_fault_stays_under_survey_until_it_is_found() -> None:
    """A survey that does not find the fault leaves the survey open; an older one changes nothing."""
    findings = (
        finding(fault=Fault.UNKNOWN),
        finding(fault=Fault.FULL, found_at_ms=LOSS_MS),
        finding(fault=Fault.FULL, found_at_ms=LOSS_MS + 100 * HOUR_MS),
    )

    hub = Hub().play(policy(), notice(fault=Fault.UNKNOWN), *findings)

    assert hub.stages == [Stage.INVESTIGATING] * 3 + [Stage.ASSESSING]
