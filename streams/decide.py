"""What a batch of one lane leads to: pure, record by record in order; nothing is written or sent here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple, Protocol

import msgspec

from monitoring.metrics import Outcome
from schemas.partitioner import partition_for
from schemas.records import (
    ClockTick,
    DeadLetter,
    Forward,
    LossNotice,
    PaymentInstruction,
    Policy,
    ProviderKind,
    Record,
    Wake,
    WakeKind,
)
from schemas.signing import Sign, unsigned
from schemas.topics import CLOCKS, FORWARDS, TOPICS, Direction, Key
from sinks.envelope import Headers
from sinks.ledger.port import (
    ClaimRow,
    CoverUseRow,
    DeadRow,
    JournalRow,
    OutboxRow,
    ParkedRow,
    PaymentRow,
    PolicyRow,
    TraceRow,
)
from streams.flows import FLOWS, Flow, PolicyKey, flow_of
from streams.outcomes import Dead, Park
from streams.received import Parsed, pack_headers, unpack_headers
from streams.rules import breaks, clocks, cover_use, merge
from streams.rules.claim import Claim, CoverUse, Payment, Stage
from streams.rules.decision import CapturedLookups, Cause, Decision, Output, PeerLimit, PolicyDecision
from streams.rules.follow_ups import follow
from streams.rules.lines import shares_covers
from streams.rules.policy_file import PolicyFile
from streams.rules.stage import stage_of
from streams.rules.sync import STATUS, snapshot
from streams.rules.traces import Shared, Trace, kind_of
from streams.rules.traces import others as others_of

Place = tuple[str, int, int, int]
PeersKey = tuple[str, str, str]
"""Kind of provider, line of business, currency: with whom a claim is compared."""
Encode = Callable[[str, Record], bytes]

_json = msgspec.json.Encoder().encode
_DEAD_LETTER_TOPIC = "hub.dead-letter.v1"
_MOST_DEAD_LETTER_BYTES = 700_000
_BEHIND = "waits behind "
_POLICY_TOPICS = frozenset(name for name, topic in TOPICS.items() if topic.key is Key.POLICY)


class LaneState(msgspec.Struct):
    """What a lane remembers under one token: states by claim and policy number, and parked records by entity in
    the order they came. `known` are the entities read from the ledger, oldest first; `dead_in_a_row` counts dead
    letters since the last applied record."""

    lane: int
    lanes: int
    seq: int
    entry: int
    known: dict[str, None] = {}
    claims: dict[str, Claim] = {}
    policies: dict[str, PolicyFile] = {}
    parked: dict[str, list[Parsed]] = {}
    dead_in_a_row: int = 0

    def forget_oldest(self, most: int) -> None:
        """Keep at most `most` entities; the ledger has them all."""
        while len(self.known) > most:
            entity = next(iter(self.known))
            del self.known[entity]
            self.parked.pop(entity, None)
            self.claims.pop(entity, None)
            self.policies.pop(entity.removeprefix("policy "), None)


class AskedFor(NamedTuple):
    """What the rules of one record look up: the policies of (policy number, plate), who else left these traces, what
    peers come to, and what is used of the covers of the policies in `shared`."""

    keys: PolicyKey | None
    traces: tuple[Trace, ...]
    peers: PeersKey | None
    shared: tuple[str, ...]


class Answers(Protocol):
    """What the rules look up: live, or as it was captured."""

    def capture(self, claim: str, asked: AskedFor) -> tuple[CapturedLookups, str | None]:
        """The answer for one record of a claim, and the same as JSON for the journal, None when there is nothing to
        keep."""

    def remember(self, traces: Sequence[TraceRow], uses: Sequence[CoverUseRow]) -> None:
        """Let later records of the batch find what this one left and used."""


class Lookup(msgspec.Struct, frozen=True):
    """What was fetched for a batch: the policies by number, the claims that left a trace by its digest, what peers come
    to, and the uses of covers by policy."""

    policies: Mapping[str, PolicyFile]
    traces: dict[Trace, list[Shared]] = {}
    peers: Mapping[PeersKey, PeerLimit] = {}
    uses: dict[str, dict[tuple[str, str], CoverUseRow]] = {}

    def capture(self, claim: str, asked: AskedFor) -> tuple[CapturedLookups, str | None]:
        """See Answers."""
        rows = [row for policy in asked.shared for row in self.uses.get(policy, {}).values()]
        found = Captured(
            policies=None if asked.keys is None else self._versions(*asked.keys),
            others=others_of(claim, asked.traces, self.traces),
            peers=None if asked.peers is None else self.peers.get(asked.peers),
            uses=tuple([_use(row) for row in sorted(rows) if row.claim != claim]),
            turns={
                policy: max(row.number for row in rows if row.policy == policy) for policy in {it.policy for it in rows}
            },
        )
        if found == _NOTHING:
            return _NOTHING_CAPTURED, None
        return found.answers(asked.keys), _json(found).decode()

    def _versions(self, number: str | None, plate: str) -> tuple[Policy, ...]:
        if number is not None:
            return self.policies[number].versions if number in self.policies else ()
        found = (policy.versions for policy in self.policies.values() if policy.plate == plate)
        return tuple(version for policy in found for version in policy)

    def remember(self, traces: Sequence[TraceRow], uses: Sequence[CoverUseRow]) -> None:
        """See Answers."""
        for row in traces:
            self.traces.setdefault(row.digest, []).append(Shared(row.claim, row.at_ms, kind_of(row.digest)))
        for use in uses:
            self.uses.setdefault(use.policy, {})[use.claim, use.cover] = use


class Captured(msgspec.Struct, omit_defaults=True):
    """What was found for one record, as the journal keeps it."""

    policies: tuple[Policy, ...] | None = None
    others: tuple[Shared, ...] = ()
    peers: PeerLimit | None = None
    uses: tuple[CoverUse, ...] = ()
    turns: dict[str, int] = {}

    def answers(self, keys: PolicyKey | None) -> CapturedLookups:
        """The same for a rule that has asked for the policies of these keys."""
        number, plate = keys or (None, "")
        by_number = {number: self.policies or ()} if number is not None else {}
        by_plate = {plate: self.policies or ()} if keys is not None and number is None else {}
        return CapturedLookups(by_number, by_plate, self.others, self.peers, self.uses, self.turns)


def _use(row: CoverUseRow) -> CoverUse:
    return CoverUse(row.policy, row.claim, row.cover, row.loss_at_ms, row.paid_minor, row.deductible_minor)


_NOTHING = Captured()
_NOTHING_CAPTURED = CapturedLookups({}, {})
_NO_TRACES: tuple[Trace, ...] = ()


class Effects(msgspec.Struct):
    """All a batch leads to, as rows for one commit. `taken` counts the records dealt with: fewer than given when
    the dead-letter limit was reached."""

    ticked: list[str] = []
    journal: list[JournalRow] = []
    claims: dict[str, ClaimRow] = {}
    policies: dict[str, PolicyRow] = {}
    traces: list[TraceRow] = []
    cover_uses: dict[tuple[str, str, str], CoverUseRow] = {}
    outbox: list[OutboxRow] = []
    payments: dict[str, PaymentRow] = {}
    parked: dict[Place, ParkedRow] = {}
    parked_gone: list[Place] = []
    overdue: list[Place] = []
    dead: list[DeadRow] = []
    released: int = 0
    taken: int = 0


class Decider:
    """Decides one batch over a lane's state, which it moves forward as it goes. What `sign` gives a payment instruction
    stands in the headers of its row, and so in the transaction that approves it.

    When it raises, the state is of no more use: drop the lane and read the ledger again.
    """

    def __init__(
        self, state: LaneState, lookup: Answers, encode: Encode, dead_letter_limit: int, sign: Sign = unsigned
    ) -> None:
        self._state = state
        self._lookup = lookup
        self._encode = encode
        self._dead_letter_limit = dead_letter_limit
        self._sign = sign
        self.effects = Effects()

    def decide(self, records: list[Parsed]) -> Effects:
        """Take the records in order; stop early once too many in a row were dead letters."""
        for record in records:
            self._take(record)
            self.effects.taken += 1
            if self._state.dead_in_a_row >= self._dead_letter_limit:
                break
        return self.effects

    def tick(self, claims: Iterable[Claim]) -> None:
        """Send each of these claims its next tick: nothing is due for it any more until that has come back."""
        for claim in claims:
            number, due = claim.number, clocks.next_due(claim)
            self._ticked(number)
            if due is not None:
                tick = Output(CLOCKS, number, ClockTick(claim=number, at_ms=due.at_ms), clocks.DUE, due.reason)
                cause = Cause(due.started_by, CLOCKS, due.at_ms)
                headers = [("causationid", cause.ref.encode())]
                self._write(tick, cause, number, f"{cause.ref}#{due.name}", headers)

    def raise_breaks(self, rows: Iterable[ParkedRow], limit_ms: int) -> None:
        """Tell of each of these records that it has waited longer than the limit, once."""
        for row in rows:
            ref = f"{row.topic}/{row.generation}/{row.partition}/{row.offset}"
            record, due = Cause(ref, row.topic, row.at_ms), Cause(ref, row.topic, row.at_ms + limit_ms)
            told = breaks.parked_too_long(row.subject, record, row.reason, row.until.split(), limit_ms)
            self._write(told, due, row.subject, f"{ref}#{breaks.PARKED}", [("causationid", ref.encode())])
            self.effects.overdue.append(row[:4])
        for waiting in chain.from_iterable(self._state.parked.values()) if self.effects.overdue else ():
            if waiting.place in self.effects.overdue:
                waiting.since_ms = None

    def tick_again(self, row: OutboxRow) -> None:
        """Let stand as it was sent what was sent because time had passed: when it does is not decided again."""
        self._state.seq = row.seq
        self.effects.outbox.append(row)
        if row.topic == CLOCKS:
            self._ticked(row.subject)

    def _ticked(self, claim: str) -> None:
        row = self.effects.claims.get(claim)
        if row is None:
            self.effects.ticked.append(claim)
        else:
            self.effects.claims[claim] = row._replace(due_at_ms=None)

    def _take(self, parsed: Parsed) -> None:
        waiting = self._state.parked.get(parsed.entity)
        if not waiting:
            self._apply(parsed)
        elif self._may_pass(parsed, waiting):
            self._apply(parsed)
            self._release(waiting)
        elif isinstance(parsed.problem, Dead):
            self._bury(parsed, parsed.problem)
        else:
            self._park(parsed, Park(f"{_BEHIND}{waiting[0].cause.ref}", ()))

    def _may_pass(self, parsed: Parsed, waiting: list[Parsed]) -> bool:
        """Whether a record need not wait behind those of its claim that do."""
        topic, flow = flow_of(parsed.topic, parsed.record)
        if flow.passes or TOPICS[topic].direction is Direction.INTERNAL:
            return True
        return topic in waiting[0].until and not any(map(_unreadable, waiting))

    def _release(self, waiting: list[Parsed]) -> None:
        """Try what is parked for a subject again, in order. Behind one that must go on waiting only those it waits
        for are tried; after each that went on, all are, from the first. Nothing passes one that cannot be read: what
        it says may be what those behind it rest on."""
        position = 0
        while position < len(waiting):
            parsed = waiting[position]
            if _unreadable(parsed):
                return
            if position and flow_of(parsed.topic, parsed.record)[0] not in waiting[0].until:
                position += 1
                continue
            if not self._apply(parsed):
                position += 1
                continue
            del waiting[position]
            position = 0
            self.effects.released += 1
            if self.effects.parked.pop(parsed.place, None) is None:
                self.effects.parked_gone.append(parsed.place)

    def _apply(self, parsed: Parsed) -> bool:
        """Whether the record came to its end (applied, a duplicate, or a dead letter) rather than (still) waiting."""
        if parsed.problem is not None:
            return self._end(parsed, parsed.problem)
        try:
            if isinstance(parsed.record, Wake) and parsed.record.kind is WakeKind.RETRY:
                self._journal(
                    parsed, Outcome.RETRY, "engine.retry", "an operator asked to try the waiting records again", None
                )
            elif parsed.topic in _POLICY_TOPICS:
                self._apply_to_policy(parsed)
            else:
                self._apply_to_claim(parsed)
        except (Park, Dead) as problem:
            return self._end(parsed, problem)
        self._state.dead_in_a_row = 0
        return True

    def _end(self, parsed: Parsed, problem: Park | Dead) -> bool:
        if isinstance(problem, Park):
            self._park(parsed, problem)
            return False
        self._bury(parsed, problem)
        return True

    def _apply_to_claim(self, parsed: Parsed) -> None:
        number = parsed.subject
        claim = self._state.claims.get(number) or Claim(number=number)
        if parsed.event_id in claim.seen:
            self._journal(parsed, Outcome.DUPLICATE, "engine.duplicate", "this event was applied before", None)
            return
        topic, flow = flow_of(parsed.topic, parsed.record)
        held = None if claim.merge is None else merge.held(claim, claim.merge, topic, parsed.record)
        if held is not None:
            self._note(parsed, claim, held, None)
            return
        seen, inputs, traces = _NOTHING_CAPTURED, None, _NO_TRACES
        if flow.traces is not None:
            traces = flow.traces(parsed.record)
        peers = None if flow.peers is None else _peers_of(claim, flow.peers)
        shared = shared_policies(claim, parsed.record, flow)
        if traces or flow.looks_up is not None or peers is not None or shared:
            keys = None if flow.looks_up is None else flow.looks_up(parsed.record)
            seen, inputs = self._lookup.capture(number, AskedFor(keys, traces, peers, shared))
        decision = _decide(flow, claim, parsed, seen)
        if decision.claim is claim and not decision.outputs and TOPICS[topic].direction is Direction.INTERNAL:
            # One wake too many, as when the policy was asked for twice: nothing came of it, and nothing is told.
            self._journal(parsed, Outcome.DUPLICATE, decision.rule, decision.reason, inputs)
            return
        if decision.noted:
            self._note(parsed, claim, decision, inputs)
            return
        # A tick is known again by what it finds, so a claim does not grow by those it gets.
        seen_now = claim.seen if parsed.topic == CLOCKS else (*claim.seen, parsed.event_id)
        after, followed = follow(claim, decision.claim, parsed.cause)
        uses = self._uses(claim, after, seen.turns)
        claim = msgspec.structs.replace(after, version=claim.version + 1, seen=seen_now)
        self._journal(parsed, Outcome.DONE, decision.rule, decision.reason, inputs)
        stage = self._keep(claim, parsed.cause)
        left: list[TraceRow] = []
        if traces and not decision.refused:
            # Always of the same time, so that a claim is there once, whatever it says again.
            at_ms = parsed.cause.at_ms if claim.notice is None else claim.notice.notified_at_ms
            left = [TraceRow(trace, at_ms, number, self._state.lane) for trace in traces]
            self.effects.traces += left
        if left or uses:
            self._lookup.remember(left, uses)
            self.effects.cover_uses.update((use[:3], use) for use in uses)
        for payment in decision.payments:
            self.effects.payments[payment.id] = self._payment_row(payment, parsed.cause)
        status = snapshot(claim, stage, decision.rule, decision.reason, parsed.cause)
        told = Output(STATUS, number, status, decision.rule, decision.reason)
        self._send(parsed, (*decision.outputs, *followed, *_forwards(parsed, decision), told))

    def _uses(self, before: Claim, after: Claim, turns: Mapping[str, int]) -> list[CoverUseRow]:
        """What the claim now uses of covers in another way than before; each is its policy's next."""
        rows: list[CoverUseRow] = []
        for use in cover_use.changes(before, after):
            number = turns.get(use.policy, 0) + 1 + sum(row.policy == use.policy for row in rows)
            rows.append(
                CoverUseRow(
                    use.policy,
                    use.claim,
                    use.cover,
                    number,
                    self._state.lane,
                    use.loss_at_ms,
                    use.paid_minor,
                    use.deductible_minor,
                )
            )
        return rows

    def _note(self, parsed: Parsed, before: Claim, decision: Decision, inputs: str | None) -> None:
        """What departments see of the claim stays as it is. An event id is kept only of what sends something: to note
        the same twice changes nothing, and departments may say much."""
        claim, outputs = decision.claim, (*decision.outputs, *_forwards(parsed, decision))
        if outputs:
            claim = msgspec.structs.replace(claim, seen=(*claim.seen, parsed.event_id))
        if claim is not before:
            self._keep(claim, parsed.cause)
        self._journal(parsed, Outcome.NOTED, decision.rule, decision.reason, inputs)
        self._send(parsed, outputs)

    def _keep(self, claim: Claim, cause: Cause) -> Stage:
        """Keep a claim's new state; the stage it is at."""
        stage = stage_of(claim)
        self._state.claims[claim.number] = claim
        self.effects.claims[claim.number] = ClaimRow(
            claim.number,
            self._state.lane,
            claim.version,
            stage,
            cause.at_ms,
            clocks.next_at_ms(claim),
            _json(claim),
        )
        return stage

    def _apply_to_policy(self, parsed: Parsed) -> None:
        number = parsed.subject
        policy = self._state.policies.get(number) or PolicyFile(number=number)
        if parsed.event_id in policy.seen:
            self._journal(parsed, Outcome.DUPLICATE, "engine.duplicate", "this event was applied before", None)
            return
        decision: PolicyDecision = FLOWS[parsed.topic].handler(policy, parsed.record, parsed.cause, _NOTHING_CAPTURED)
        policy = decision.policy
        if (
            TOPICS[parsed.topic].direction is not Direction.INTERNAL
        ):  # asking twice does no harm, and a fleet asks often
            policy = msgspec.structs.replace(policy, seen=(*policy.seen, parsed.event_id))
        self._state.policies[number] = policy
        self._journal(parsed, Outcome.DONE, decision.rule, decision.reason, None)
        self.effects.policies[number] = PolicyRow(
            number,
            self._state.lane,
            len(policy.versions),
            policy.plate or "",
            parsed.cause.at_ms,
            _json(policy),
        )
        self._send(parsed, decision.outputs)

    def _journal(self, parsed: Parsed, outcome: Outcome, rule: str, reason: str, inputs: str | None) -> None:
        state = self._state
        state.entry += 1
        self.effects.journal.append(
            JournalRow(
                parsed.topic,
                parsed.generation,
                parsed.partition,
                parsed.offset,
                state.lane,
                state.entry,
                parsed.subject,
                parsed.event_id,
                outcome,
                rule,
                reason,
                parsed.cause.at_ms,
                parsed.timestamp_ms,
                inputs,
                parsed.headers,
                parsed.value,
            )
        )

    def _payment_row(self, payment: Payment, cause: Cause) -> PaymentRow:
        return PaymentRow(
            payment.id,
            payment.claim,
            self._state.lane,
            payment.settlement_version,
            payment.attempt,
            payment.amount_minor,
            payment.currency,
            payment.state,
            payment.proposed_by,
            payment.approved_by,
            payment.cause,
            cause.at_ms,
        )

    def _send(self, parsed: Parsed, outputs: tuple[Output, ...]) -> None:
        """Write what a record leads to; with each output stands what caused it, and the trace it belongs to."""
        cause, subject = parsed.cause, parsed.subject
        chain = [("causationid", parsed.event_id.encode())]
        if parsed.trace is not None:
            chain.append(("traceparent", parsed.trace))
        for number, output in enumerate(outputs, 1):
            self._write(output, cause, subject, f"{cause.ref}#{number}", chain)

    def _write(self, output: Output, cause: Cause, subject: str, event_id: str, chain: Headers) -> None:
        state = self._state
        state.seq += 1
        own = output.key == subject or TOPICS[output.topic].key is Key.NONE
        partition = state.lane if own else partition_for(output.key.encode(), state.lanes)
        headers = [("ce_id", event_id.encode()), *chain]
        if type(output.record) is PaymentInstruction:
            headers.append(("instruction_id", output.record.instruction_id.encode()))
            headers += self._sign(output.record, state.lane, state.seq)
        if output.department is not None:
            headers.append(("department", output.department.encode()))
        self.effects.outbox.append(
            OutboxRow(
                state.lane,
                state.seq,
                output.topic,
                partition,
                output.key,
                subject,
                cause.ref,
                output.rule,
                output.reason,
                cause.at_ms,
                pack_headers(headers),
                self._encode(output.topic, output.record),
            )
        )

    def _park(self, parsed: Parsed, park: Park) -> None:
        """Park a record, or renew the reason of one that is parked and still cannot go."""
        state = self._state
        until, behind = frozenset(park.until), park.reason.startswith(_BEHIND)
        if not parsed.entry or parsed.reason.startswith(_BEHIND):
            parsed.since_ms = None if behind else parsed.cause.at_ms
        if parsed.entry:
            if (parsed.reason, parsed.until) == (park.reason, until):
                return
            if self.effects.parked.pop(parsed.place, None) is None:
                self.effects.parked_gone.append(parsed.place)
        else:
            state.entry += 1
            parsed.entry = state.entry
            state.parked.setdefault(parsed.entity, []).append(parsed)
        parsed.reason, parsed.until = park.reason, until
        self.effects.parked[parsed.place] = ParkedRow(
            parsed.topic,
            parsed.generation,
            parsed.partition,
            parsed.offset,
            state.lane,
            parsed.entry,
            parsed.subject,
            park.reason,
            " ".join(sorted(until)),
            parsed.cause.at_ms,
            parsed.timestamp_ms,
            parsed.since_ms,
            parsed.headers,
            parsed.value,
        )

    def _bury(self, parsed: Parsed, dead: Dead) -> None:
        state = self._state
        state.entry += 1
        state.dead_in_a_row += 1
        self.effects.dead.append(
            DeadRow(
                parsed.topic,
                parsed.generation,
                parsed.partition,
                parsed.offset,
                state.lane,
                state.entry,
                parsed.subject,
                dead.code,
                dead.reason,
                parsed.cause.at_ms,
                parsed.timestamp_ms,
                parsed.key,
                parsed.headers,
                parsed.value,
            )
        )
        self._send(parsed, (_dead_letter(parsed, dead),))


