"""Hospital bills: what of them is eligible, and why the rest is not (domain: matching documents, hospital bill)."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import BillItem, BillKind, HospitalBill, ProviderKind
from streams.outcomes import Dead
from streams.rules import peers, same_paper
from streams.rules.admission import check_policy_currency, undecided
from streams.rules.claim import Claim, KeptBill
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.hospital_records import differing
from streams.rules.lines import LINES, terms_of
from streams.rules.medical import paid_by_bill
from streams.rules.progress import advance


class Eligible(NamedTuple):
    """What of a bill is eligible, what its items do not explain, and in words what is not eligible; amounts in minor
    units."""

    amount_minor: int
    unexplained_minor: int
    words: str


def on_bill(claim: Claim, bill: HospitalBill, cause: Cause, seen: Lookups) -> Decision:
    """Take a hospital's bill, once; one that another claim has is refused.

    Raises Park until the claim is registered; Dead in another currency, for a claim without a cover that rests on
    bills, for a paper that is known with other content, and once the claim is decided.
    """
    notice, policy = undecided(claim, "the bill")
    check_policy_currency(bill.currency, policy, "the bill")
    if not paid_by_bill(LINES[notice.line], notice, policy):
        raise Dead("not-covered", "claim: neither notice nor policy have something a hospital's bill is paid for")
    paper = f"{bill.issuer}/{bill.code}/{bill.number}"
    tolerance_minor = terms_of(notice).tolerance_minor
    eligible = eligible_of(bill, terms_of(notice).catalogue, tolerance_minor)
    kept = KeptBill(
        paper=paper,
        sha256=bill.sha256,
        hospital=bill.hospital,
        admitted_at_ms=bill.admitted_at_ms,
        discharged_at_ms=bill.discharged_at_ms,
        eligible_minor=eligible.amount_minor,
        paid_by_others_minor=bill.paid_by_others_minor,
        unexplained_minor=eligible.unexplained_minor,
    )
    for known in claim.bills:
        if known.paper == paper and known != kept:
            raise Dead("version-conflict", "issuer, code, number: this bill is already known with other content")
    if kept in claim.bills:
        return Decision(claim, "bills.known", "this bill is already known")
    if seen.others:
        return same_paper.refuse(claim, "bill", seen.others, cause)
    bills = tuple(sorted((*claim.bills, kept), key=lambda one: one.paper))
    total = format_minor(bill.total_minor, bill.currency)
    reason = f"bill of {bill.hospital} over {total}: {eligible.words}"
    claim, reason = peers.compare(replace(claim, bills=bills), ProviderKind.HOSPITAL, kept.hospital, seen, reason)
    return advance(claim, cause, "bills.bill", reason, differing(claim, notice, kept, cause))


def eligible_of(bill: HospitalBill, catalogue: Mapping[BillKind, tuple[str, ...]], tolerance_minor: int) -> Eligible:
    """The eligible amount of a bill. Kinds that `catalogue` names need a code that begins as it says.

    A printed total that is not the sum of the items leaves something unexplained: what is printed above them is not
    paid, what is printed below them is not owed.
    """
    outside = [item for item in bill.items if not _listed(item, catalogue)]
    unexplained = bill.total_minor - _sum(bill.items)
    amount = _sum(bill.items) - _sum(outside)
    words = []
    if outside:
        names = ", ".join(f"{item.kind} {item.item_id}" for item in outside)
        words.append(f"{format_minor(_sum(outside), bill.currency)} not in the catalogue ({names})")
    if abs(unexplained) <= tolerance_minor:
        unexplained = 0
    else:
        amount = max(amount + min(unexplained, 0), 0)
        words.append(f"{format_minor(unexplained, bill.currency)} unexplained")
    return Eligible(amount, unexplained, "; ".join((f"{format_minor(amount, bill.currency)} eligible", *words)))


def _listed(item: BillItem, catalogue: Mapping[BillKind, tuple[str, ...]]) -> bool:
    prefixes = catalogue.get(item.kind)
    return prefixes is None or (item.code is not None and item.code.startswith(prefixes))


def _sum(items: Iterable[BillItem]) -> int:
    return sum(item.net_minor for item in items)
