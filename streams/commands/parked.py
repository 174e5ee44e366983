"""`claimhub parked`: records that wait for another record or a person, and trying them again."""

import time

from msgspec import Struct
from sqlalchemy import Connection, func, select

from schemas.records import Wake, WakeKind
from sinks.ledger.tables import parked
from streams.commands import show
from streams.commands.deliver import Outgoing
from streams.commands.failures import Failed
from streams.commands.send import encoded, open_codec
from streams.settings import Settings


class ParkedRecord(Struct, frozen=True):
    """A waiting record: where it stands, whom it concerns, what it waits for."""

    ref: str
    subject: str
    reason: str
    until: list[str]
    at: str
    size_bytes: int


def read_parked(connection: Connection, subject: str | None = None) -> list[ParkedRecord]:
    """What waits, of one claim or policy or of all, in the order it came."""
    c = parked.c
    size = func.coalesce(func.length(c.value), 0)
    query = select(c.topic, c.generation, c.partition, c.offset, c.subject, c.reason, c.until, c.at_ms, size)
    if subject is not None:
        query = query.where(c.subject == subject)
    return [
        ParkedRecord(
            f"{topic}/{generation}/{partition}/{offset}", who, reason, until.split(), show.time(at_ms), size_bytes
        )
        for topic, generation, partition, offset, who, reason, until, at_ms, size_bytes in connection.execute(
            query.order_by(c.at_ms, c.lane, c.entry)
        )
    ]


def show_parked(records: list[ParkedRecord]) -> None:
    """Print what waits."""
    rows = [(record.subject, record.ref, record.at, record.reason, " ".join(record.until)) for record in records]
    show.table(("claim", "record", "time", "reason", "until"), rows, "nothing is parked")


def wake(settings: Settings, connection: Connection, claim: str) -> Outgoing:
    """The record that has a claim's waiting records tried again. Raises Failed when none waits."""
    if not read_parked(connection, claim):
        raise Failed(f"nothing is parked for claim {claim}. See: claimhub parked ls")
    record = Wake(claim=claim, kind=WakeKind.RETRY, at_ms=time.time_ns() // 1_000_000)
    return encoded(open_codec(settings), "hub.wake.v1", claim, record)
