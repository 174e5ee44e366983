"""What finance says became of a payment (design: payments and reconciliation)."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import PaymentStatus, PaymentStatusCode
from streams.outcomes import Dead
from streams.rules import authority
from streams.rules.admission import registered
from streams.rules.claim import Claim, PaymentState
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.payments import instructed, move, unpaid

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

RANK: Final[Mapping[PaymentState, int]] = {
    PaymentState.INSTRUCTED: 0,
    PaymentState.ACCEPTED: 1,
    PaymentState.UNKNOWN: 2,
    PaymentState.SETTLED: 3,
    PaymentState.REJECTED: 3,
    PaymentState.CANCELLED: 3,
    PaymentState.RETURNED: 4,
}
MAYBE_PAID: Final = frozenset({"AM05", "DUPL", "DU01", "DU02", "DU03", "DU04", "DU05"})
"""ISO 20022 reasons for which a rejection means that an earlier send has probably landed: asked about, never resent."""


def on_payment_status(claim: Claim, status: PaymentStatus, cause: Cause, seen: Lookups) -> Decision:
    """Move a payment forward by what finance says; statuses may come in any order and a late one changes nothing.

    What finance has cancelled, asked or not, is up for approval again: it is paid in a new attempt, or not at all.
    Raises Park before the claim has an instruction, Dead for an instruction it never gave, for another amount or
    currency, and for a status that contradicts a final one.
    """
    notice, _ = registered(claim, "the payment status")
    payment = instructed(claim, status.instruction_id, "the payment status")
    if (status.amount_minor, status.currency) != (payment.amount_minor, payment.currency):
        raise Dead(
            "amount-mismatch",
            f"amount_minor, currency: finance says {format_minor(status.amount_minor, status.currency)}, "
            f"instruction {payment.id} was {format_minor(payment.amount_minor, payment.currency)}",
        )
    state, code = STATE_OF[status.status], status.status + (f" {status.reason_code}" if status.reason_code else "")
    if state is PaymentState.REJECTED and status.reason_code in MAYBE_PAID:
        state = PaymentState.UNKNOWN
    if state is not payment.state and RANK[payment.state] == RANK[state] == RANK[PaymentState.SETTLED]:
        raise Dead("status-conflict", f"status: {code} after instruction {payment.id} was already {payment.state}")
    if RANK[state] <= RANK[payment.state]:
        return Decision(claim, "payments.late-status", f"{code} changes nothing: {payment.id} is {payment.state}")
    amount = format_minor(payment.amount_minor, payment.currency)
    reason = f"finance says {code}: instruction {payment.id} of {amount} is {state}"
    moved = move(claim, notice, payment, state, cause, f"payments.{state}", reason, status.reason_code)
    settlement = claim.settlement
    if state is PaymentState.CANCELLED and settlement is not None and unpaid(moved.claim):
        again = authority.ask_again(moved.claim, settlement.payee, cause, moved.rule, reason, moved.outputs)
        return replace(again, payments=moved.payments)
    return moved
