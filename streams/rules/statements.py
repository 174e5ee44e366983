"""The bank's statement: what was booked settles a payment nobody was sure of, what came back is paid no more."""

from schemas.money import format_minor
from schemas.records import StatementLine, StatementLineKind
from streams.outcomes import Dead
from streams.rules.admission import registered
from streams.rules.claim import DEAD, Claim, PaymentState
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.payments import instructed, move


def on_statement_line(claim: Claim, line: StatementLine, cause: Cause, seen: Lookups) -> Decision:
    """Take a booked line: only it is money (design: payments and reconciliation).

    Raises Park before the claim has an instruction; Dead for an instruction it never gave, for another amount or
    currency, for a payment or a return of what was rejected or cancelled.
    """
    notice, _ = registered(claim, "the statement line")
    payment = instructed(claim, line.instruction_id, "the statement line")
    amount = format_minor(line.amount_minor, line.currency)
    if (line.amount_minor, line.currency) != (payment.amount_minor, payment.currency):
        raise Dead(
            "amount-mismatch",
            f"amount_minor, currency: the bank booked {amount}, "
            f"instruction {payment.id} was {format_minor(payment.amount_minor, payment.currency)}",
        )
    if payment.state in (PaymentState.REJECTED, PaymentState.CANCELLED):
        told = f"{line.kind} {line.line_id} after instruction {payment.id} was {payment.state}"
        raise Dead("status-conflict", f"kind: {told}")
    booked = f"the bank booked {line.line_id}: {line.kind} of {amount} for instruction {payment.id}"
    if line.kind is StatementLineKind.RETURN:
        if payment.state in DEAD:
            return Decision(claim, "statements.known", f"{booked}; it was returned before", noted=True)
        reason = f"{booked}{f' ({line.reason_code})' if line.reason_code else ''}: the payee does not have it"
        return move(
            claim, notice, payment, PaymentState.RETURNED, cause, "statements.returned", reason, line.reason_code
        )
    if payment.state in (PaymentState.SETTLED, PaymentState.RETURNED):
        return Decision(claim, "statements.known", f"{booked}; it was {payment.state} before", noted=True)
    reason = f"{booked}, which was {payment.state}"
    return move(claim, notice, payment, PaymentState.SETTLED, cause, "statements.booked", reason)
