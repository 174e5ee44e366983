"""Who may decide a settlement version (domain: risk, authority), and what their decisions lead to."""

from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import AdjusterDecision, DecisionAction, NoticeKind, Role
from streams.outcomes import Dead, Park
from streams.rules import direct, notices, payments
from streams.rules.admission import BEFORE_APPROVAL, DECISION, registered, undecided
from streams.rules.claim import Approval, Claim, Notice, Outcome, SettlementVersion, Task, TaskKind
from streams.rules.decision import Cause, Decision, Output
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


def needed_by(claim: Claim, settlement: SettlementVersion, limits: AuthorityLimits) -> tuple[Role, ...]:
    """The roles that must all approve this settlement: as its amount needs, and two when the payee account changed."""
    roles = roles_needed(_amount(settlement), limits)
    changed = claim.notice is not None and claim.notice.payee_changed
    return (Role.HANDLER, Role.APPROVER) if changed and len(roles) == 1 else roles


def may_be_automatic(amount_minor: int, risk: int, limits: AuthorityLimits) -> bool:
    """Whether nobody needs to look: the amount and the risk score are both low."""
    return amount_minor <= limits.automatic_minor and risk < limits.automatic_below_risk


def approval_task(claim: Claim, settlement: SettlementVersion, limits: AuthorityLimits, cause: Cause) -> Task:
    """The open approval: addressed to the first role that has not approved this settlement version."""
    role = next_role(needed_by(claim, settlement, limits), claim.approvals)
    return Task(kind=TaskKind.APPROVAL, addressee=role, opened=cause.ref, about=f"settlement {settlement.version}")


def next_role(needed: tuple[Role, ...], approvals: tuple[Approval, ...]) -> Role:
    """The first of these roles that has not approved yet."""
    given = {approval.role for approval in approvals}
    return next(role for role in needed if role not in given)


def approve(
    claim: Claim, settlement: SettlementVersion, people: tuple[str, str], cause: Cause, rule: str, reason: str
) -> Decision:
    """The claim approved: an instruction when something is payable, and the customer told. `people` proposed and
    approved, and are never the same. An amount the claimant must agree with is instructed once that is so."""
    amount = format_minor(settlement.payable_minor, settlement.currency)
    # What is approved anew keeps what others still owe it.
    kept = claim.without(TaskKind.APPROVAL).open_tasks if claim.outcome is Outcome.APPROVED else ()
    claim = replace(claim.decided(Outcome.APPROVED), payee_change=None, open_tasks=kept)
    if settlement.payable_minor <= 0:
        covered, before = _amount(settlement), _amount(settlement) - settlement.payable_minor
        text = f"Claim {claim.number}: decided (核赔结论). Nothing is payable: what is covered comes to "
        text += format_minor(covered, settlement.currency)
        text += f", and {format_minor(before, settlement.currency)} were paid before." if before else "."
        claim, told = _tell_decision(claim, settlement, text, cause, reason)
        return Decision(claim, rule, reason, told)
    above = terms_of(_notice(claim)).agreement_above_minor
    if above is not None and _amount(settlement) > above and claim.agreed != settlement.version:
        text = f"Claim {claim.number}: approved (核赔结论). {amount} will be paid once you agree (请确认赔款金额)."
        claim, told = _tell_decision(claim, settlement, text, cause, reason)
        reason = f"{reason}; above {format_minor(above, settlement.currency)} the claimant must agree"
        task = Task(
            kind=TaskKind.AGREEMENT,
            addressee="claimant",
            opened=cause.ref,
            about=f"settlement {settlement.version}",
        )
        return Decision(replace(claim, open_tasks=(*kept, task)), rule, reason, told)
    text = f"Claim {claim.number}: approved (核赔结论). {amount} will be paid to the account you named."
    claim, told = _tell_decision(claim, settlement, text, cause, reason)
    return _instruct(claim, settlement, people, cause, rule, reason, told)


def pay(claim: Claim, settlement: SettlementVersion, cause: Cause, rule: str, reason: str) -> Decision:
    """Instruct what was approved and only waited for the claimant's agreement."""
    return _instruct(claim, settlement, people_of(claim.approvals), cause, rule, reason, ())


def ask_again(claim: Claim, payee: str, cause: Cause, rule: str, reason: str, told: tuple[Output, ...]) -> Decision:
    """An approved amount that was not paid is owed to another account: a new settlement version, approved anew.
    `payee` is the account's digest. What the claimant agreed to stays agreed."""
    before, limits = claim.settlement, terms_of(_notice(claim)).authority
    if before is None:
        raise ValueError(f"claim {claim.number} is approved without a settlement")
    owed_minor = _amount(before) - payments.instructed_minor(claim)
    version = claim.newest_version + 1
    settlement = replace(before, version=version, payable_minor=owed_minor, payee=payee, cause=cause.ref)
    agreed = settlement.version if claim.agreed == before.version else 0
    claim = replace(claim, settlement=settlement, approvals=(), agreed=agreed)
    task = approval_task(claim, settlement, limits, cause)
    claim = claim.without(TaskKind.AGREEMENT, TaskKind.APPROVAL)
    reason = f"{reason}; settlement {settlement.version} needs {' and '.join(needed_by(claim, settlement, limits))}"
    return Decision(replace(claim, open_tasks=(*claim.open_tasks, task)), rule, reason, told)


