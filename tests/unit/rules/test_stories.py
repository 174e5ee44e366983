"""Whole claims, in every order: where they end does not depend on who speaks first."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import (
    ContactKind,
    CustomerNotice,
    Fault,
    FindingKind,
    NoticeKind,
    PaymentInstruction,
    PaymentStatusCode,
    Record,
    Role,
)
from streams.rules.claim import Claim, Stage
from streams.rules.payments import instruction_id, payee_digest
from tests.claims import (
    ALLOWANCE,
    BUILDING,
    CLAIM,
    DAY_MS,
    DISABILITY,
    INSURED,
    LOSS_MS,
    MEDICAL,
    OWN,
    PATIENT,
    PAYEE,
    PLACE,
    RESCUE,
    THIRD,
    amount_answer,
    bill,
    contact,
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
)
from tests.unit.rules.hub import Hub

INSTRUCTION = instruction_id(CLAIM, 1, payee_digest(PAYEE), 1)

FAST_TRACK: tuple[Record, ...] = (
    policy(),
    notice(),
    document(),
    estimate(),
    invoice(),
    payment_status(INSTRUCTION, 2_300_00, PaymentStatusCode.ACSP),
    payment_status(INSTRUCTION, 2_300_00),
)
BY_TWO_PEOPLE: tuple[Record, ...] = (
    policy(),
    notice(photos=(), fault=Fault.UNKNOWN, estimated_loss_minor=70_000_00, damaged=(OWN, THIRD)),
    finding(fault=Fault.MAIN),
    estimate({"parts": 50_000_00, "labour": 9_000_00}),
    estimate({"parts": 60_000_00, "labour": 9_000_00}, version=2),
    estimate({"other": 3_000_00}, damaged=THIRD),
    invoice({"parts": 59_000_00, "labour": 9_000_00}),
    invoice({"other": 3_000_00}, damaged=THIRD, number="00000002"),
    decision(Role.HANDLER),
    decision(Role.APPROVER),
    payment_status(INSTRUCTION, 69_500_00),
)
IN_HOSPITAL: tuple[Record, ...] = (
    policy_of("health", PATIENT, MEDICAL),
    notice_of("health", PATIENT, "treatment", estimated_loss_minor=40_000_00),
    document(kind="medical-record"),
    bill(30_000_00, 15_678_91, paid_by_others_minor=18_123_45),
    finding(kind=FindingKind.HOSPITAL_CHECK, fault=Fault.UNKNOWN),
    decision(Role.HANDLER),
    payment_status(INSTRUCTION, 15_799_91),
)
AFTER_AN_ACCIDENT: tuple[Record, ...] = (
    policy_of("accident", INSURED, ALLOWANCE, DISABILITY),
    notice_of("accident", INSURED, "hospital-stay", "disability", cause="traffic", estimated_loss_minor=2_000_00),
    finding(kind=FindingKind.POLICE),
    bill(discharged_at_ms=LOSS_MS + 17 * DAY_MS),
    finding(kind=FindingKind.DISABILITY, disability_grade=8, fault=Fault.UNKNOWN),
    decision(Role.HANDLER),
    decision(Role.APPROVER),
    payment_status(INSTRUCTION, 62_100_00),
)
A_WAREHOUSE_BURNS: tuple[Record, ...] = (
    policy_of("property", PLACE, BUILDING, RESCUE),
    notice_of("property", PLACE, "insured-property", "rescue", cause="fire", estimated_loss_minor=400_000_00),
    document(kind="list-of-losses"),
    finding(loss_minor=450_000_00, fault=Fault.UNKNOWN),
    finding(
        kind=FindingKind.LOSS_ADJUSTER,
        loss_minor=456_789_01,
        salvage_minor=1_234_56,
        rescue_minor=10_000_01,
        fault=Fault.UNKNOWN,
    ),
    amount_answer(),
    decision(Role.HANDLER),
    decision(Role.APPROVER),
    contact(ContactKind.AGREEMENT, settlement_version=1),
    payment_status(INSTRUCTION, 288_517_82 + 6_666_67),
)
STORIES = (FAST_TRACK, BY_TWO_PEOPLE, IN_HOSPITAL, AFTER_AN_ACCIDENT, A_WAREHOUSE_BURNS)

MOVES = {
    Stage.REPORTED: set(Stage) - {Stage.PAID, Stage.CLOSED},
    Stage.INVESTIGATING: {Stage.INVESTIGATING, Stage.ASSESSING, Stage.DECIDED, Stage.PAYING},
    Stage.ASSESSING: {Stage.ASSESSING, Stage.INVESTIGATING, Stage.DECIDED, Stage.PAYING},
    Stage.DECIDED: {Stage.DECIDED, Stage.PAYING},
    Stage.PAYING: {Stage.PAYING, Stage.PAID},
    Stage.PAID: {Stage.PAID},
}


def test_fast_track_is_touched_by_nobody() -> None:
    """Photos, a small loss, no risk: settled, approved and paid without a finding or a decision."""
    hub = Hub().play(*FAST_TRACK)

    assert hub.stages == [
        Stage.ASSESSING,
        Stage.ASSESSING,
        Stage.ASSESSING,
        Stage.PAYING,
        Stage.PAYING,
        Stage.PAID,
    ]
    (sent,) = hub.sent("finance.payment-instruction.v1")
    assert isinstance(sent.record, PaymentInstruction)
    assert (sent.record.amount_minor, sent.record.payee, sent.record.purpose) == (2_300_00, PAYEE, "INSC")
    assert len(sent.record.instruction_id) <= 35
    assert _told(hub) == [NoticeKind.RECEIVED, NoticeKind.REGISTERED, NoticeKind.DECISION, NoticeKind.PAID]


def test_survey_supplement_and_two_people() -> None:
    """Own damage and compulsory motor are settled apart and paid together once two people agree."""
    hub = Hub().play(*BY_TWO_PEOPLE)

    assert (hub.stage, hub.dead, len(hub.waiting)) == (Stage.PAID, [], 0)
    assert hub.claim.settlement is not None
    assert hub.claim.settlement.covers == {"compulsory-motor": 2_000_00, "own-damage": 67_500_00}
    (payment,) = hub.payments
    assert (payment.proposed_by, payment.approved_by) == ("handler-07", "approver-07")
    assert hub.stages[0] is Stage.INVESTIGATING


@pytest.mark.parametrize(
    ("story", "covers"),
    [
        (IN_HOSPITAL, {"medical": 15_799_91}),
        (AFTER_AN_ACCIDENT, {"hospital-allowance": 2_100_00, "disability": 60_000_00}),
        (A_WAREHOUSE_BURNS, {"property": 288_517_82, "rescue-cost": 6_666_67}),
    ],
    ids=["health", "accident", "property"],
)
def test_every_line_goes_from_notice_to_paid(story: tuple[Record, ...], covers: dict[str, int]) -> None:
    """Each asks for what its route needs, settles by its own covers, and is paid once people agree."""
    hub = Hub().play(*story)

    assert (hub.stage, hub.dead, len(hub.waiting)) == (Stage.PAID, [], 0)
    assert hub.claim.settlement is not None
    assert hub.claim.settlement.covers == covers
    assert len(hub.sent("finance.payment-instruction.v1")) == 1


@settings(max_examples=500)
@given(st.data())
def test_any_order_ends_the_same(data: st.DataObject) -> None:
    """No order loses a record, leaves one waiting, or ends with other money; no stage is reached unlawfully."""
    story = data.draw(st.sampled_from(STORIES))
    hub = Hub().play(*data.draw(st.permutations(story)))
    straight = Hub().play(*story)

    assert (hub.dead, hub.waiting) == ([], [])
    assert _essence(hub.claim) == _essence(straight.claim)
    assert hub.stage is Stage.PAID
    assert _whatever_the_order(_told(hub)) == _whatever_the_order(_told(straight))
    assert len(set(_told(hub))) == len(_told(hub))
    for before, after in zip(hub.stages, hub.stages[1:], strict=False):
        assert after in MOVES[before]


@settings(max_examples=100)
@given(st.data())
def test_any_part_of_a_story_never_pays_twice_and_never_crashes(data: st.DataObject) -> None:
    """Records missing, repeated and mixed up: at most one instruction; what cannot be waits or is a dead letter."""
    records = data.draw(st.lists(st.sampled_from(data.draw(st.sampled_from(STORIES))), max_size=20))

    hub = Hub().play(*records)

    assert len(hub.sent("finance.payment-instruction.v1")) == len(hub.payments) <= 1
    for before, after in zip(hub.stages, hub.stages[1:], strict=False):
        assert after in MOVES[before]


def test_every_output_and_decision_explains_itself_without_personal_data() -> None:
    """A dotted rule and a sentence; no name, phone or account in it."""
    for story in STORIES:
        hub = Hub().play(*story)
        for said in (*hub.outputs, *hub.decisions):
            assert "." in said.rule and len(said.reason) > 10
            for private in (
                PAYEE.name,
                PAYEE.account,
                PAYEE.bank_code,
                "13800000000",
                "报案人甲",
                "驾驶人甲",
                "京A12345",
                *INSURED.values(),
                PATIENT["diagnosis"],
                *PLACE.values(),
            ):
                assert private not in said.reason


def _told(hub: Hub) -> list[NoticeKind]:
    records = (output.record for output in hub.sent("customer.notice.v1"))
    return [record.kind for record in records if isinstance(record, CustomerNotice)]


def _whatever_the_order(notices: Iterable[str]) -> list[str]:
    """Without the request for documents: it is not made when they came before."""
    return sorted(set(notices) - {NoticeKind.DOCUMENTS_NEEDED})


def _essence(claim: Claim) -> tuple[object, ...]:
    """The claim without the places of the records that moved it."""
    settlement = claim.settlement
    assert settlement is not None
    return (
        claim.notice,
        claim.policy,
        claim.findings,
        claim.documents,
        claim.assessed,
        claim.bills,
        claim.open_tasks,
        claim.amount_check,
        claim.approvals,
        claim.outcome,
        (settlement.version, settlement.covers, settlement.payable_minor),
        [(p.id, p.amount_minor, p.state, p.proposed_by, p.approved_by) for p in claim.payments],
        _whatever_the_order(claim.notices),
    )