def shared_policies(claim: Claim | None, record: Record | None, flow: Flow) -> tuple[str, ...]:
    """The policies of which a record's claim may use covers together with other claims: those it has and those that the
    record names; none in a line of business whose covers all begin anew with each loss."""
    notice = None if claim is None else claim.notice
    line = record.line if isinstance(record, LossNotice) else None if notice is None else notice.line
    if line is None or not shares_covers(line):
        return ()
    numbers = [] if claim is None else [use.policy for use in claim.cover_uses]
    if claim is not None and claim.policy is not None:
        numbers.append(claim.policy.number)
    if flow.looks_up is not None:
        named, _ = flow.looks_up(record)
        numbers += [] if named is None else [named]
    return tuple(dict.fromkeys(numbers))


def _decide(flow: Flow, claim: Claim, parsed: Parsed, seen: CapturedLookups) -> Decision:
    """What the record's handler decides on the claim, which for this once knows what others use of its covers."""
    if not seen.uses:
        alone: Decision = flow.handler(claim, parsed.record, parsed.cause, seen)
        return alone
    knowing = msgspec.structs.replace(claim, used_by_others=seen.uses)
    decision: Decision = flow.handler(knowing, parsed.record, parsed.cause, seen)
    same = decision.claim is knowing
    after = claim if same else msgspec.structs.replace(decision.claim, used_by_others=())
    return msgspec.structs.replace(decision, claim=after)


