"""What finance says became of a payment (design: payments and reconciliation)."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import PaymentStatus, PaymentStatusCode
from streams.rules.admission import registered
from streams.rules.attempts import RANK, check_amount, move
from streams.rules.claim import PAID, Claim, Payment, PaymentState
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.payments import instructed

STATE_OF: Final[Mapping[PaymentStatusCode, PaymentState]] = {
    PaymentStatusCode.RCVD: PaymentState.ACCEPTED,
    PaymentStatusCode.ACTC: PaymentState.ACCEPTED,
    PaymentStatusCode.ACCP: PaymentState.ACCEPTED,
    PaymentStatusCode.PDNG: PaymentState.ACCEPTED,
    PaymentStatusCode.ACSP: PaymentState.ACCEPTED,
    PaymentStatusCode.ACSC: PaymentState.SETTLED,
    PaymentStatusCode.ACCC: PaymentState.SETTLED,
    PaymentStatusCode.RJCT: PaymentState.REJECTED,
    PaymentStatusCode.CANC: PaymentState.CANCELLED,
}

MAYBE_PAID: Final = frozenset({"AM05", "DUPL", "DU01", "DU02", "DU03", "DU04", "DU05"})
"""ISO 20022 reasons for which a rejection means that an earlier send has probably landed: asked about, never resent."""


def on_payment_status(claim: Claim, status: PaymentStatus, cause: Cause, seen: Lookups) -> Decision:
    """Move a payment by what finance says; statuses may come in any order and a late one changes nothing.

    What contradicts what was said before is a break: a rejection after ACSP leaves nobody knowing. What is rejected or
    cancelled is up for approval again: it is paid in a new attempt, or not at all. Raises Park before the claim has an
    instruction, Dead for an instruction it never gave, for another amount or currency.
    """
    notice, _ = registered(claim, "the payment status")
    payment = instructed(claim, status.instruction_id, "the payment status")
    check_amount(payment, status.amount_minor, status.currency, "finance")
    state, code = STATE_OF[status.status], status.status + (f" {status.reason_code}" if status.reason_code else "")
    if state is PaymentState.REJECTED and status.reason_code in MAYBE_PAID:
        state = PaymentState.UNKNOWN
    contradicts = _contradicts(payment, state, status.status)
    if contradicts:
        state = max(payment.state, state, PaymentState.UNKNOWN, key=RANK.__getitem__)
    under_way = status.status is PaymentStatusCode.ACSP and not payment.under_way
    if under_way:
        payment = replace(payment, under_way=True)
    news = RANK[state] > RANK[payment.state] or (contradicts and not payment.contradicted)
    if not news:
        if under_way:
            claim = claim.with_payment(payment)
        reason = f"{code} changes nothing: {payment.id} is {payment.state}"
        return Decision(claim, "payments.late-status", reason, noted=under_way)
    amount = format_minor(payment.amount_minor, payment.currency)
    reason = f"finance says {code}: instruction {payment.id} of {amount} is {state}"
    if contradicts:
        reason = f"finance says {code} of instruction {payment.id} of {amount}, which contradicts what it said before"
    return move(
        claim, notice, payment, state, cause, f"payments.{state}", reason, status.reason_code, contradicts=contradicts
    )


def _contradicts(payment: Payment, state: PaymentState, code: PaymentStatusCode) -> bool:
    """Whether a status cannot be true beside what was said of the payment before."""
    match state:
        case PaymentState.REJECTED:
            return payment.state in PAID or (payment.under_way and payment.state is PaymentState.ACCEPTED)
        case PaymentState.CANCELLED:
            return payment.state in PAID
        case PaymentState.SETTLED:
            return payment.state in (PaymentState.REJECTED, PaymentState.CANCELLED)
    return code is PaymentStatusCode.ACSP and payment.state is PaymentState.REJECTED
