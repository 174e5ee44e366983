"""What a person decides, by what it is about: a settlement or advance, a complaint, a payment, the claim as a whole."""

from collections.abc import Callable, Mapping
from typing import Final

from schemas.records import AdjusterDecision, DecisionAction
from streams.rules import advances, authority, cancellations, complaints, legal, siu, withdrawal
from streams.rules.claim import Claim
from streams.rules.decision import Cause, Decision, Lookups

RULES: Final[Mapping[DecisionAction, Callable[[Claim, AdjusterDecision, Cause], Decision]]] = {
    DecisionAction.APPROVE: authority.decide,
    DecisionAction.REJECT: authority.decide,
    DecisionAction.REOPEN: withdrawal.reopen,
    DecisionAction.ANSWER_COMPLAINT: complaints.answer,
    DecisionAction.EXTEND_COMPLAINT: complaints.extend,
    DecisionAction.REFER_LEGAL: legal.refer_by_hand,
    DecisionAction.REFER_SIU: siu.refer_by_hand,
    DecisionAction.CANCEL_PAYMENT: cancellations.cancel,
}


def on_decision(claim: Claim, decision: AdjusterDecision, cause: Cause, seen: Lookups) -> Decision:
    """Take a person's decision. Raises Park and Dead as the rule of its action does."""
    settles = decision.action in (DecisionAction.APPROVE, DecisionAction.REJECT)
    if settles and advances.concerns(claim, decision):
        return advances.on_decision(claim, decision, cause)
    return RULES[decision.action](claim, decision, cause)
