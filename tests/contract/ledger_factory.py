"""Rows and batches for tests of the ledger, with defaults for all a test does not speak of."""

from typing import Any

from sinks.ledger.port import (
    ClaimRow,
    CoverUseRow,
    DeadRow,
    JournalRow,
    Lane,
    LaneCommit,
    Ledger,
    OutboxRow,
    ParkedRow,
    PaymentRow,
    PolicyRow,
    TopicIdentity,
)

NOTICE, INVOICE = "reporting.loss-notice.v1", "repair.invoice.v1"
STATUS, INSTRUCTION = "claims.status.v1", "finance.payment-instruction.v1"
CLAIM = "C2026000001"
LANES = 4


def identities(*topics: str, id_: str = "first", partitions: int = LANES) -> list[TopicIdentity]:
    """Topics as a broker would name them."""
    return [TopicIdentity(topic, id_, partitions) for topic in topics]


INBOUND, OUTBOUND = identities(NOTICE, INVOICE), identities(STATUS, INSTRUCTION)
LOG_START = {(topic, lane): 10 * lane for topic in (NOTICE, INVOICE) for lane in range(LANES)}


def prepared(ledger: Ledger) -> Ledger:
    """The ledger, ready for two topics in and two out of four partitions; lane n begins at offset 10 n."""
    ledger.prepare(INBOUND, OUTBOUND, LOG_START, memory_only=False)
    return ledger


def take(ledger: Ledger, lane: int = 1, owner: str = "worker-1") -> Lane:
    """One lane, taken."""
    (taken,), locked = ledger.take(owner, [lane])
    assert locked == []
    return taken


def _place(offset: int, **given: Any) -> dict[str, Any]:
    return {"topic": NOTICE, "generation": 1, "partition": 1, "offset": offset, "lane": 1} | given


def journal(offset: int, entry: int, **given: Any) -> JournalRow:
    """An applied notice of lane 1."""
    row: dict[str, Any] = {
        "entry": entry,
        "subject": CLAIM,
        "event_id": f"desk {offset}",
        "outcome": "done",
        "rule": "intake.registered",
        "reason": "all facts are there",
        "at_ms": 1_700_000_000_000 + offset,
        "timestamp_ms": 1_700_000_000_000,
        "inputs": None,
        "headers": b"\x90",
        "value": b"\x00\xff notice",
    }
    return JournalRow(**_place(offset) | row | given)


def parked(offset: int, entry: int, **given: Any) -> ParkedRow:
    """A notice of lane 1 that waits for an invoice."""
    row: dict[str, Any] = {
        "entry": entry,
        "subject": CLAIM,
        "reason": "waits for an invoice",
        "until": INVOICE,
        "at_ms": 1_700_000_000_000,
        "timestamp_ms": 1_700_000_000_000,
        "since_ms": None,
        "headers": b"\x90",
        "value": b"parked",
    }
    return ParkedRow(**_place(offset) | row | given)


def dead(offset: int, entry: int, **given: Any) -> DeadRow:
    """A record of lane 1 that could not be read."""
    row: dict[str, Any] = {
        "entry": entry,
        "key": None,
        "subject": "",
        "code": "bad-key",
        "reason": "the record has no key",
        "at_ms": 1_700_000_000_000,
        "timestamp_ms": 1_700_000_000_000,
        "headers": b"\x90",
        "value": None,
    }
    return DeadRow(**_place(offset) | row | given)


def claim(
    number: str = CLAIM,
    version: int = 1,
    stage: str = "registered",
    state: bytes | None = None,
    due_at_ms: int | None = None,
    lane: int = 1,
) -> ClaimRow:
    """A claim's state."""
    return ClaimRow(
        number,
        lane,
        version,
        stage,
        1_700_000_000_000,
        due_at_ms,
        state or b'{"number":"%b","version":%d}' % (number.encode(), version),
    )


def policy(number: str, plate: str, version: int = 1) -> PolicyRow:
    """A policy file's state."""
    return PolicyRow(number, 1, version, plate, 1_700_000_000_000, b'{"number":"%b"}' % number.encode())


def outbox(seq: int, offset: int = 10, **given: Any) -> OutboxRow:
    """A status of lane 1, caused by the notice at an offset."""
    row: dict[str, Any] = {
        "lane": 1,
        "seq": seq,
        "topic": STATUS,
        "partition": 1,
        "key": CLAIM,
        "subject": CLAIM,
        "cause": f"{NOTICE}/1/1/{offset}",
        "rule": "intake.registered",
        "reason": "all facts are there",
        "at_ms": 1_700_000_000_000,
        "headers": b"\x90",
        "value": b"\x00\x00\x00\x00\x01 status",
    }
    return OutboxRow(**row | given)


def payment(id_: str = "P1", attempt: int = 1, state: str = "instructed", **given: Any) -> PaymentRow:
    """A payment of 1 234.56 yuan on a claim's first settlement."""
    row: dict[str, Any] = {
        "id": id_,
        "claim": CLAIM,
        "lane": 1,
        "settlement_version": 1,
        "attempt": attempt,
        "amount_minor": 123_456,
        "currency": "CNY",
        "state": state,
        "proposed_by": "rule:fast-track",
        "approved_by": "rule:authority",
        "cause": f"{NOTICE}/1/1/10",
        "at_ms": 1_700_000_000_000,
    }
    return PaymentRow(**row | given)


def use(claim: str, number: int, **given: Any) -> CoverUseRow:
    """What a claim of lane 1 uses of a policy's medical cover."""
    row: dict[str, Any] = {
        "policy": "PL1",
        "claim": claim,
        "cover": "medical",
        "number": number,
        "lane": 1,
        "loss_at_ms": 1_700_000_000_000,
        "paid_minor": 0,
        "deductible_minor": 0,
    }
    return CoverUseRow(**row | given)


def batch(lane: Lane, records: int = 0, **rows: Any) -> LaneCommit:
    """A batch that goes on from where the lane was taken: `records` notices read, `rows` written."""
    before = lane.positions[NOTICE]
    given: dict[str, Any] = {
        "lane": lane.lane,
        "token": lane.token,
        "seq": lane.seq,
        "seq_used": len(rows.get("outbox", ())),
        "entry": lane.entry,
        "entries_used": sum(len(rows.get(kind, ())) for kind in ("journal", "parked", "dead")),
        "positions": [(NOTICE, before, before + records)] if records else [],
    }
    return LaneCommit(**given | rows)


def after(lane: Lane, commit: LaneCommit) -> Lane:
    """The lane as it stands once a batch is committed."""
    return lane._replace(
        seq=commit.seq + commit.seq_used,
        entry=commit.entry + commit.entries_used,
        positions=lane.positions | {topic: next_ for topic, _, next_ in commit.positions},
    )
