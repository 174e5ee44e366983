"""`claimhub work`: what waits for a person, and that person's decision or answer, sent as the record it is."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, or_, select

from schemas.codec import Codec
from schemas.money import format_minor
from schemas.records import DecisionAction, Role
from schemas.topics import TOPICS
from sinks.ledger.streaming import stream
from sinks.ledger.tables import claims, outbox, parked
from streams.commands import show
from streams.commands.claim import read_state
from streams.commands.deliver import Outgoing
from streams.commands.failures import Failed, WrongInput
from streams.commands.send import OWN_TIMES, encoded, read_records
from streams.commands.why import record_at
from streams.flows import FLOWS
from streams.outcomes import Dead, Park
from streams.received import unpack_headers
from streams.rules.advances import tasks_of
from streams.rules.claim import ON_ITS_WAY, Claim, Clock, ClockKind, SettlementVersion, Task, TaskKind
from streams.rules.decision import CapturedLookups, Cause

DECISION: Final = "adjuster.decision.v1"
_SECOND_MS: Final = 1000
_PERSON_FIELDS: Final = ("person", "by")


class Question(NamedTuple):
    """A topic that asks, and the one that answers; what the answer `decides` it does not take from the question."""

    asked_by: str
    answered_by: str
    decides: tuple[str, ...] = ()


QUESTIONS: Final[Mapping[TaskKind, Question]] = {
    TaskKind.AMOUNT_CHECK: Question("finance.amount-query.v1", "finance.amount-answer.v1"),
    TaskKind.SIU: Question("siu.referral.v1", "siu.outcome.v1"),
    TaskKind.CLAUSE_QUERY: Question("underwriting.clause-query.v1", "underwriting.clause-answer.v1"),
    TaskKind.LEGAL: Question("legal.referral.v1", "legal.outcome.v1", ("amount_minor",)),
}
"""The tasks that end with an answer. What it does not say itself, such as an id, it has from the question."""


class WorkItem(Struct, frozen=True):
    """A task or a complaint that a person can act on. `role` is who is asked, `reason` what the record that opened it
    led to. `due` is the next deadline among the claim's clocks, of a complaint its own. Amounts in minor units."""

    claim: str
    task: str
    about: str
    role: str
    line: str | None
    settlement_version: int | None
    amount_minor: int | None
    currency: str | None
    since: str | None
    age_s: int | None
    due: str | None
    cause: str
    reason: str

    @property
    def amount(self) -> str | None:
        """The amount for people."""
        return None if self.amount_minor is None else format_minor(self.amount_minor, self.currency or "")


def read_queue(connection: Connection, role: str | None = None) -> list[WorkItem]:
    """The tasks and complaints that a decision or an answer ends, the first due first; only those of one role if it is
    given."""
    c = claims.c
    waits = or_(*(c.state[name].as_string().is_not(None) for name in ("open_tasks", "complaints")))
    query = select(c.claim, c.state).where(waits)
    now_ms = _now_ms()
    found = []
    for number, state in stream(connection, query):
        claim = msgspec.convert({"number": number, **state}, Claim)
        for task in claim.open_tasks:
            if _is_for_people(task) and role in (None, task.addressee):
                due_at_ms = min((clock.due_at_ms for clock in claim.clocks if clock.ended is None), default=None)
                found.append((due_at_ms or now_ms, _item(connection, claim, task, due_at_ms, now_ms)))
        if role in (None, Role.HANDLER):
            found += [
                (clock.due_at_ms, _item(connection, claim, _complaint(clock), clock.due_at_ms, now_ms))
                for clock in _complaint_clocks(claim)
            ]
    return [item for _, item in sorted(found, key=lambda one: (one[0], one[1].claim, one[1].task, one[1].about))]


def show_queue(items: Sequence[WorkItem]) -> None:
    """Print the queue."""
    rows = [
        (
            it.due,
            it.claim,
            f"{it.task} {it.about}".rstrip(),
            it.role,
            it.amount,
            None if it.age_s is None else show.age(it.age_s),
            it.reason,
        )
        for it in items
    ]
    show.table(("due", "claim", "task", "role", "amount", "waits for", "reason"), rows, "nothing waits for a person")


