"""Disputes: legal is asked about an amount the claimant does not accept, and says how it ended."""

from datetime import MAXYEAR, date
from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import AdjusterDecision, LegalOutcome, LegalReferral, LegalResult
from streams.outcomes import Dead
from streams.rules.admission import DECISION
from streams.rules.agreement import current, pay_agreed, to_legal
from streams.rules.claim import Claim, Dispute, Notice, Outcome, TaskKind
from streams.rules.deadlines import day_of, moment
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.derived import derived_id
from streams.rules.lines import LINES
from streams.rules.progress import advance

REFERRAL: Final = "legal.referral.v1"
REFERRED: Final = "legal.referred"


def referral_id(claim: str, number: int) -> str:
    """The id of a claim's first, second … dispute, the same whenever it is derived."""
    return derived_id("LR", claim, number)


def refer(claim: Claim, notice: Notice, cause: Cause) -> tuple[Claim, tuple[Output, ...]]:
    """Ask legal about the settlement that is disputed now, with the amount and until when the claimant may sue."""
    settlement = claim.settlement
    if settlement is None:
        return claim, ()
    dispute = Dispute(number=1 if claim.dispute is None else claim.dispute.number + 1)
    amount_minor = max(sum(settlement.covers.values()), 0)
    amount = format_minor(amount_minor, settlement.currency)
    who = "a person asks about" if cause.topic == DECISION else "the claimant disputes"
    reason = f"{who} settlement {settlement.version} of {amount}"
    if claim.outcome is Outcome.REJECTED:
        reason += ", which was rejected"
    referral = LegalReferral(
        claim=claim.number,
        referral_id=referral_id(claim.number, dispute.number),
        settlement_version=settlement.version,
        amount_minor=amount_minor,
        currency=settlement.currency,
        limited_at_ms=limited_at_ms(notice),
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=REFERRED,
        reason=reason,
    )
    return replace(claim, dispute=dispute), (Output(REFERRAL, claim.number, referral, REFERRED, reason),)


def refer_by_hand(claim: Claim, decision: AdjusterDecision, cause: Cause) -> Decision:
    """Ask legal because a person says so; nothing is approved or paid meanwhile, as in a dispute.

    Raises Park and Dead as a dispute does, and Dead `legal-asked` while legal is asked about the claim.
    """
    settlement = current(claim, decision.settlement_version or 0, "the referral to legal")
    if claim.disputed:
        raise Dead("legal-asked", f"action: legal is asked about settlement {claim.disputed} already")
    if claim.outcome is Outcome.WITHDRAWN:
        raise Dead("too-late", "action: the claim was withdrawn, so there is nothing for legal to look at")
    reason = f"the {decision.role} refers settlement {settlement.version} to legal"
    return to_legal(claim, settlement.version, cause, REFERRED, reason)


def limited_at_ms(notice: Notice) -> int:
    """Until when a claimant may sue: the end of the day so many years after the loss, at most in the year 9999."""
    product = LINES[notice.line].product
    loss = date.fromordinal(day_of(notice.loss_at_ms, product.calendar))
    year = min(loss.year + product.terms_at(notice.loss_at_ms).limitation_years, MAXYEAR)
    leap_day = (loss.month, loss.day) == (2, 29)
    last = date(year, 2, 28) if leap_day else loss.replace(year=year)
    return moment(notice.loss_at_ms, (last - loss).days, 100, (), product.calendar) or 0


def on_outcome(claim: Claim, outcome: LegalOutcome, cause: Cause, seen: Lookups) -> Decision:
    """End a dispute. Upheld, our amount stands as if it was agreed to, and is paid once approved. Settled or lost, the
    claim comes to another amount: an undecided claim gets a new settlement version for it, and a decided one when a
    person reopens it. In any case people approve.

    Raises Dead `no-referral` when it answers no open referral, `wrong-currency` in another currency than the claim's.
    """
    notice, dispute = claim.notice, claim.dispute
    if (
        notice is None
        or dispute is None
        or not claim.disputed
        or outcome.referral_id != referral_id(claim.number, dispute.number)
    ):
        raise Dead("no-referral", "referral_id: legal is not asked about the claim under this id")
    if outcome.currency != notice.currency:
        raise Dead("wrong-currency", f"currency: the outcome is in {outcome.currency}, the claim in {notice.currency}")
    ended = replace(dispute, result=outcome.result, amount_minor=outcome.amount_minor)
    claim = replace(claim.without(TaskKind.LEGAL), dispute=ended, disputed=0)
    reason = f"dispute {dispute.number}: {outcome.result}"
    if outcome.amount_minor is not None:
        reason += f", the claim comes to {format_minor(outcome.amount_minor, notice.currency)}"
    rule, settlement = f"legal.{outcome.result}", claim.settlement
    if outcome.result is LegalResult.UPHELD and settlement is not None:
        claim = replace(claim, agreed=settlement.version)
        if claim.outcome is Outcome.APPROVED:
            return pay_agreed(claim, settlement, cause, rule, reason)
    if claim.outcome is None and claim.policy is not None:
        return advance(claim, cause, rule, reason)
    if outcome.result is not LegalResult.UPHELD:
        reason += "; a person reopens the claim for it"
    return Decision(claim, rule, reason)
