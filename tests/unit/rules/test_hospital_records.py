"""A hospital's record of a stay: asked for when its bills are high, and held against their days."""

from itertools import permutations

import pytest

from schemas.records import DamagedObject, FindingKind, HospitalRecord, HospitalRequest, HospitalRequestKind, Record
from streams.rules.claim import Stage, TaskKind
from tests.claims import (
    CLAIM,
    COMPULSORY,
    DAY_MS,
    HOUR_MS,
    LOSS_MS,
    MEDICAL,
    OWN_DAMAGE,
    PATIENT,
    bill,
    document,
    finding,
    hospital_record,
    notice,
    notice_of,
    policy,
    policy_of,
)
from tests.unit.rules.hub import Hub

INSURED = policy_of("health", PATIENT, MEDICAL)
ILL = notice_of("health", PATIENT, "treatment", estimated_loss_minor=40_000_00)
"""So high that a document is needed: the claim is not decided before it comes."""
LONGER = bill(discharged_at_ms=LOSS_MS + 4 * DAY_MS)
"""The usual stay's bill, two days too long."""


def _hub(*records: Record) -> Hub:
    hub = Hub().play(INSURED, ILL, *records)
    assert not hub.dead
    return hub


def _tasks(hub: Hub) -> list[TaskKind]:
    """What the claim waits for but for the document."""
    return [task.kind for task in hub.claim.open_tasks if task.kind is not TaskKind.DOCUMENTS]


def _requests(hub: Hub, kind: HospitalRequestKind) -> list[HospitalRequest]:
    records = [sent.record for sent in hub.sent("hospital.request.v1")]
    return [it for it in records if isinstance(it, HospitalRequest) and it.kind is kind]


@pytest.mark.parametrize(("billed", "asked"), [(50_000_00, False), (50_000_01, True)])
def test_the_record_is_asked_for_when_the_bill_is_high(billed: int, *, asked: bool) -> None:
    """By the product's amount; the claim waits for it, and goes on when it comes."""
    hub = _hub(finding(kind=FindingKind.HOSPITAL_CHECK), bill(billed))

    assert (TaskKind.HOSPITAL_RECORD in _tasks(hub)) is asked
    assert len(_requests(hub, HospitalRequestKind.RECORD)) == asked
    if asked:
        assert (hub.stage, _tasks(hub)) == (Stage.ASSESSING, [TaskKind.HOSPITAL_RECORD])
        hub.play(hospital_record())
        assert _tasks(hub) == []


def test_a_record_nobody_asked_for_is_kept_and_noted() -> None:
    """Departments hear nothing of it; a bill that comes later is held against it."""
    hub = _hub(hospital_record())

    assert hub.decisions[-1].rule == "hospital-records.kept"
    assert (hub.claim.version, len(hub.claim.hospital_records)) == (1, 1)
    hub.play(LONGER)
    assert (_tasks(hub), len(_requests(hub, HospitalRequestKind.ANOMALY_NOTICE))) == ([TaskKind.HOSPITAL_CHECK], 1)


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({}, False),
        ({"admitted_at_ms": LOSS_MS - 5 * DAY_MS, "discharged_at_ms": LOSS_MS + 9 * DAY_MS}, False),
        ({"admitted_at_ms": LOSS_MS + HOUR_MS, "discharged_at_ms": LOSS_MS + 2 * DAY_MS - HOUR_MS}, False),
        ({"admitted_at_ms": LOSS_MS + DAY_MS}, True),
        ({"discharged_at_ms": LOSS_MS + DAY_MS}, True),
        ({"hospital": "hospital-12", "discharged_at_ms": LOSS_MS + DAY_MS}, False),
    ],
    ids=["same", "longer", "same days, other hours", "later", "shorter", "another hospital"],
)
def test_the_days_of_the_bill_lie_in_those_of_the_record(changes: dict[str, object], *, differs: bool) -> None:
    """Days of the hospital's place count; else the hospital hears of it once, and the bill waits for a person."""
    for told in permutations((bill(), hospital_record(**changes))):
        hub = _hub(*told)
        notices = _requests(hub, HospitalRequestKind.ANOMALY_NOTICE)

        assert len(notices) == differs
        assert (_tasks(hub) == [TaskKind.HOSPITAL_CHECK]) is differs
        assert (hub.stage is Stage.INVESTIGATING) is differs
        if differs:
            assert "does not contain its bill, from 2026-04-01 to 2026-04-03" in notices[0].reason
            assert len(hub.sent("investigation.request.v1")) == 1