def decide(
    codec: Codec,
    connection: Connection,
    number: str,
    action: str,
    *,
    person: str,
    role: str,
    reason: str,
    settlement_version: int | None = None,
) -> Outgoing:
    """A person's decision on the settlement or advance of a claim that is up for approval, by default the version that
    is.

    Raises WrongInput; Failed when nothing is up for approval, and with the hub's own reason when it would refuse.
    """
    claim = read_state(connection, number)
    settlement = _settlement_of(claim, _open_task(claim, [TaskKind.APPROVAL, TaskKind.ADVANCE]))
    version = settlement_version or (0 if settlement is None else settlement.version)
    values = {
        "claim": number,
        "settlement_version": version,
        "action": action,
        "role": role,
        "person": person,
        "reason": reason,
        "decided_at_ms": _now_ms(),
    }
    return _checked(codec, connection, claim, DECISION, values, person)


def act(
    codec: Codec,
    connection: Connection,
    number: str,
    action: DecisionAction,
    about: Mapping[str, object],
    *,
    person: str,
    role: str,
    reason: str,
) -> Outgoing:
    """A person's decision on a claim as a whole, or on its complaint, settlement or payment: the one that `about` names
    by its field of the decision, by default the only one that can be meant.

    Raises WrongInput when several can be meant; Failed when none can, and with the hub's own reason when it would
    refuse.
    """
    claim = read_state(connection, number)
    meant = {name: value for name, value in about.items() if value is not None} or _meant(claim, action)
    values = {
        "claim": number,
        "action": action,
        "role": role,
        "person": person,
        "reason": reason,
        "decided_at_ms": _now_ms(),
        **meant,
    }
    return _checked(codec, connection, claim, DECISION, values, person)


def answer(
    codec: Codec,
    connection: Connection,
    number: str,
    task: str | None,
    fields: Sequence[str],
    *,
    person: str,
    role: str,
    reason: str,
) -> Outgoing:
    """A person's answer to what a claim waits for; `task` says to which when it waits for several, `fields` are
    `name=value` of the answer's own fields. The question's id, the time and the person are filled in.

    Raises WrongInput, Failed.
    """
    claim = read_state(connection, number)
    kinds = QUESTIONS if task is None else [kind for kind in QUESTIONS if kind == task]
    if not kinds:
        raise WrongInput(f"no task is called {task}. Answers end: {', '.join(QUESTIONS)}")
    waiting = _open_task(claim, kinds)
    if role != waiting.addressee:
        raise Failed(f"the {waiting.kind} of claim {number} is asked of {waiting.addressee}, not of {role}")
    question = QUESTIONS[waiting.kind]
    record = TOPICS[question.answered_by].record
    values = {**_asked(codec, connection, number, question), "claim": number, "reason": reason, **_given(fields)}
    values |= {name: _now_ms() for name in OWN_TIMES if name in record.__struct_fields__}
    values |= {name: person for name in _PERSON_FIELDS if name in record.__struct_fields__}
    return _checked(codec, connection, claim, question.answered_by, values, person)


def _checked(
    codec: Codec, connection: Connection, claim: Claim, topic: str, values: dict[str, object], person: str
) -> Outgoing:
    """The record to send, if the rules would take it as the claim stands now; they decide again when it has come."""
    ((_, record),) = read_records(topic, json.dumps(values), "what was given")
    flow = FLOWS[topic]
    if flow.looks_up is None:
        try:
            cause = Cause("claimhub-work", topic, _now_ms())
            decision = flow.handler(claim, record, cause, CapturedLookups({}, {}))
        except (Park, Dead) as problem:
            raise Failed(f"claim {claim.number}: {problem.reason}. Nothing was sent") from None
        show.note(f"claimhub: as the claim stands this means: {decision.reason} [{decision.rule}]")
    if connection.execute(select(parked.c.subject).where(parked.c.subject == claim.number).limit(1)).first():
        show.note(f"claimhub: records wait for claim {claim.number}, and this may wait behind them: claimhub parked ls")
    sent = encoded(codec, topic, claim.number, record)
    return sent._replace(headers=[*sent.headers, ("by", person.encode())])


def _asked(codec: Codec, connection: Connection, number: str, question: Question) -> dict[str, Any]:
    """The fields that an answer shares with the newest question of its kind."""
    c = outbox.c
    query = select(c.value, c.headers).where(c.subject == number, c.topic == question.asked_by)
    row = connection.execute(query.order_by(c.lane, c.seq.desc()).limit(1)).one_or_none()
    if row is None:
        raise Failed(f"claim {number} has asked nothing on {question.asked_by}")
    asked = msgspec.to_builtins(codec.decode(question.asked_by, row.value, unpack_headers(row.headers)))
    names = TOPICS[question.answered_by].record.__struct_fields__
    return {name: value for name, value in asked.items() if name in names and name not in question.decides}


