"""The snapshot every department sees of a claim after each change, and what departments say about it.

The sync board rests on the snapshot's version: a department takes a snapshot with a version newer than it has, and one
with its own name in the header `department` in any case.
"""

from typing import Final

from msgspec.structs import replace

from schemas.records import ClaimStatus, Command, CommandKind
from streams.outcomes import Dead
from streams.rules.claim import Claim, Stage
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.departments import departments
from streams.rules.reserves import paid_minor
from streams.rules.stage import stage_of

STATUS: Final = "claims.status.v1"
RESYNC: Final = "sync.resync"
ACKNOWLEDGED: Final = "sync.acknowledged"


def snapshot(claim: Claim, stage: Stage, rule: str, reason: str, cause: Cause) -> ClaimStatus:
    """The claim at `stage` after `cause`, with the rule and reason of this change. Amounts in minor units."""
    notice, settlement = claim.notice, claim.settlement
    return ClaimStatus(
        claim=claim.number,
        version=claim.version,
        stage=stage,
        line=None if notice is None else notice.line,
        policy_number=None if claim.policy is None else claim.policy.number,
        open_tasks=tuple([task.kind for task in claim.open_tasks]),
        payable_minor=None if settlement is None else settlement.payable_minor,
        paid_minor=paid_minor(claim) if claim.payments else 0,
        currency=None if notice is None else notice.currency,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=rule,
        reason=reason,
    )


def on_command(claim: Claim, command: Command, cause: Cause, seen: Lookups) -> Decision:
    """Send the snapshot once more, meant for one department; or note which version a department has seen.

    Raises Dead `unknown-department`; `unknown-claim`, since nothing was sent that could be repeated or seen (a claim
    that comes to be is told to all anyway); `unknown-version` for one that the claim has not reached.
    """
    department = command.department
    if department not in departments():
        known = ", ".join(departments())
        raise Dead("unknown-department", f"department: there is none of this name; there are {known}")
    if claim.version == 0:
        raise Dead("unknown-claim", "claim: nothing is known of it, so no department has been told anything")
    match command.kind:
        case CommandKind.RESYNC:
            return _resync(claim, department, cause)
        case CommandKind.ACKNOWLEDGE:
            return _acknowledge(claim, department, command.version or 0)


def _resync(claim: Claim, department: str, cause: Cause) -> Decision:
    reason = f"{department} asked for the claim once more, at version {claim.version}"
    status = snapshot(claim, stage_of(claim), RESYNC, reason, cause)
    output = Output(STATUS, claim.number, status, RESYNC, reason, department=department)
    return Decision(claim, RESYNC, reason, (output,), noted=True)


def _acknowledge(claim: Claim, department: str, version: int) -> Decision:
    if version > claim.version:
        raise Dead("unknown-version", f"version: the claim is at version {claim.version}, so no later one can be seen")
    if version <= claim.acknowledged.get(department, 0):
        reason = f"{department} has seen version {version}, which is not newer than what it said before"
        return Decision(claim, ACKNOWLEDGED, reason, noted=True)
    # In an order of its own: which department spoke first must make no difference to the ledger.
    acknowledged = dict(sorted({**claim.acknowledged, department: version}.items()))
    reason = f"{department} has seen version {version}"
    return Decision(replace(claim, acknowledged=acknowledged), ACKNOWLEDGED, reason, noted=True)
