"""What claimants say after the notice: inquiries, complaints and withdrawals, and claims that are reopened."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.records import (
    AdjusterDecision,
    ContactKind,
    CustomerNotice,
    DecisionAction,
    NoticeKind,
    PaymentStatusCode,
    Record,
    Role,
)
from streams.rules import clocks
from streams.rules.claim import ClockKind, Outcome, Stage, TaskKind
from streams.rules.payments import instruction_id, payee_digest
from tests import claims as make
from tests.claims import CLAIM, OWN_DAMAGE, PAYEE, contact, decision, estimate, finding, invoice, notice, policy
from tests.lane import OneLane
from tests.unit.rules.hub import Hub
from tests.unit.rules.test_clocks import Said
from tests.unit.rules.test_deadlines import end_of

PAID_MINOR = 2_300_00
INSTRUCTION = instruction_id(CLAIM, 1, payee_digest(PAYEE), 1)
INQUIRY = contact(ContactKind.INQUIRY, contact_id="CT-7")
COMPLAINT = contact(ContactKind.COMPLAINT)
WITHDRAWAL = contact(ContactKind.WITHDRAWAL, contact_id="CT-9")


def told(hub: Hub, kind: NoticeKind) -> list[CustomerNotice]:
    """The notices of a kind that were sent."""
    sent = [output.record for output in hub.sent("customer.notice.v1")]
    return [record for record in sent if isinstance(record, CustomerNotice) and record.kind is kind]


def by_handler(action: DecisionAction, **changes: Any) -> AdjusterDecision:
    """What a handler decides that is no approval."""
    return decision(action=action, settlement_version=None, **changes)


def paid_claim() -> Hub:
    """A claim that went the fast track to its end."""
    return Hub().play(policy(), notice(), estimate(), invoice(), make.payment_status(INSTRUCTION, PAID_MINOR))


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ((notice(),), ["reported", "policy (underwriting)"]),
        ((policy(), notice()), ["being assessed", "estimate (repair-shop)", "decision, by the end of 2026-05-01"]),
        ((policy(), notice(), COMPLAINT), ["complaint, by the end of 2026-04-16"]),
        ((policy(), notice(), estimate(), invoice()), ["being paid", "2 300.00 CNY", "paid (已付): 0.00 CNY"]),
        ((policy(effective_from_ms=make.LOSS_MS + 1), notice()), ["not accepted"]),
    ],
)
def test_an_inquiry_is_told_how_the_claim_stands(before: tuple[Record, ...], words: list[str]) -> None:
    """Stage, what it waits for, the next deadline, and the amount once decided; the claim keeps its version."""
    hub = Hub().play(*before)
    version = hub.claim.version
    hub.play(INQUIRY)

    (answer,) = told(hub, NoticeKind.INQUIRY_ANSWER)
    assert all(word in answer.text for word in words), answer.text
    assert hub.claim.version == version


def test_an_inquiry_is_answered_once() -> None:
    """The same contact sent again gets nothing, the next one an answer of its own."""
    hub = Hub().play(policy(), notice(), INQUIRY, INQUIRY)
    assert len(told(hub, NoticeKind.INQUIRY_ANSWER)) == 1
    hub.play(contact(ContactKind.INQUIRY, contact_id="CT-8"))

    assert len(told(hub, NoticeKind.INQUIRY_ANSWER)) == 2


def test_a_contact_waits_for_the_notice_and_for_nothing_else() -> None:
    """Behind an invoice that waits for its estimate an inquiry is answered all the same, and a withdrawal lets the
    invoice come to its end."""
    hub = Hub().play(INQUIRY)
    assert [set(park.until) for _, park in hub.waiting] == [{"reporting.loss-notice.v1"}]
    hub.play(policy(), notice())
    assert len(told(hub, NoticeKind.INQUIRY_ANSWER)) == 1
    lane = OneLane([policy()])
    lane.take(notice(), invoice(), INQUIRY, WITHDRAWAL)

    assert [row.rule for row in lane.journal][1:] == ["contact.inquiry", "withdrawal.withdrawn"]
    assert [row.code for row in lane.dead] == ["too-late"]


@pytest.mark.parametrize(
    ("is_complex", "extended", "due"),
    [
        (False, False, "2026-05-05"),
        (True, False, "2026-05-20"),
        (False, True, "2026-06-04"),
        (True, True, "2026-06-19"),
    ],
)
def test_a_complaint_has_fifteen_days_thirty_when_complex_and_thirty_more_with_approval(
    *, is_complex: bool, extended: bool, due: str
) -> None:
    """The clock starts when the complaint comes, names its source, and ends with the answer."""
    said = Said().at("2026-04-18T10:00", notice())
    said.at("2026-04-20T10:00", contact(ContactKind.COMPLAINT, complex=is_complex))
    if extended:
        said.at("2026-04-25T10:00", extension())
    clock = said.clock(ClockKind.COMPLAINT)

    assert said.claim.notice is not None
    assert clock.due_at_ms == end_of(due)
    assert clocks.source_of(clock, said.claim.notice) == "consumer complaint rules 2020"
    assert (clock.extended is not None) == extended
    said.at("2026-05-01T10:00", by_handler(DecisionAction.ANSWER_COMPLAINT, contact_id="CT-1"))
    assert said.clock(ClockKind.COMPLAINT).ended is not None
    assert said.claim.complaints[0].answered


def extension(role: Role = Role.APPROVER) -> AdjusterDecision:
    """More days for the complaint."""
    return decision(role, action=DecisionAction.EXTEND_COMPLAINT, settlement_version=None, contact_id="CT-1")


def test_an_extension_is_given_once_in_time_and_not_by_the_handler() -> None:
    """Who answers complaints does not allow more days for them."""
    hub = Hub().play(policy(), notice(), COMPLAINT, extension(Role.HANDLER), extension(), extension(Role.MANAGER))
    assert [dead.code for dead in hub.dead] == ["no-authority", "no-extension"]
    assert len(told(hub, NoticeKind.COMPLAINT_EXTENDED)) == 1
    said = Said().at("2026-04-20T10:00", notice(), COMPLAINT).at("2026-05-06T00:00", extension())

    assert [row.code for row in said.lane.dead] == ["no-extension"]


def test_a_breached_complaint_is_recorded_and_still_answered() -> None:
    """Warnings, then the breach; the answer after it ends the clock."""
    said = Said().at("2026-04-20T10:00", notice(), COMPLAINT)
    words = said.tick()
    while said.clock(ClockKind.COMPLAINT).breached is None:
        words = said.tick()
    assert words.startswith("clocks.breach: ")
    assert "the complaint clock CT-1 ran out with 2026-05-05: 15 days after 2026-04-20" in words
    said.at("2026-05-07T10:00", by_handler(DecisionAction.ANSWER_COMPLAINT, contact_id="CT-1"))

    assert said.clock(ClockKind.COMPLAINT).ended is not None


@pytest.mark.parametrize("stage", [Stage.ASSESSING, Stage.PAYING, Stage.PAID, Stage.NOT_ACCEPTED, Stage.CLOSED])
def test_a_complaint_works_at_any_stage_and_stops_nothing(stage: Stage) -> None:
    """Received, answered by a person, the customer told of both; the claim stands where it stood."""
    claims: dict[Stage, Callable[[], Hub]] = {
        Stage.ASSESSING: lambda: Hub().play(policy(), notice()),
        Stage.PAYING: lambda: Hub().play(policy(), notice(), estimate(), invoice()),
        Stage.PAID: paid_claim,
        Stage.NOT_ACCEPTED: lambda: Hub().play(policy(effective_from_ms=make.LOSS_MS + 1), notice()),
        Stage.CLOSED: lambda: Hub().play(policy(), notice(), WITHDRAWAL),
    }
    hub = claims[stage]()
    tasks = hub.claim.open_tasks
    hub.play(COMPLAINT, COMPLAINT, by_handler(DecisionAction.ANSWER_COMPLAINT, contact_id="CT-1", reason="已重新核定"))

    assert (hub.stage, hub.claim.open_tasks, hub.dead) == (stage, tasks, [])
    assert [len(told(hub, kind)) for kind in (NoticeKind.COMPLAINT_RECEIVED, NoticeKind.COMPLAINT_ANSWER)] == [1, 1]
    assert "已重新核定" in told(hub, NoticeKind.COMPLAINT_ANSWER)[0].text


@pytest.mark.parametrize("contact_id", ["CT-1", "CT-2"])
def test_an_answer_to_no_open_complaint_is_refused(contact_id: str) -> None:
    """One that was answered, and one that never came."""
    hub = Hub().play(policy(), notice(), COMPLAINT, by_handler(DecisionAction.ANSWER_COMPLAINT, contact_id="CT-1"))
    hub.play(by_handler(DecisionAction.ANSWER_COMPLAINT, contact_id=contact_id))

    assert [dead.code for dead in hub.dead] == ["no-complaint"]


def test_a_claim_withdrawn_before_registration_is_not_accepted() -> None:
    """With the reason; nothing that comes later takes it up."""
    hub = Hub().play(notice(), WITHDRAWAL, policy(), estimate())

    assert (hub.stage, hub.claim.open_tasks) == (Stage.NOT_ACCEPTED, ())
    assert "withdrawn before it was registered" in told(hub, NoticeKind.NOT_ACCEPTED)[0].text
    assert [dead.code for dead in hub.dead] == ["not-accepted"]


def test_a_registered_claim_that_is_withdrawn_is_closed() -> None:
    """Its tasks close, nothing is paid, and neither an agreement nor an invoice reopens it."""
    hub = Hub().play(policy(), notice(photos=()), estimate(), WITHDRAWAL)
    assert (hub.claim.outcome, hub.stage, hub.claim.open_tasks) == (Outcome.WITHDRAWN, Stage.CLOSED, ())
    hub.play(invoice(), WITHDRAWAL)

    assert [dead.code for dead in hub.dead] == ["too-late", "too-late"]
    assert (hub.stage, hub.payments) == (Stage.CLOSED, ())
    assert len(told(hub, NoticeKind.WITHDRAWN)) == 1


@pytest.mark.parametrize("code", [None, PaymentStatusCode.ACSP, PaymentStatusCode.ACSC])
def test_nothing_is_withdrawn_once_money_is_on_its_way(code: PaymentStatusCode | None) -> None:
    """Refused with the reason; the payment goes on."""
    hub = Hub().play(policy(), notice(), estimate(), invoice())
    if code is not None:
        hub.play(make.payment_status(INSTRUCTION, PAID_MINOR, code))
    stage = hub.stage
    hub.play(WITHDRAWAL)

    assert [dead.code for dead in hub.dead] == ["too-late"]
    assert ("money is on its way" in hub.dead[0].reason) == (code is not PaymentStatusCode.ACSC)
    assert (hub.claim.outcome, hub.stage) == (Outcome.APPROVED, stage)


def test_a_withdrawn_claim_goes_on_in_a_new_round() -> None:
    """A person reopens it: what was known is known, and nobody pays it without a person."""
    hub = Hub().play(policy(), notice(), estimate(), WITHDRAWAL, by_handler(DecisionAction.REOPEN))
    assert (hub.claim.round, hub.tasks) == (2, [TaskKind.INVOICE])
    assert hub.claim.policy is not None and hub.claim.policy.covers
    hub.play(estimate(version=2), invoice())

    assert hub.tasks == [TaskKind.APPROVAL]
    assert [clock.about for clock in hub.claim.clocks if clock.kind is ClockKind.DECISION] == ["", "2"]
    hub.play(decision())
    assert (hub.stage, hub.payments[0].amount_minor) == (Stage.PAYING, PAID_MINOR)


def test_what_was_paid_before_counts_in_the_new_round() -> None:
    """The new settlement has a version of its own, from the first record on; only the difference is paid."""
    hub = paid_claim().play(by_handler(DecisionAction.REOPEN))
    settlement = hub.claim.settlement
    assert settlement is not None
    assert (settlement.version, settlement.round, settlement.payable_minor) == (2, 2, 0)
    hub.play(estimate({"parts": 2_300_00, "labour": 800_00}, version=2))
    hub.play(invoice({"parts": 2_300_00, "labour": 800_00}, number="00000002"))
    hub.play(decision(settlement_version=3))

    assert [it.amount_minor for it in hub.payments] == [PAID_MINOR, 300_00]
    assert hub.stage is Stage.PAYING
    last = hub.payments[-1]
    hub.play(make.payment_status(last.id, 300_00))
    assert (hub.stage, hub.dead) == (Stage.PAID, [])


def test_a_rejected_claim_may_be_reopened_and_one_under_way_may_not() -> None:
    """Nor one whose money is on its way, nor one that was not accepted."""
    reopen = by_handler(DecisionAction.REOPEN)
    rejected = Hub().play(policy(covers=(OWN_DAMAGE,)), notice(photos=()), finding(), estimate(), invoice())
    rejected.play(reopen, decision(action=DecisionAction.REJECT), reopen)
    paying = Hub().play(policy(), notice(), estimate(), invoice(), reopen)
    not_accepted = Hub().play(policy(effective_from_ms=make.LOSS_MS + 1), notice(), reopen)

    assert [dead.code for dead in rejected.dead] == ["not-ended"]
    assert (rejected.claim.round, rejected.claim.outcome) == (2, None)
    assert [dead.code for dead in paying.dead] == ["not-ended"]
    assert [dead.code for dead in not_accepted.dead] == ["not-accepted"]


def test_no_reason_has_what_the_claimant_said() -> None:
    """The text is personal: it stays in its record."""
    hub = paid_claim().play(INQUIRY, COMPLAINT, by_handler(DecisionAction.REOPEN), WITHDRAWAL)

    for said in (*hub.outputs, *hub.decisions):
        assert "13800000000" not in said.reason and "报案人甲" not in said.reason
