"""The law's clocks: which run for a claim, from when to when, and what is told as they run out (domain: clocks).

A clock follows from comparing a claim before and after a record; the time that passes comes as a record too, a tick.
Another clock is a row in RULES and its lengths in the product file.
"""

from collections.abc import Callable, Collection, Iterator
from datetime import date
from operator import is_
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from schemas.records import ClockTick, NoticeKind
from streams.rules import advances
from streams.rules.claim import PAID, Claim, Clock, ClockKind, Mark, Notice, Outcome, Pause, TaskKind
from streams.rules.deadlines import Calendar, day_of, moment
from streams.rules.decision import Cause, Decision, Lookups, Output
from streams.rules.lines import LINES
from streams.rules.product import ClockTerms, Product, Terms

DUE: Final = "clocks.due"
WARNING: Final = "clocks.warning"
BREACH: Final = "clocks.breach"
WARN_PER_CENT: Final = (50, 80)
COMPLEX: Final = "complex"
EXTENSION: Final = "extension"
_CLAIMANTS_SIDE: Final = frozenset({"claimant", "reporting"})
_TIMED: Final = frozenset({TaskKind.AMOUNT_CHECK, TaskKind.CLAUSE_QUERY})
_NEVER: Final[tuple[str, ...]] = ()
_ONCE: Final = ("",)


class Due(NamedTuple):
    """A warning or a breach still to come: when, for a clock that which record started, and in words."""

    at_ms: int
    started_by: str
    name: str
    reason: str


def _covers(claim: Claim, notice: Notice, about: str) -> Collection[str]:
    """The covers a claim is on: as settled, else those that may answer for what was damaged."""
    if claim.settlement is not None:
        return claim.settlement.covers
    line = LINES[notice.line]
    damaged = notice.damaged if claim.policy is None else line.covered(notice, claim.policy)
    return [line.covers[it] for it in damaged if it in line.covers]


class ClockRule(Struct, frozen=True):
    """When clocks of a kind run. `begun` names what they are about as soon as they have begun, `over` says whether the
    one about something has ended, `paused` whether they stand still. `cases` are those the one about something may have
    a length of its own for: the covers the claim is on, unless the kind has others."""

    kind: ClockKind
    begun: Callable[[Claim], tuple[str, ...]]
    over: Callable[[Claim, str], bool]
    paused: Callable[[Claim], bool] = lambda claim: False
    cases: Callable[[Claim, Notice, str], Collection[str]] = _covers


def _asked(claim: Claim) -> bool:
    """Whether the claimant's side still owes facts or documents; what it owes after the decision is neither."""
    return claim.outcome is None and not _CLAIMANTS_SIDE.isdisjoint([task.addressee for task in claim.open_tasks])


def _document_list_begun(claim: Claim) -> tuple[str, ...]:
    return _ONCE if _asked(claim) else _NEVER


def _document_list_over(claim: Claim, about: str) -> bool:
    return NoticeKind.DOCUMENTS_NEEDED in claim.notices or not _asked(claim)


def _decision_begun(claim: Claim) -> tuple[str, ...]:
    """The claim is complete once its facts, its policy and its documents are there."""
    complete = claim.policy is not None and claim.outcome is None and not _asked(claim)
    return (_ONCE if claim.round == 1 else (str(claim.round),)) if complete else _NEVER


def _decision_over(claim: Claim, about: str) -> bool:
    return claim.outcome is not None


def _advance_begun(claim: Claim) -> tuple[str, ...]:
    """It begins with the decision's, but a claim has it only once that one has run out: few claims ever need it."""
    return _NEVER


def _payment_begun(claim: Claim) -> tuple[str, ...]:
    """An approved settlement counts as agreed; each version that is paid has its own clock."""
    return tuple([str(payment.settlement_version) for payment in claim.payments]) if claim.payments else _NEVER


