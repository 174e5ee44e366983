"""Whether the claimant agrees with the amount: some amounts are paid only then, and a dispute goes to legal."""

from typing import Final

from msgspec.structs import replace

from schemas.records import Contact
from streams.outcomes import Dead, Park
from streams.rules import authority
from streams.rules.admission import BEFORE_APPROVAL, DECISION, WAKE, registered
from streams.rules.claim import Claim, Outcome, SettlementVersion, Task, TaskKind
from streams.rules.decision import Cause, Decision
from streams.rules.progress import advance

AGREED: Final = "agreement.agreed"
DISPUTED: Final = "agreement.disputed"


def agree(claim: Claim, contact: Contact, cause: Cause) -> Decision:
    """Note that the claimant agrees; an approved amount that waited for it is paid. It ends a dispute of the amount.

    Raises Park for a settlement that is not there yet, Dead `old-version` for one that is no longer, `too-late` when
    the claim ended without being paid.
    """
    settlement = current(claim, contact.settlement_version or 0, f"the {contact.kind}")
    if claim.outcome not in (None, Outcome.APPROVED):
        raise Dead("too-late", f"kind: the claim has ended ({claim.outcome}), so there is nothing to agree to")
    version = settlement.version
    reason = f"contact {contact.contact_id}: the claimant agrees with settlement {version}"
    if claim.agreed == version and not claim.disputed:
        return Decision(claim, AGREED, f"{reason}, as before", noted=True)
    disputed, claim = claim.disputed, replace(claim, agreed=version, disputed=0)
    if claim.outcome is None:
        return advance(claim, cause, AGREED, reason) if disputed else Decision(claim, AGREED, reason)
    return pay_agreed(claim, settlement, cause, AGREED, reason)


def pay_agreed(claim: Claim, settlement: SettlementVersion, cause: Cause, rule: str, reason: str) -> Decision:
    """Pay an approved amount that nothing stands against any more, unless it is on its way already. While SIU is asked
    it is not paid; once SIU has cleared the claim this is tried again."""
    claim = claim.without(TaskKind.AGREEMENT, TaskKind.LEGAL)
    approving = any(task.kind is TaskKind.APPROVAL for task in claim.open_tasks)
    if (
        approving
        or settlement.payable_minor <= 0
        or settlement.version in [p.settlement_version for p in claim.payments]
    ):
        return Decision(claim, rule, reason)
    if any(task.kind is TaskKind.SIU for task in claim.open_tasks):
        return Decision(claim, rule, f"{reason}; nothing is paid before SIU has answered")
    return authority.pay(claim, settlement, cause, rule, reason)


def dispute(claim: Claim, contact: Contact, cause: Cause) -> Decision:
    """Ask legal about an amount the claimant does not agree with; it is not approved or paid meanwhile, unless it is
    on its way already.

    Raises Park and Dead as `agree` does, but a rejection may be disputed too.
    """
    settlement = current(claim, contact.settlement_version or 0, f"the {contact.kind}")
    if claim.outcome is Outcome.WITHDRAWN:
        raise Dead("too-late", "kind: the claim was withdrawn, so there is nothing to dispute")
    version = settlement.version
    reason = f"contact {contact.contact_id}: the claimant disputes settlement {version}"
    if claim.disputed == version:
        return Decision(claim, DISPUTED, f"{reason}, as before", noted=True)
    return to_legal(claim, version, cause, DISPUTED, reason)


def to_legal(claim: Claim, version: int, cause: Cause, rule: str, reason: str) -> Decision:
    """Legal is asked about this settlement version, and what is agreed of it is open again."""
    claim = replace(claim, disputed=version, agreed=0)
    if claim.outcome is None:
        return advance(claim, cause, rule, reason)
    task = Task(kind=TaskKind.LEGAL, addressee="legal", opened=cause.ref, about=f"settlement {version}")
    claim = claim.without(TaskKind.AGREEMENT)
    return Decision(replace(claim, open_tasks=(*claim.open_tasks, task)), rule, reason)


def current(claim: Claim, version: int, what: str) -> SettlementVersion:
    """The settlement of this version, if it is the current one; `what` names the record that is about it."""
    registered(claim, what)
    settlement = claim.settlement
    if settlement is not None and version < settlement.version:
        raise Dead("old-version", f"settlement_version: {version} was replaced by {settlement.version}")
    if settlement is None or version > settlement.version:
        raise Park(f"{what} waits for settlement {version}", until=(*BEFORE_APPROVAL, WAKE, DECISION))
    return settlement
