"""How what is said of an attempt to pay is weighed, in whatever order it comes, and what follows for the claim
(design: payments and reconciliation)."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import BreakKind, NoticeKind
from streams.outcomes import Dead
from streams.rules import authority, breaks, cancellations, direct, notices
from streams.rules.claim import DEAD, ON_ITS_WAY, PAID, Claim, Notice, Payment, PaymentState, TaskKind
from streams.rules.decision import Cause, Decision, Output
from streams.rules.payments import unpaid

RANK: Final[Mapping[PaymentState, int]] = {
    PaymentState.INSTRUCTED: 0,
    PaymentState.ACCEPTED: 1,
    PaymentState.REJECTED: 2,
    PaymentState.CANCELLED: 2,
    PaymentState.UNKNOWN: 3,
    PaymentState.SETTLED: 4,
    PaymentState.BOOKED: 5,
    PaymentState.RETURNED: 6,
}
"""Evidence moves a payment to a higher rank only, so that its order does not matter: a statement stands above a status,
and where statuses contradict each other nobody knows."""

WRONG_ACCOUNT: Final = "AC"
"""How the ISO 20022 reason codes begin that say something is wrong with the account."""


def check_amount(payment: Payment, amount_minor: int, currency: str, who: str) -> None:
    """Raise Dead `amount-mismatch` when what `who` says is about other money than was instructed."""
    if (amount_minor, currency) != (payment.amount_minor, payment.currency):
        raise Dead(
            "amount-mismatch",
            f"amount_minor, currency: {who} says {format_minor(amount_minor, currency)}, "
            f"instruction {payment.id} was {format_minor(payment.amount_minor, payment.currency)}",
        )


def move(
    claim: Claim,
    notice: Notice,
    payment: Payment,
    state: PaymentState,
    cause: Cause,
    rule: str,
    reason: str,
    code: str | None = None,
    *,
    contradicts: bool = False,
) -> Decision:
    """A payment in its new state, and what follows: who is paid hears of it; what did not arrive is up for approval
    again, to another account if the reason `code` blames this one; a break is raised of a payment whose end nobody
    knows or of which two were told. What was to be paid in its place no longer is once it may have been paid itself."""
    known = payment
    payment = replace(payment, state=state, contradicted=payment.contradicted or contradicts)
    claim = claim.with_payment(payment)
    outputs: tuple[Output, ...] = ()
    amount = format_minor(payment.amount_minor, payment.currency)
    if contradicts:
        outputs += (breaks.of_payment(BreakKind.STATUS, claim.number, payment, cause, reason),)
    elif state is PaymentState.UNKNOWN is not known.state:
        outputs += (breaks.of_payment(BreakKind.UNKNOWN, claim.number, payment, cause, reason),)
    if known.state in DEAD and state not in DEAD:
        claim, asked = _not_again(claim, payment, cause, reason)
        outputs += asked
    if state in PAID and known.state not in PAID:
        text = f"Claim {claim.number}: {amount} has been paid to the account you named (赔款已支付)."
        claim, told = notices.tell(claim, NoticeKind.PAID, str(payment.settlement_version), text, cause, reason)
        outputs += (*told, *direct.advice(claim, notice, payment, cause, reason))
    if state not in DEAD or known.state in DEAD:
        return Decision(claim, rule, reason, outputs, (payment,))
    if (code or "").startswith(WRONG_ACCOUNT):
        text = f"Claim {claim.number}: {amount} could not be paid to the account you named; name another (请更正账户)."
        claim, told = notices.tell(claim, NoticeKind.ACCOUNT_NEEDED, payment.id, text, cause, reason)
        return Decision(claim, rule, reason, outputs + told, (payment,))
    settlement = claim.settlement
    if settlement is None or not unpaid(claim):
        return Decision(claim, rule, reason, outputs, (payment,))
    again = authority.ask_again(claim, settlement.payee, cause, rule, reason, outputs)
    return replace(again, payments=(payment,))


def _not_again(claim: Claim, payment: Payment, cause: Cause, reason: str) -> tuple[Claim, tuple[Output, ...]]:
    """Nothing is paid in the place of a payment that may have arrived after all."""
    if unpaid(claim):
        return claim, ()
    claim = replace(claim.without(TaskKind.APPROVAL), payee_change=None)
    others = [it for it in claim.payments if it.id != payment.id and it.state in ON_ITS_WAY]
    return cancellations.ask(claim, others, cause, reason)
