"""A person asks SIU, and what SIU says to a referral: a cleared claim goes on, a confirmed fraud ends it."""

from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import AdjusterDecision, NoticeKind, SiuOutcome, SiuResult
from streams.outcomes import Dead
from streams.rules import cancellations, notices, referrals, risk
from streams.rules.admission import registered
from streams.rules.agreement import pay_agreed
from streams.rules.claim import DEAD, ON_ITS_WAY, Claim, Outcome, Referral, TaskKind
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.lines import terms_of
from streams.rules.progress import advance
from streams.rules.referrals import referral_id

BY_HAND: Final = "by-hand"


def refer_by_hand(claim: Claim, decision: AdjusterDecision, cause: Cause) -> Decision:
    """Ask SIU because a person says so, whatever the score: their reason is part of the evidence.

    Raises Park until the claim is registered, Dead `siu-asked` while SIU is asked, `too-late` when it has confirmed the
    fraud or the claim ended without being paid.
    """
    notice, policy = registered(claim, "the referral to SIU")
    before = claim.referral
    if before is not None and before.result is None:
        raise Dead("siu-asked", f"action: SIU is asked about the claim already, by referral {before.number}")
    if claim.outcome not in (None, Outcome.APPROVED):
        raise Dead("too-late", f"action: the claim has ended ({claim.outcome}), so there is nothing for SIU to hold")
    terms = terms_of(notice)
    found = risk.signals(claim, notice, policy, terms)
    reason = f"the {decision.role} refers the claim to SIU; {risk.in_words(found, terms.risk)}"
    evidence = (*found, risk.Signal(BY_HAND, 0, decision.reason))
    claim, referred = referrals.send(claim, evidence, reason, terms, cause)
    if claim.outcome is None:
        return advance(claim, cause, referrals.RULE, reason, referred)
    return Decision(referrals.with_task(claim, cause), referrals.RULE, reason, referred)


def on_outcome(claim: Claim, outcome: SiuOutcome, cause: Cause, seen: Lookups) -> Decision:
    """Take SIU's answer. Cleared, an undecided claim goes on, and a person decides, and an approved one is paid when
    only this was missing; confirmed, the claim is rejected,
    also when it was approved, and what is on its way to the payee is to be recovered.

    Raises Park until the claim is registered, Dead `no-referral` when it answers no open referral.
    """
    registered(claim, "the SIU outcome")
    referral = claim.referral
    if (
        referral is None
        or referral.result is not None
        or outcome.referral_id != referral_id(claim.number, referral.number)
    ):
        raise Dead("no-referral", "referral_id: SIU is not asked about the claim under this id")
    claim = _answered(claim, referral, outcome.result)
    reason = f"SIU {outcome.result} referral {referral.number}, for risk {referral.score}"
    if outcome.result is SiuResult.CONFIRMED:
        return _reject(claim, referral, outcome, cause, reason)
    if claim.outcome is None:
        return advance(claim, cause, "siu.cleared", reason)
    settlement = claim.settlement
    if claim.outcome is Outcome.APPROVED and settlement is not None and claim.agreed == settlement.version:
        return pay_agreed(claim, settlement, cause, "siu.cleared", reason)
    return Decision(claim, "siu.cleared", reason)


def _answered(claim: Claim, referral: Referral, result: SiuResult) -> Claim:
    tasks = tuple([task for task in claim.open_tasks if task.kind is not TaskKind.SIU])
    return replace(claim, referral=replace(referral, result=result), open_tasks=tasks)


def _reject(claim: Claim, referral: Referral, outcome: SiuOutcome, cause: Cause, reason: str) -> Decision:
    """The claim rejected, and the customer told why, if it is not closed already. The fraud stays as its fact."""
    paid = [payment for payment in claim.payments if payment.state not in DEAD]
    if paid:
        amount = format_minor(sum(payment.amount_minor for payment in paid), paid[0].currency)
        reason = f"{reason}; {amount} paid or instructed is to be recovered"
    moving = [payment for payment in paid if payment.state in ON_ITS_WAY]
    stop = f"SIU confirmed referral {referral.number}, so nothing is to be paid any more"
    claim, asked = cancellations.ask(claim, moving, cause, stop)
    if claim.outcome in (Outcome.REJECTED, Outcome.WITHDRAWN):
        return Decision(claim, "siu.confirmed", reason, asked)
    claim = claim.decided(Outcome.REJECTED)
    text = f"Claim {claim.number}: rejected (拒赔). Reason: {outcome.reason}"
    claim, told = notices.tell(claim, NoticeKind.REJECTION, f"siu-{referral.number}", text, cause, reason)
    return Decision(claim, "siu.confirmed", reason, (*asked, *told))
