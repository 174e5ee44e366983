"""What a survey found."""

from msgspec.structs import replace

from schemas.records import Finding
from streams.rules.admission import check_policy_currency, undecided
from streams.rules.claim import Claim, Surveyed
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.progress import advance


def on_finding(claim: Claim, finding: Finding, cause: Cause, seen: Lookups) -> Decision:
    """Take the fault as found and whether the notice is contradicted; an older finding never replaces a newer one.

    Raises Park until the claim is registered, Dead in another currency or once the claim is decided.
    """
    _, policy = undecided(claim, "the finding")
    check_policy_currency(finding.currency, policy, "the finding")
    if claim.surveyed is not None and finding.found_at_ms < claim.surveyed.found_at_ms:
        return Decision(claim, "survey.older-finding", f"a newer finding than {finding.finding_id} is known")
    surveyed = Surveyed(
        fault=finding.fault, contradicts_notice=finding.contradicts_notice, found_at_ms=finding.found_at_ms
    )
    verdict = "contradicts the notice" if finding.contradicts_notice else "agrees with the notice"
    reason = f"survey {finding.finding_id}: fault {finding.fault}, it {verdict}"
    return advance(replace(claim, surveyed=surveyed), cause, "survey.finding", reason)
