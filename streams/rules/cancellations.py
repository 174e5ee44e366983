"""Finance is asked not to pay what it was told to: because a person says so, or because SIU has confirmed a fraud."""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import AdjusterDecision, CancellationRequest
from streams.outcomes import Dead
from streams.rules.admission import registered
from streams.rules.authority import RANK, roles_needed
from streams.rules.claim import ON_ITS_WAY, Claim, Payment
from streams.rules.decision import Cause, Decision, Output
from streams.rules.lines import terms_of
from streams.rules.payments import instructed

REQUEST: Final = "finance.cancellation-request.v1"
ASKED: Final = "cancellations.asked"


def cancel(claim: Claim, decision: AdjusterDecision, cause: Cause) -> Decision:
    """Ask finance to stop one payment, once; it stands as it is until finance answers.

    Raises Park before the claim has an instruction; Dead for one it never gave, `too-late` once the payment has ended,
    `no-authority` for a role below the one that has the last say on such an amount.
    """
    what = "the decision to stop a payment"
    notice, _ = registered(claim, what)
    payment = instructed(claim, decision.instruction_id or "", what)
    which = f"instruction {payment.id} of {format_minor(payment.amount_minor, payment.currency)}"
    if payment.state not in ON_ITS_WAY:
        raise Dead("too-late", f"instruction_id: {which} is {payment.state}, so nothing is left to be stopped")
    needed = roles_needed(payment.amount_minor, terms_of(notice).authority)[-1]
    if RANK[decision.role] < RANK[needed]:
        raise Dead("no-authority", f"role: {which} is stopped by the {needed} or above, not by the {decision.role}")
    if payment.stop_asked:
        return Decision(claim, ASKED, f"finance was asked before to stop {which}", noted=True)
    reason = f"the {decision.role} asks finance to stop {which}, which is {payment.state}"
    claim, asked = ask(claim, [payment], cause, reason)
    return Decision(claim, ASKED, reason, asked)


def ask(claim: Claim, payments: Iterable[Payment], cause: Cause, reason: str) -> tuple[Claim, tuple[Output, ...]]:
    """The claim with these payments asked back, but for those that were before, and the requests to send."""
    asked = [payment for payment in payments if not payment.stop_asked]
    if not asked:
        return claim, ()
    kept = tuple([replace(it, stop_asked=True) if it in asked else it for it in claim.payments])
    return replace(claim, payments=kept), tuple([_request(claim, payment, cause, reason) for payment in asked])


def _request(claim: Claim, payment: Payment, cause: Cause, reason: str) -> Output:
    request = CancellationRequest(
        claim=claim.number,
        instruction_id=payment.id,
        settlement_version=payment.settlement_version,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        at_ms=cause.at_ms,
        cause=cause.ref,
        rule=ASKED,
        reason=reason,
    )
    return Output(REQUEST, claim.number, request, ASKED, reason)
