"""What a claim came to, told to underwriting for its policy: when it is paid, and when it is closed."""

from typing import Final

from schemas.money import format_minor
from schemas.records import LossExperience
from streams.rules.claim import Claim, Notice, PolicyInForce, Stage
from streams.rules.decision import Cause, Output
from streams.rules.reserves import paid_minor

TOPIC: Final = "underwriting.loss-experience.v1"
RULE: Final = "experience.told"
ENDS: Final = frozenset({Stage.PAID, Stage.CLOSED})


def told(claim: Claim, notice: Notice, policy: PolicyInForce, stage: Stage, cause: Cause) -> Output:
    """The record for underwriting of a claim that has come to an end. Amounts in minor units."""
    settlement, paid = claim.settlement, paid_minor(claim)
    reason = f"the claim is {stage} ({claim.outcome}), {format_minor(paid, policy.currency)} paid"
    record = LossExperience(
        policy_number=policy.number,
        policy_version=policy.version,
        claim=claim.number,
        line=notice.line,
        loss_cause=notice.cause,
        loss_at_ms=notice.loss_at_ms,
        outcome=str(claim.outcome),
        settled_minor=0 if settlement is None else sum(settlement.covers.values()),
        paid_minor=paid,
        currency=policy.currency,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=RULE,
        reason=reason,
    )
    return Output(TOPIC, policy.number, record, RULE, reason)