def _given(fields: Sequence[str]) -> dict[str, object]:
    """Values by field name: JSON where it is JSON, else the text itself."""
    found: dict[str, object] = {}
    for number, field in enumerate(fields, 1):
        name, equals, text = field.partition("=")
        if not name or not equals:
            raise WrongInput(f"--set number {number} is not NAME=VALUE")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _open_task(claim: Claim, kinds: Sequence[TaskKind] | Mapping[TaskKind, object]) -> Task:
    """The one open task of these kinds."""
    found = [task for task in claim.open_tasks if task.kind in kinds]
    if not found:
        waits = ", ".join(f"{task.kind} of {task.addressee}" for task in claim.open_tasks)
        raise Failed(f"claim {claim.number} waits for no {' or '.join(kinds)}; it waits for {waits or 'nobody'}")
    if len({task.kind for task in found}) > 1:
        raise WrongInput(f"claim {claim.number} waits for {', '.join(task.kind for task in found)}: say which (--task)")
    return found[0]


def _meant(claim: Claim, action: DecisionAction) -> dict[str, object]:
    """What of the claim an action is about."""
    match action:
        case DecisionAction.ANSWER_COMPLAINT | DecisionAction.EXTEND_COMPLAINT:
            return {"contact_id": _only(claim, "complaint", [it.contact for it in claim.complaints if not it.answered])}
        case DecisionAction.CANCEL_PAYMENT:
            moving = [payment.id for payment in claim.payments if payment.state in ON_ITS_WAY]
            return {"instruction_id": _only(claim, "payment on its way", moving)}
        case DecisionAction.REFER_LEGAL:
            if claim.settlement is None:
                raise Failed(
                    f"claim {claim.number} has no settlement that legal could be asked about. Nothing was sent"
                )
            return {"settlement_version": claim.settlement.version}
    return {}


def _only(claim: Claim, what: str, found: Sequence[str]) -> str:
    if not found:
        raise Failed(f"claim {claim.number} has no {what}. Nothing was sent")
    if len(found) > 1:
        raise WrongInput(f"claim {claim.number} has more than one {what}: say which, {' or '.join(found)}")
    return found[0]


def _complaint_clocks(claim: Claim) -> Sequence[Clock]:
    """The clocks of the complaints that wait for an answer."""
    waiting = [it.contact for it in claim.complaints if not it.answered]
    return [it for it in claim.clocks if it.kind is ClockKind.COMPLAINT and it.about in waiting]


def _is_for_people(task: Task) -> bool:
    return task.kind in (TaskKind.APPROVAL, TaskKind.ADVANCE) or task.kind in QUESTIONS


def _settlement_of(claim: Claim, task: "Task | _Asked") -> SettlementVersion | None:
    """The settlement version a task is about: of an advance what is proposed."""
    return claim.advance.proposed if claim.advance is not None and task in tasks_of(claim) else claim.settlement


class _Asked(NamedTuple):
    """What somebody is asked, and the record that asked it."""

    kind: str
    about: str
    addressee: str
    opened: str


def _complaint(clock: Clock) -> _Asked:
    return _Asked(clock.kind, clock.about, Role.HANDLER, clock.started.cause)


def _item(connection: Connection, claim: Claim, task: Task | _Asked, due_at_ms: int | None, now_ms: int) -> WorkItem:
    opened = record_at(connection, task.opened)
    notice, settlement = claim.notice, _settlement_of(claim, task)
    return WorkItem(
        claim=claim.number,
        task=task.kind,
        about=task.about,
        role=task.addressee,
        line=None if notice is None else notice.line,
        settlement_version=None if settlement is None else settlement.version,
        amount_minor=None if settlement is None else settlement.payable_minor,
        currency=None if settlement is None else settlement.currency,
        since=None if opened is None else show.time(opened[4]),
        age_s=None if opened is None else max(0, now_ms - opened[4]) // _SECOND_MS,
        due=None if due_at_ms is None else show.time(due_at_ms),
        cause=task.opened,
        reason="the record is not in this ledger" if opened is None else opened[3],
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
