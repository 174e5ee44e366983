"""Days in hospital: counted by the calendar of the line's product."""

import pytest
from msgspec.structs import replace

from streams.rules.decision import Cause
from streams.rules.health import HEALTH
from streams.rules.hospital_records import differing
from streams.rules.line import Registered
from streams.rules.lines import LINES
from streams.rules.medical import billed_case, record_tasks
from tests.claims import (
    ALLOWANCE,
    DAY_MS,
    HOUR_MS,
    LOSS_MS,
    MEDICAL,
    PATIENT,
    bill,
    hospital_record,
    notice_of,
    policy_of,
)
from tests.unit.rules.hub import Hub

LAST_MOMENT_MS = 253_402_300_799_999
NEW_YORK = replace(HEALTH.product.calendar, time_zone="America/New_York")
ELSEWHERE = replace(HEALTH, product=replace(HEALTH.product, calendar=NEW_YORK))
# From 00:30 to 23:30 of one day in Shanghai: two days in New York, of which the record has the second.
STAY = {
    "admitted_at_ms": LOSS_MS - 7 * HOUR_MS - HOUR_MS // 2,
    "discharged_at_ms": LOSS_MS + 15 * HOUR_MS + HOUR_MS // 2,
}
RECORD = hospital_record(admitted_at_ms=LOSS_MS + 6 * HOUR_MS, discharged_at_ms=LOSS_MS + 15 * HOUR_MS)


def _registered() -> Registered:
    in_hospital = notice_of("health", PATIENT, "treatment", "hospital-stay", estimated_loss_minor=40_000_00)
    claim = Hub().play(policy_of("health", PATIENT, MEDICAL, ALLOWANCE), in_hospital, bill(**STAY), RECORD).claim
    assert claim.notice is not None and claim.policy is not None
    return Registered(claim, claim.notice, claim.policy, HEALTH.product.terms_at(claim.notice.loss_at_ms))


def test_the_days_paid_for_are_days_of_the_product_s_place() -> None:
    """The same stay is of one day in one place, and of two in another."""
    claim = _registered()

    assert billed_case(claim, HEALTH).hospital_days == 0
    assert billed_case(claim, ELSEWHERE).hospital_days == 1


def test_a_record_is_held_against_its_bill_by_days_of_the_product_s_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its days do not contain the bill's, somebody looks at it, and the hospital hears of the days there."""
    claim = _registered()
    (kept,) = claim.claim.bills
    cause = Cause("hospital.bill.v1/1/0/1", "hospital.bill.v1", LOSS_MS + 3 * DAY_MS)
    assert [*record_tasks(claim, HEALTH)] == [] and differing(claim.claim, claim.notice, kept, cause) == ()

    (wanted,) = record_tasks(claim, ELSEWHERE)
    assert wanted.about == "the record of hospital-11 does not contain its bill"
    monkeypatch.setitem(LINES, "health", ELSEWHERE)
    (told,) = differing(claim.claim, claim.notice, kept, cause)
    assert "from 2026-04-01 to 2026-04-01, does not contain its bill, from 2026-03-31 to 2026-04-01" in told.reason


@pytest.mark.parametrize("discharged_at_ms", [LAST_MOMENT_MS - DAY_MS, LAST_MOMENT_MS])
def test_a_stay_until_the_last_moment_there_is_has_an_end(discharged_at_ms: int) -> None:
    """It lies in a year that no calendar has in a place east of Greenwich."""
    in_hospital = notice_of("health", PATIENT, "hospital-stay")
    hub = Hub().play(policy_of("health", PATIENT, ALLOWANCE), in_hospital, bill(discharged_at_ms=discharged_at_ms))

    assert not hub.dead and hub.claim.bills
