"""Payments that finance is asked to stop: who may ask, once, while they are on their way; and what comes of it."""

from typing import Any

import pytest

from schemas.records import (
    AdjusterDecision,
    CancellationRequest,
    ContactKind,
    DecisionAction,
    PaymentStatusCode,
    Record,
    Role,
    SiuResult,
    StatementLine,
    StatementLineKind,
)
from streams.rules.claim import Outcome, PaymentState, Stage, TaskKind
from streams.rules.payments import instruction_id, payee_digest
from tests.claims import (
    CLAIM,
    LOSS_MS,
    OTHER_PAYEE,
    OWN_DAMAGE,
    PAYEE,
    contact,
    decision,
    estimate,
    finding,
    invoice,
    notice,
    payment_status,
    policy,
    siu_outcome,
)
from tests.unit.rules.hub import Hub

REQUEST = "finance.cancellation-request.v1"
INSTRUCTION = instruction_id(CLAIM, 1, payee_digest(PAYEE), 1)
SMALL, LARGE = 2_300_00, 59_500_00
OPEN_CODES = [None, PaymentStatusCode.RCVD, PaymentStatusCode.ACSP]


def instructed() -> Hub:
    """2 300.00 on its way, approved by nobody."""
    return Hub().play(policy(), notice(), estimate(), invoice())


def stop(role: Role = Role.HANDLER, **changes: object) -> AdjusterDecision:
    """A person asks for the payment to be stopped."""
    values: dict[str, Any] = {"action": DecisionAction.CANCEL_PAYMENT, "instruction_id": INSTRUCTION}
    return decision(role, settlement_version=None, **values | changes)


def said(code: PaymentStatusCode, amount: int = SMALL, **changes: object) -> Record:
    """What finance says of the instruction."""
    return payment_status(INSTRUCTION, amount, code, **changes)


@pytest.mark.parametrize("code", OPEN_CODES)
def test_finance_is_asked_once_to_stop_what_is_not_final(code: PaymentStatusCode | None) -> None:
    """With instruction, amount and reason; the payment stands as it is until finance answers."""
    hub = instructed().play(*([] if code is None else [said(code)]))
    before = hub.payments[0].state
    hub.play(stop(), stop(Role.APPROVER))
    (asked,) = hub.told(CancellationRequest)

    which = f"instruction {INSTRUCTION} of 2 300.00 CNY"
    assert (asked.instruction_id, asked.amount_minor, asked.currency) == (INSTRUCTION, SMALL, "CNY")
    assert asked.reason == f"the handler asks finance to stop {which}, which is {before}"
    assert hub.payments[0].state is before and hub.payments[0].stop_asked
    assert hub.decisions[-1].reason == f"finance was asked before to stop {which}"


def test_an_unknown_payment_may_be_stopped_too() -> None:
    """Nobody knows yet whether it was paid."""
    hub = instructed().play(said(PaymentStatusCode.RJCT, reason_code="DUPL"), stop())

    assert hub.payments[0].state is PaymentState.UNKNOWN and len(hub.told(CancellationRequest)) == 1


@pytest.mark.parametrize("code", [PaymentStatusCode.ACSC, PaymentStatusCode.RJCT, PaymentStatusCode.CANC])
def test_a_payment_that_has_ended_is_not_stopped_any_more(code: PaymentStatusCode) -> None:
    """A late request is refused and says how it ended."""
    hub = instructed().play(said(code), stop())

    assert hub.told(CancellationRequest) == [] and [dead.code for dead in hub.dead] == ["too-late"]
    assert hub.dead[0].reason.endswith("so nothing is left to be stopped")


def test_a_large_payment_is_stopped_by_those_who_may_approve_it() -> None:
    """The handler alone may not, approver and manager may."""
    cover = type(OWN_DAMAGE)(cover="own-damage", sum_insured_minor=150_000_00, deductible_minor=500_00)
    hub = Hub().play(policy(covers=(cover,)), notice(photos=(), estimated_loss_minor=60_000_00), finding())
    hub.play(estimate({"parts": 60_000_00}), invoice({"parts": 60_000_00}))
    hub.play(decision(Role.HANDLER), decision(Role.APPROVER), stop(Role.HANDLER))

    assert hub.payments[0].amount_minor == LARGE and hub.told(CancellationRequest) == []
    assert [(dead.code, dead.reason) for dead in hub.dead] == [
        (
            "no-authority",
            f"role: instruction {INSTRUCTION} of 59 500.00 CNY is stopped by the approver or above, not by the handler",
        )
    ]
    hub.play(stop(Role.MANAGER))
    assert len(hub.told(CancellationRequest)) == 1


