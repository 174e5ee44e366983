"""The advance on a claim whose amount is not fixed in time: what can be determined of it is paid, later the difference
(Insurance Law art. 25). It is proposed once its clock has run out, and never paid before finance has answered when its
amount must be checked, and without the people its amount needs.
"""

from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import AdjusterDecision, DecisionAction, NoticeKind
from streams.outcomes import Dead, Park
from streams.rules import amounts, authority, direct, notices, payments
from streams.rules.admission import BEFORE_APPROVAL, DECISION, undecided
from streams.rules.claim import (
    DEAD,
    Advance,
    AmountCheck,
    Claim,
    Notice,
    PolicyInForce,
    SettlementVersion,
    Task,
    TaskKind,
)
from streams.rules.cover_use import deductibles
from streams.rules.decision import Cause, Decision, Output
from streams.rules.line import Registered
from streams.rules.lines import LINES, settle_in_line, terms_of

APPROVAL: Final = "advances.approval"
APPROVED: Final = "advances.approved"
REJECTED: Final = "advances.rejected"
_OPEN: Final = frozenset({TaskKind.FACTS, TaskKind.POLICY, TaskKind.CLAUSE_QUERY, TaskKind.SIU})
"""While one of these is open, nobody can tell whether anything is owed at all."""
_FIXED: Final = frozenset({TaskKind.APPROVAL, TaskKind.AMOUNT_CHECK})
"""While one of these is open, the whole amount is before people, and no part of it."""
_ABOUT_IT: Final = frozenset({TaskKind.ADVANCE, TaskKind.AMOUNT_CHECK})


def fall_due(claim: Claim, cause: Cause) -> tuple[Claim, str, tuple[Output, ...]]:
    """The claim once its advance is due, with the proposal if one can be made, that in words, and what is sent for
    it."""
    advance = Advance() if claim.advance is None else claim.advance
    claim, words, asked = propose(replace(claim, advance=replace(advance, round=claim.round)), cause)
    return claim, words or "an advance is due, but as things stand none is proposed", asked


def propose(claim: Claim, cause: Cause) -> tuple[Claim, str, tuple[Output, ...]]:
    """The claim with what can be determined now put before people, that in words, "" when there is nothing new, and the
    query to finance: as with a settlement it is asked first, once for each proposal, if the amount must be checked.

    Another amount or account than before is another proposal, to be approved anew; one that was refused is not made
    again. There is none once an advance is paid or on its way, while it is open whether anything is owed at all, and
    when the whole amount is before people.
    """
    notice, before, open_before = claim.notice, claim.advance, tasks_of(claim)
    claim = replace(claim, open_tasks=tuple([task for task in claim.open_tasks if task not in open_before]))
    advance = _proposable(claim, cause)
    if notice is None or advance is None or advance.proposed is None:
        return claim, "", ()
    claim, proposed = replace(claim, advance=advance), advance.proposed
    why = amounts.why_asked(claim, proposed, advance.amount_check, terms_of(notice))
    if why is None:
        task, asked = _task(claim, advance, proposed, cause), tuple[Output, ...]()
        then = f"the {task.addressee} decides"
    else:
        task, query = amounts.ask(claim, proposed, cause, why)
        then, asked = f"{why}, so finance is asked", (query,)
    for old in open_before if advance is before else ():
        if old.kind is task.kind:
            return replace(claim, open_tasks=(*claim.open_tasks, old)), "", ()
    words = f"{_in_words(proposed)} is proposed, which is what can be determined; {then}"
    return replace(claim, open_tasks=(*claim.open_tasks, task)), words, asked


def tasks_of(claim: Claim) -> tuple[Task, ...]:
    """The open tasks that are about the proposed advance: finance's check of its amount, or a person's decision."""
    proposed = None if claim.advance is None else claim.advance.proposed
    if proposed is None:
        return ()
    return tuple([it for it in claim.open_tasks if it.kind in _ABOUT_IT and it.about == _about(proposed)])


def checked_by_finance(claim: Claim) -> SettlementVersion | None:
    """The proposed advance that finance is asked about, if it is."""
    asked = any(task.kind is TaskKind.AMOUNT_CHECK for task in tasks_of(claim))
    return claim.advance.proposed if asked and claim.advance is not None else None


def with_answer(claim: Claim, answered: AmountCheck) -> Claim:
    """The claim with what finance said to the amount of its proposed advance."""
    return claim if claim.advance is None else replace(claim, advance=replace(claim.advance, amount_check=answered))


def concerns(claim: Claim, decision: AdjusterDecision) -> bool:
    """Whether a decision is on a proposed advance rather than on a settlement."""
    proposed, version = None if claim.advance is None else claim.advance.proposed, decision.settlement_version or 0
    after_settlement = claim.settlement is None or version > claim.settlement.version
    return proposed is not None and version <= proposed.version and after_settlement


