"""What a ledger took, decided once more in the same order by today's code: nothing is sent, nothing is looked up."""

import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from msgspec import json

from schemas.codec import Codec
from schemas.records import PaymentInstruction
from schemas.signing import KEY_ID, SIGNATURE, Sign, Signed, unsigned
from schemas.topics import TOPICS, Key
from sinks.envelope import kept_headers
from sinks.ledger.port import CoverUseRow, DeadRow, JournalRow, OutboxRow, ParkedRow, TraceRow
from streams.decide import AskedFor, Captured, Decider, Effects, LaneState
from streams.flows import PolicyKey, flow_of
from streams.lanes import KILLS
from streams.outcomes import Dead
from streams.received import Parsed, Parser
from streams.rules.claim import Claim
from streams.rules.decision import CapturedLookups
from streams.rules.policy_file import PolicyFile

Taken = JournalRow | DeadRow
Ended = JournalRow | DeadRow | ParkedRow

_claim = json.Decoder(Claim).decode
_policy = json.Decoder(PolicyFile).decode


class States(Protocol):
    """A ledger, as far as a replay reads the one it fills."""

    def load_claims(self, claims: Sequence[str]) -> tuple[dict[str, bytes], list[ParkedRow]]:
        """See Ledger."""

    def load_policies(self, numbers: Sequence[str], plates: Sequence[str]) -> dict[str, bytes]:
        """See Ledger."""


class Again(NamedTuple):
    """What a record comes to when it is decided again: its end, and the outputs it causes."""

    end: Ended
    outputs: list[OutboxRow]


_captured = json.Decoder(Captured).decode


class _Recorded:
    """Look-ups answered as the journal says they were answered. What was never asked is not known."""

    def __init__(self) -> None:
        self._inputs: dict[PolicyKey, str] = {}
        self._own: str | None = None

    def learn(self, row: Taken, parsed: Parsed) -> None:
        """Take the answer a journal row has kept; who left the same traces, and what peers come to, is known
        for that record only."""
        looks_up = flow_of(row.topic, parsed.record)[1].looks_up
        self._own = row.inputs if isinstance(row, JournalRow) else None
        if self._own is not None and parsed.record is not None and looks_up:
            self._inputs[looks_up(parsed.record)] = self._own

    def capture(self, claim: str, asked: AskedFor) -> tuple[CapturedLookups, str | None]:
        """See Answers."""
        inputs = self._own if asked.keys is None else self._inputs.get(asked.keys, '{"policies":[]}')
        captured = Captured() if inputs is None else _captured(inputs)
        return captured.answers(asked.keys), inputs

    def remember(self, traces: Sequence[TraceRow], uses: Sequence[CoverUseRow]) -> None:
        """Nothing: the journal knows what each record found."""


class RecordedSignatures:
    """Signs as the lane has signed: who decides again has no key. An instruction the lane did not send there, or sent
    without a signature, gets none."""

    def __init__(self, instructions: Iterable[OutboxRow]) -> None:
        """`instructions` are those the lane sent, in the order of their numbers."""
        self._instructions = iter(instructions)
        self._next = next(self._instructions, None)

    def __call__(self, instruction: PaymentInstruction, lane: int, seq: int) -> Signed:
        """See Sign."""
        while self._next is not None and self._next.seq < seq:
            self._next = next(self._instructions, None)
        if self._next is None or self._next.seq != seq:
            return []
        was, self._next = self._next, next(self._instructions, None)
        return [header for header in kept_headers(was) if header[0] in (KEY_ID, SIGNATURE)]


