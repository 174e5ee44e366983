"""Another account to pay to: held, approved by a second person after a cooling-off, and the old contact told."""

from datetime import date
from typing import Any

import pytest

from schemas.days import day_number
from schemas.records import (
    BankAccount,
    Contact,
    ContactKind,
    CustomerNotice,
    DecisionAction,
    NoticeKind,
    PaymentInstruction,
    PaymentStatusCode,
    Role,
)
from streams.rules.claim import ClockKind, Outcome, PaymentState, Stage, TaskKind
from streams.rules.payments import instruction_id, payee_digest
from streams.rules.stage import stage_of
from tests.claims import CLAIM, OTHER_PAYEE, PAYEE, contact, decision, estimate, invoice, notice, payment_status, policy
from tests.unit.rules.hub import Hub
from tests.unit.rules.test_clocks import Said

AMOUNT = 2_300_00
INSTRUCTION = instruction_id(CLAIM, 1, payee_digest(PAYEE), 1)
THIRD_PAYEE = BankAccount(name="投保人甲", account="6200000000000000034", bank_code="102100099996")
REJECTED = payment_status(INSTRUCTION, AMOUNT, PaymentStatusCode.RJCT, reason_code="AC01")


def details(payee: BankAccount = OTHER_PAYEE, **changes: Any) -> Contact:
    """The claimant names another account."""
    return contact(ContactKind.BANK_DETAILS, payee=payee, **changes)


def instructed(said: Said) -> list[PaymentInstruction]:
    """The instructions sent."""
    rows = [row for row in said.lane.outbox if row.topic == "finance.payment-instruction.v1"]
    sent = [said.lane.codec.decode(row.topic, row.value, []) for row in rows]
    return [record for record in sent if isinstance(record, PaymentInstruction)]


def test_a_changed_account_holds_automatic_approval_and_needs_two_people() -> None:
    """A claim nobody would have touched; the instruction binds the account that was approved."""
    said = Said().at("2026-04-20T10:00", notice(), estimate(), details()).at("2026-04-20T12:00", invoice())
    assert [(task.kind, task.addressee) for task in said.claim.open_tasks] == [(TaskKind.APPROVAL, "handler")]
    said.at("2026-04-22T09:00", decision())
    assert (said.claim.outcome, [task.addressee for task in said.claim.open_tasks]) == (None, ["approver"])
    said.at("2026-04-22T09:30", decision(Role.APPROVER))

    (payment,) = said.claim.payments
    assert payment.id == instruction_id(CLAIM, 1, payee_digest(OTHER_PAYEE), 1)
    assert [record.payee for record in instructed(said)] == [OTHER_PAYEE]
    assert said.claim.payee_change is None


@pytest.mark.parametrize(("at", "day"), [("2026-04-30T17:00", (2026, 4, 30)), ("2026-04-30T17:01", (2026, 5, 6))])
def test_an_instruction_says_on_which_day_it_is_to_be_paid(at: str, day: tuple[int, int, int]) -> None:
    """The banking day it was issued on, or after the bank's cut-off the next, here the one after Labour Day."""
    (sent,) = instructed(Said().at("2026-04-20T10:00", notice(), estimate()).at(at, invoice()))

    assert sent.value_on == day_number(date(*day)) and sent.account_version == 1


def test_an_instruction_says_which_version_of_the_account_was_approved() -> None:
    """The claim's first account is 1; each change by a contact or a later notice is one more, naming the same account
    again is none."""
    said = Said().at("2026-04-20T10:00", notice(), estimate(), details(), details(contact_id="CT-2"))
    said.at("2026-04-20T12:00", notice(payee=THIRD_PAYEE), notice(payee=THIRD_PAYEE), invoice())
    said.at("2026-04-22T09:00", decision(), decision(Role.APPROVER))

    assert [(it.payee, it.account_version) for it in instructed(said)] == [(THIRD_PAYEE, 3)]


@pytest.mark.parametrize(("at", "paid"), [("2026-04-21T23:59", False), ("2026-04-22T00:00", True)])
def test_nobody_approves_before_the_cooling_off_has_ended(at: str, *, paid: bool) -> None:
    """The product's one calendar day after the change; a rejection need not wait."""
    said = Said().at("2026-04-20T10:00", notice(), estimate(), details(), invoice())
    said.at(at, decision(), decision(Role.APPROVER))

    assert (said.claim.outcome is Outcome.APPROVED) == paid
    assert [row.code for row in said.lane.dead] == ([] if paid else ["cooling-off", "cooling-off"])
    rejected = Said().at("2026-04-20T10:00", notice(), estimate(), details(), invoice())
    rejected.at("2026-04-20T11:00", decision(action=DecisionAction.REJECT))
    assert rejected.claim.outcome is Outcome.REJECTED


