"""Whether a claim can take a record now: it waits, it is refused, or it goes on."""

from typing import Final

from streams.outcomes import Dead, Park
from streams.rules.claim import Claim, Notice, Outcome, PolicyInForce

NOTICE: Final = "reporting.loss-notice.v1"
WAKE: Final = "hub.wake.v1"
FINDING: Final = "investigation.finding.v1"
ESTIMATE: Final = "repair.estimate.v1"
INVOICE: Final = "repair.invoice.v1"
BILL: Final = "hospital.bill.v1"
HOSPITAL_RECORD: Final = "hospital.record.v1"
DOCUMENT: Final = "reporting.document.v1"
AMOUNT_ANSWER: Final = "finance.amount-answer.v1"
DECISION: Final = "adjuster.decision.v1"
CLAUSE_ANSWER: Final = "underwriting.clause-answer.v1"
CONTACT: Final = "reporting.contact.v1"
SIU_OUTCOME: Final = "siu.outcome.v1"
LEGAL_OUTCOME: Final = "legal.outcome.v1"

FOR_POLICY: Final = (NOTICE, WAKE)
"""What may bring a noticed claim its policy."""

BEFORE_SETTLEMENT: Final = (NOTICE, DOCUMENT, FINDING, ESTIMATE, INVOICE, BILL, HOSPITAL_RECORD, CLAUSE_ANSWER)
"""What may still be missing before a registered claim's settlement can be computed."""

BEFORE_APPROVAL: Final = (*BEFORE_SETTLEMENT, AMOUNT_ANSWER, SIU_OUTCOME, LEGAL_OUTCOME)
"""What may still be missing before a registered claim's settlement can be approved."""


def noticed(claim: Claim, what: str) -> Notice:
    """The claim's notice. Raises Park while there is none; `what` names the record, as in "the document"."""
    if claim.notice is None:
        raise Park(f"{what} waits for the claim's loss notice", until=(NOTICE,))
    return claim.notice


def registered(claim: Claim, what: str) -> tuple[Notice, PolicyInForce]:
    """Notice and policy of a claim that takes records.

    Raises Park before the notice and while the policy is unknown, Dead `not-accepted` on a claim that was not, `merged`
    on one that became part of another.
    """
    notice = noticed(claim, what)
    if claim.outcome is Outcome.NOT_ACCEPTED:
        raise Dead("not-accepted", f"the claim was not accepted, so it takes no more records: {what} is refused")
    if claim.merge is not None and claim.merge.into is not None:
        raise Dead("merged", f"the claim was merged into {claim.merge.into}: send {what} for that claim")
    if claim.policy is None:
        raise Park(f"{what} waits until the claim's policy is known", until=FOR_POLICY)
    return notice, claim.policy


def undecided(claim: Claim, what: str) -> tuple[Notice, PolicyInForce]:
    """As `registered`, and Dead `too-late` once the claim is decided: nothing later changes its money."""
    notice, policy = registered(claim, what)
    if claim.outcome is not None:
        raise Dead("too-late", f"the claim is decided ({claim.outcome}), so {what} changes nothing any more")
    return notice, policy


def check_policy_currency(currency: str, policy: PolicyInForce, what: str) -> None:
    """Raise Dead `wrong-currency` when a record's `currency` is not the policy's."""
    if currency != policy.currency:
        raise Dead("wrong-currency", f"currency: {what} is in {currency}, policy {policy.number} in {policy.currency}")