class LaneReplay:
    """One lane that begins empty. Its state moves forward with each batch; `states` has what it has forgotten."""

    def __init__(
        self,
        codec: Codec,
        state: LaneState,
        states: States | None = None,
        ticks: Iterable[OutboxRow] = (),
        sign: Sign = unsigned,
    ) -> None:
        """Without `states` nothing must be forgotten. `ticks` are those the lane sent, in the order of their numbers:
        each stands again where it stood, since time is an input."""
        self._codec = codec
        self._state = state
        self._states = states
        self._sign = sign
        self._ticks = iter(ticks)
        self._next_tick = next(self._ticks, None)

    def take(self, rows: Sequence[Taken]) -> tuple[Effects, list[Again]]:
        """Decide a batch in the order of its entries: all it leads to, and what each record comes to.

        A record keeps its number in the lane's order. One that must wait by today's rules is parked, and released by a
        later one, as in the engine.
        """
        decider, recorded, records = self._decider(rows)
        ended = []
        for row, parsed in zip(rows, records, strict=True):
            self._tick(decider)
            ended.append(self._again(decider, recorded, row, parsed))
        self._tick(decider)
        return decider.effects, ended

    def wait(self, rows: Sequence[ParkedRow]) -> tuple[Effects, list[Again]]:
        """Try parked records, once all that was taken is in: each must still wait, for what it waited for.

        Only those are tried that the engine has tried at the claim's present state: the first of a claim, and those
        that it waits for. One that waits for an operator, or whose rule looks something up, stands as recorded.
        """
        decider, _, records = self._decider(rows)
        first: dict[str, Parsed] = {}
        ended = []
        for row, parsed in zip(rows, records, strict=True):
            parsed.entry, parsed.reason, parsed.until = row.entry, row.reason, frozenset(row.until.split())
            parsed.since_ms = row.since_ms
            topic, flow = flow_of(row.topic, parsed.record)
            tried = parsed is first.setdefault(parsed.entity, parsed) or topic in first[parsed.entity].until
            again = Again(row, [])
            if tried and parsed.until and flow.looks_up is None:
                again = self._decide(decider, parsed) or again
            if not isinstance(again.end, ParkedRow):
                del first[parsed.entity]
            ended.append(again)
        return decider.effects, ended

    def _tick(self, decider: Decider) -> None:
        """Let the ticks stand that were sent next."""
        while self._next_tick is not None and self._next_tick.seq == self._state.seq + 1:
            decider.tick_again(self._next_tick)
            self._next_tick = next(self._ticks, None)

    def _decider(self, rows: Sequence[Ended]) -> tuple[Decider, _Recorded, list[Parsed]]:
        parser = Parser(self._codec, self._state.lane, self._state.lanes, {}, self._state.known)
        records = [_read(parser, row) for row in rows]
        self._load(records)
        recorded = _Recorded()
        return Decider(self._state, recorded, self._codec.encode, sys.maxsize, self._sign), recorded, records

    def _again(self, decider: Decider, recorded: _Recorded, row: Taken, parsed: Parsed) -> Again:
        recorded.learn(row, parsed)
        _, flow = flow_of(row.topic, parsed.record)
        if isinstance(row, DeadRow) and parsed.problem is None and flow.looks_up is not None:
            parsed.problem = Dead(row.code, row.reason)  # what its rule looked up is not kept
        self._state.entry = row.entry - 1
        again = self._decide(decider, parsed)
        assert again is not None, "a record that is taken comes to an end"
        return again

    def _decide(self, decider: Decider, parsed: Parsed) -> Again | None:
        """What one record comes to; None when it goes on waiting as it did."""
        effects = decider.effects
        applied, buried, outputs = len(effects.journal), len(effects.dead), len(effects.outbox)
        decider.decide([parsed])
        ends: list[Ended] = [*effects.journal[applied:], *effects.dead[buried:]]
        if parsed.place in effects.parked:
            ends.append(effects.parked[parsed.place])
        mine = next((end for end in ends if end[:4] == parsed.place), None)
        return None if mine is None else Again(mine, effects.outbox[outputs:])

    def _load(self, records: Sequence[Parsed]) -> None:
        """Fetch the states of the subjects this lane does not know (any more)."""
        state, touched = self._state, {record.entity: record for record in records if record.entity}
        missing = [record for entity, record in touched.items() if entity not in state.known]
        state.known.update(dict.fromkeys(touched))
        if self._states is None or not missing:
            return
        numbers = [record.subject for record in missing if TOPICS[record.topic].key is Key.POLICY]
        for number, text in self._states.load_policies(numbers, []).items():
            state.policies[number] = _policy(text)
        claims, _ = self._states.load_claims([r.subject for r in missing if TOPICS[r.topic].key is not Key.POLICY])
        for number, text in claims.items():
            state.claims[number] = _claim(text)


def _read(parser: Parser, row: Ended) -> Parsed:
    """A record read again, but not one that processes have died of."""
    if isinstance(row, DeadRow) and row.code == KILLS.code:
        return parser.undecoded_again(row)
    return parser.parse_taken(row)
