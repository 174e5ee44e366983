"""Estimates, their supplements and the invoice they are matched with (domain: matching documents)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import Bucket, Estimate, Invoice, ProviderKind
from streams.outcomes import Dead, Park
from streams.rules import peers, same_paper
from streams.rules.admission import ESTIMATE, check_policy_currency, undecided
from streams.rules.claim import Assessed, Claim, KeptLine
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.lines import LINES, terms_of
from streams.rules.progress import advance


class Match(NamedTuple):
    """An invoice against its estimate: what is agreed, and by how much each bucket is above the estimate."""

    agreed_minor: int
    excess: dict[Bucket, int]


class LineDiff(NamedTuple):
    """What a supplement does to the lines of the estimate before it: counts, and the amount in minor units."""

    added: int
    removed: int
    changed: int
    amount_minor: int


def on_estimate(claim: Claim, estimate: Estimate, cause: Cause, seen: Lookups) -> Decision:
    """Take the newest estimate of a damaged object; a late older version never replaces it.

    Raises Park for a supplement before its estimate, Dead for another currency or shop, for an object the claim does
    not cover, for a known version with other content, and once the claim is decided.
    """
    name = version_name(estimate.version)
    known = _assessable(claim, estimate, f"estimate {name}")
    if known is None and estimate.version > 1:
        raise Park(f"supplement {name} of {estimate.damaged} waits for estimate E01", until=(ESTIMATE,))
    if known is not None and estimate.version < known.version:
        newest = version_name(known.version)
        return Decision(claim, "assessment.older-estimate", f"{name} of {estimate.damaged} came after {newest}")
    lines = tuple(
        KeptLine(it.line_id, it.part_number, it.description, it.bucket, it.amount_minor) for it in estimate.lines
    )
    buckets = bucket_totals(estimate)
    if known is not None and estimate.version == known.version:
        if (lines, buckets) != (known.lines, known.buckets):
            raise Dead("version-conflict", f"version: {name} of {estimate.damaged} is already known with other content")
        return Decision(claim, "assessment.known-estimate", f"{name} of {estimate.damaged} is already known")
    total = format_minor(sum(buckets.values()), estimate.currency)
    reason = f"estimate {name} of {estimate.damaged} comes to {total}"
    if known is None:
        known = Assessed(
            damaged=estimate.damaged,
            shop=estimate.shop,
            version=estimate.version,
            first_minor=sum(buckets.values()),
            buckets=buckets,
            lines=lines,
        )
        claim, reason = peers.compare(_with(claim, known), ProviderKind.SHOP, known.shop, seen, reason)
        return advance(claim, cause, "assessment.estimate", reason)
    reason += f" ({_diff_in_words(line_diff(known.lines, lines), estimate.currency)})"
    known = replace(known, version=estimate.version, buckets=buckets, lines=lines)
    if known.invoiced is not None:
        known, words = _matched(claim, known, known.invoiced, estimate.currency)
        reason += f"; {words}"
    claim, reason = peers.compare(_with(claim, known), ProviderKind.SHOP, known.shop, seen, reason)
    return advance(claim, cause, "assessment.supplement", reason)


def on_invoice(claim: Claim, invoice: Invoice, cause: Cause, seen: Lookups) -> Decision:
    """Match an invoice with the estimate, bucket by bucket; what is above it waits for a supplement.

    A later invoice corrects an earlier one of the same object; one that another claim has is refused.

    Raises Park before the estimate, Dead for another currency or shop, for paper already presented for the other
    object, and once the claim is decided.
    """
    known = _assessable(claim, invoice, "the invoice")
    if known is None:
        raise Park(f"the invoice of {invoice.damaged} waits for an estimate", until=(ESTIMATE,))
    paper = f"{invoice.issuer}/{invoice.code}/{invoice.number}"
    if any(other.invoice == paper and other.damaged != known.damaged for other in claim.assessed):
        raise Dead(
            "same-paper", "issuer, code, number: this invoice was already presented for the other damaged object"
        )
    if seen.others:
        return same_paper.refuse(claim, "invoice", seen.others, cause)
    if invoice.issued_at_ms < known.invoice_at_ms:
        return Decision(claim, "assessment.older-invoice", f"a newer invoice of {invoice.damaged} is known")
    invoiced = {it.bucket: it.amount_minor for it in invoice.buckets}
    known = replace(known, invoice=paper, invoice_at_ms=invoice.issued_at_ms, invoiced=invoiced)
    known, words = _matched(claim, known, invoiced, invoice.currency)
    reason = f"invoice of {invoice.damaged} over {format_minor(invoice.total_minor, invoice.currency)}: {words}"
    claim, reason = peers.compare(_with(claim, known), ProviderKind.SHOP, known.shop, seen, reason)
    return advance(claim, cause, "assessment.invoice", reason)


def version_name(version: int) -> str:
    """E01 for an estimate, S01, S02 … for its supplements."""
    return "E01" if version == 1 else f"S{version - 1:02d}"


def bucket_totals(estimate: Estimate) -> dict[Bucket, int]:
    """An estimate's total per bucket: as printed, else the sum of the bucket's lines."""
    totals: dict[Bucket, int] = {}
    for line in estimate.lines:
        totals[line.bucket] = totals.get(line.bucket, 0) + line.amount_minor
    return totals | {printed.bucket: printed.amount_minor for printed in estimate.printed}


def match(estimated: Mapping[Bucket, int], invoiced: Mapping[Bucket, int], tolerance_minor: int) -> Match:
    """The smaller of estimate and invoice per bucket; a bucket within the tolerance is no excess."""
    agreed, excess = 0, {}
    for bucket, amount in invoiced.items():
        approved = estimated.get(bucket, 0)
        agreed += min(amount, approved)
        if amount - approved > tolerance_minor:
            excess[bucket] = amount - approved
    return Match(agreed, excess)


def line_diff(before: Sequence[KeptLine], after: Sequence[KeptLine]) -> LineDiff:
    """Pair the lines of two versions by line id, then part number, then description; each line pairs once."""
    old, new, changed = list(before), list(after), 0
    for same in (_line_id, _part_number, _description):
        waiting: dict[str, list[KeptLine]] = {}
        for line in old:
            waiting.setdefault(same(line), []).append(line)
        left = []
        for line in new:
            twins = waiting.get(same(line)) if same(line) else None
            if not twins:
                left.append(line)
                continue
            twin = twins.pop(0)
            changed += (twin.amount_minor, twin.bucket) != (line.amount_minor, line.bucket)
        old, new = [line for lines in waiting.values() for line in lines], left
    return LineDiff(len(new), len(old), changed, _sum(after) - _sum(before))


def _assessable(claim: Claim, record: Estimate | Invoice, what: str) -> Assessed | None:
    """What is known of the object the record is on, once the record may act on it."""
    notice, policy = undecided(claim, what)
    check_policy_currency(record.currency, policy, what)
    line = LINES[notice.line]
    if record.damaged in line.persons:
        raise Dead("not-covered", f"damaged: {what} is for {record.damaged}, which a hospital bills or certifies")
    if record.damaged not in line.covered(notice, policy):
        raise Dead("not-covered", f"damaged: {what} is for {record.damaged}, which notice or policy do not have")
    known = claim.assessed_of(record.damaged)
    if known is not None and known.shop != record.shop:
        raise Dead("other-shop", f"shop: {what} is not of the shop that gave the estimate of {record.damaged}")
    return known


def _matched(claim: Claim, known: Assessed, invoiced: Mapping[Bucket, int], currency: str) -> tuple[Assessed, str]:
    tolerance_minor = 0 if claim.notice is None else terms_of(claim.notice).tolerance_minor
    agreed, excess = match(known.buckets, invoiced, tolerance_minor)
    words = f"{format_minor(agreed, currency)} agreed"
    if excess:
        above = ", ".join(f"{bucket} by {format_minor(amount, currency)}" for bucket, amount in excess.items())
        words += f", above {version_name(known.version)} is {above}"
    return replace(known, agreed_minor=agreed, excess=bool(excess)), words


def _with(claim: Claim, known: Assessed) -> Claim:
    others = (other for other in claim.assessed if other.damaged != known.damaged)
    return replace(claim, assessed=tuple(sorted((*others, known), key=lambda assessed: assessed.damaged)))


def _diff_in_words(diff: LineDiff, currency: str) -> str:
    sign = "+" if diff.amount_minor > 0 else ""
    amount = f"{sign}{format_minor(diff.amount_minor, currency)}"
    return f"{diff.added} lines added, {diff.changed} changed, {diff.removed} removed, {amount}"


def _line_id(line: KeptLine) -> str:
    return line.line_id


def _part_number(line: KeptLine) -> str:
    return line.part_number or ""


def _description(line: KeptLine) -> str:
    return line.description


def _sum(lines: Iterable[KeptLine]) -> int:
    return sum(line.amount_minor for line in lines)