def test_an_instruction_that_was_never_given_is_not_stopped() -> None:
    """Before there is any the decision waits, after that it is refused."""
    hub = Hub().play(policy(), notice(), estimate(), stop(instruction_id="PI0"))
    assert len(hub.waiting) == 1
    hub.play(invoice())

    assert hub.waiting == [] and [dead.code for dead in hub.dead] == ["unknown-instruction"]


def test_what_finance_has_cancelled_is_up_for_approval_again() -> None:
    """It is dead with proof. Approved anew by people it is paid by another instruction; what is said of the first
    then changes nothing."""
    hub = instructed().play(stop(), said(PaymentStatusCode.CANC))
    (first,) = hub.payments
    assert (first.state, hub.stage, hub.claim.outcome) == (PaymentState.CANCELLED, Stage.PAYING, Outcome.APPROVED)
    assert [(task.kind, task.addressee, task.about) for task in hub.claim.open_tasks] == [
        (TaskKind.APPROVAL, "handler", "settlement 2")
    ]
    hub.play(decision(settlement_version=2))
    first, second = hub.payments

    assert (second.settlement_version, second.amount_minor, second.state) == (2, SMALL, PaymentState.INSTRUCTED)
    assert second.id != first.id and second.approved_by == "handler-07"
    hub.play(said(PaymentStatusCode.RCVD), payment_status(second.id, SMALL))
    assert [it.state for it in hub.payments] == [PaymentState.CANCELLED, PaymentState.SETTLED]
    assert hub.stage is Stage.PAID and hub.dead == []


def test_what_was_cancelled_may_be_rejected() -> None:
    """Then nothing is paid, and the claim is closed with a reason."""
    hub = instructed().play(stop(), said(PaymentStatusCode.CANC))
    hub.play(decision(settlement_version=2, action=DecisionAction.REJECT))

    assert (hub.claim.outcome, hub.stage, len(hub.payments)) == (Outcome.REJECTED, Stage.CLOSED, 1)


def test_what_was_cancelled_may_be_paid_to_another_account_or_withdrawn() -> None:
    """As any amount that is approved and not on its way."""
    other = instructed().play(stop(), said(PaymentStatusCode.CANC))
    other.play(contact(ContactKind.BANK_DETAILS, payee=OTHER_PAYEE))
    withdrawn = instructed().play(stop(), said(PaymentStatusCode.CANC), contact(ContactKind.WITHDRAWAL))

    assert [task.about for task in other.claim.open_tasks] == ["settlement 3"] and other.dead == []
    assert (withdrawn.claim.outcome, withdrawn.dead) == (Outcome.WITHDRAWN, [])


def test_paid_and_cancelled_contradict_each_other() -> None:
    """Whichever comes first: what is paid is paid, and somebody must look into it."""
    paid = instructed().play(said(PaymentStatusCode.ACSC), said(PaymentStatusCode.CANC))
    cancelled = instructed().play(said(PaymentStatusCode.CANC), said(PaymentStatusCode.ACSC))
    booked = instructed().play(said(PaymentStatusCode.CANC))
    line = StatementLine(
        claim=CLAIM,
        line_id="BK-1",
        instruction_id=INSTRUCTION,
        kind=StatementLineKind.PAYMENT,
        amount_minor=SMALL,
        currency="CNY",
        booked_at_ms=LOSS_MS,
    )
    booked.play(line)

    assert [len(hub.sent("hub.break.v1")) for hub in (paid, cancelled, booked)] == [1, 1, 1]
    assert [hub.payments[0].state for hub in (paid, cancelled)] == [PaymentState.SETTLED] * 2
    assert (booked.payments[0].state, booked.dead) == (PaymentState.BOOKED, [])


def test_a_confirmed_fraud_stops_what_is_on_its_way() -> None:
    """Without a person: once, and not what was paid; nothing is then up for approval again."""
    hub = instructed().play(decision(action=DecisionAction.REFER_SIU, settlement_version=None))
    hub.play(siu_outcome(SiuResult.CONFIRMED))
    (asked,) = hub.told(CancellationRequest)

    assert asked.reason == "SIU confirmed referral 1, so nothing is to be paid any more"
    hub.play(said(PaymentStatusCode.CANC))
    assert (hub.claim.outcome, hub.claim.open_tasks) == (Outcome.REJECTED, ())
    assert hub.payments[0].state is PaymentState.CANCELLED and hub.dead == []
