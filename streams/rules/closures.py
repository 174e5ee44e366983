"""Two people of finance say how a payment ended of which the bank never told (design: promises, one payment)."""

from schemas.money import format_minor
from schemas.records import ClosureResult, PaymentClosure
from streams.outcomes import Dead
from streams.rules.admission import registered
from streams.rules.attempts import check_amount, move
from streams.rules.claim import ON_ITS_WAY, PAID, Claim, PaymentState
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.payments import instructed

_UNPAID = frozenset({PaymentState.REJECTED, PaymentState.CANCELLED})


def on_payment_closure(claim: Claim, closure: PaymentClosure, cause: Cause, seen: Lookups) -> Decision:
    """End an attempt as finance found out: it was paid, perhaps by hand, or it is proven that it was not, and then it
    is up for approval again.

    Raises Park before the claim has an instruction; Dead for an instruction it never gave, for another amount or
    currency, and `status-conflict` against what the bank has booked, and to make unpaid what finance said was settled.
    """
    notice, _ = registered(claim, "the closure of a payment")
    payment = instructed(claim, closure.instruction_id, "the closure of a payment")
    check_amount(payment, closure.amount_minor, closure.currency, "finance")
    paid = closure.result is ClosureResult.PAID
    amount = format_minor(payment.amount_minor, payment.currency)
    reason = f"two people say instruction {payment.id} of {amount}, which was {payment.state}, is {closure.result}"
    if payment.state in (PAID if paid else _UNPAID):
        return Decision(claim, "closures.known", reason, noted=True)
    if payment.state not in (ON_ITS_WAY | _UNPAID if paid else ON_ITS_WAY):
        raise Dead("status-conflict", f"result: {closure.result} after instruction {payment.id} was {payment.state}")
    state = PaymentState.SETTLED if paid else PaymentState.REJECTED
    return move(claim, notice, payment, state, cause, f"closures.{closure.result}", reason)