def decide(claim: Claim, decision: AdjusterDecision, cause: Cause) -> Decision:
    """Take one person's decision on the current settlement version; the last approval needed pays, one rejection ends.

    Raises Park for a version that is not there yet, Dead `old-version` for one that is no longer, Dead `no-authority`
    for a role the amount does not need, a role already filled, or a person who holds another role on it, and
    `cooling-off` for an approval too soon after the payee account changed.
    """
    # An approved amount that was not paid is approved anew when its account changes, or its payment was cancelled.
    waits = any(task.kind is TaskKind.APPROVAL for task in claim.open_tasks)
    again = claim.outcome is Outcome.APPROVED and waits
    notice, _ = (registered if again else undecided)(claim, "the decision")
    settlement = _settlement(claim, decision)
    limits = terms_of(notice).authority
    needed = needed_by(claim, settlement, limits)
    check_authority(claim, decision, settlement, needed, claim.approvals, cause)
    which = f"settlement {settlement.version} of {format_minor(settlement.payable_minor, settlement.currency)}"
    if decision.action is DecisionAction.REJECT and again and claim.payee_change is not None:
        reason = f"the {decision.role} rejected {which}, and with it the changed account"
        claim = replace(claim.without(TaskKind.APPROVAL), payee_change=None)
        return Decision(claim, "authority.rejected-account", reason)
    if decision.action is DecisionAction.REJECT:
        return _reject(claim, decision, settlement, f"the {decision.role} rejected {which}", cause)
    approvals = approved_by(decision, claim.approvals)
    claim = replace(claim, approvals=approvals)
    if len(approvals) < len(needed):
        task = approval_task(claim, settlement, limits, cause)
        reason = f"the {decision.role} approved {which}; the {task.addressee} must too"
        open_tasks = (*claim.without(TaskKind.APPROVAL).open_tasks, task)
        return Decision(replace(claim, open_tasks=open_tasks), "authority.approval", reason)
    why = "as a changed account needs" if notice.payee_changed else "as its amount needs"
    reason = f"{which} is approved by {' and '.join(needed)}, {why}"
    return approve(claim, settlement, people_of(approvals), cause, "authority.approved", reason)


def approved_by(decision: AdjusterDecision, approvals: tuple[Approval, ...]) -> tuple[Approval, ...]:
    """The approvals with one person's more, in the order of their roles."""
    given = (*approvals, Approval(role=decision.role, person=decision.person))
    return tuple(sorted(given, key=lambda approval: RANK[approval.role]))


def _settlement(claim: Claim, decision: AdjusterDecision) -> SettlementVersion:
    """The settlement version the decision is on, if it is the current one and up for approval, and SIU is not asked."""
    settlement, version = claim.settlement, decision.settlement_version or 0
    if settlement is not None and version < settlement.version:
        raise Dead("old-version", f"settlement_version: {version} was replaced by {settlement.version}")
    kinds = {task.kind for task in claim.open_tasks}
    waiting = not claim.disputed and TaskKind.APPROVAL in kinds and TaskKind.SIU not in kinds
    if settlement is None or version > settlement.version or not waiting:
        raise Park(f"the decision waits for settlement {version}", until=(*BEFORE_APPROVAL, DECISION))
    return settlement


def check_authority(
    claim: Claim,
    decision: AdjusterDecision,
    settlement: SettlementVersion,
    needed: tuple[Role, ...],
    approvals: tuple[Approval, ...],
    cause: Cause,
) -> None:
    """Raise Dead `no-authority` when a person may not decide a settlement that others gave these `approvals` to,
    `cooling-off` for an approval too soon after the payee account changed."""
    amount = format_minor(_amount(settlement), settlement.currency)
    if decision.role not in needed:
        raise Dead("no-authority", f"role: {amount} is decided by {' and '.join(needed)}, not by the {decision.role}")
    for approval in approvals:
        if approval.role is decision.role:
            raise Dead("no-authority", f"role: the {decision.role} has already decided settlement {settlement.version}")
        if approval.person == decision.person:
            raise Dead("no-authority", f"person: already decided settlement {settlement.version} as {approval.role}")
    change = claim.payee_change
    if change is not None and decision.action is DecisionAction.APPROVE and cause.at_ms < change.until_ms:
        when = f"{change.contact} changed the payee account: nobody approves it before its cooling-off has ended"
        raise Dead("cooling-off", f"decided_at_ms: {when}. Decide again then")


def _reject(
    claim: Claim, decision: AdjusterDecision, settlement: SettlementVersion, reason: str, cause: Cause
) -> Decision:
    claim = claim.decided(Outcome.REJECTED)
    text = f"Claim {claim.number}: rejected (拒赔). Reason: {decision.reason}"
    claim, told = notices.tell(claim, NoticeKind.REJECTION, str(settlement.version), text, cause, reason)
    return Decision(claim, "authority.rejected", reason, told)


def people_of(approvals: tuple[Approval, ...]) -> tuple[str, str]:
    """Who proposed and who approved a settlement."""
    people = [approval.person for approval in approvals]
    if not people:
        return COMPUTED, AUTOMATIC
    return (people[0] if len(people) > 1 else COMPUTED), people[-1]


def _instruct(
    claim: Claim,
    settlement: SettlementVersion,
    people: tuple[str, str],
    cause: Cause,
    rule: str,
    reason: str,
    told: tuple[Output, ...],
) -> Decision:
    notice = _notice(claim)
    account = direct.payee(claim, notice)
    payment, instruction = payments.instruct(claim.number, settlement, notice, account, people, cause, reason)
    claim = replace(claim, payments=(*claim.payments, payment))
    return Decision(claim, rule, reason, (instruction, *told), (payment,))


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
