"""`claimhub payments timeline`: all that happened to one payment, from its claim, finance's book and the bank."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, Table, select

from schemas.money import format_minor
from schemas.topics import BREAKS, INSTRUCTIONS
from sinks.ledger.bank_tables import (
    bank_breaks,
    bank_cancellations,
    bank_entries,
    bank_files,
    bank_messages,
    bank_payment_actions,
    bank_payments,
    bank_records,
    bank_statuses,
)
from sinks.ledger.tables import dead_letters, journal, outbox, payments
from sinks.ledger.written import read_written
from sinks.payments.book import BankState, EntryKind
from streams.commands import show
from streams.commands.breaks import in_words
from streams.commands.failures import Failed
from streams.reconciliation.clearing import read_standings

_SAID_BY_CLAIM: Final = {INSTRUCTIONS: "instructed", "finance.cancellation-request.v1": "asked back", BREAKS: "break"}
_SAID_TO_CLAIM: Final = ("finance.payment-status.v1", "finance.statement-line.v1", "finance.payment-closure.v1")

EVENTS: Final = (
    "instructed",
    "taken in",
    "held",
    "released",
    "asked back",
    "in file",
    "status",
    "booked",
    "returned",
    "break",
    "assigned",
    "proposed",
    "resolved",
    "told",
    "claim",
)
"""What can happen to a payment, in the order of things of one moment. `told` is what finance tells the claim, `claim`
what the claim makes of that."""


class PaymentMoment(Struct, frozen=True):
    """One thing that happened: an `event` of EVENTS. `cause` is what it rests on: a record's ref, a line of a file, a
    key, a person."""

    at: str
    event: str
    what: str
    cause: str | None


class _Moment(NamedTuple):
    at_ms: int
    event: str
    what: str
    cause: str | None
    break_id: str | None = None


def read_payment_timeline(connection: Connection, instruction: str) -> list[PaymentMoment]:
    """All that is known of a payment, in the order of time. Raises Failed when there is none of this id."""
    claim = _claim_of(connection, instruction)
    if claim is None:
        raise Failed(f"no payment has the id {instruction}. See: claimhub payments ls")
    found = [
        *_from_claim(connection, claim, instruction),
        *_from_book(connection, instruction),
        *_from_bank(connection, instruction),
        *_to_claim(connection, claim, instruction),
    ]
    found += _cleared(connection, [it.break_id for it in found if it.break_id is not None])
    found.sort(key=lambda it: (it.at_ms, EVENTS.index(it.event)))
    return [PaymentMoment(show.time(it.at_ms), it.event, it.what, it.cause) for it in found]


def show_payment_timeline(moments: list[PaymentMoment]) -> None:
    """Print what happened, a line each."""
    rows = [(it.at, it.event, it.what, it.cause) for it in moments]
    show.table(("time", "event", "what", "cause"), rows, "nothing happened")


def _claim_of(connection: Connection, instruction: str) -> str | None:
    for table, id_ in ((payments, payments.c.id), (bank_payments, bank_payments.c.instruction_id)):
        claim = connection.execute(select(table.c.claim).where(id_ == instruction)).scalar_one_or_none()
        if claim is not None:
            return str(claim)
    return None


def _from_claim(connection: Connection, claim: str, instruction: str) -> Iterator[_Moment]:
    """What the claim said: pay, do not pay, nobody knows the end."""
    c, people = outbox.c, payments.c
    who = connection.execute(
        select(people.proposed_by, people.approved_by).where(people.id == instruction)
    ).one_or_none()
    query = select(c.topic, c.at_ms, c.cause, c.reason, c.value).where(c.subject == claim, c.topic.in_(_SAID_BY_CLAIM))
    for row in connection.execute(query.order_by(c.lane, c.seq)):
        said = read_written(row.topic, row.value) or {}
        if instruction in (said.get("instruction_id"), said.get("about")):
            approved = f"; proposed by {who.proposed_by}, approved by {who.approved_by}" if who else ""
            what = row.reason + (approved if row.topic == INSTRUCTIONS else "")
            yield _Moment(row.at_ms, _SAID_BY_CLAIM[row.topic], what, row.cause, said.get("break_id"))


def _from_book(connection: Connection, instruction: str) -> Iterator[_Moment]:
    """What finance made of it: taken in, held and released, asked back from the bank, put into a file."""
    for row in _rows(connection, bank_payments, instruction):
        refused = row.state == BankState.REFUSED
        amount = format_minor(row.amount_minor, row.currency)
        what = f"refused: {row.reason}" if refused else f"{amount} to be paid on {row.value_on}"
        yield _Moment(row.at_ms, "taken in", what, f"key {row.key_id}" if row.key_id else None)
        for sent in connection.execute(select(bank_messages).where(bank_messages.c.message_id == row.message_id)):
            file = Path(sent.file).name
            what = f"one of {sent.transactions} in the payment file {file}, to be paid on {sent.execute_on}"
            yield _Moment(sent.written_at_ms, "in file", what, f"message {sent.message_id}")
    for row in _rows(connection, bank_payment_actions, instruction):
        yield _Moment(row.at_ms, row.action, row.reason, row.person)
    for row in _rows(connection, bank_cancellations, instruction):
        what = f"finance has the claim's wish not to pay, which is {row.state}"
        yield _Moment(row.at_ms, "asked back", what, f"message {row.message_id}" if row.message_id else None)


def _from_bank(connection: Connection, instruction: str) -> Iterator[_Moment]:
    """What the bank said of it, and what did not fit."""
    for row in _rows(connection, bank_statuses, instruction, files=True):
        why = f" ({row.reason_code})" if row.reason_code else ""
        yield _Moment(row.received_at_ms, "status", f"{row.code}{why}, of the {row.level}", _place(row))
    for row in _rows(connection, bank_entries, instruction, files=True):
        event = "returned" if row.kind == EntryKind.RETURN else "booked"
        what = (
            f"{format_minor(row.amount_minor, row.currency)} on {row.day}, matched by {row.matched_by or 'its account'}"
        )
        yield _Moment(row.received_at_ms, event, what, _place(row))
    for row in _rows(connection, bank_breaks, instruction, files=True):
        yield _Moment(row.at_ms, "break", f"{row.kind}: {row.reason}", _place(row), row.break_id)


def _to_claim(connection: Connection, claim: str, instruction: str) -> Iterator[_Moment]:
    """What finance told the claim, and what the claim made of it."""
    c = bank_records.c
    for row in connection.execute(select(bank_records).where(c.key == claim).order_by(c.number)):
        said = msgspec.json.decode(row.value)
        if said.get("instruction_id") == instruction:
            sent = "" if row.sent_at_ms is not None else ", not sent yet"
            at_ms = row.at_ms if row.sent_at_ms is None else row.sent_at_ms
            yield _Moment(at_ms, "told", f"{_in_short(said)}{sent}", f"{row.topic} {row.event_id}")
    for table in (journal, dead_letters):
        c = table.c
        for row in connection.execute(select(table).where(c.subject == claim, c.topic.in_(_SAID_TO_CLAIM))):
            said = read_written(row.topic, row.value) if row.value else None
            if said is not None and said.get("instruction_id") == instruction:
                ref = f"{row.topic}/{row.generation}/{row.partition}/{row.offset}"
                rule = row.rule if table is journal else f"dead.{row.code}"
                # When it came: what the record says itself is the bank's time.
                yield _Moment(row.timestamp_ms, "claim", f"{row.reason} [{rule}]", ref)


def _cleared(connection: Connection, break_ids: list[str]) -> Iterator[_Moment]:
    for id_ in break_ids:
        for standing in read_standings(connection, id_).values():
            for did in standing.actions:
                yield _Moment(did.at_ms, did.action, f"{in_words(did)}: {did.reason}", f"{did.person}, {id_}")


def _rows(connection: Connection, table: Table, instruction: str, *, files: bool = False) -> list[Row[Any]]:
    """The rows of a table about a payment, each with the file it is from if it is from one."""
    query = select(table).where(table.c.instruction_id == instruction)
    if files:
        query = query.outerjoin(bank_files, bank_files.c.sha256 == table.c.sha256)
        query = query.add_columns(bank_files.c.name, bank_files.c.received_at_ms)
    return list(connection.execute(query))


def _place(row: Row[Any]) -> str | None:
    return None if row.name is None else f"{row.name}, line {row.line}"


def _in_short(said: Mapping[str, Any]) -> str:
    """A record to the claim by what tells it apart: a status, what a line is, how a payment ended."""
    return " ".join(str(said[name]) for name in ("status", "reason_code", "kind", "result") if said.get(name))