def test_a_corrected_record_lets_the_claim_go_on() -> None:
    """One of the same stay, issued later; an older one changes nothing, one that still differs is told again."""
    hub = _hub(LONGER, hospital_record())

    still = hospital_record(issued_at_ms=LOSS_MS + 4 * DAY_MS, discharged_at_ms=LOSS_MS + 3 * DAY_MS)
    older = hospital_record(issued_at_ms=LOSS_MS + 2 * DAY_MS, discharged_at_ms=LOSS_MS + 4 * DAY_MS)
    assert _tasks(hub.play(older)) == [TaskKind.HOSPITAL_CHECK]
    hub.play(still, still)
    assert (_tasks(hub), len(_requests(hub, HospitalRequestKind.ANOMALY_NOTICE))) == ([TaskKind.HOSPITAL_CHECK], 2)
    hub.play(hospital_record(issued_at_ms=LOSS_MS + 5 * DAY_MS, discharged_at_ms=LOSS_MS + 4 * DAY_MS))

    assert (_tasks(hub), len(hub.claim.hospital_records), hub.dead) == ([], 1, [])


@pytest.mark.parametrize(("days", "enough"), [(3, False), (4, True)])
def test_a_person_who_looked_at_it_lets_the_claim_go_on(days: int, *, enough: bool) -> None:
    """Once record and bill were there to be looked at; what was found before says nothing of them."""
    record = hospital_record(issued_at_ms=LOSS_MS + DAY_MS)
    hub = _hub(LONGER, record, finding(kind=FindingKind.HOSPITAL_CHECK, found_at_ms=LOSS_MS + days * DAY_MS))

    assert (_tasks(hub) == []) is enough


def test_each_bill_needs_one_record_that_contains_it() -> None:
    """Two stays, two records."""
    again = bill(
        number="00000043",
        admitted_at_ms=LOSS_MS + 20 * DAY_MS,
        discharged_at_ms=LOSS_MS + 21 * DAY_MS,
    )
    first = _hub(bill(), again, hospital_record())
    second = hospital_record(
        record_id="ZY-2", admitted_at_ms=LOSS_MS + 20 * DAY_MS, discharged_at_ms=LOSS_MS + 22 * DAY_MS
    )

    assert _tasks(first) == [TaskKind.HOSPITAL_CHECK]
    assert _tasks(first.play(second)) == []


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ((hospital_record(), hospital_record(discharged_at_ms=LOSS_MS + 3 * DAY_MS)), "version-conflict"),
        ((bill(), document(kind="medical-record"), hospital_record()), "too-late"),
    ],
)
def test_what_is_refused(told: tuple[Record, ...], code: str) -> None:
    """Other content at the same time, and a record that comes once the claim is decided."""
    hub = Hub().play(INSURED, ILL, *told)

    assert [dead.code for dead in hub.dead] == [code]


def test_a_record_waits_for_its_claim_and_motor_has_none() -> None:
    """As a bill does."""
    waiting = Hub().play(hospital_record())
    motor = Hub().play(policy(covers=(COMPULSORY, OWN_DAMAGE)), notice(), hospital_record())

    assert [type(record) for record, _ in waiting.waiting] == [HospitalRecord]
    assert _tasks(waiting.play(INSURED, ILL)) == [TaskKind.BILL] and not waiting.waiting
    assert [dead.code for dead in motor.dead] == ["not-covered"]


def test_a_third_party_s_bill_is_held_against_the_record_too() -> None:
    """Motor pays by hospitals' bills as well, of who was hurt."""
    hurt = notice(damaged=(DamagedObject.THIRD_PARTY_INJURY,), injury=True)
    hub = Hub().play(policy(), hurt, finding(kind=FindingKind.POLICE), LONGER, hospital_record())

    assert not hub.dead and _tasks(hub) == [TaskKind.HOSPITAL_CHECK]
    longer = hospital_record(issued_at_ms=LOSS_MS + 5 * DAY_MS, discharged_at_ms=LOSS_MS + 4 * DAY_MS)
    assert TaskKind.HOSPITAL_CHECK not in _tasks(hub.play(longer))


def test_no_reason_tells_the_diagnosis() -> None:
    """Nor the department; the state does not have them either."""
    hub = _hub(LONGER, hospital_record())

    for said in (*hub.outputs, *hub.decisions):
        assert "S82.2" not in said.reason and "骨科" not in said.reason
    assert "S82.2" not in str(hub.claim.hospital_records)
    assert hub.claim.number == CLAIM
