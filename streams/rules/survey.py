"""What was found by those who looked into the loss."""

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import Fault, Finding, FindingKind
from streams.rules import referrals, spot_checks
from streams.rules.admission import check_policy_currency, registered, undecided
from streams.rules.claim import Claim, Found, TaskKind
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.lines import terms_of
from streams.rules.places import UNKNOWN, region_of
from streams.rules.progress import advance


def on_finding(claim: Claim, finding: Finding, cause: Cause, seen: Lookups) -> Decision:
    """Take what was found; an older finding never replaces a newer one of its kind.

    Raises Park until the claim is registered, Dead in another currency or once the claim is decided. A re-inspection
    that was asked for is taken after that, and only makes the claim's risk known anew.
    """
    re_inspected = finding.kind is FindingKind.RE_INSPECTION and spot_checks.awaited(claim)
    notice, policy = registered(claim, "the finding") if re_inspected else undecided(claim, "the finding")
    check_policy_currency(finding.currency, policy, "the finding")
    before = claim.found(finding.kind)
    if before is not None and finding.found_at_ms < before.found_at_ms:
        return Decision(claim, "survey.older-finding", f"a newer finding than {finding.finding_id} is known")
    found = Found(
        kind=finding.kind,
        fault=finding.fault,
        contradicts_notice=finding.contradicts_notice,
        found_at_ms=finding.found_at_ms,
        loss_minor=finding.loss_minor,
        rescue_minor=finding.rescue_minor,
        salvage_minor=finding.salvage_minor,
        disability_grade=finding.disability_grade,
        paid_by_others_minor=finding.paid_by_others_minor,
        loss_at_ms=finding.loss_at_ms,
        region=UNKNOWN if finding.place is None else region_of(finding.place),
    )
    others = (other for other in claim.findings if other.kind is not finding.kind)
    findings = tuple(sorted((*others, found), key=lambda one: one.kind))
    claim = replace(claim, findings=findings)
    if not re_inspected:
        return advance(claim, cause, "survey.finding", _in_words(finding))
    tasks = tuple([task for task in claim.open_tasks if task.kind is not TaskKind.RE_INSPECTION])
    claim, referred = referrals.refer_decided(replace(claim, open_tasks=tasks), terms_of(notice), cause)
    return Decision(claim, "survey.re-inspection", _in_words(finding), referred)


def _in_words(finding: Finding) -> str:
    said = []
    if finding.fault is not Fault.UNKNOWN:
        said.append(f"fault {finding.fault}")
    for what, amount_minor in (("loss", finding.loss_minor), ("rescue", finding.rescue_minor)):
        if amount_minor is not None:
            said.append(f"{what} {format_minor(amount_minor, finding.currency)}")
    if finding.paid_by_others_minor:
        said.append(f"{format_minor(finding.paid_by_others_minor, finding.currency)} paid by others")
    if finding.disability_grade is not None:
        said.append(f"disability of grade {finding.disability_grade}")
    said.append("it contradicts the notice" if finding.contradicts_notice else "it agrees with the notice")
    return f"{finding.kind} {finding.finding_id}: {', '.join(said)}"
