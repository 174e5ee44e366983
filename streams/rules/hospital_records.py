"""A hospital's record of a stay: kept with the claim, and held against the hospital's bills (domain: departments)."""

from datetime import date
from typing import Final

from msgspec.structs import replace

from schemas.records import HospitalRecord, HospitalRequest, HospitalRequestKind
from streams.outcomes import Dead
from streams.rules.admission import undecided
from streams.rules.claim import Claim, KeptBill, KeptRecord, Notice, TaskKind
from streams.rules.deadlines import Calendar, day_of
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.derived import derived_id
from streams.rules.lines import LINES
from streams.rules.medical import contains, paid_by_bill, record_of
from streams.rules.progress import advance

RULE: Final = "hospital-records.record"
KEPT: Final = "hospital-records.kept"
DIFFERS: Final = "hospital-records.differs"


def on_record(claim: Claim, record: HospitalRecord, cause: Cause, seen: Lookups) -> Decision:
    """Keep a hospital's record; a later one of the same stay corrects it. One that nobody has asked for and no bill
    differs from is only noted.

    Raises Park until the claim is registered; Dead for a claim without a cover that rests on bills, for a record of the
    same time with other content, and once the claim is decided.
    """
    notice, policy = undecided(claim, "the record")
    if not paid_by_bill(LINES[notice.line], notice, policy):
        raise Dead("not-covered", "claim: neither notice nor policy have something a hospital's record is needed for")
    kept = KeptRecord(
        id=record.record_id,
        hospital=record.hospital,
        admitted_at_ms=record.admitted_at_ms,
        discharged_at_ms=record.discharged_at_ms,
        issued_at_ms=record.issued_at_ms,
        sha256=record.sha256,
    )
    same = [it for it in claim.hospital_records if (it.hospital, it.id) == (kept.hospital, kept.id)]
    if kept in same:
        return Decision(claim, KEPT, "this record is already known", noted=True)
    if same and kept.issued_at_ms < same[0].issued_at_ms:
        return Decision(claim, KEPT, f"a newer record {kept.id} of {kept.hospital} is known", noted=True)
    if same and kept.issued_at_ms == same[0].issued_at_ms:
        raise Dead("version-conflict", "record_id, issued_at_ms: this record is already known with other content")
    others = [it for it in claim.hospital_records if it not in same]
    records = tuple(sorted((*others, kept), key=lambda one: (one.hospital, one.id)))
    reason = f"record {kept.id} of {kept.hospital} came, {_days(kept, LINES[notice.line].product.calendar)}"
    asked = any(task.kind in (TaskKind.HOSPITAL_RECORD, TaskKind.HOSPITAL_CHECK) for task in claim.open_tasks)
    claim = replace(claim, hospital_records=records)
    bills = [bill for bill in claim.bills if bill.hospital == kept.hospital]
    told = tuple([output for bill in bills for output in differing(claim, notice, bill, cause)])
    if not asked and not told:
        return Decision(claim, KEPT, f"{reason}; nobody has asked for it", noted=True)
    return advance(claim, cause, RULE, reason, told)


def differing(claim: Claim, notice: Notice, bill: KeptBill, cause: Cause) -> tuple[Output, ...]:
    """The word to a hospital that its record does not contain its bill; nothing when it does, or there is none."""
    calendar = LINES[notice.line].product.calendar
    record = record_of(claim, bill, calendar)
    if record is None or contains(record, bill, calendar):
        return ()
    there, billed = _days(record, calendar), _days(bill, calendar)
    reason = f"the record of {bill.hospital}, {there}, does not contain its bill, {billed}"
    told = HospitalRequest(
        claim=claim.number,
        request_id=derived_id("RQ", claim.number, claim.version, HospitalRequestKind.ANOMALY_NOTICE, bill.paper),
        kind=HospitalRequestKind.ANOMALY_NOTICE,
        facts=notice.facts,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=DIFFERS,
        reason=reason,
    )
    return (Output("hospital.request.v1", claim.number, told, DIFFERS, reason),)


def _days(stay: KeptRecord | KeptBill, calendar: Calendar) -> str:
    first, last = (date.fromordinal(day_of(at_ms, calendar)) for at_ms in (stay.admitted_at_ms, stay.discharged_at_ms))
    return f"from {first} to {last}"
