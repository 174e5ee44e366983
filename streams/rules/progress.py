"""How a registered claim goes on after a fact changed: what it still waits for, else its settlement, else approval."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from msgspec.structs import replace

from schemas.money import format_minor
from schemas.records import FindingKind, NoticeKind
from streams.rules import advances, amounts, authority, clause, direct, notices, referrals, risk, spot_checks
from streams.rules.claim import Claim, SettlementVersion, Task, TaskKind
from streams.rules.cover_use import deductibles
from streams.rules.decision import Cause, Decision, Output
from streams.rules.disputes import award_minor, awarded
from streams.rules.line import LineRules, Registered, Wanted
from streams.rules.lines import LINES, settle_in_line, terms_of
from streams.rules.payments import less_paid, payee_digest
from streams.rules.recoveries import salvage_minor
from streams.rules.requests import requests
from streams.rules.settlement import Case, CoverAmount, Settlement, round_half_away


def advance(claim: Claim, cause: Cause, rule: str, reason: str, outputs: tuple[Output, ...] = ()) -> Decision:
    """Go on after a fact changed by `rule` for `reason`: open and close tasks; with none left settle, and approve what
    needs nobody. The decision's rule is the last one that did something, its reason tells all that happened."""
    notice, policy = claim.notice, claim.policy
    if notice is None or policy is None:
        raise ValueError(f"claim {claim.number} is not registered")
    line = LINES[notice.line]
    terms = line.product.terms_at(notice.loss_at_ms)
    registered = Registered(claim, notice, policy, terms)
    found = risk.signals(claim, notice, policy, terms)
    claim, referred = referrals.refer(claim, found, terms, cause)
    if referred:
        outputs, reason = (*outputs, *referred), f"{reason}; {risk.in_words(found, terms.risk)}, so SIU is asked"
    refused = clause.refusal(registered, line) if claim.clauses and award_minor(claim) is None else None
    wanted = [*referrals.awaited(claim), *_disputed(claim)]
    if refused is None:
        wanted = [*clause.awaited(registered, line), *_documents(registered), *line.tasks(registered), *wanted]
    tasks = _open_tasks(wanted, claim.open_tasks, cause)
    if tasks:
        opened = [task for task in tasks if task not in claim.open_tasks]
        claim = replace(claim, open_tasks=(*tasks, *advances.tasks_of(claim)))
        if claim.advance is not None:
            claim, proposed, asked = advances.propose(claim, cause)
            reason, outputs = f"{reason}; {proposed}" if proposed else reason, (*outputs, *asked)
        outputs = (*outputs, *requests(claim, notice, opened, cause, reason))
        if any(task.kind is TaskKind.DOCUMENTS for task in tasks):
            claim, asked = _ask_for_documents(claim, cause, reason)
            outputs = (*outputs, *asked)
        return Decision(claim, rule, reason, outputs)
    if refused is not None:
        return _propose_rejection(registered, line, cause, f"{reason}; {refused}", outputs)
    settled = awarded(claim, settle_in_line(line, less_paid(line.case(registered), claim)))
    claim, words = _settle(claim, settled, policy.currency, payee_digest(direct.payee(claim, notice)), cause)
    settlement = claim.settlement
    if settlement is None:
        raise ValueError(f"claim {claim.number} has nothing to settle")
    found = (*found, *risk.near_limit(settlement, terms.authority, terms.risk))
    claim, referred = referrals.refer(claim, found, terms, cause)
    if referred:
        told = f"{reason}; settlement {settlement.version}: {words}; {risk.in_words(found, terms.risk)}"
        claim = replace(claim, open_tasks=_open_tasks([*referrals.awaited(claim)], claim.open_tasks, cause))
        return Decision(claim, "siu.referred", f"{told}, so SIU is asked", (*outputs, *referred))
    why = amounts.why_asked(claim, settlement, claim.amount_check, terms)
    if why is not None:
        told = f"{reason}; settlement {settlement.version}: {words}; {why}, so finance is asked"
        return _ask_finance(claim, settlement, cause, why, Decision(claim, amounts.ASKED, told, outputs))
    amount = sum(settlement.covers.values())
    score = risk.score(found, terms.risk)
    told = f"{reason}; settlement {settlement.version}: {words}; {risk.in_words(found, terms.risk)}"
    looked = (
        claim.round > 1
        or claim.dispute is not None
        or claim.referral is not None
        or any(found.kind is not FindingKind.DISABILITY for found in claim.findings)
    )
    if not looked and authority.may_be_automatic(amount, score, terms.authority):
        limit = format_minor(terms.authority.automatic_minor, settlement.currency)
        told = f"{told}; approved without a person: nobody had to look, at most {limit}"
        people = (authority.COMPUTED, authority.AUTOMATIC)
        decided = authority.approve(claim, settlement, people, cause, "authority.automatic", told)
        decided = replace(decided, outputs=(*outputs, *decided.outputs))
        return spot_checks.draw(decided, terms.spot_checks, cause)
    task = authority.approval_task(claim, settlement, terms.authority, cause)
    kept = _kept(task, claim.open_tasks)
    return Decision(
        replace(claim, open_tasks=(kept,)), "settlement.computed", f"{told}; the {task.addressee} decides", outputs
    )


def reconsider(claim: Claim, cause: Cause, rule: str, reason: str, outputs: tuple[Output, ...] = ()) -> Decision:
    """What a claim's new risk leads to, wherever it stands."""
    if claim.outcome is None and claim.policy is not None:
        return advance(claim, cause, rule, reason, outputs)
    if claim.outcome is not None and claim.notice is not None:
        claim, referred = referrals.refer_decided(claim, terms_of(claim.notice), cause)
        return Decision(claim, rule, reason, (*outputs, *referred))
    return Decision(claim, rule, reason, outputs)


