"""What hospital bills come to in a settlement, and whether the hospital's records bear them out: shared by the lines
that pay them."""

from collections.abc import Iterator

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import FindingKind
from streams.rules.claim import Claim, KeptBill, KeptRecord, Notice, PolicyInForce, TaskKind
from streams.rules.deadlines import Calendar, day_of
from streams.rules.line import LineRules, Registered, Wanted, cover_terms
from streams.rules.settlement import Case, CoverKind


def paid_by_bill(line: LineRules, notice: Notice, policy: PolicyInForce) -> bool:
    """Whether the claim is about something a hospital's bill is paid for."""
    return any(line.persons.get(damaged) is TaskKind.BILL for damaged in line.covered(notice, policy))


def billed_minor(claim: Claim) -> int:
    """What is eligible in all bills, in minor units."""
    return sum(bill.eligible_minor for bill in claim.bills)


def days_in_hospital(bill: KeptBill, calendar: Calendar) -> int:
    """Calendar days from the day of admission to the day of discharge."""
    return day_of(bill.discharged_at_ms, calendar) - day_of(bill.admitted_at_ms, calendar)


def record_of(claim: Claim, bill: KeptBill, calendar: Calendar) -> KeptRecord | None:
    """The record that is for a bill: of its hospital one whose days contain the bill's, else the newest."""
    records = [record for record in claim.hospital_records if record.hospital == bill.hospital]
    return next((it for it in records if contains(it, bill, calendar)), max(records, key=_issued, default=None))


def contains(record: KeptRecord, bill: KeptBill, calendar: Calendar) -> bool:
    """Whether the patient was there on all days of the bill, as the record says."""
    began = day_of(record.admitted_at_ms, calendar) <= day_of(bill.admitted_at_ms, calendar)
    return began and day_of(bill.discharged_at_ms, calendar) <= day_of(record.discharged_at_ms, calendar)


def record_tasks(claim: Registered, line: LineRules) -> Iterator[Wanted]:
    """The hospital's records when its bills are high, and a look at it when a record does not bear out its bill."""
    limit, calendar = claim.terms.above_minor["hospital-record"], line.product.calendar
    high = billed_minor(claim.claim) > limit
    check = claim.claim.found(FindingKind.HOSPITAL_CHECK)
    for hospital in dict.fromkeys(bill.hospital for bill in claim.claim.bills):
        bills = [bill for bill in claim.claim.bills if bill.hospital == hospital]
        records = [(bill, record_of(claim.claim, bill, calendar)) for bill in bills]
        if high and any(record is None for _, record in records):
            about = f"{hospital}, billed above {format_minor(limit, claim.notice.currency)}"
            yield Wanted(TaskKind.HOSPITAL_RECORD, "hospital", about)
        for bill, record in records:
            if record is None or contains(record, bill, calendar):
                continue
            since_ms = max(record.issued_at_ms, bill.discharged_at_ms)
            if check is None or check.found_at_ms < since_ms:
                yield Wanted(TaskKind.HOSPITAL_CHECK, "hospital", f"the record of {hospital} does not contain its bill")
                break


def billed_case(claim: Registered, line: LineRules) -> Case:
    """The case of a claim whose losses are in its bills."""
    bills, covers, losses = claim.claim.bills, [], dict[str, int | dict[str, int]]()
    for damaged in line.covered(claim.notice, claim.policy):
        kind = line.covers[damaged]
        terms = cover_terms(kind, claim, line.product)
        if kind is CoverKind.MEDICAL:
            losses[kind] = billed_minor(claim.claim)
            terms = replace(terms, paid_by_others=sum(bill.paid_by_others_minor for bill in bills))
        covers.append(terms)
    days = sum([days_in_hospital(bill, line.product.calendar) for bill in bills])
    grades = [found.disability_grade for found in claim.claim.findings if found.disability_grade is not None]
    return Case(
        covers=tuple(covers),
        losses=losses,
        hospital_days=days,
        disability_grade=grades[0] if grades else None,
        loss_at_ms=claim.notice.loss_at_ms,
    )


def _issued(record: KeptRecord) -> tuple[int, str]:
    return record.issued_at_ms, record.id
