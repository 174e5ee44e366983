"""Recoveries: what opens them, what comes in for them, and that no payment waits for them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.records import (
    AdjusterDecision,
    DecisionAction,
    Fault,
    FindingKind,
    PolicyCover,
    RecoveryCase,
    RecoveryKind,
    RecoveryReceipt,
    Role,
    SiuResult,
)
from streams.rules import recoveries
from streams.rules.claim import Claim, Outcome, PaymentState, Referral, Stage
from streams.rules.decision import Cause
from streams.rules.payments import instruction_id, payee_digest
from tests.claims import (
    BUILDING,
    CLAIM,
    DAY_MS,
    LOSS_MS,
    PAYEE,
    PLACE,
    decision,
    document,
    estimate,
    finding,
    invoice,
    notice,
    notice_of,
    payment_status,
    policy,
    policy_of,
    siu_outcome,
)
from tests.unit.rules.hub import Hub

CAUSE = Cause("finance.payment-status.v1/1/0/9", "finance.payment-status.v1", LOSS_MS + 7 * DAY_MS)


def paid(fault: Fault = Fault.MINOR, **changes: Any) -> Hub:
    """A small own damage of 2 300.00, paid."""
    hub = Hub().play(policy(), notice(fault=fault, **changes), estimate(), invoice())
    return hub.play(payment_status(hub.payments[0].id, 2_300_00))


def receipt(hub: Hub, amount: int, number: int = 1, **changes: Any) -> RecoveryReceipt:
    """Money that came in for the claim's recovery."""
    values: dict[str, Any] = {"claim": CLAIM, "recovery_id": hub.claim.recoveries[0].id, "receipt_id": f"RR-{number}"}
    values |= {"amount_minor": amount, "currency": "CNY", "at_ms": LOSS_MS + 30 * DAY_MS}
    return RecoveryReceipt(**values | changes)


@pytest.mark.parametrize(
    ("fault", "due"),
    [
        (Fault.FULL, None),
        (Fault.MAIN, 690_00),
        (Fault.EQUAL, 1_150_00),
        (Fault.MINOR, 1_610_00),
        (Fault.NONE, 2_300_00),
    ],
)
def test_a_third_party_at_fault_owes_its_share_of_the_own_damage(fault: Fault, due: int | None) -> None:
    """Insurance Law art. 60: within what was paid, by the third party's share of the fault."""
    hub = paid(fault)

    expected = [] if due is None else [(RecoveryKind.SUBROGATION, due, 0, False)]
    assert [(it.kind, it.due_minor, it.received_minor, it.closed) for it in hub.told(RecoveryCase)] == expected
    assert hub.stage is Stage.PAID


def test_a_recovery_opens_with_the_money_and_not_before() -> None:
    """An instruction that finance has not settled recovers nothing; the due date is the product's days later."""
    hub = Hub().play(policy(), notice(fault=Fault.MINOR), estimate(), invoice())
    assert hub.told(RecoveryCase) == []
    hub.play(payment_status(hub.payments[0].id, 2_300_00))
    (case,) = hub.told(RecoveryCase)

    assert 89 * DAY_MS < case.due_at_ms - case.at_ms <= 91 * DAY_MS
    assert case.reason == (
        "own-damage paid 2 300.00 CNY; 70 % of the fault are a third party's, and so 1 610.00 CNY "
        "(Insurance Law art. 60)"
    )


@pytest.mark.parametrize("state", [PaymentState.INSTRUCTED, PaymentState.ACCEPTED, PaymentState.UNKNOWN])
def test_while_money_is_on_its_way_nothing_is_asked_of_a_third_party(state: PaymentState) -> None:
    """It owes its share of what is paid; of a claim that is not approved it owes nothing."""
    hub = paid(Fault.FULL)
    said, (first,) = hub.claim.notice, hub.payments
    assert said is not None
    said = replace(said, fault=Fault.NONE)
    second = replace(first, id="PI-2", attempt=2, state=state)
    waits = replace(hub.claim, notice=said, payments=(first, second))
    reopened = replace(hub.claim, notice=said, outcome=None)

    assert recoveries.follow(waits, said, CAUSE)[1] == recoveries.follow(reopened, said, CAUSE)[1] == ()
    assert len(recoveries.follow(replace(hub.claim, notice=said), said, CAUSE)[1]) == 1


def test_an_unknown_fault_and_a_line_without_shares_recover_nothing_of_a_third_party() -> None:
    """The share has to be known."""
    (payment,) = paid(Fault.FULL).payments
    hub = paid(Fault.FULL)
    said = hub.claim.notice
    assert said is not None and payment.state is PaymentState.SETTLED
    unknown = replace(said, fault=Fault.UNKNOWN)

    assert recoveries.follow(replace(hub.claim, notice=unknown), unknown, CAUSE)[1] == ()
    elsewhere = replace(said, fault=Fault.NONE, line="property")
    assert recoveries.follow(replace(hub.claim, notice=elsewhere), elsewhere, CAUSE)[1] == ()


