"""One instruction per approved settlement version, and how its payment moves from state to state."""

from hashlib import sha256
from typing import Final

from msgspec.structs import replace

from schemas.days import day_number
from schemas.records import BankAccount, PaymentInstruction
from schemas.topics import INSTRUCTIONS
from streams.outcomes import Dead, Park
from streams.rules.admission import BEFORE_APPROVAL, CONTACT, DECISION, WAKE
from streams.rules.banking_days import value_day
from streams.rules.claim import DEAD, Claim, Notice, Outcome, Payment, PaymentState, SettlementVersion, TaskKind
from streams.rules.decision import Cause, Output
from streams.rules.derived import derived_id
from streams.rules.lines import LINES
from streams.rules.settlement import Case

_BEFORE_INSTRUCTION: Final = frozenset({TaskKind.APPROVAL, TaskKind.AGREEMENT})


def payee_digest(payee: BankAccount) -> str:
    """A short name for one payee account, to see whether it changed."""
    return sha256(f"{payee.bank_code}|{payee.account}|{payee.name}".encode()).hexdigest()[:16]


def instruction_id(claim: str, settlement_version: int, payee: str, attempt: int) -> str:
    """The id of one attempt to pay, the same whenever it is derived; `payee` is the account's digest."""
    return derived_id("PI", claim, settlement_version, payee, attempt)


def instruct(
    claim: str,
    settlement: SettlementVersion,
    notice: Notice,
    payee: BankAccount,
    people: tuple[str, str],
    cause: Cause,
    reason: str,
) -> tuple[Payment, Output]:
    """The first attempt to pay a settlement above zero, and the instruction to finance.

    `people` are who proposed and who approved it. A hospital's account is its contract's, so its version is 1.
    """
    rule = "payments.instruct"
    payment = Payment(
        id=instruction_id(claim, settlement.version, settlement.payee, 1),
        claim=claim,
        settlement_version=settlement.version,
        attempt=1,
        amount_minor=settlement.payable_minor,
        currency=settlement.currency,
        state=PaymentState.INSTRUCTED,
        proposed_by=people[0],
        approved_by=people[1],
        cause=cause.ref,
    )
    instruction = PaymentInstruction(
        instruction_id=payment.id,
        claim=claim,
        settlement_version=settlement.version,
        attempt=payment.attempt,
        payee=payee,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        purpose=LINES[notice.line].product.purpose,
        issued_at_ms=cause.at_ms,
        cause=cause.ref,
        rule=rule,
        reason=reason,
        value_on=day_number(value_day(cause.at_ms)),
        account_version=notice.account_version if payee == notice.payee else 1,
    )
    return payment, Output(INSTRUCTIONS, claim, instruction, rule, reason)


def less_paid(case: Case, claim: Claim) -> Case:
    """The case, with what was instructed for the claim before as advances on it."""
    paid_minor = instructed_minor(claim) if claim.payments else 0
    return replace(case, advances=case.advances + paid_minor) if paid_minor else case


def instructed_minor(claim: Claim) -> int:
    """What was instructed for a claim and is not known to have failed, in minor units."""
    return sum([payment.amount_minor for payment in claim.payments if payment.state not in DEAD])


def unpaid(claim: Claim) -> bool:
    """Whether an amount is approved and neither paid nor on its way: it waits for the claimant, or did not arrive."""
    settlement = claim.settlement
    if claim.outcome is not Outcome.APPROVED or settlement is None:
        return False
    return sum(settlement.covers.values()) > instructed_minor(claim)


def instructed(claim: Claim, instruction: str, what: str) -> Payment:
    """The payment of an instruction. Raises Park before the claim has one, Dead for one it never gave."""
    for payment in claim.payments:
        if payment.id == instruction:
            return payment
    if claim.outcome is None or any(task.kind in _BEFORE_INSTRUCTION for task in claim.open_tasks):
        raise Park(f"{what} waits for an instruction", until=(*BEFORE_APPROVAL, WAKE, DECISION, CONTACT))
    raise Dead("unknown-instruction", "instruction_id: the claim never gave this instruction")
