"""Complaints: each has its clock, a person answers it, and more days need a person's approval (domain: clocks)."""

from typing import Final

from msgspec.structs import replace

from schemas.records import AdjusterDecision, Contact, NoticeKind, Role
from streams.outcomes import Dead
from streams.rules import clocks, notices
from streams.rules.admission import noticed
from streams.rules.claim import Claim, ClockKind, Complaint
from streams.rules.decision import Cause, Decision

RECEIVED: Final = "complaints.received"
ANSWERED: Final = "complaints.answered"
EXTENDED: Final = "complaints.extended"


def complain(claim: Claim, contact: Contact, cause: Cause) -> Decision:
    """Keep a complaint open until it is answered; it stops nothing, and may come at any stage."""
    if any(it.contact == contact.contact_id for it in claim.complaints):
        return Decision(claim, RECEIVED, f"complaint {contact.contact_id} is already known", noted=True)
    complaint = Complaint(contact=contact.contact_id, complex=contact.complex)
    claim = replace(claim, complaints=(*claim.complaints, complaint))
    reason = f"{'complex ' * contact.complex}complaint {contact.contact_id} came"
    text = f"Claim {claim.number}: we have received your complaint (投诉) {contact.contact_id} and will answer it."
    claim, told = notices.tell(claim, NoticeKind.COMPLAINT_RECEIVED, contact.contact_id, text, cause, reason)
    return Decision(claim, RECEIVED, reason, told)


def answer(claim: Claim, decision: AdjusterDecision, cause: Cause) -> Decision:
    """Tell the customer the answer, which ends the complaint and its clock.

    Raises Park before the notice, Dead `no-complaint` when there is none of this id or it was answered.
    """
    complaint = _open(claim, decision)
    answered = tuple([replace(it, answered=True) if it is complaint else it for it in claim.complaints])
    claim = replace(claim, complaints=answered)
    reason = f"complaint {complaint.contact} is answered by the {decision.role}"
    text = f"Claim {claim.number}: our answer to your complaint (投诉答复) {complaint.contact}: {decision.reason}"
    claim, told = notices.tell(claim, NoticeKind.COMPLAINT_ANSWER, complaint.contact, text, cause, reason)
    return Decision(claim, ANSWERED, reason, told)


def extend(claim: Claim, decision: AdjusterDecision, cause: Cause) -> Decision:
    """Allow the product's extension to answer a complaint, once and before its time has run out.

    Raises Park before the notice, Dead `no-complaint`, `no-authority` for a handler (who answers complaints), and
    `no-extension` when there is nothing to extend any more.
    """
    complaint, notice = _open(claim, decision), noticed(claim, "the extension")
    if decision.role is Role.HANDLER:
        raise Dead("no-authority", "role: an extension is approved by an approver or a manager, not by the handler")
    extended = clocks.extend(claim, notice, ClockKind.COMPLAINT, complaint.contact, cause)
    if extended is None:
        raise Dead("no-extension", f"contact_id: complaint {complaint.contact} ran out or was extended before")
    followed = tuple(
        [extended if (it.kind, it.about) == (extended.kind, extended.about) else it for it in claim.clocks]
    )
    claim = replace(claim, clocks=followed)
    due = clocks.due_day(extended, notice)
    reason = f"the {decision.role} allows {extended.days} days for complaint {complaint.contact}: until {due}"
    text = f"Claim {claim.number}: to answer your complaint {complaint.contact} we need until the end of {due} (延期)."
    claim, told = notices.tell(claim, NoticeKind.COMPLAINT_EXTENDED, complaint.contact, text, cause, reason)
    return Decision(claim, EXTENDED, reason, told)


def _open(claim: Claim, decision: AdjusterDecision) -> Complaint:
    noticed(claim, f"the decision to {decision.action}")
    for complaint in claim.complaints:
        if complaint.contact == decision.contact_id and not complaint.answered:
            return complaint
    raise Dead("no-complaint", "contact_id: the claim has no complaint of this id that waits for an answer")
