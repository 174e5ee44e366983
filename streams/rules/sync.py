"""The snapshot every department sees of a claim after each change (design: the sync board rests on its version)."""

from schemas.records import ClaimStatus
from streams.rules.claim import Claim, PaymentState, Stage
from streams.rules.decision import Cause


def snapshot(claim: Claim, stage: Stage, rule: str, reason: str, cause: Cause) -> ClaimStatus:
    """The claim at `stage` after `cause`, with the rule and reason of this change. Amounts in minor units."""
    notice, settlement = claim.notice, claim.settlement
    return ClaimStatus(
        claim=claim.number,
        version=claim.version,
        stage=stage,
        line=None if notice is None else notice.line,
        policy_number=None if claim.policy is None else claim.policy.number,
        open_tasks=tuple(task.kind for task in claim.open_tasks),
        payable_minor=None if settlement is None else settlement.payable_minor,
        paid_minor=sum(p.amount_minor for p in claim.payments if p.state is PaymentState.SETTLED),
        currency=None if notice is None else notice.currency,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=rule,
        reason=reason,
    )