def _payment_over(claim: Claim, about: str) -> bool:
    """What could not be paid is paid by a later version."""
    paid = [payment for payment in claim.payments if payment.state in PAID]
    return any(int(about) <= payment.settlement_version for payment in paid)


def _rejection_notice_begun(claim: Claim) -> tuple[str, ...]:
    return _ONCE if claim.outcome is Outcome.REJECTED else _NEVER


def _rejection_notice_over(claim: Claim, about: str) -> bool:
    return any(notice.startswith(NoticeKind.REJECTION) for notice in claim.notices)


def _amount_check_begun(claim: Claim) -> tuple[str, ...]:
    return tuple([task.about for task in claim.open_tasks if task.kind is TaskKind.AMOUNT_CHECK])


def _amount_check_over(claim: Claim, about: str) -> bool:
    return about not in _amount_check_begun(claim)


def _clause_query_begun(claim: Claim) -> tuple[str, ...]:
    return tuple([task.about for task in claim.open_tasks if task.kind is TaskKind.CLAUSE_QUERY])


def _clause_query_over(claim: Claim, about: str) -> bool:
    return about not in _clause_query_begun(claim)


def _complaint_begun(claim: Claim) -> tuple[str, ...]:
    return tuple([it.contact for it in claim.complaints if not it.answered]) if claim.complaints else _NEVER


def _complaint_over(claim: Claim, about: str) -> bool:
    return about not in _complaint_begun(claim)


def _complaint_cases(claim: Claim, notice: Notice, about: str) -> Collection[str]:
    return (COMPLEX,) if any(it.contact == about and it.complex for it in claim.complaints) else ()


RULES: Final = (
    ClockRule(ClockKind.DOCUMENT_LIST, _document_list_begun, _document_list_over),
    ClockRule(ClockKind.DECISION, _decision_begun, _decision_over, _asked),
    ClockRule(ClockKind.PAYMENT, _payment_begun, _payment_over),
    ClockRule(ClockKind.REJECTION_NOTICE, _rejection_notice_begun, _rejection_notice_over),
    ClockRule(ClockKind.AMOUNT_CHECK, _amount_check_begun, _amount_check_over),
    ClockRule(ClockKind.CLAUSE_QUERY, _clause_query_begun, _clause_query_over),
    ClockRule(ClockKind.COMPLAINT, _complaint_begun, _complaint_over, cases=_complaint_cases),
    ClockRule(ClockKind.ADVANCE, _advance_begun, _decision_over),
)
_RULE_OF: Final = {rule.kind: rule for rule in RULES}


def run(before: Claim, after: Claim, cause: Cause) -> Claim:
    """The claim after a record, with its clocks started, paused, resumed and ended by what the record changed."""
    notice = after.notice
    if notice is None or _nothing_changed(before, after):
        return after
    clocks = [clock if clock.ended is not None else _followed(clock, after, notice, cause) for clock in after.clocks]
    known = {(clock.kind, clock.about) for clock in clocks}
    for rule in RULES:
        for about in rule.begun(after):
            if (rule.kind, about) not in known:
                started = _started(after, notice, rule.kind, about, Mark(cause.at_ms, cause.ref))
                clocks += [_followed(clock, after, notice, cause) for clock in started]
    unchanged = len(clocks) == len(after.clocks) and all(map(is_, clocks, after.clocks))
    return after if unchanged else replace(after, clocks=tuple(clocks))


def _nothing_changed(before: Claim, after: Claim) -> bool:
    """Whether all that RULES look at is as it was."""
    return (
        before.policy is after.policy
        and before.outcome is after.outcome
        and before.payments is after.payments
        and before.notices is after.notices
        and before.complaints is after.complaints
        and (before.open_tasks is after.open_tasks or _awaited(before) == _awaited(after))
    )


def _awaited(claim: Claim) -> tuple[bool, list[tuple[TaskKind, str]]]:
    """What of the open tasks clocks look at."""
    return _asked(claim), [(task.kind, task.about) for task in claim.open_tasks if task.kind in _TIMED]