def _peers_of(claim: Claim, kind: ProviderKind) -> PeersKey | None:
    """With whom a registered claim is compared."""
    if claim.notice is None or claim.policy is None:
        return None
    return kind, claim.notice.line, claim.policy.currency


def _forwards(parsed: Parsed, decision: Decision) -> tuple[Output, ...]:
    """The record as it came, for each claim that it is handed to."""
    if not decision.forward_to:
        return ()
    headers = {name: content for name, content in unpack_headers(parsed.headers) if content is not None}
    return tuple(
        [
            Output(
                FORWARDS,
                claim,
                Forward(
                    claim=claim,
                    other=parsed.subject,
                    topic=parsed.topic,
                    event_id=parsed.event_id,
                    value=parsed.value or b"",
                    headers=headers,
                    at_ms=parsed.cause.at_ms,
                ),
                decision.rule,
                decision.reason,
            )
            for claim in decision.forward_to
        ]
    )


def _unreadable(parsed: Parsed) -> bool:
    """Whether a parked record's schema is not known yet."""
    return isinstance(parsed.problem, Park)


def _dead_letter(parsed: Parsed, dead: Dead) -> Output:
    value, reason = parsed.value or b"", dead.reason
    if len(value) > _MOST_DEAD_LETTER_BYTES:
        value, reason = b"", f"{reason} ({len(value)} bytes, kept in the ledger only)"
    letter = DeadLetter(
        topic=parsed.topic,
        generation=parsed.generation,
        partition=parsed.partition,
        offset=parsed.offset,
        key=parsed.subject or None,
        code=dead.code,
        reason=reason,
        value=value,
        headers={name: content for name, content in unpack_headers(parsed.headers) if content is not None},
        at_ms=parsed.cause.at_ms,
    )
    return Output(_DEAD_LETTER_TOPIC, parsed.subject or "unkeyed", letter, f"engine.{dead.code}", dead.reason)
