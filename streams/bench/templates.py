"""What the hub writes for each step of a bench claim, found by letting it decide one; the floor fills these in."""

from typing import Final

import msgspec

from connectors.registry import EmbeddedRegistry
from schemas.codec import Codec
from schemas.records import Record
from sinks.ledger.port import OutboxRow, PaymentRow, TraceRow
from streams.bench.workload import STEPS, policies, record
from streams.decide import Decider, LaneState, Lookup
from streams.received import Parser, Received
from streams.rules.policy_file import PolicyFile

CLAIM: Final = "B000000000"
"""The claim number in the templates."""


class OutputTemplate(msgspec.Struct, frozen=True):
    """One record the hub sends at this step, and the headers its row keeps."""

    topic: str
    record: Record
    headers: bytes
    rule: str
    reason: str


class Template(msgspec.Struct, frozen=True):
    """The rows of one step."""

    rule: str
    reason: str
    inputs: str | None
    version: int
    stage: str
    state: bytes
    due_at_ms: int | None
    payment: PaymentRow | None
    outputs: tuple[OutputTemplate, ...]
    traces: tuple[TraceRow, ...]


def templates() -> dict[tuple[str, int], Template]:
    """Templates by topic and `version` field (0 for records without one)."""
    codec = Codec(EmbeddedRegistry(), 1_000_000)
    fleet = next(policies())
    known = {fleet.key: PolicyFile(number=fleet.key, versions=(fleet.record,))}  # type: ignore[arg-type]
    state = LaneState(0, 1, 0, 0)
    made: dict[tuple[str, int], Template] = {}
    for step in range(STEPS):
        sent = record(0, step, 1_788_220_800_000 + step)
        received = Received(sent.topic, step, sent.key.encode(), codec.encode(sent.topic, sent.record), [], sent.at_ms)
        parsed = Parser(codec, 0, 1, {sent.topic: 1}, state.known).parse(received)
        effects = Decider(state, Lookup(known), codec.encode, 1).decide([parsed])
        if len(effects.journal) != 1 or effects.dead or effects.parked:
            raise RuntimeError(f"step {step} of the bench's claim is not decided: {effects.dead or effects.parked}")
        row, claim = effects.journal[0], effects.claims[CLAIM]
        made[sent.topic, getattr(sent.record, "version", 0)] = Template(
            rule=row.rule,
            reason=row.reason,
            inputs=row.inputs,
            version=claim.version,
            stage=claim.stage,
            state=claim.state,
            due_at_ms=claim.due_at_ms,
            payment=next(iter(effects.payments.values()), None),
            outputs=tuple(_output(codec, output) for output in effects.outbox),
            traces=tuple(effects.traces),
        )
    return made


def _output(codec: Codec, row: OutboxRow) -> OutputTemplate:
    record = codec.decode(row.topic, row.value, [])
    return OutputTemplate(row.topic, record, row.headers, row.rule, row.reason)