def test_approvals_given_to_the_old_account_count_for_nothing() -> None:
    """The settlement has a new version, and its approvals start again."""
    costly = {"parts": 60_000_00}
    hub = Hub().play(policy(), notice(), estimate(costly), invoice(costly), decision())
    assert hub.claim.settlement is not None and len(hub.claim.approvals) == 1
    hub.play(details(), decision(Role.APPROVER))
    settlement = hub.claim.settlement

    assert (settlement.version, settlement.payee) == (2, payee_digest(OTHER_PAYEE))
    assert not hub.claim.approvals
    assert [dead.code for dead in hub.dead] == ["old-version"]
    assert "another payee account: 30" in hub.decisions[-1].reason


def test_the_old_contact_is_told_and_a_second_account_refused_while_the_first_is_open() -> None:
    """Naming the new account again is no second one; the notice goes to who reported the loss."""
    hub = Hub().play(policy(), notice(), details(), details(contact_id="CT-2"), details(THIRD_PAYEE, contact_id="CT-3"))

    sent = [output.record for output in hub.sent("customer.notice.v1")]
    told = [it for it in sent if isinstance(it, CustomerNotice) and it.kind is NoticeKind.PAYEE_CHANGED]
    assert [it.phone for it in told] == [notice().reporter_phone]
    assert [dead.code for dead in hub.dead] == ["second-account"]
    assert hub.claim.notice is not None and hub.claim.notice.payee == OTHER_PAYEE


@pytest.mark.parametrize("code", [None, PaymentStatusCode.ACSP, PaymentStatusCode.ACSC])
def test_the_account_of_money_on_its_way_stays(code: PaymentStatusCode | None) -> None:
    """Refused with the reason; nothing is instructed again."""
    hub = Hub().play(policy(), notice(), estimate(), invoice())
    if code is not None:
        hub.play(payment_status(INSTRUCTION, AMOUNT, code))
    hub.play(details())

    assert [dead.code for dead in hub.dead] == ["too-late"]
    assert len(hub.payments) == 1 and hub.claim.notice is not None and hub.claim.notice.payee == PAYEE


def test_a_wrong_account_is_corrected_and_paid_in_a_new_attempt() -> None:
    """The customer is asked for another; two people approve it after the cooling-off; the claim is paid when the new
    attempt is settled, and the payment clock that ran since the first ends then."""
    said = Said().at("2026-04-20T10:00", notice(), estimate(), invoice()).at("2026-04-21T10:00", REJECTED)
    assert NoticeKind.ACCOUNT_NEEDED in [mark.split(":")[0] for mark in said.claim.notices]
    said.at("2026-04-22T10:00", details())
    assert [(task.kind, task.addressee) for task in said.claim.open_tasks] == [(TaskKind.APPROVAL, "handler")]
    said.at("2026-04-24T10:00", decision(settlement_version=2), decision(Role.APPROVER, settlement_version=2))

    assert [it.state for it in said.claim.payments] == [PaymentState.REJECTED, PaymentState.INSTRUCTED]
    assert [record.payee for record in instructed(said)] == [PAYEE, OTHER_PAYEE]
    assert [record.amount_minor for record in instructed(said)] == [AMOUNT, AMOUNT]
    said.at("2026-04-25T10:00", payment_status(said.claim.payments[-1].id, AMOUNT))
    assert stage_of(said.claim) is Stage.PAID
    assert [it.ended is not None for it in said.claim.clocks if it.kind is ClockKind.PAYMENT] == [True, True]


def test_a_rejected_account_leaves_the_amount_owed() -> None:
    """A person refuses the changed account: the claim stays approved and unpaid, and may get another."""
    hub = Hub().play(policy(), notice(), estimate(), invoice(), REJECTED, details(PAYEE, contact_id="CT-0"), details())
    assert [dead.code for dead in hub.dead] == ["same-account"]
    hub.play(decision(settlement_version=2, action=DecisionAction.REJECT))
    assert (hub.claim.outcome, hub.stage, hub.claim.open_tasks) == (Outcome.APPROVED, Stage.PAYING, ())
    hub.play(details(THIRD_PAYEE, contact_id="CT-4"))

    assert hub.claim.settlement is not None
    assert (hub.claim.settlement.version, hub.claim.settlement.payee) == (3, payee_digest(THIRD_PAYEE))
    assert len(hub.payments) == 1
