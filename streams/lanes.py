"""A lane: one partition number across all topics, under one token, with at most one batch in flight."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from msgspec import Struct, json

from monitoring.log import get_logger
from monitoring.metrics import Metrics, Outcome
from schemas.codec import Codec
from schemas.signing import Sign
from schemas.topics import CLOCKS, TOPICS, Key
from sinks.ledger.port import Asked, DeadRow, LaneCommit, Ledger, ParkedRow
from sinks.ledger.port import Lane as TakenLane
from sinks.relay import RelayLane
from streams.buffer import Buffer
from streams.decide import Decider, Effects, LaneState, Lookup, shared_policies
from streams.flows import flow_of
from streams.outcomes import Dead
from streams.received import Parsed, Parser, Received
from streams.rules import clocks
from streams.rules.claim import Claim
from streams.rules.decision import PeerLimit
from streams.rules.policy_file import PolicyFile
from streams.rules.traces import MOST, Trace

DEATHS: Final = 3
"""As many processes may end in a lane's batch before it is taken record by record, and in one record before it is a
dead letter."""

_CLAIMS_CACHED = 20_000
_MOST_TICKS = 1000
KILLS = Dead(
    "kills-the-process",
    f"{DEATHS} processes in a row ended while they took this record and nothing else; it was not read this time. Their "
    "last log lines say more. Mend the hub, then: claimhub dead-letters redrive",
)

log = get_logger("lanes")

_claim = json.Decoder(Claim).decode
_policy = json.Decoder(PolicyFile).decode


class Lane:
    """One lane under one token. A new token makes a new Lane; results for an old one are ignored.

    `positions` are what the ledger has committed, `fetched` the next offsets to come from Kafka, `ends` the offsets
    after the last record as far as the broker has said; `parked` counts its waiting records, `due` the claims a tick
    was due for when the ledger was last asked, at `asked_at`. `busy` while a batch is in
    flight, `dead` once the lane is lost, `stopped` with the reason when it must not go on.

    `unproven` are the topics of which nothing has come since they were assigned or resumed, and whether they were asked
    for again.

    `careful` counts the records still to be taken one by one, because the lane's processes kept ending: at first as
    many as the batch may have had (`batch_records`) in which they did. `condemned` is the ref of the one they ended in.
    """

    def __init__(self, taken: TakenLane, lanes: int, relay: RelayLane, batch_records: int) -> None:
        self.no = taken.lane
        self.token = taken.token
        self.generations = taken.generations
        self.positions = dict(taken.positions)
        self.fetched = dict(taken.positions)
        self.ends: dict[str, int] = {}
        self.parked = taken.parked
        self.buffer = Buffer(taken.positions)
        self.state = LaneState(taken.lane, lanes, taken.seq, taken.entry)
        self.relay = relay
        self.careful = batch_records if taken.deaths >= DEATHS or taken.suspect is not None else 0
        self.condemned = taken.suspect if taken.deaths >= DEATHS else None
        self.busy = False
        self.dead = False
        self.stopped: str | None = None
        self.paused: set[str] = set()
        self.unproven: dict[str, bool] = {}
        self.blocked_since: float | None = None
        self.stepped_at = 0.0
        self.due = 0
        self.asked_at = 0.0

    def at_end(self, topic: str) -> bool:
        """Whether all that the broker said it has of this partition has been fetched."""
        end = self.ends.get(topic)
        return end is not None and self.fetched[topic] >= end and topic not in self.paused

    def proves(self, topic: str, offset: int) -> bool:
        """Whether an unproven topic goes on where it was asked to, now that this is what came of it first.

        A worker that was assigned its lane anew was once seen to go on behind records it never applied; whether the
        library had left them out is not known. So what comes first and leaves some out is not believed before the same
        comes when asked again: then the offsets between hold no records (those of transactions, or compacted away).
        """
        if offset < self.fetched[topic]:
            return True  # sent once more, which proves nothing yet
        if offset > self.fetched[topic] and not self.unproven[topic]:
            self.unproven[topic] = True
            return False
        del self.unproven[topic]
        return True

    def lag(self, topic: str) -> int:
        """Records of a topic in the log, as far as the broker has said, and not in the ledger."""
        return max(0, self.ends.get(topic, 0) - self.positions[topic])


class Batch(Struct):
    """Records of one lane in the order to apply them, and the positions once they are. `records` may be empty: then
    only offsets that hold no records (control records) are stepped over. With `due_by_ms` claims for which a tick is
    due by then are sent one."""

    lane: Lane
    records: list[Received]
    positions: dict[str, int]
    due_by_ms: int | None = None


class LaneProcessor:
    """The steps of one batch (design: lanes, one batch, one transaction). Runs in a pool thread, one batch a lane."""

    def __init__(
        self,
        ledger: Ledger,
        codec: Codec,
        sign: Sign,
        metrics: Metrics,
        dead_letter_limit: int,
        parked_limit_ms: int,
    ) -> None:
        self._ledger = ledger
        self._codec = codec
        self._sign = sign
        self._metrics = metrics
        self._dead_letter_limit = dead_letter_limit
        self._parked_limit_ms = parked_limit_ms
        # The interpreter runs one thread at a time anyway: batches that queue here, rather than for its lock, leave it
        # to the threads that wait for an answer of the database.
        self._computing = threading.Lock()

    def process(self, batch: Batch) -> Effects:
        """Decode, load, decide, commit. Returns what was written; raises what the ledger raises, and then the lane's
        state is of no more use."""
        lane, state = batch.lane, batch.lane.state
        seq, entry = state.seq, state.entry
        parser = Parser(self._codec, lane.no, state.lanes, lane.generations, state.known)
        if lane.careful:
            records = [self._parse_carefully(lane, parser, received) for received in batch.records]
        else:
            with self._computing:
                records = [parser.parse(received) for received in batch.records]
        due = self._due(lane, batch.due_by_ms)
        overdue = self._overdue(lane, batch.due_by_ms)
        if not records and not due and not overdue and batch.positions == lane.positions:
            return Effects()
        self._load(records, state, parser)
        lookup = self._look_up(records, state)
        with self._computing:
            started = time.perf_counter()
            decider = Decider(state, lookup, self._codec.encode, self._dead_letter_limit, self._sign)
            decider.tick(due)
            decider.raise_breaks(overdue, self._parked_limit_ms)
            effects = decider.decide(records)
        decided = time.perf_counter()
        positions = (
            batch.positions if effects.taken == len(records) else _positions(lane, batch.records[: effects.taken])
        )
        commit = commit_of(lane, seq, entry, positions, effects)
        self._ledger.commit(commit)
        lane.positions = positions
        lane.careful = max(0, lane.careful - effects.taken)
        lane.parked += len(effects.parked) - len(effects.parked_gone)
        state.forget_oldest(_CLAIMS_CACHED)
        self._measure(effects, decided - started, time.perf_counter() - decided)
        self._metrics.sql_statements.inc(commit.statements)
        _tell(effects)
        return effects

    def _parse_carefully(self, lane: Lane, parser: Parser, received: Received) -> Parsed:
        """Of a batch of one. The ledger knows the record before its bytes are looked at: should the process end in it,
        the next owner knows by which."""
        ref = parser.ref(received)
        if ref == lane.condemned:
            return parser.undecoded(received, KILLS)
        self._ledger.name_suspect(lane.no, lane.token, ref)
        self._metrics.sql_statements.inc()
        return parser.parse(received)

    def _due(self, lane: Lane, by_ms: int | None) -> list[Claim]:
        """The claims to send a tick, at most so many at once."""
        if by_ms is None:
            return []
        self._metrics.sql_statements.inc()
        due = [_claim(state) for state in self._ledger.due_claims(lane.no, by_ms, _MOST_TICKS)]
        lane.due = len(due)
        return due

    def _overdue(self, lane: Lane, by_ms: int | None) -> list[ParkedRow]:
        """The records that have waited for too long by then, at most so many at once."""
        if by_ms is None or not lane.parked:
            return []
        self._metrics.sql_statements.inc()
        return self._ledger.overdue(lane.no, by_ms - self._parked_limit_ms, _MOST_TICKS)

    def _load(self, records: list[Parsed], state: LaneState, parser: Parser) -> None:
        """Fetch the states and parked records of subjects this lane has not seen yet; decode again what is parked
        under a schema that was unknown."""
        touched = {record.entity: record for record in records if record.entity}
        missing = [record for entity, record in touched.items() if entity not in state.known]
        if missing:
            claims, parked = self._ledger.load_claims([record.subject for record in missing])
            self._metrics.sql_statements.inc(2)
            for row in parked:
                waiting = parser.parse_parked(row)
                if waiting.entity in touched:
                    state.parked.setdefault(waiting.entity, []).append(waiting)
            numbers = [record.subject for record in missing if TOPICS[record.topic].key is Key.POLICY]
            policies = {}
            if numbers:
                self._metrics.sql_statements.inc()
                policies = _policies(self._ledger.load_policies(numbers, []))
            for record in missing:
                number = record.subject
                if TOPICS[record.topic].key is Key.POLICY:
                    if number in policies:
                        state.policies[number] = policies[number]
                elif number in claims:
                    state.claims[number] = _claim(claims[number])
                state.known[record.entity] = None
        for entity in touched:
            for waiting in state.parked.get(entity, ()):
                if waiting.problem is not None:
                    parser.again(waiting)

    def _look_up(self, records: list[Parsed], state: LaneState) -> Lookup:
        """Ask at once for all that the rules of this batch want to know: one query for the policies in any lane, one
        for the claims that left what its records leave, one for what peers come to, and one for what claims use of
        covers that their policies have for a year."""
        numbers: set[str] = set()
        plates: set[str] = set()
        traces: set[Trace] = set()
        shared: set[str] = set()
        peers = False
        for record in _with_parked(records, state):
            if record.record is None:
                continue
            _, flow = flow_of(record.topic, record.record)
            if flow.traces is not None:
                traces.update(flow.traces(record.record))
            peers = peers or flow.peers is not None
            shared.update(shared_policies(state.claims.get(record.subject), record.record, flow))
            if flow.looks_up is not None:
                number, plate = flow.looks_up(record.record)
                if number is not None:
                    numbers.add(number)
                elif plate:
                    plates.add(plate)
        # One trace more than are looked at: the claim itself is among them.
        asked = Asked(sorted(numbers), sorted(plates), sorted(traces), MOST + 1, peers, sorted(shared))
        if not asked.statements:
            return Lookup({})
        self._metrics.sql_statements.inc(asked.statements)
        found = self._ledger.look_up(asked)
        limits = {(row.kind, row.line, row.currency): PeerLimit(*row[3:]) for row in found.peers}
        lookup = Lookup(_policies(found.policies), peers=limits)
        lookup.remember(found.traces, found.uses)
        return lookup

    def _measure(self, effects: Effects, decide_s: float, commit_s: float) -> None:
        metrics = self._metrics
        metrics.batches.inc()
        metrics.batch_records.observe(effects.taken)
        metrics.decide_seconds.observe(decide_s)
        metrics.commit_seconds.observe(commit_s)
        metrics.records_released.inc(effects.released)
        metrics.overdue_records.inc(len(effects.overdue))
        counts = Counter((row.topic, row.outcome) for row in effects.journal)
        for place in effects.parked:
            counts[place[0], Outcome.PARKED] += 1
        for dead in effects.dead:
            counts[dead.topic, Outcome.DEAD] += 1
            metrics.dead_letters.labels(dead.topic, dead.code).inc()
        if counts[CLOCKS, Outcome.DONE]:
            rules = Counter(row.rule for row in effects.journal)
            metrics.clock_warnings.inc(rules[clocks.WARNING])
            metrics.clock_breaches.inc(rules[clocks.BREACH])
        for (topic, outcome), count in counts.items():
            metrics.records.labels(topic, outcome).inc(count)


def _policies(states: Mapping[str, bytes]) -> dict[str, PolicyFile]:
    return {number: _policy(state) for number, state in states.items()}


def _tell(effects: Effects) -> None:
    """Log where each record stands that did not go its way; never what it holds."""
    for dead in effects.dead:
        _log(log.warning, "dead letter", dead, code=dead.code)
    for parked in effects.parked.values():
        _log(log.info, "parked", parked)


def _log(write: Callable[..., object], event: str, row: DeadRow | ParkedRow, **more: str) -> None:
    place = {"topic": row.topic, "generation": row.generation, "partition": row.partition, "offset": row.offset}
    write(event, claim=row.subject, **place, reason=row.reason, **more)


def _with_parked(records: list[Parsed], state: LaneState) -> Iterable[Parsed]:
    yield from records
    if state.parked:
        for entity in {record.entity for record in records}:
            yield from state.parked.get(entity, ())


def _positions(lane: Lane, taken: list[Received]) -> dict[str, int]:
    positions = dict(lane.positions)
    for record in taken:
        positions[record.topic] = record.offset + 1
    return positions


def commit_of(lane: Lane, seq: int, entry: int, positions: dict[str, int], effects: Effects) -> LaneCommit:
    """The rows of one batch, as a commit that goes on from the lane's `seq` and `entry` before it."""
    state = lane.state
    return LaneCommit(
        lane=lane.no,
        token=lane.token,
        seq=seq,
        seq_used=state.seq - seq,
        entry=entry,
        entries_used=state.entry - entry,
        positions=[(topic, old, positions[topic]) for topic, old in lane.positions.items() if positions[topic] != old],
        ticked=effects.ticked,
        journal=effects.journal,
        claims=list(effects.claims.values()),
        policies=list(effects.policies.values()),
        traces=effects.traces,
        cover_uses=list(effects.cover_uses.values()),
        outbox=effects.outbox,
        payments=list(effects.payments.values()),
        parked=list(effects.parked.values()),
        parked_gone=effects.parked_gone,
        overdue=effects.overdue,
        dead=effects.dead,
    )