def on_tick(claim: Claim, tick: ClockTick, cause: Cause, seen: Lookups) -> Decision:
    """Record each warning and breach that is due by the tick's time, and propose the advance when its clock has run
    out; a tick that finds none changes nothing."""
    notice, told, rule, clocks, ran_out = claim.notice, list[str](), WARNING, [*claim.clocks], list[ClockKind]()
    for place, clock in enumerate(clocks):  # one that begins meanwhile has its turn too
        while notice is not None and clock.next_at_ms is not None and clock.next_at_ms <= tick.at_ms:
            told.append(_in_words(clock, notice))
            rule = BREACH if _next_per_cent(clock) == 100 else rule
            clock = _told(clock, Mark(clock.next_at_ms, cause.ref), notice)  # noqa: PLW2901 - moment by moment
            if clock.breached is not None:
                ran_out.append(clock.kind)
                if clock.kind is ClockKind.DECISION:
                    clocks += _started(claim, notice, ClockKind.ADVANCE, clock.about, clock.started)
        clocks[place] = clock
    if not told:
        return Decision(claim, "clocks.tick", "nothing that runs for the claim is due by then")
    claim, outputs = replace(claim, clocks=tuple(clocks)), tuple[Output, ...]()
    if ClockKind.ADVANCE in ran_out:
        claim, proposed, outputs = advances.fall_due(claim, cause)
        told.append(proposed)
    return Decision(claim, rule, "; ".join(told), outputs)


def extend(claim: Claim, notice: Notice, kind: ClockKind, about: str, cause: Cause) -> Clock | None:
    """The running clock about something, with the days more that the product allows once; None if it cannot have them:
    it ran out, ended, was extended before, or the product knows no extension."""
    product = _product(notice)
    more = _terms(product.terms_at(notice.loss_at_ms), kind, (EXTENSION,))
    for clock in claim.clocks:
        if (clock.kind, clock.about) == (kind, about) and more is not None and more.case == EXTENSION:
            late = clock.breached is not None or cause.at_ms >= clock.due_at_ms
            if late or clock.ended is not None or clock.extended is not None:
                return None
            extended = replace(clock, days=clock.days + more.days, extended=Mark(cause.at_ms, cause.ref))
            return _timed(extended, product.calendar)
    return None


def next_at_ms(claim: Claim) -> int | None:
    """When the claim's next warning or breach is due, if any is."""
    due = None
    for clock in claim.clocks:
        at_ms = clock.next_at_ms
        if at_ms is not None and (due is None or at_ms < due):
            due = at_ms
    return due


def next_due(claim: Claim) -> Due | None:
    """What the claim's next tick is about, if any is due."""
    at_ms, notice = next_at_ms(claim), claim.notice
    if at_ms is None or notice is None:
        return None
    clock = next(clock for clock in claim.clocks if clock.next_at_ms == at_ms)
    name = "-".join(filter(None, (clock.kind, clock.about, str(_next_per_cent(clock)))))
    return Due(at_ms, clock.started.cause, name, _in_words(clock, notice))


def source_of(clock: Clock, notice: Notice) -> str:
    """The article or contract a clock's length comes from."""
    for terms in _product(notice).terms_at(notice.loss_at_ms).clocks:
        if terms.kind is clock.kind and terms.case == clock.case:
            return terms.source
    return "no longer in the product"


def due_day(clock: Clock, notice: Notice) -> date:
    """The day with whose end a clock's deadline comes."""
    return date.fromordinal(day_of(clock.due_at_ms - 1, _product(notice).calendar))