def total_loss(loss: int, salvage: int) -> Hub:
    """An own damage of a loss, with what is left of it valued, paid."""
    cover = PolicyCover(cover="own-damage", sum_insured_minor=98_000_00)
    hub = Hub().play(policy(covers=(cover,)), notice(photos=(), estimated_loss_minor=98_000_00))
    hub.play(finding(salvage_minor=salvage), estimate({"parts": loss}), invoice({"parts": loss}))
    hub.play(decision(Role.HANDLER), decision(Role.APPROVER))
    return hub.play(payment_status(hub.payments[0].id, hub.payments[0].amount_minor))


@pytest.mark.parametrize(
    ("loss", "salvage", "due"),
    [
        (115_000_00, 12_500_00, [12_500_00]),
        (98_000_01, 1, [1]),
        (98_000_00, 1, []),
        (110_499_99, 12_500_00, []),
        (115_000_00, 0, []),
    ],
)
def test_what_is_left_of_a_total_loss_is_the_insurers(loss: int, salvage: int, due: list[int]) -> None:
    """Insurance Law art. 59: once the whole sum insured is paid, and not of a partial loss, from which it was taken."""
    hub = total_loss(loss, salvage)

    assert hub.claim.settlement is not None
    assert hub.claim.settlement.covers == {"own-damage": min(loss - salvage, 98_000_00)}
    assert [it.due_minor for it in hub.told(RecoveryCase)] == due
    assert all(it.kind is RecoveryKind.SALVAGE for it in hub.told(RecoveryCase))


def test_what_a_third_party_has_paid_is_taken_off_the_loss_and_asked_for_no_more() -> None:
    """The worked case of domain §3, "others paid, 10 % rate", of which a third party bears 30 % (art. 60)."""
    cover = PolicyCover(cover="own-damage", sum_insured_minor=150_000_00, deductible_minor=500_00, deductible_bp=1_000)
    hub = Hub().play(policy(covers=(cover,)), notice(photos=(), fault=Fault.MAIN, estimated_loss_minor=12_345_67))
    hub.play(finding(fault=Fault.MAIN, paid_by_others_minor=2_000_00))
    hub.play(estimate({"parts": 12_345_67}), invoice({"parts": 12_345_67}))
    hub.play(decision(Role.HANDLER), decision(Role.APPROVER))
    hub.play(payment_status(hub.payments[0].id, hub.payments[0].amount_minor))

    assert hub.payments[0].amount_minor == 8_861_10
    (theirs,) = hub.told(RecoveryCase)
    assert (theirs.kind, theirs.due_minor) == (RecoveryKind.SUBROGATION, 1_258_33)
    assert "the insured had 2 000.00 CNY of it already" in theirs.reason


def test_of_an_underinsured_total_loss_the_insurer_has_its_part_of_what_is_left() -> None:
    """Art. 59: in the proportion of the sum insured to the value."""
    cover = replace(BUILDING, deductible_minor=0, deductible_bp=0)
    hub = Hub().play(policy_of("property", PLACE, cover), document(kind="list-of-losses"))
    hub.play(notice_of("property", PLACE, "insured-property", cause="fire", estimated_loss_minor=400_000_00))
    hub.play(finding(loss_minor=1_300_000_00, fault=Fault.UNKNOWN))
    hub.play(
        finding(kind=FindingKind.LOSS_ADJUSTER, loss_minor=1_300_000_00, salvage_minor=90_000_00, fault=Fault.UNKNOWN)
    )

    assert hub.claim.settlement is not None
    assert hub.claim.settlement.covers == {"property": 800_000_00}
    assert hub.claim.settlement.salvage_minor == 60_000_00


@pytest.mark.parametrize(
    ("outcome", "covers", "due"),
    [
        (Outcome.APPROVED, 2_300_00, []),
        (Outcome.APPROVED, 2_000_00, [300_00]),
        (Outcome.REJECTED, 2_300_00, [2_300_00]),
    ],
)
def test_more_paid_than_owed_is_to_be_repaid(outcome: Outcome, covers: int, due: list[int]) -> None:
    """An advance that was too large, and all that was paid for a claim that turns out not to be owed."""
    hub = paid(Fault.FULL)
    settlement, said = hub.claim.settlement, hub.claim.notice
    assert settlement is not None and said is not None
    now = replace(hub.claim, outcome=outcome, settlement=replace(settlement, covers={"own-damage": covers}))
    after, told = recoveries.follow(now, said, CAUSE)

    assert [(it.kind, it.due_minor) for it in after.recoveries] == [(RecoveryKind.REPAYMENT, it) for it in due]
    assert len(told) == len(due)
    assert recoveries.follow(after, said, CAUSE) == (after, ())