def _propose_rejection(
    registered: Registered, line: LineRules, cause: Cause, reason: str, outputs: tuple[Output, ...]
) -> Decision:
    """Nothing is owed as underwriting says, which a person decides: a settlement of nothing, up for that decision."""
    claim, notice, policy, terms = registered
    nothing = SettlementVersion(
        version=claim.newest_version + 1,
        covers=dict.fromkeys((line.covers[damaged] for damaged in line.covered(notice, policy)), 0),
        payable_minor=-less_paid(Case(covers=()), claim).advances,
        currency=policy.currency,
        payee=payee_digest(direct.payee(claim, notice)),
        cause=cause.ref,
        round=claim.round,
    )
    claim = _version(claim, nothing)
    settlement = claim.settlement
    if settlement is None:
        raise ValueError(f"claim {claim.number} has nothing to decide")
    task = _kept(authority.approval_task(claim, settlement, terms.authority, cause), claim.open_tasks)
    told = f"{reason}, so its rejection is proposed; the {task.addressee} decides"
    return Decision(replace(claim, open_tasks=(task,)), "clause.not-covered", told, outputs)


def _ask_finance(claim: Claim, settlement: SettlementVersion, cause: Cause, why: str, decision: Decision) -> Decision:
    """Nothing is approved before finance has answered; it is asked once for each settlement version."""
    task, query = amounts.ask(claim, settlement, cause, why)
    kept = _kept(task, claim.open_tasks)
    outputs = (*decision.outputs, query) if kept is task else decision.outputs
    return replace(decision, claim=replace(claim, open_tasks=(kept,)), outputs=outputs)


def _documents(claim: Registered) -> Iterator[Wanted]:
    """The documents the claimant still has to send."""
    sent = claim.claim.documents.values()
    for wanted in claim.terms.documents:
        if claim.notice.estimated_loss_minor > wanted.above_minor and wanted.kind not in sent:
            yield Wanted(TaskKind.DOCUMENTS, "claimant", wanted.kind)


def _disputed(claim: Claim) -> Iterator[Wanted]:
    """Legal, while the claimant disputes the amount."""
    if claim.disputed:
        yield Wanted(TaskKind.LEGAL, "legal", f"settlement {claim.disputed}")


def _ask_for_documents(claim: Claim, cause: Cause, reason: str) -> tuple[Claim, tuple[Output, ...]]:
    """All that is missing is asked for at once, and once (Insurance Law art. 22)."""
    kinds = ", ".join(task.about for task in claim.open_tasks if task.kind is TaskKind.DOCUMENTS)
    text = f"Claim {claim.number}: please send us (请补充材料): {kinds}."
    return notices.tell(claim, NoticeKind.DOCUMENTS_NEEDED, "", text, cause, reason)


def _kept(task: Task, before: tuple[Task, ...]) -> Task:
    """The same task as it was opened before, else this new one."""
    for old in before:
        if (old.kind, old.about, old.addressee) == (task.kind, task.about, task.addressee):
            return old
    return task


def _open_tasks(wanted: Sequence[Wanted], before: tuple[Task, ...], cause: Cause) -> tuple[Task, ...]:
    """What is wanted as tasks; one that was open before stays as it was opened."""
    made = (Task(kind=it.kind, addressee=it.addressee, opened=cause.ref, about=it.about) for it in wanted)
    return tuple([_kept(task, before) for task in made])


def _settle(claim: Claim, settled: Settlement, currency: str, payee: str, cause: Cause) -> tuple[Claim, str]:
    """The claim with its settlement, and how it came about."""
    words = ", ".join(_cover_in_words(cover, currency) for cover in settled.covers)
    computed = SettlementVersion(
        version=claim.newest_version + 1,
        covers={str(cover.cover): cover.amount_minor for cover in settled.covers},
        payable_minor=settled.payable_minor,
        currency=currency,
        payee=payee,
        cause=cause.ref,
        round=claim.round,
        salvage_minor=0 if claim.policy is None else salvage_minor(claim, claim.policy, settled),
        deductibles=deductibles(settled),
    )
    version = 0 if claim.settlement is None else claim.settlement.version
    claim = _version(claim, computed)
    unchanged = claim.settlement is not None and claim.settlement.version == version
    return claim, f"unchanged, {words}" if unchanged else words


def _version(claim: Claim, computed: SettlementVersion) -> Claim:
    """The claim with its settlement: another amount, payee or round is a new version without approvals, the same keeps
    the version."""
    before = claim.settlement
    if before is None or _decided_on(before) != _decided_on(computed):
        return replace(claim, settlement=computed, approvals=(), open_tasks=())
    kept = replace(computed, version=before.version, cause=before.cause, currency=before.currency)
    return claim if kept == before else replace(claim, settlement=kept)


def _decided_on(settlement: SettlementVersion) -> tuple[dict[str, int], int, str, int]:
    """What people say yes or no to."""
    return settlement.covers, settlement.payable_minor, settlement.payee, settlement.round


def _cover_in_words(cover: CoverAmount, currency: str) -> str:
    def money(exact: str) -> str:
        return format_minor(round_half_away(Fraction(exact) if "/" in exact else int(exact)), currency)

    changes = [f"{step.step} leaves {money(step.after)}" for step in cover.steps if step.before != step.after]
    paid = format_minor(cover.amount_minor, currency)
    return f"{cover.cover} pays {paid} ({', '.join((f'agreed {money(cover.steps[0].before)}', *changes))})"
