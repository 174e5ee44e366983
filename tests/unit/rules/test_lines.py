"""Lines of business: what each asks for, and that a new one is a product file and a file of rules."""

import pytest

from schemas.records import BillItem, BillKind, CustomerNotice, Fault, FindingKind, LossNotice, NoticeKind, PolicyCover
from streams.rules.claim import Stage, TaskKind
from streams.rules.lines import LINES
from tests.claims import (
    ALLOWANCE,
    BUILDING,
    DISABILITY,
    INSURED,
    MEDICAL,
    PATIENT,
    PLACE,
    bill,
    document,
    estimate,
    finding,
    notice,
    notice_of,
    policy,
    policy_of,
)
from tests.unit.rules.hub import Hub
from tests.unit.rules.travel.delay import COVER, TRAVEL

CODED = {BillKind.DRUG: "XB01ABD093B002", BillKind.EXAM: "002200000010000", BillKind.BED: "001109000010000"}


def open_tasks(hub: Hub) -> list[tuple[TaskKind, str]]:
    """What the claim waits for, and from whom."""
    return [(task.kind, task.addressee) for task in hub.claim.open_tasks]


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        (notice(injury=True), [TaskKind.POLICE, TaskKind.ESTIMATE]),
        (notice(photos=()), [TaskKind.SURVEY, TaskKind.ESTIMATE]),
        (notice(estimated_loss_minor=5_000_01), [TaskKind.SURVEY, TaskKind.ESTIMATE]),
        (notice(), [TaskKind.ESTIMATE]),
    ],
    ids=["injury", "no photos", "above the limit", "small"],
)
def test_a_motor_claim_asks_by_injury_photos_and_amount(loss: LossNotice, wanted: list[TaskKind]) -> None:
    """The surveyor looks without photos or above the product's amount, the police report when somebody was hurt."""
    assert [task.kind for task in Hub().play(policy(), loss).claim.open_tasks] == wanted


def test_a_disputed_fault_asks_the_police() -> None:
    """The survey says the notice is wrong about the fault."""
    disputed = finding(fault=Fault.NONE, contradicts_notice=True)
    hub = Hub().play(policy(), notice(photos=()), disputed)
    assert (TaskKind.POLICE, "police") in open_tasks(hub)

    hub.play(finding(kind=FindingKind.POLICE, fault=Fault.MINOR, finding_id="PO-1"))
    assert open_tasks(hub) == [(TaskKind.ESTIMATE, "repair-shop")]
    assert hub.claim.fault is Fault.MINOR


def test_an_accident_asks_police_or_witness_by_its_cause() -> None:
    """Who was there: the police when it was in traffic."""
    by_cause = {"traffic": (TaskKind.POLICE, "police"), "fall": (TaskKind.WITNESS, "witness")}
    for cause, asked in by_cause.items():
        insured = policy_of("accident", INSURED, ALLOWANCE, DISABILITY)
        hub = Hub().play(insured, notice_of("accident", INSURED, "hospital-stay", "disability", cause=cause))
        assert open_tasks(hub) == [asked, (TaskKind.BILL, "hospital"), (TaskKind.DISABILITY, "hospital")]


def test_property_is_always_surveyed_and_a_large_loss_adjusted() -> None:
    """The loss adjuster values what is above the product's amount, or what the survey did not value."""
    insured, loss = (
        policy_of("property", PLACE, BUILDING),
        notice_of("property", PLACE, "insured-property", cause="fire"),
    )
    papers = document(kind="list-of-losses")
    assert open_tasks(Hub().play(insured, loss, papers)) == [(TaskKind.SURVEY, "surveyor")]
    for survey, asked in (
        (finding(loss_minor=100_000_00), (TaskKind.APPROVAL, "handler")),
        (finding(loss_minor=100_000_01), (TaskKind.LOSS_ADJUSTER, "loss-adjuster")),
        (finding(loss_minor=None), (TaskKind.LOSS_ADJUSTER, "loss-adjuster")),
    ):
        assert open_tasks(Hub().play(insured, loss, papers, survey)) == [asked]


def test_a_high_bill_asks_the_hospital() -> None:
    """Above the product's amount."""
    insured, loss = policy_of("health", PATIENT, MEDICAL), notice_of("health", PATIENT, "treatment")
    assert (TaskKind.HOSPITAL_CHECK, "hospital") not in open_tasks(Hub().play(insured, loss, bill(10_000_00)))
    assert open_tasks(Hub().play(insured, loss, bill(10_000_01))) == [(TaskKind.HOSPITAL_CHECK, "hospital")]


def test_missing_documents_are_asked_for_at_once_and_once() -> None:
    """One list for the claimant; a second notice of the same loss sends no second list; then the claim goes on."""
    loss = notice_of("property", PLACE, "insured-property", cause="fire")
    hub = Hub().play(policy_of("property", PLACE, BUILDING), loss, loss)
    assert (TaskKind.DOCUMENTS, "claimant") in open_tasks(hub)
    asked = [sent.record for sent in hub.sent("customer.notice.v1")]
    texts = [it.text for it in asked if isinstance(it, CustomerNotice) and it.kind is NoticeKind.DOCUMENTS_NEEDED]
    assert len(texts) == 1
    assert "list-of-losses" in texts[0]

    hub.play(document(kind="police-report", document_id="DOC-0"))
    assert (TaskKind.DOCUMENTS, "claimant") in open_tasks(hub)
    hub.play(document(kind="list-of-losses"))
    assert open_tasks(hub) == [(TaskKind.SURVEY, "surveyor")]


