"""Rows of finance's book of payments as its own programs would have written them: valid unless told otherwise."""

from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, insert

from schemas.records import BreakKind
from sinks.ledger.bank_tables import (
    bank_breaks,
    bank_entries,
    bank_files,
    bank_messages,
    bank_payments,
    bank_statements,
)
from sinks.payments.book import BankState, EntryKind, MessageKind
from streams.rules.breaks import break_id
from tests import claims as make

ACCOUNT: Final = "622202000000000000000017"
"""Our own, from which payments are made."""

FILE: Final = "ab" * 32
DAY: Final = date(2026, 4, 7)


def payment(book: Connection, **changes: object) -> None:
    """A payment that stands in a file at the bank."""
    values: dict[str, Any] = {
        "instruction_id": "PI-1",
        "claim": make.CLAIM,
        "lane": 0,
        "amount_minor": 2_800_00,
        "currency": "CNY",
        "value_on": DAY,
        "uetr": "11111111-1111-4111-8111-111111111111",
        "state": BankState.SENT,
        "message_id": "PM-1",
        "at_ms": make.LOSS_MS,
        "value": b"",
    }
    book.execute(insert(bank_payments).values({**values, **changes}))


def message(book: Connection, **changes: object) -> None:
    """The file that payments stand in."""
    values: dict[str, Any] = {
        "message_id": "PM-1",
        "kind": MessageKind.PAYMENTS,
        "payment_information_id": f"{changes.get('message_id', 'PM-1')}-1",
        "account": ACCOUNT,
        "currency": "CNY",
        "execute_on": DAY,
        "transactions": 1,
        "total_minor": 2_800_00,
        "sha256": "cd" * 32,
        "file": "PM-1.xml",
        "written_at_ms": make.LOSS_MS,
    }
    book.execute(insert(bank_messages).values({**values, **changes}))


def statement(book: Connection, **changes: object) -> None:
    """A statement in that file: the payment left, and nothing else."""
    values: dict[str, Any] = {
        "sha256": FILE,
        "number": 1,
        "account": ACCOUNT,
        "currency": "CNY",
        "sequence": 1,
        "page": 1,
        "day": DAY,
        "opening_minor": 10_000_00,
        "closing_minor": 7_200_00,
        "line": 3,
    }
    book.execute(insert(bank_statements).values({**values, **changes}))


def entry(book: Connection, **changes: object) -> None:
    """A line of that statement: the payment."""
    values: dict[str, Any] = {
        "sha256": FILE,
        "statement": 1,
        "number": 1,
        "part": 0,
        "account": ACCOUNT,
        "day": DAY,
        "amount_minor": -2_800_00,
        "currency": "CNY",
        "kind": EntryKind.PAYMENT,
        "instruction_id": "PI-1",
        "line": 42,
    }
    book.execute(insert(bank_entries).values({**values, **changes}))


def file(book: Connection, **changes: object) -> None:
    """A statement the bank sent."""
    values: dict[str, Any] = {
        "sha256": FILE,
        "name": "statement.xml",
        "message": "camt.053",
        "version": "08",
        "bank_message_id": "BANK-1",
        "received_at_ms": make.LOSS_MS + make.DAY_MS,
        "warnings": 0,
        "content": b"<Document/>",
    }
    book.execute(insert(bank_files).values({**values, **changes}))


def raised(book: Connection, kind: BreakKind, **changes: object) -> str:
    """A break that the bank's statement raised about a payment; its id."""
    values: dict[str, Any] = {
        "kind": kind,
        "account": ACCOUNT,
        "day": DAY,
        "instruction_id": "PI-1",
        "claim": make.CLAIM,
        "about": "PI-1",
        "sha256": FILE,
        "line": 42,
        "element": "Ntry",
        "since_ms": make.LOSS_MS,
        "at_ms": make.LOSS_MS + make.DAY_MS,
        "reason": f"what the bank booked is a break: {kind}",
        **changes,
    }
    values["break_id"] = break_id(kind, values["about"])
    book.execute(insert(bank_breaks).values(values))
    id_: str = values["break_id"]
    return id_
