"""What the claims are to hear of the book: records put down in the transaction of their cause, sent to Kafka later."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from schemas.records import Record
from sinks.ledger.bank_tables import bank_records


def record_row(event_id: str, topic: str, claim: str, record: Record, at_ms: int) -> dict[str, Any]:
    """A row of `bank_records`, its record as JSON. `event_id` follows from its cause, so that it is told once."""
    return {"event_id": event_id, "topic": topic, "key": claim, "at_ms": at_ms, "value": msgspec.json.encode(record)}


def add_records(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Put down what claims are to hear, in order; an event that is known changes nothing."""
    if found := list(rows):
        made = postgresql if connection.dialect.name == "postgresql" else sqlite
        connection.execute(made.insert(bank_records).on_conflict_do_nothing(index_elements=["event_id"]), found)
