"""What the claimant says after the notice, and the answer to those who ask how their claim stands."""

from collections.abc import Iterator
from typing import Final

from schemas.money import format_minor
from schemas.records import Contact, ContactKind, NoticeKind
from streams.rules import agreement, clocks, complaints, notices, payee, withdrawal
from streams.rules.admission import noticed
from streams.rules.claim import PAID, Claim, Notice, Outcome, Stage, TaskKind
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.stage import stage_of

INQUIRY: Final = "contact.inquiry"

IN_WORDS: Final = {
    Stage.REPORTED: "reported (已报案)",
    Stage.NOT_ACCEPTED: "not accepted (不予受理)",
    Stage.REGISTERED: "registered (已立案)",
    Stage.INVESTIGATING: "being investigated (查勘中)",
    Stage.ASSESSING: "being assessed (定损理算中)",
    Stage.DECIDED: "decided (已核赔)",
    Stage.AGREED: "agreed (已达成协议)",
    Stage.PAYING: "being paid (支付中)",
    Stage.PAID: "paid (已支付)",
    Stage.CLOSED: "closed (已结案)",
}


def on_contact(claim: Claim, contact: Contact, cause: Cause, seen: Lookups) -> Decision:
    """Take what the claimant says, by its kind. Raises Park before the notice, and Park and Dead as that kind does."""
    notice = noticed(claim, f"the {contact.kind}")
    match contact.kind:
        case ContactKind.INQUIRY:
            return _inquiry(claim, notice, contact, cause)
        case ContactKind.COMPLAINT:
            return complaints.complain(claim, contact, cause)
        case ContactKind.WITHDRAWAL:
            return withdrawal.withdraw(claim, contact, cause)
        case ContactKind.AGREEMENT:
            return agreement.agree(claim, contact, cause)
        case ContactKind.DISPUTE:
            return agreement.dispute(claim, contact, cause)
        case ContactKind.BANK_DETAILS:
            if contact.payee is None:
                raise ValueError(f"contact {contact.contact_id} has no account")
            return payee.change(claim, notice, contact, contact.payee, cause, seen)


def _inquiry(claim: Claim, notice: Notice, contact: Contact, cause: Cause) -> Decision:
    """Tell at once how the claim stands; nothing that departments see changes."""
    reason = f"inquiry {contact.contact_id} at version {claim.version}, when the claim was {stage_of(claim)}"
    text = f"Claim {claim.number}: {'; '.join(_in_words(claim, notice))}."
    claim, told = notices.tell(claim, NoticeKind.INQUIRY_ANSWER, contact.contact_id, text, cause, reason)
    return Decision(claim, INQUIRY, reason if told else f"{reason}; it was answered before", told, noted=True)


def _in_words(claim: Claim, notice: Notice) -> Iterator[str]:
    """How the claim stands, what it waits for, by when, and the amount once it is decided; not that SIU looks."""
    yield f"it is {IN_WORDS[stage_of(claim)]}"
    waits = list(
        dict.fromkeys(f"{task.kind} ({task.addressee})" for task in claim.open_tasks if task.kind is not TaskKind.SIU)
    )
    if waits:
        yield f"it waits for (待办): {', '.join(waits)}"
    running = [clock for clock in claim.clocks if clock.ended is None]
    if running:
        clock = min(running, key=lambda one: one.due_at_ms)
        yield f"next deadline (期限): {clock.kind}, by the end of {clocks.due_day(clock, notice)}"
    settlement = claim.settlement
    if claim.outcome is Outcome.APPROVED and settlement is not None:
        paid_minor = sum(it.amount_minor for it in claim.payments if it.state in PAID)
        payable, paid = (format_minor(it, settlement.currency) for it in (settlement.payable_minor, paid_minor))
        yield f"payable (应付): {payable}, paid (已付): {paid}"