def test_a_later_round_that_is_rejected_takes_nothing_back() -> None:
    """What an earlier round paid stays paid; what a lower settlement of it leaves too much is asked for."""
    hub = paid(Fault.FULL).play(_decision(DecisionAction.REOPEN))
    assert hub.claim.round == 2
    hub.play(_decision(DecisionAction.REJECT, settlement_version=2))

    assert (hub.claim.outcome, hub.told(RecoveryCase)) == (Outcome.REJECTED, [])


@pytest.mark.parametrize("outcome", [Outcome.APPROVED, Outcome.REJECTED, Outcome.WITHDRAWN])
def test_of_a_confirmed_fraud_all_that_was_paid_is_to_be_repaid(outcome: Outcome) -> None:
    """In whatever round, and whenever SIU says so."""
    hub = paid(Fault.FULL)
    hub.claim = replace(hub.claim, round=2, outcome=outcome, referral=Referral(number=1, score=65))
    hub.play(siu_outcome(SiuResult.CONFIRMED))

    assert [(it.kind, it.due_minor) for it in hub.told(RecoveryCase)] == [(RecoveryKind.REPAYMENT, 2_300_00)]
    assert hub.told(RecoveryCase)[0].reason == "2 300.00 CNY were paid and 0.00 CNY are owed"


def _decision(action: DecisionAction, **changes: Any) -> AdjusterDecision:
    return decision(action=action, **changes)


def test_receipts_add_up_and_the_last_one_closes() -> None:
    """Each is told with what has come so far; the same receipt counts once."""
    hub = paid()
    hub.play(receipt(hub, 600_00), receipt(hub, 600_00), receipt(hub, 1_010_00, 2))

    assert [(it.received_minor, it.closed) for it in hub.told(RecoveryCase)] == [
        (0, False),
        (600_00, False),
        (1_610_00, True),
    ]
    assert [decided.rule for decided in hub.decisions[-3:]] == [
        "recoveries.received",
        "recoveries.known",
        "recoveries.closed",
    ]
    assert hub.dead == [] and hub.stage is Stage.PAID


def test_money_that_went_back_opens_a_recovery_again() -> None:
    """A receipt below zero."""
    hub = paid()
    hub.play(receipt(hub, 1_610_00), receipt(hub, -610_00, 2))

    assert [(it.received_minor, it.closed) for it in hub.told(RecoveryCase)][1:] == [
        (1_610_00, True),
        (1_000_00, False),
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recovery_id": "RC-nobody-opened"}, "no-recovery"),
        ({"currency": "USD"}, "wrong-currency"),
        ({"amount_minor": 1_610_01}, "wrong-amount"),
        ({"amount_minor": -1}, "wrong-amount"),
        ({"amount_minor": 0}, "wrong-amount"),
    ],
)
def test_a_receipt_that_does_not_fit_is_refused(changes: dict[str, Any], code: str) -> None:
    """With its reason; the recovery stays as it was."""
    hub = paid()
    before = hub.claim.recoveries
    hub.play(receipt(hub, 100, **changes))

    assert [dead.code for dead in hub.dead] == [code]
    assert hub.claim.recoveries == before


def test_a_receipt_known_with_another_amount_and_one_before_any_claim_are_refused() -> None:
    """Neither is a second receipt, nor waits."""
    hub = paid()
    early = receipt(hub, 1)
    hub.play(early, receipt(hub, 2))
    other = Hub().play(early)

    assert [dead.code for dead in (*hub.dead, *other.dead)] == ["version-conflict", "no-recovery"]


@given(st.lists(st.integers(-2_000_00, 2_000_00), max_size=12))
def test_whatever_comes_in_what_is_received_is_between_nothing_and_what_is_due(amounts: list[int]) -> None:
    """Each receipt is taken whole or refused whole."""
    hub, sum_ = paid(), 0
    for number, amount in enumerate(amounts):
        hub.play(receipt(hub, amount, number))
        sum_ += amount if amount and 0 <= sum_ + amount <= 1_610_00 else 0

    assert hub.claim.recoveries[0].received_minor == sum_


def test_ids_are_the_same_whenever_they_are_derived() -> None:
    """And of each kind each recovery has its own."""
    assert [it.id for it in paid().claim.recoveries] == [it.id for it in paid().claim.recoveries]
    claim: Claim = paid().claim
    assert claim.notice is not None
    owed = recoveries.Owed(RecoveryKind.SUBROGATION, 1, "one more")
    _, second, _ = recoveries.open_case(claim, claim.notice, owed, CAUSE)
    assert second.id != claim.recoveries[0].id


def test_the_instruction_is_known_by_its_own_id() -> None:
    """What is recovered never changes what is paid."""
    assert paid().payments[0].id == instruction_id(CLAIM, 1, payee_digest(PAYEE), 1)
