"""How a registered claim goes on after a fact changed: what it still waits for, else its settlement, else approval."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import DamagedObject, Fault
from streams.rules import authority, risk
from streams.rules.claim import Claim, Notice, PolicyInForce, SettlementVersion, Task, TaskKind
from streams.rules.decision import Cause, Decision, Output
from streams.rules.payments import payee_digest
from streams.rules.product import CompulsoryBucket, Terms, motor
from streams.rules.settlement import Case, CoverAmount, CoverKind, CoverTerms, round_half_away, settle

COVER_OF: Final[Mapping[DamagedObject, CoverKind]] = {
    DamagedObject.THIRD_PARTY_PROPERTY: CoverKind.COMPULSORY_MOTOR,
    DamagedObject.OWN_VEHICLE: CoverKind.OWN_DAMAGE,
}
"""Which cover answers for a damaged object, in the order covers are settled: compulsory motor pays first."""


def covered(notice: Notice, policy: PolicyInForce) -> tuple[DamagedObject, ...]:
    """The damaged objects the policy has a cover for, in the order covers are settled."""
    damaged = notice.damaged
    return tuple([it for it, cover in COVER_OF.items() if it in damaged and policy.cover(cover) is not None])


def advance(claim: Claim, cause: Cause, rule: str, reason: str, outputs: tuple[Output, ...] = ()) -> Decision:
    """Go on after a fact changed by `rule` for `reason`: open and close tasks; with none left settle, and approve what
    needs nobody. The decision's rule is the last one that did something, its reason tells all that happened."""
    notice, policy = claim.notice, claim.policy
    if notice is None or policy is None:
        raise ValueError(f"claim {claim.number} is not registered")
    terms = motor().terms_at(notice.loss_at_ms)
    tasks = _open_tasks(claim, notice, policy, terms, cause)
    if tasks:
        return Decision(replace(claim, open_tasks=tasks), rule, reason, outputs)
    claim, words = _settle(claim, notice, policy, terms, cause)
    settlement = claim.settlement
    if settlement is None:
        raise ValueError(f"claim {claim.number} has nothing to settle")
    amount = sum(settlement.covers.values())
    found = risk.signals(claim, notice, policy, terms, amount)
    score, told = risk.score(found), f"{reason}; settlement {settlement.version}: {words}; {_risk_in_words(found)}"
    if survey_reason(notice, terms) is None and authority.may_be_automatic(amount, score, terms.authority):
        limit = format_minor(terms.authority.automatic_minor, settlement.currency)
        told = f"{told}; approved without a person: no survey was needed, at most {limit}"
        people = (authority.COMPUTED, authority.AUTOMATIC)
        decided = authority.approve(claim, settlement, people, cause, "authority.automatic", told)
        return replace(decided, outputs=(*outputs, *decided.outputs))
    task = authority.approval_task(settlement, claim.approvals, terms.authority, cause)
    kept = _kept(task, claim.open_tasks)
    return Decision(
        replace(claim, open_tasks=(kept,)), "settlement.computed", f"{told}; the {task.addressee} decides", outputs
    )


def survey_reason(notice: Notice, terms: Terms) -> str | None:
    """Why a surveyor must look before anything is paid; None when nobody must."""
    if not notice.photos:
        return "no photos"
    if notice.fault is Fault.UNKNOWN:
        return "fault to be found"
    if notice.estimated_loss_minor > terms.survey_above_minor:
        return f"estimated loss above {format_minor(terms.survey_above_minor, notice.currency)}"
    return None


def _open_tasks(claim: Claim, notice: Notice, policy: PolicyInForce, terms: Terms, cause: Cause) -> tuple[Task, ...]:
    wanted = []
    if claim.surveyed is None or claim.fault is Fault.UNKNOWN:
        why = survey_reason(notice, terms)
        if why is not None:
            wanted.append(Task(kind=TaskKind.SURVEY, addressee="surveyor", opened=cause.ref, about=why))
    for damaged in covered(notice, policy):
        known = claim.assessed_of(damaged)
        if known is None:
            kind = TaskKind.ESTIMATE
        elif known.agreed_minor is None:
            kind = TaskKind.INVOICE
        elif known.excess:
            kind = TaskKind.SUPPLEMENT
        else:
            continue
        wanted.append(Task(kind=kind, addressee="repair-shop", opened=cause.ref, about=damaged))
    return tuple(_kept(task, claim.open_tasks) for task in wanted)


def _kept(task: Task, before: tuple[Task, ...]) -> Task:
    """The same task as it was opened before, else this new one."""
    for old in before:
        if (old.kind, old.about, old.addressee) == (task.kind, task.about, task.addressee):
            return old
    return task


def _settle(claim: Claim, notice: Notice, policy: PolicyInForce, terms: Terms, cause: Cause) -> tuple[Claim, str]:
    """The claim with its settlement, and how it came about. Another amount or payee is a new version without
    approvals; the same keeps the version."""
    settled = settle(_case(claim, notice, policy, terms))
    words = ", ".join(_cover_in_words(cover, policy.currency) for cover in settled.covers)
    covers = {str(cover.cover): cover.amount_minor for cover in settled.covers}
    payee, before = payee_digest(notice.payee), claim.settlement
    if before is not None and (before.covers, before.payee) == (covers, payee):
        return claim, f"unchanged, {words}"
    settlement = SettlementVersion(
        version=1 if before is None else before.version + 1,
        covers=covers,
        payable_minor=settled.payable_minor,
        currency=policy.currency,
        payee=payee,
        cause=cause.ref,
    )
    return replace(claim, settlement=settlement, approvals=(), open_tasks=()), words


def _case(claim: Claim, notice: Notice, policy: PolicyInForce, terms: Terms) -> Case:
    covers, losses = [], {}
    for damaged in covered(notice, policy):
        kind = COVER_OF[damaged]
        known, cover = claim.assessed_of(damaged), policy.cover(kind)
        if known is None or known.agreed_minor is None or cover is None:
            raise ValueError(f"claim {claim.number} has no agreed amount for {damaged}")
        agreed: int | dict[str, int] = known.agreed_minor
        if kind is CoverKind.COMPULSORY_MOTOR:
            agreed = {CompulsoryBucket.PROPERTY.value: known.agreed_minor}
            covers.append(CoverTerms(cover=kind))
        else:
            covers.append(
                CoverTerms(
                    cover=kind,
                    sum_insured=cover.sum_insured_minor,
                    deductible=cover.deductible_minor,
                    deductible_bp=cover.deductible_bp,
                )
            )
        losses[kind.value] = agreed
    share = terms.liability_share[claim.fault]
    return Case(covers=tuple(covers), losses=losses, liability_share=share, loss_at_ms=notice.loss_at_ms)


def _cover_in_words(cover: CoverAmount, currency: str) -> str:
    def money(exact: str) -> str:
        return format_minor(round_half_away(Fraction(exact) if "/" in exact else int(exact)), currency)

    changes = [f"{step.step} leaves {money(step.after)}" for step in cover.steps if step.before != step.after]
    paid = format_minor(cover.amount_minor, currency)
    return f"{cover.cover} pays {paid} ({', '.join((f'agreed {money(cover.steps[0].before)}', *changes))})"


def _risk_in_words(found: tuple[risk.Signal, ...]) -> str:
    if not found:
        return "risk 0"
    return f"risk {risk.score(found)} ({', '.join(f'{signal.evidence}: {signal.weight}' for signal in found)})"
