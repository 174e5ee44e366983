"""Who may decide a settlement version (domain: risk, authority), and what their decisions lead to."""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import AdjusterDecision, DecisionAction, NoticeKind, Role
from streams.outcomes import Dead, Park
from streams.rules import direct, notices, payments
from streams.rules.admission import BEFORE_APPROVAL, DECISION, undecided
from streams.rules.claim import Approval, Claim, Notice, Outcome, SettlementVersion, Task, TaskKind
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.lines import terms_of
from streams.rules.product import AuthorityLimits

COMPUTED: Final = "hub:settlement"
AUTOMATIC: Final = "hub:automatic"
RANK: Final = {role: rank for rank, role in enumerate(Role)}


def roles_needed(amount_minor: int, limits: AuthorityLimits) -> tuple[Role, ...]:
    """The roles that must all approve this amount, each held by another person."""
    if amount_minor <= limits.handler_minor:
        return (Role.HANDLER,)
    if amount_minor <= limits.approver_minor:
        return Role.HANDLER, Role.APPROVER
    return Role.HANDLER, Role.APPROVER, Role.MANAGER


def may_be_automatic(amount_minor: int, risk: int, limits: AuthorityLimits) -> bool:
    """Whether nobody needs to look: the amount and the risk score are both low."""
    return amount_minor <= limits.automatic_minor and risk < limits.automatic_below_risk


def approval_task(
    settlement: SettlementVersion, approvals: Iterable[Approval], limits: AuthorityLimits, cause: Cause
) -> Task:
    """The open approval: addressed to the first role that has not approved this settlement version."""
    given = {approval.role for approval in approvals}
    role = next(role for role in roles_needed(_amount(settlement), limits) if role not in given)
    return Task(kind=TaskKind.APPROVAL, addressee=role, opened=cause.ref, about=f"settlement {settlement.version}")


def approve(
    claim: Claim, settlement: SettlementVersion, people: tuple[str, str], cause: Cause, rule: str, reason: str
) -> Decision:
    """The claim approved: an instruction when something is payable, and the customer told. `people` proposed and
    approved, and are never the same."""
    notice = _notice(claim)
    amount = format_minor(settlement.payable_minor, settlement.currency)
    claim = claim.decided(Outcome.APPROVED)
    if settlement.payable_minor <= 0:
        text = f"Claim {claim.number}: decided (核赔结论). Nothing is payable: what is covered comes to {amount}."
        claim, told = _tell_decision(claim, settlement, text, cause, reason)
        return Decision(claim, rule, reason, told)
    text = f"Claim {claim.number}: approved (核赔结论). {amount} will be paid to the account you named."
    claim, told = _tell_decision(claim, settlement, text, cause, reason)
    payment, instruction = payments.instruct(
        claim.number, settlement, notice, direct.payee(claim, notice), people, cause, reason
    )
    claim = replace(claim, payments=(*claim.payments, payment))
    return Decision(claim, rule, reason, (instruction, *told), (payment,))


def on_decision(claim: Claim, decision: AdjusterDecision, cause: Cause, seen: Lookups) -> Decision:
    """Take one person's decision on the current settlement version; the last approval needed pays, one rejection ends.

    Raises Park for a version that is not there yet, Dead `old-version` for one that is no longer, Dead `no-authority`
    for a role the amount does not need, a role already filled, or a person who holds another role on it.
    """
    notice, _ = undecided(claim, "the decision")
    settlement = _settlement(claim, decision)
    limits = terms_of(notice).authority
    needed = roles_needed(_amount(settlement), limits)
    _check_authority(claim, decision, settlement, needed)
    which = f"settlement {settlement.version} of {format_minor(settlement.payable_minor, settlement.currency)}"
    if decision.action is DecisionAction.REJECT:
        return _reject(claim, decision, settlement, f"the {decision.role} rejected {which}", cause)
    given = (*claim.approvals, Approval(role=decision.role, person=decision.person))
    approvals = tuple(sorted(given, key=lambda approval: RANK[approval.role]))
    claim = replace(claim, approvals=approvals)
    if len(approvals) < len(needed):
        task = approval_task(settlement, approvals, limits, cause)
        reason = f"the {decision.role} approved {which}; the {task.addressee} must too"
        return Decision(replace(claim, open_tasks=(task,)), "authority.approval", reason)
    people = (approvals[0].person if len(approvals) > 1 else COMPUTED, approvals[-1].person)
    reason = f"{which} is approved by {' and '.join(needed)}, as its amount needs"
    return approve(claim, settlement, people, cause, "authority.approved", reason)


def _settlement(claim: Claim, decision: AdjusterDecision) -> SettlementVersion:
    """The settlement version the decision is on, if it is the current one and up for approval."""
    settlement, version = claim.settlement, decision.settlement_version or 0
    if settlement is not None and version < settlement.version:
        raise Dead("old-version", f"settlement_version: {version} was replaced by {settlement.version}")
    waiting = any(task.kind is TaskKind.APPROVAL for task in claim.open_tasks)
    if settlement is None or version > settlement.version or not waiting:
        raise Park(f"the decision waits for settlement {version}", until=(*BEFORE_APPROVAL, DECISION))
    return settlement


def _check_authority(
    claim: Claim, decision: AdjusterDecision, settlement: SettlementVersion, needed: tuple[Role, ...]
) -> None:
    amount = format_minor(_amount(settlement), settlement.currency)
    if decision.role not in needed:
        raise Dead("no-authority", f"role: {amount} is decided by {' and '.join(needed)}, not by the {decision.role}")
    for approval in claim.approvals:
        if approval.role is decision.role:
            raise Dead("no-authority", f"role: the {decision.role} has already decided settlement {settlement.version}")
        if approval.person == decision.person:
            raise Dead("no-authority", f"person: already decided settlement {settlement.version} as {approval.role}")


def _reject(
    claim: Claim, decision: AdjusterDecision, settlement: SettlementVersion, reason: str, cause: Cause
) -> Decision:
    claim = claim.decided(Outcome.REJECTED)
    text = f"Claim {claim.number}: rejected (拒赔). Reason: {decision.reason}"
    claim, told = notices.tell(claim, NoticeKind.REJECTION, str(settlement.version), text, cause, reason)
    return Decision(claim, "authority.rejected", reason, told)


def _tell_decision(
    claim: Claim, settlement: SettlementVersion, text: str, cause: Cause, reason: str
) -> tuple[Claim, tuple[Output, ...]]:
    return notices.tell(claim, NoticeKind.DECISION, str(settlement.version), text, cause, reason)


def _notice(claim: Claim) -> Notice:
    if claim.notice is None:
        raise ValueError(f"claim {claim.number} has a settlement and no notice")
    return claim.notice


def _amount(settlement: SettlementVersion) -> int:
    return sum(settlement.covers.values())
