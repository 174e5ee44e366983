"""The bank's statement: what was booked is paid, whatever was said before, and what came back is paid no more."""

from schemas.money import format_minor
from schemas.records import StatementLine, StatementLineKind
from streams.rules.admission import registered
from streams.rules.attempts import RANK, check_amount, move
from streams.rules.claim import DEAD, Claim, PaymentState
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.payments import instructed


def on_statement_line(claim: Claim, line: StatementLine, cause: Cause, seen: Lookups) -> Decision:
    """Take a booked line: only it is money (design: payments and reconciliation). A payment that was rejected or
    cancelled and is booked all the same is a break.

    Raises Park before the claim has an instruction; Dead for an instruction it never gave, for another amount or
    currency.
    """
    notice, _ = registered(claim, "the statement line")
    payment = instructed(claim, line.instruction_id, "the statement line")
    check_amount(payment, line.amount_minor, line.currency, "the bank")
    amount = format_minor(line.amount_minor, line.currency)
    returned = line.kind is StatementLineKind.RETURN
    booked = f"the bank booked {line.line_id}: {line.kind} of {amount} for instruction {payment.id}"
    state = PaymentState.RETURNED if returned else PaymentState.BOOKED
    if RANK[state] <= RANK[payment.state]:
        return Decision(claim, "statements.known", f"{booked}; it was {payment.state} before", noted=True)
    if returned:
        reason = f"{booked}{f' ({line.reason_code})' if line.reason_code else ''}: the payee does not have it"
        return move(claim, notice, payment, state, cause, "statements.returned", reason, line.reason_code)
    reason = f"{booked}, which was {payment.state}"
    return move(claim, notice, payment, state, cause, "statements.booked", reason, contradicts=payment.state in DEAD)
