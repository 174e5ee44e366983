"""Direct settlement: the hospital under contract is guaranteed its bill, and paid for it."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from schemas.records import FindingKind, HospitalRequest, HospitalRequestKind, PaymentInstruction, Record
from streams.rules.claim import Stage
from streams.rules.lines import LINES
from tests.claims import (
    MEDICAL,
    PATIENT,
    PAYEE,
    bill,
    decision,
    document,
    finding,
    notice_of,
    payment_status,
    policy_of,
)
from tests.unit.rules.hub import Hub

DIRECT = {**PATIENT, "settle_with": "hospital"}
CONTRACT = LINES["health"].product.terms[0].contracted["hospital-11"]
CHECKED = finding(kind=FindingKind.HOSPITAL_CHECK)


def _play(facts: Mapping[str, str], *said: Record) -> Hub:
    """A bill of 12 000.00: 10 000.00 are the deductible, 90 % of the rest are paid. Or bills that are said."""
    noticed = notice_of("health", facts, "treatment", cause="illness", estimated_loss_minor=20_000_00)
    papers = (document(kind="medical-record"), *(said or (bill(12_000_00),)), CHECKED, decision())
    return Hub().play(policy_of("health", PATIENT, MEDICAL), noticed, *papers)


def _requests(hub: Hub) -> list[HospitalRequest]:
    records = [sent.record for sent in hub.sent("hospital.request.v1")]
    return [record for record in records if isinstance(record, HospitalRequest)]


def _paid(hub: Hub) -> PaymentInstruction:
    (sent,) = hub.sent("finance.payment-instruction.v1")
    assert isinstance(sent.record, PaymentInstruction)
    return sent.record


def test_the_hospital_is_guaranteed_paid_and_told() -> None:
    """Up to what its contract says, less than the policy's 600 000.00; to its own account, not the patient's."""
    hub = _play(DIRECT)
    instruction = _paid(hub)
    hub.play(payment_status(instruction.instruction_id, instruction.amount_minor))

    assert (instruction.payee, instruction.amount_minor) == (CONTRACT.account, 1_800_00)
    guarantee, advice = _requests(hub)
    assert (guarantee.kind, guarantee.amount_minor) == (HospitalRequestKind.GUARANTEE, 50_000_00)
    assert (advice.kind, advice.amount_minor) == (HospitalRequestKind.SETTLEMENT_ADVICE, 1_800_00)
    assert hub.stage is Stage.PAID


def test_no_more_is_guaranteed_than_the_policy_covers() -> None:
    """The smaller of the two."""
    little = replace(MEDICAL, sum_insured_minor=30_000_00)
    hub = Hub().play(
        policy_of("health", PATIENT, little), notice_of("health", DIRECT, "treatment", estimated_loss_minor=1_000_00)
    )

    assert [request.amount_minor for request in _requests(hub)] == [30_000_00]


@pytest.mark.parametrize(
    ("facts", "bills"),
    [
        (PATIENT, (bill(12_000_00),)),
        ({**DIRECT, "hospital": "hospital-12"}, (bill(12_000_00, hospital="hospital-12"),)),
        (DIRECT, (bill(10_500_00), bill(1_500_00, number="00000043", hospital="hospital-12"))),
    ],
    ids=["not asked for", "no contract", "another hospital's bill too"],
)
def test_otherwise_the_patient_is_paid_and_no_hospital_told(
    facts: Mapping[str, str], bills: tuple[Record, ...]
) -> None:
    """Only what was asked for, is under contract, and is the hospital's alone goes to it."""
    hub = _play(facts, *bills)
    instruction = _paid(hub)
    hub.play(payment_status(instruction.instruction_id, instruction.amount_minor))

    assert instruction.payee == PAYEE
    assert HospitalRequestKind.SETTLEMENT_ADVICE not in [request.kind for request in _requests(hub)]
