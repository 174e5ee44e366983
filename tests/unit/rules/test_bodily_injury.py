"""Motor: a third party who was hurt, by the hospital's bill and the certificate of a disability, first under compulsory
motor and then under third-party liability."""

import pytest

from schemas.records import (
    DamagedObject,
    Fault,
    FindingKind,
    HospitalRequest,
    Policy,
    PolicyCover,
    Record,
)
from streams.rules.claim import Outcome, Stage, TaskKind
from tests.claims import (
    COMPULSORY,
    THIRD,
    bill,
    decision,
    estimate,
    finding,
    invoice,
    notice,
    payment_status,
    policy,
)
from tests.unit.rules.hub import Hub

INJURY, DISABLED = DamagedObject.THIRD_PARTY_INJURY, DamagedObject.THIRD_PARTY_DISABILITY
LIABILITY = PolicyCover(cover="third-party-liability", sum_insured_minor=1_000_000_00)
HURT = notice(damaged=(THIRD, INJURY), injury=True, fault=Fault.MAIN)
POLICE = finding(kind=FindingKind.POLICE, fault=Fault.MAIN, finding_id="PO-1")
REPAIR: tuple[Record, ...] = (
    estimate({"parts": 8_533_33}, damaged=THIRD),
    invoice({"parts": 8_533_33}, damaged=THIRD),
)


def insured(*covers: PolicyCover) -> Policy:
    """A motor policy with these covers."""
    return policy(covers=covers)


def test_third_party_share_70_from_the_notice_to_the_payment() -> None:
    """The worked case end to end: compulsory motor pays 20 000.00, third-party liability 8 528.68 of the rest."""
    hub = Hub().play(insured(COMPULSORY, LIABILITY), HURT)
    assert [(task.kind, task.addressee) for task in hub.claim.open_tasks] == [
        (TaskKind.POLICE, "police"),
        (TaskKind.ESTIMATE, "repair-shop"),
        (TaskKind.BILL, "hospital"),
    ]
    hub.play(POLICE, *REPAIR, bill(23_650_50))
    settlement = hub.claim.settlement

    assert settlement is not None
    assert settlement.covers == {"compulsory-motor": 20_000_00, "third-party-liability": 8_528_68}
    assert settlement.payable_minor == 28_528_68
    hub.play(decision())
    assert [payment.amount_minor for payment in hub.payments] == [28_528_68]
    hub.play(payment_status(hub.payments[0].id, 28_528_68))
    assert (hub.claim.outcome, hub.stage, hub.dead, hub.waiting) == (Outcome.APPROVED, Stage.PAID, [], [])


def test_the_hospital_is_asked_for_the_bill_of_who_was_hurt() -> None:
    """And the police whenever somebody was, whether the notice says so besides or not."""
    hub = Hub().play(insured(COMPULSORY), notice(damaged=(INJURY,), fault=Fault.MAIN))
    asked = [sent.record.kind for sent in hub.sent("hospital.request.v1") if isinstance(sent.record, HospitalRequest)]

    assert asked == ["bill"]
    assert TaskKind.POLICE in [task.kind for task in hub.claim.open_tasks]


def test_without_third_party_liability_compulsory_motor_pays_what_it_pays() -> None:
    """At most 18 000.00 medical and 2 000.00 property; what others paid of the bill is not lost."""
    hub = Hub().play(insured(COMPULSORY), HURT, POLICE, *REPAIR, bill(23_650_50, paid_by_others_minor=10_000_00))

    assert hub.claim.settlement is not None
    assert hub.claim.settlement.covers == {"compulsory-motor": 13_650_50 + 2_000_00}


@pytest.mark.parametrize(("loss", "pays"), [(150_000_00, 150_000_00), (250_000_00, 180_000_00)])
def test_a_disability_is_paid_by_its_certificate(loss: int, pays: int) -> None:
    """Under the bucket of death and disability; a certificate without an amount is still waited for."""
    graded = finding(kind=FindingKind.DISABILITY, finding_id="DI-1", disability_grade=8)
    hub = Hub().play(insured(COMPULSORY), notice(damaged=(DISABLED,), fault=Fault.MAIN), POLICE, graded)
    assert [task.kind for task in hub.claim.open_tasks] == [TaskKind.DISABILITY]
    hub.play(finding(kind=FindingKind.DISABILITY, finding_id="DI-2", disability_grade=8, loss_minor=loss))

    assert hub.claim.settlement is not None
    assert hub.claim.settlement.covers == {"compulsory-motor": pays}


def test_a_repair_shop_estimates_nobody_who_was_hurt_and_no_hospital_bills_a_vehicle() -> None:
    """Both are refused with a reason."""
    hub = Hub().play(insured(COMPULSORY, LIABILITY), HURT, estimate(damaged=INJURY))
    repaired = Hub().play(insured(COMPULSORY), notice(damaged=(THIRD,)), bill())

    assert [dead.reason for dead in hub.dead] == [
        "damaged: estimate E01 is for third-party-injury, which a hospital bills or certifies"
    ]
    assert [dead.code for dead in repaired.dead] == ["not-covered"]


def test_what_is_set_aside_follows_what_is_known_of_the_hurt() -> None:
    """The bill counts before the repair is agreed."""
    hub = Hub().play(insured(COMPULSORY, LIABILITY), HURT, POLICE)
    before = hub.claim.reserve_minor
    hub.play(bill(23_650_50))

    assert before != hub.claim.reserve_minor == 23_650_50
