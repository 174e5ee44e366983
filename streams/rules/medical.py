"""What hospital bills come to in a settlement: shared by the lines that pay them."""

from typing import Final

from msgspec.structs import replace

from streams.rules.claim import Claim, KeptBill
from streams.rules.line import LineRules, Registered, cover_terms
from streams.rules.settlement import Case, CoverKind

BY_BILL: Final = frozenset({CoverKind.MEDICAL, CoverKind.HOSPITAL_ALLOWANCE})
"""The covers that rest on hospital bills."""

_DAY_MS: Final = 86_400_000
_SHANGHAI_MS: Final = 28_800_000  # China keeps one time all year


def billed_minor(claim: Claim) -> int:
    """What is eligible in all bills, in minor units."""
    return sum(bill.eligible_minor for bill in claim.bills)


def days_in_hospital(bill: KeptBill) -> int:
    """Calendar days from the day of admission to the day of discharge."""
    return (bill.discharged_at_ms + _SHANGHAI_MS) // _DAY_MS - (bill.admitted_at_ms + _SHANGHAI_MS) // _DAY_MS


def billed_case(claim: Registered, line: LineRules) -> Case:
    """The case of a claim whose losses are in its bills."""
    bills, covers, losses = claim.claim.bills, [], dict[str, int | dict[str, int]]()
    for damaged in line.covered(claim.notice, claim.policy):
        kind = line.covers[damaged]
        terms = cover_terms(kind, claim.policy)
        if kind is CoverKind.MEDICAL:
            losses[kind] = billed_minor(claim.claim)
            terms = replace(terms, paid_by_others=sum(bill.paid_by_others_minor for bill in bills))
        covers.append(terms)
    days = sum(map(days_in_hospital, bills))
    grades = [found.disability_grade for found in claim.claim.findings if found.disability_grade is not None]
    return Case(
        covers=tuple(covers),
        losses=losses,
        hospital_days=days,
        disability_grade=grades[0] if grades else None,
        loss_at_ms=claim.notice.loss_at_ms,
    )
