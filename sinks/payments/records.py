"""What the claims are to hear of the book: records put down in the transaction of their cause, sent to Kafka later."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from schemas.records import Record
from sinks.ledger.bank_tables import bank_records
from sinks.payments.new_rows import insert_new


def record_row(event_id: str, topic: str, claim: str, record: Record, at_ms: int) -> dict[str, Any]:
    """A row of `bank_records`, its record as JSON. `event_id` follows from its cause, so that it is told once."""
    return {"event_id": event_id, "topic": topic, "key": claim, "at_ms": at_ms, "value": msgspec.json.encode(record)}


def add_records(book: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put down what claims are to hear, in order; an event that is known changes nothing."""
    insert_new(book, bank_records, rows)
