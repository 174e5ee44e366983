"""The policies as underwriting tells them, and the claims that wait for one."""

from msgspec.structs import replace

from schemas.records import Policy, PolicyWanted, Wake, WakeKind
from streams.outcomes import Dead
from streams.rules.decision import Cause, Lookups, Output, PolicyDecision
from streams.rules.lines import LINES
from streams.rules.policy_file import PolicyFile


def on_policy(policy: PolicyFile, record: Policy, cause: Cause, seen: Lookups) -> PolicyDecision:
    """Add a version to the policy, whenever it comes, and wake every claim that waits for the policy.

    Raises Dead for an unknown line of business, a currency the product is not sold in, and for a version that is known
    with other content.
    """
    if record.line not in LINES:
        raise Dead("unknown-line", f"line: there is no such line of business; there are {', '.join(LINES)}")
    sold_in = LINES[record.line].product.currency
    if record.currency != sold_in:
        raise Dead(
            "wrong-currency", f"currency: {record.line} is sold in {sold_in}, the policy is in {record.currency}"
        )
    for known in policy.versions:
        if known.version == record.version and known != record:
            raise Dead("version-conflict", f"version: {record.version} is already known with other content")
    if record in policy.versions:
        return PolicyDecision(policy, "underwriting.known-version", f"version {record.version} is already known")
    versions = tuple(sorted((*policy.versions, record), key=lambda version: version.version))
    reason = f"policy {policy.number} version {record.version} is known now; {len(policy.waiting)} claims waited for it"
    # In an order of their own: which lane asked first must make no difference to what the policy sends.
    wakes = tuple(_wake(policy.number, claim, cause) for claim in sorted(policy.waiting))
    return PolicyDecision(replace(policy, versions=versions, waiting=()), "underwriting.policy", reason, wakes)


def on_policy_wanted(policy: PolicyFile, wanted: PolicyWanted, cause: Cause, seen: Lookups) -> PolicyDecision:
    """Wake the asking claim at once when the policy is known, else when it comes."""
    if policy.versions:
        wake = _wake(policy.number, wanted.claim, cause)
        return PolicyDecision(policy, "underwriting.policy-wanted", f"policy {policy.number} is known", (wake,))
    waiting = policy.waiting if wanted.claim in policy.waiting else (*policy.waiting, wanted.claim)
    reason = f"claim {wanted.claim} waits for policy {policy.number}"
    return PolicyDecision(replace(policy, waiting=waiting), "underwriting.policy-wanted", reason)


def _wake(number: str, claim: str, cause: Cause) -> Output:
    wake = Wake(claim=claim, kind=WakeKind.POLICY_ARRIVED, policy_number=number, at_ms=cause.at_ms)
    return Output("hub.wake.v1", claim, wake, "underwriting.wake", f"policy {number} is known, the claim can go on")
