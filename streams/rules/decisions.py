"""What a person decides, by what it is about: a settlement, a complaint, or the claim as a whole."""

from schemas.records import AdjusterDecision, DecisionAction
from streams.rules import authority, complaints, withdrawal
from streams.rules.claim import Claim
from streams.rules.decision import Cause, Decision, Lookups


def on_decision(claim: Claim, decision: AdjusterDecision, cause: Cause, seen: Lookups) -> Decision:
    """Take a person's decision. Raises Park and Dead as the rule of its action does."""
    match decision.action:
        case DecisionAction.APPROVE | DecisionAction.REJECT:
            return authority.on_decision(claim, decision, cause, seen)
        case DecisionAction.REOPEN:
            return withdrawal.reopen(claim, decision, cause)
        case DecisionAction.ANSWER_COMPLAINT:
            return complaints.answer(claim, decision, cause)
        case DecisionAction.EXTEND_COMPLAINT:
            return complaints.extend(claim, decision, cause)