@pytest.mark.parametrize(
    ("loss", "about"),
    [
        (notice_of("health", INSURED, "treatment"), "the notice lacks hospital, visit_date, diagnosis"),
        (notice(driver_name=None), "the notice lacks driver_name"),
        (notice_of("health", PATIENT, "treatment", policy_number=None), "no policy is named"),
        (
            notice_of("health", {**PATIENT, "insured_person": "110105194912310038"}, "treatment"),
            "insures another insured_person",
        ),
        (notice_of("accident", INSURED, "injury"), "insures another line of business"),
    ],
    ids=["facts", "driver", "policy", "person", "line"],
)
def test_a_claim_without_its_facts_or_with_another_policy_stays_reported(loss: LossNotice, about: str) -> None:
    """The reporting desk is told what is missing; a later notice with all of it registers the claim."""
    hub = Hub().play(policy_of("health", PATIENT, MEDICAL), policy(policy_number="POL-2"), loss)

    assert hub.stage is Stage.REPORTED
    assert [task.addressee for task in hub.claim.open_tasks] == ["reporting"]
    assert about in hub.claim.open_tasks[0].about
    if loss.line == "health":
        hub.play(notice_of("health", PATIENT, "treatment"))
        assert hub.stage is not Stage.REPORTED


@pytest.mark.parametrize(
    ("loss", "code"),
    [
        (notice(line="pets"), "unknown-line"),
        (notice_of("health", {**PATIENT, "visit_date": "yesterday"}, "treatment"), "bad-fact"),
        (notice_of("health", {**PATIENT, "insured_person": "110105194912310021"}, "treatment"), "bad-fact"),
    ],
    ids=["line", "date", "identity"],
)
def test_a_notice_that_cannot_be_right_is_refused(loss: LossNotice, code: str) -> None:
    """With the field, and never its value."""
    hub = Hub().play(loss)

    assert [dead.code for dead in hub.dead] == [code]
    assert not any(value in hub.dead[0].reason for value in loss.facts.values())


def test_a_claim_does_not_change_its_line() -> None:
    """Another line is another claim."""
    hub = Hub().play(policy(), notice(), notice_of("health", PATIENT, "treatment"))

    assert [dead.code for dead in hub.dead] == ["other-line"]


def test_a_bill_pays_what_the_catalogue_lists() -> None:
    """Drugs, exams and beds need a code of the catalogue; what the items do not explain is named, and kept as such."""
    coded = [
        BillItem(item_id=kind, kind=kind, code=code, description="目录内", net_minor=100_00)
        for kind, code in CODED.items()
    ]
    outside = BillItem(item_id="9", kind=BillKind.DRUG, code="Y1", description="目录外", net_minor=70_00)
    free = BillItem(item_id="10", kind=BillKind.SURGERY, description="手术", net_minor=500_00)
    insured, loss = policy_of("health", PATIENT, MEDICAL), notice_of("health", PATIENT, "treatment")
    for total, eligible, unexplained, words in (
        (870_00, 800_00, 0, "70.00 CNY not in the catalogue (drug 9)"),
        (870_01, 800_00, 0, "not in the catalogue"),
        (880_00, 800_00, 10_00, "10.00 CNY unexplained"),
        (860_00, 790_00, -10_00, "-10.00 CNY unexplained"),
    ):
        hub = Hub().play(insured, loss, bill(items=(*coded, outside, free), total_minor=total))
        assert [(kept.eligible_minor, kept.unexplained_minor) for kept in hub.claim.bills] == [(eligible, unexplained)]
        assert words in hub.decisions[-1].reason
        assert ("unexplained" in hub.decisions[-1].reason) == (abs(total - 870_00) > 1)


def test_the_same_bill_twice_is_one_bill_and_another_content_is_refused() -> None:
    """(Issuer, code, number) is one paper."""
    first = bill(5_000_00)
    hub = Hub().play(
        policy_of("health", PATIENT, MEDICAL), notice_of("health", PATIENT, "treatment", estimated_loss_minor=5_000_00)
    )
    hub.play(first, first, bill(6_000_00))

    assert len(hub.claim.bills) == 1
    assert [dead.code for dead in hub.dead] == ["version-conflict"]


def test_a_bill_for_a_claim_that_pays_no_bills_is_refused() -> None:
    """A motor claim, and an estimate for a health claim."""
    motor = Hub().play(policy(), notice(), bill())
    health = Hub().play(policy_of("health", PATIENT, MEDICAL), notice_of("health", PATIENT, "treatment"), estimate())

    assert [dead.code for dead in (*motor.dead, *health.dead)] == ["not-covered", "not-covered"]


def test_another_line_is_a_product_file_and_a_file_of_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Travel delay, from notice to instruction, without a change anywhere else."""
    monkeypatch.setitem(LINES, "travel", TRAVEL)
    cover = PolicyCover(cover=COVER, sum_insured_minor=900_00, daily_minor=200_00)
    facts = {"traveller": "T-1", "flight": "XX 0123", "hours_late": "13"}
    hub = Hub().play(policy_of("travel", facts, cover), notice_of("travel", facts, "delay"))

    assert (hub.stage, hub.dead) == (Stage.PAYING, [])
    assert [payment.amount_minor for payment in hub.payments] == [600_00]
    assert "travel-delay pays 600.00 CNY" in hub.decisions[-1].reason