def _started(claim: Claim, notice: Notice, kind: ClockKind, about: str, started: Mark) -> Iterator[Clock]:
    """A new clock; none of a kind the product has no length for."""
    product = _product(notice)
    terms = _terms(product.terms_at(notice.loss_at_ms), kind, _RULE_OF[kind].cases(claim, notice, about))
    if terms is not None:
        due_at_ms = moment(started.at_ms, terms.days, 100, (), product.calendar)
        next_at_ms = moment(started.at_ms, terms.days, WARN_PER_CENT[0], (), product.calendar)
        yield Clock(
            kind=kind,
            about=about,
            case=terms.case,
            days=terms.days,
            started=started,
            due_at_ms=due_at_ms or 0,
            next_at_ms=next_at_ms,
        )


def _terms(terms: Terms, kind: ClockKind, cases: Collection[str]) -> ClockTerms | None:
    """The length of a clock of this kind: the one of its case before the one of all."""
    found = None
    for row in terms.clocks:
        if row.kind is kind:
            if not row.case:
                found = row
            elif row.case in cases:
                return row
    return found


def _followed(clock: Clock, claim: Claim, notice: Notice, cause: Cause) -> Clock:
    """A running clock after a record: paused, resumed, ended, or as it was."""
    rule = _RULE_OF[clock.kind]
    over = rule.over(claim, clock.about)
    paused = not over and rule.paused(claim)
    stood = bool(clock.pauses) and clock.pauses[-1].ended is None
    if not over and paused == stood:
        return clock
    now = Mark(cause.at_ms, cause.ref)
    if paused:
        clock = _timed(replace(clock, pauses=(*clock.pauses, Pause(now))), _product(notice).calendar)
    elif stood:
        pauses = (*clock.pauses[:-1], replace(clock.pauses[-1], ended=now))
        clock = _timed(replace(clock, pauses=pauses), _product(notice).calendar)
    if not over:
        return clock
    late = clock.breached is None and cause.at_ms >= clock.due_at_ms
    breached = Mark(clock.due_at_ms, cause.ref) if late else clock.breached
    return replace(clock, breached=breached, ended=now, next_at_ms=None)


def _told(clock: Clock, mark: Mark, notice: Notice) -> Clock:
    """A clock whose next warning, or breach, is told."""
    if _next_per_cent(clock) == 100:
        clock = replace(clock, breached=mark)
    else:
        clock = replace(clock, warned=(*clock.warned, mark))
    return _timed(clock, _product(notice).calendar)


def _timed(clock: Clock, calendar: Calendar) -> Clock:
    """The clock with its deadline and its next warning or breach."""
    pauses = [(pause.began.at_ms, None if pause.ended is None else pause.ended.at_ms) for pause in clock.pauses]
    due = moment(clock.started.at_ms, clock.days, 100, pauses, calendar)
    next_at_ms = None
    if clock.breached is None:
        next_at_ms = moment(clock.started.at_ms, clock.days, _next_per_cent(clock), pauses, calendar)
    return replace(clock, due_at_ms=clock.due_at_ms if due is None else due, next_at_ms=next_at_ms)


def _next_per_cent(clock: Clock) -> int:
    given = len(clock.warned)
    return WARN_PER_CENT[given] if given < len(WARN_PER_CENT) else 100


def _in_words(clock: Clock, notice: Notice) -> str:
    """What a clock's next moment says."""
    calendar = _product(notice).calendar
    name = f"{clock.kind} clock {clock.about}".rstrip()
    begun, due = date.fromordinal(day_of(clock.started.at_ms, calendar)), due_day(clock, notice)
    length = f"{clock.days} days after {begun}"
    if clock.pauses:
        length = f"{length} and {(due - begun).days - clock.days} more for pauses"
    per_cent, source = _next_per_cent(clock), source_of(clock, notice)
    if per_cent == 100:
        return f"the {name} ran out with {due}: {length} ({source})"
    return f"{per_cent} % of the {name} have passed: due by the end of {due}, {length} ({source})"


def _product(notice: Notice) -> Product:
    return LINES[notice.line].product