def on_decision(claim: Claim, decision: AdjusterDecision, cause: Cause) -> Decision:
    """Take one person's decision on the proposed advance: the last approval needed pays it, one rejection ends it, and
    the claim goes on in either case.

    Raises Park until finance has answered to its amount, Dead `old-version` for one that is no longer proposed, and as
    the decision on a settlement of its amount.
    """
    notice, _ = undecided(claim, "the decision")
    advance = claim.advance
    proposed = None if advance is None else advance.proposed
    waiting = any(task.kind is TaskKind.ADVANCE for task in claim.open_tasks)
    checked = checked_by_finance(claim)
    if checked is not None and decision.settlement_version == checked.version:
        what = f"the decision waits until finance has answered to settlement {checked.version}"
        raise Park(what, until=(*BEFORE_APPROVAL, DECISION))
    if advance is None or proposed is None or not waiting or decision.settlement_version != proposed.version:
        version = decision.settlement_version
        raise Dead("old-version", f"settlement_version: {version} was an advance, which is no longer proposed")
    needed = authority.needed_by(claim, proposed, terms_of(notice).authority)
    authority.check_authority(claim, decision, proposed, needed, advance.approvals, cause)
    which = _in_words(proposed)
    if decision.action is DecisionAction.REJECT:
        claim = replace(claim, advance=replace(advance, refused=True)).without(TaskKind.ADVANCE)
        return Decision(claim, REJECTED, f"the {decision.role} rejected {which}; the claim goes on without it")
    advance = replace(advance, approvals=authority.approved_by(decision, advance.approvals))
    claim = replace(claim, advance=advance).without(TaskKind.ADVANCE)
    if len(advance.approvals) < len(needed):
        task = _task(claim, advance, proposed, cause)
        reason = f"the {decision.role} approved {which}; the {task.addressee} must too"
        return Decision(replace(claim, open_tasks=(*claim.open_tasks, task)), APPROVAL, reason)
    reason = f"{which} is approved by {' and '.join(needed)}; it is taken off what the claim comes to in the end"
    amount = format_minor(proposed.payable_minor, proposed.currency)
    text = (
        f"Claim {claim.number}: {amount} will be paid in advance (先予支付), the difference once the amount is known."
    )
    claim, told = notices.tell(claim, NoticeKind.DECISION, str(proposed.version), text, cause, reason)
    account, people = direct.payee(claim, notice), authority.people_of(advance.approvals)
    payment, instruction = payments.instruct(claim.number, proposed, notice, account, people, cause, reason)
    claim = replace(claim, payments=(*claim.payments, payment), payee_change=None)
    return Decision(claim, APPROVED, reason, (instruction, *told), (payment,))


def _proposable(claim: Claim, cause: Cause) -> Advance | None:
    """The advance that people are to decide on as things stand: the one they know, or another; None when none."""
    advance, notice, policy = claim.advance, claim.notice, claim.policy
    kinds = {task.kind for task in claim.open_tasks}
    if advance is None or notice is None or policy is None or advance.round != claim.round:
        return None
    if _paid(claim, advance) or not kinds or kinds & (_OPEN | _FIXED):
        return None
    settlement = _determined(claim, notice, policy, cause)
    if settlement is None or _spent(claim, advance.proposed, settlement):
        return None
    if not _same(advance.proposed, settlement):
        return Advance(round=claim.round, proposed=settlement)
    return None if advance.refused else advance


def _determined(claim: Claim, notice: Notice, policy: PolicyInForce, cause: Cause) -> SettlementVersion | None:
    """What the claim comes to by what is known now, less what was paid; None when that is nothing."""
    line = LINES[notice.line]
    case = line.so_far(Registered(claim, notice, policy, terms_of(notice)))
    if case is None:
        return None
    settled = settle_in_line(line, payments.less_paid(case, claim))
    if settled.payable_minor <= 0:
        return None
    return SettlementVersion(
        version=claim.newest_version + 1,
        covers={str(cover.cover): cover.amount_minor for cover in settled.covers},
        deductibles=deductibles(settled),
        payable_minor=settled.payable_minor,
        currency=policy.currency,
        payee=payments.payee_digest(direct.payee(claim, notice)),
        cause=cause.ref,
        round=claim.round,
    )


def _same(one: SettlementVersion | None, other: SettlementVersion) -> bool:
    """Whether two proposals differ in nothing that people decide on."""
    return one is not None and replace(one, version=other.version, cause=other.cause) == other


def _spent(claim: Claim, proposed: SettlementVersion | None, settlement: SettlementVersion) -> bool:
    """Whether finance could not pay an advance to this account: it needs another one first."""
    dead = [payment.settlement_version for payment in claim.payments]
    return proposed is not None and proposed.version in dead and proposed.payee == settlement.payee


def _paid(claim: Claim, advance: Advance) -> bool:
    """Whether this round's advance is with the payee or on its way."""
    proposed = advance.proposed
    if proposed is None or proposed.round != claim.round:
        return False
    return any(it.settlement_version == proposed.version and it.state not in DEAD for it in claim.payments)


def _task(claim: Claim, advance: Advance, proposed: SettlementVersion, cause: Cause) -> Task:
    needed = authority.needed_by(claim, proposed, terms_of(claim.notice).authority) if claim.notice else ()
    role = authority.next_role(needed, advance.approvals)
    return Task(kind=TaskKind.ADVANCE, addressee=role, opened=cause.ref, about=_about(proposed))


def _about(proposed: SettlementVersion) -> str:
    return f"settlement {proposed.version}"


def _in_words(proposed: SettlementVersion) -> str:
    amount = format_minor(proposed.payable_minor, proposed.currency)
    return f"settlement {proposed.version}, an advance of {amount},"
