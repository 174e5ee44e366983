"""Claims that their claimants give up, and claims that a person takes up again in a new round."""

from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import AdjusterDecision, Contact, NoticeKind, PolicyWanted
from streams.outcomes import Dead
from streams.rules import notices
from streams.rules.admission import registered
from streams.rules.claim import ON_ITS_WAY, Claim, Outcome, Task, TaskKind
from streams.rules.decision import Cause, Decision, Output
from streams.rules.payments import unpaid
from streams.rules.reserves import paid_minor
from streams.rules.stage import stage_of

WITHDRAWN: Final = "withdrawal.withdrawn"
REOPENED: Final = "withdrawal.reopened"


def withdraw(claim: Claim, contact: Contact, cause: Cause) -> Decision:
    """End a claim as its claimant wishes: withdrawn, or not accepted when it was not even registered.

    Raises Dead `too-late` once money is on its way, or the claim was decided.
    """
    if any(payment.state in ON_ITS_WAY for payment in claim.payments):
        raise Dead("too-late", "kind: a payment was instructed, so money is on its way and nothing can be withdrawn")
    if claim.outcome is not None and not unpaid(claim):
        raise Dead("too-late", f"kind: the claim is decided ({claim.outcome}), so nothing is left to be withdrawn")
    if claim.policy is None and claim.round == 1:
        why = "the notice was withdrawn before it was registered"
        text = f"Claim {claim.number}: as you wish we do not take it up (不予受理): {why}."
        claim = replace(claim, policy=None).decided(Outcome.NOT_ACCEPTED)
        claim, told = notices.tell(claim, NoticeKind.NOT_ACCEPTED, "", text, cause, why)
        return Decision(claim, WITHDRAWN, f"contact {contact.contact_id}: {why}", told)
    registered(claim, "the withdrawal")
    reason = f"contact {contact.contact_id}: the claimant withdrew the claim while it was {stage_of(claim)}"
    text = f"Claim {claim.number}: withdrawn as you wish (撤案). Nothing more will be paid."
    claim = claim.decided(Outcome.WITHDRAWN)
    claim, told = notices.tell(claim, NoticeKind.WITHDRAWN, str(claim.round), text, cause, reason)
    return Decision(claim, WITHDRAWN, reason, told)


def reopen(claim: Claim, decision: AdjusterDecision, cause: Cause) -> Decision:
    """Begin a new round of a claim that has ended: its policy is looked for again, then it goes on as a registered one.

    What earlier rounds paid is an advance on the new settlement, and nothing is approved without a person. Raises Park
    before the claim is registered; Dead `not-ended` for one that is under way or whose money is.
    """
    registered(claim, "the decision to reopen")
    moving = any(payment.state in ON_ITS_WAY for payment in claim.payments)
    if claim.outcome is None or moving or unpaid(claim):
        raise Dead("not-ended", f"action: the claim is {stage_of(claim)}, so there is nothing to reopen yet")
    policy, ended = claim.policy, claim.outcome
    if policy is None:
        raise ValueError(f"claim {claim.number} ended without a policy")
    paid = paid_minor(claim)
    round_ = claim.round + 1
    reason = f"round {round_}: the {decision.role} reopens the claim that was {ended}"
    if paid:
        reason += f"; {format_minor(paid, policy.currency)} were paid before"
    task = Task(
        kind=TaskKind.POLICY,
        addressee="underwriting",
        opened=cause.ref,
        about=f"policy {policy.number} for the new round",
    )
    claim = replace(claim, outcome=None, round=round_, approvals=(), payee_change=None, policy=None, open_tasks=(task,))
    text = f"Claim {claim.number}: we take it up again (重新立案): {decision.reason}"
    claim, told = notices.tell(claim, NoticeKind.REOPENED, str(round_), text, cause, reason)
    wanted = PolicyWanted(policy_number=policy.number, claim=claim.number, at_ms=cause.at_ms)
    ask = Output("hub.policy-wanted.v1", policy.number, wanted, "intake.policy-wanted", reason)
    return Decision(claim, REOPENED, reason, (ask, *told))
