"""Another account to pay to: a case of its own, with a cooling-off, a second person, and a word to the old contact."""

from typing import Final

from msgspec.structs import replace

from schemas.records import BankAccount, Contact, NoticeKind
from streams.outcomes import Dead
from streams.rules import authority, direct, notices, repeats
from streams.rules.claim import DEAD, Claim, Notice, Outcome, PayeeChange
from streams.rules.deadlines import moment
from streams.rules.decision import Cause, Decision, Lookups
from streams.rules.lines import LINES, terms_of
from streams.rules.payments import payee_digest, unpaid
from streams.rules.progress import advance

CHANGED: Final = "payee.changed"


def change(claim: Claim, notice: Notice, contact: Contact, payee: BankAccount, cause: Cause, seen: Lookups) -> Decision:
    """Pay to another account from now on: a new settlement version, which needs a second person's approval too.

    What finance could not pay is then paid in a new attempt. Raises Dead `second-account` while people have not
    approved an earlier change, `same-account` for the one finance could not pay to, `too-late` once money is on its way
    or the claim has ended.
    """
    _check_time(claim)
    if claim.outcome is not None and direct.payee(claim, notice) != notice.payee:
        raise Dead("too-late", "payee: the claim is approved to be paid to the hospital, not to the claimant")
    if payee == notice.payee:
        if claim.payee_change is None and claim.payments and claim.payments[-1].state in DEAD:
            raise Dead("same-account", "payee: finance could not pay to this account; another is needed")
        return Decision(claim, CHANGED, f"contact {contact.contact_id} names the account that is known", noted=True)
    if claim.payee_change is not None:
        raise Dead("second-account", f"payee: the change by {claim.payee_change.contact} is not approved yet")
    reason = f"contact {contact.contact_id} names another payee account"
    text = (
        f"Claim {claim.number}: the account it is to be paid to was changed (收款账户变更). If this was not your wish, "
        "tell us at once."
    )
    claim, told = notices.tell(claim, NoticeKind.PAYEE_CHANGED, contact.contact_id, text, cause, reason)
    days, calendar = terms_of(notice).payee_cooling_off_days, LINES[notice.line].product.calendar
    until_ms = moment(cause.at_ms, days, 100, (), calendar) if days else None
    changed = PayeeChange(
        contact=contact.contact_id,
        before=payee_digest(notice.payee),
        until_ms=cause.at_ms if until_ms is None else until_ms,
    )
    known = {what: found for what, found in notice.repeats.items() if what != repeats.ACCOUNT}
    known |= repeats.repeats(seen, terms_of(notice).risk, notice.notified_at_ms, calendar)
    version = notice.account_version + 1
    notice = replace(notice, payee=payee, payee_changed=True, account_version=version, repeats=known)
    claim = replace(claim, notice=notice, payee_change=changed)
    if claim.outcome is Outcome.APPROVED:
        return authority.ask_again(claim, payee_digest(payee), cause, CHANGED, reason, told)
    if claim.policy is None:
        return Decision(claim, CHANGED, reason, told)
    return advance(claim, cause, CHANGED, reason, told)


def _check_time(claim: Claim) -> None:
    """Whether the account can still be changed: nothing is on its way, and something may still be paid."""
    if claim.outcome is None or unpaid(claim):
        return
    stands = f"the payment is {claim.payments[-1].state}" if claim.payments else f"the claim is {claim.outcome}"
    raise Dead("too-late", f"kind: {stands}, so nothing is left to be paid to another account")
