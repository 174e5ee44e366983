"""Files for the bank: what is due goes into one, once. Committed first, then written from what was committed.

A crash between the two leaves a message whose bytes stand in the book: whoever comes next writes them to where they
were to go. Two at once write one file: the message's row is locked until its file is there.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from hashlib import sha256
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, Engine, insert, select, update

from schemas.codec import Codec
from schemas.records import BankAccount, PaymentInstruction
from sinks.ledger.bank_tables import bank_cancellations, bank_messages, bank_payments
from sinks.ledger.streaming import stream
from sinks.payments.book import BankState, CancellationState, MessageKind
from sinks.payments.camt055 import Stop, Stops, camt_055
from sinks.payments.holds import HUB, NotHeld, hold
from sinks.payments.instructions import read_instruction, unpacked
from sinks.payments.pain001 import Batch, CannotBeWritten, check, pain_001

MOST_PAYMENTS: Final = 50_000
"""In one file."""
_LARGEST_SUM: Final = 10**18
"""Minor units: a control sum has 18 digits."""
_AT_ONCE: Final = 5_000

Columns = dict[str, Any]


class NotWritten(Exception):
    """A file for the bank is not there. The text says which, why, and what to do; its payments stand in the book."""


class _Changed(Exception):
    """Somebody else exported, held or stopped one of these payments meanwhile: what was begun is not done."""


class Day(Struct, frozen=True):
    """Payments up to the value date `as_of` go into files, to be made on the banking day `execute_on`."""

    as_of: date
    execute_on: date


def hold_unwritable(book: Connection, codec: Codec, day: Day, now_ms: int) -> None:
    """Hold what is due and cannot be said in a payment file, with the reason; the others go on without it."""
    for refused in list(_unwritable(_due(book, codec, day))):
        with suppress(NotHeld):  # somebody else was quicker
            hold(book, refused.instruction_id, HUB, str(refused), now_ms)


def send_out(
    engine: Engine, codec: Codec, debtors: Mapping[str, BankAccount], day: Day, folder: Path, now_ms: int
) -> list[Path]:
    """Put what is due, and what the bank is to be asked back, into messages and write their files, after those that an
    earlier run has left; what was written. Raises NotWritten."""
    written = write_files(engine, now_ms)
    _put_into_messages(engine, codec, debtors, day, folder, now_ms)
    _ask_for_stops(engine, debtors, day, folder, now_ms)
    return [*written, *write_files(engine, now_ms)]


def _put_into_messages(
    engine: Engine, codec: Codec, debtors: Mapping[str, BankAccount], day: Day, folder: Path, now_ms: int
) -> None:
    """Put what is due into messages, each in a transaction of its own: of one account, so many payments at most."""
    for currency, debtor in debtors.items():
        more = True
        while more:
            with suppress(_Changed), engine.begin() as book:
                some = _fitting(islice(_due(book, codec, day, currency), MOST_PAYMENTS))
                more = bool(some)
                if more:
                    _send(book, Batch(debtor, day.execute_on, some), folder, now_ms)


def _ask_for_stops(engine: Engine, debtors: Mapping[str, BankAccount], day: Day, folder: Path, now_ms: int) -> None:
    """Put what the bank is to be asked back into messages, one for each payment file."""
    asked, p, m = bank_cancellations.c, bank_payments.c, bank_messages.c
    query = (
        select(p.message_id, m.payment_information_id, m.currency, p.instruction_id, p.amount_minor, asked.at_ms)
        .join_from(bank_cancellations, bank_payments, asked.instruction_id == p.instruction_id)
        .join(bank_messages, m.message_id == p.message_id)
        .where(asked.state == CancellationState.TO_ASK)
        .order_by(p.message_id, p.instruction_id)
    )
    with suppress(_Changed), engine.begin() as book:
        for (message_id, information_id, currency), rows in groupby(book.execute(query).all(), lambda row: row[:3]):
            if currency in debtors:
                stops = tuple(Stop(row.instruction_id, row.amount_minor, currency, row.at_ms) for row in rows)
                _ask(book, Stops(debtors[currency], message_id, information_id, stops), day, folder, now_ms)


def write_files(engine: Engine, now_ms: int) -> list[Path]:
    """Write every file that is not known to be there; those that are now. Raises NotWritten."""
    c = bank_messages.c
    with engine.connect() as book:
        waiting = list(book.scalars(select(c.message_id).where(c.content.is_not(None)).order_by(c.message_id)))
    written = []
    for id_ in waiting:
        with engine.begin() as book:
            # Written first: whoever else writes this file waits here, and then finds that it is there.
            mine = update(bank_messages).where(c.message_id == id_, c.content.is_not(None)).values(written_at_ms=now_ms)
            if book.execute(mine).rowcount:
                row = book.execute(select(c.file, c.sha256, c.content).where(c.message_id == id_)).one()
                _write(Path(row.file), row.sha256, row.content)
                book.execute(update(bank_messages).where(c.message_id == id_).values(content=None))
                written.append(Path(row.file))
    return written


def _unwritable(instructions: Iterable[PaymentInstruction]) -> Iterator[CannotBeWritten]:
    for instruction in instructions:
        try:
            check(instruction)
        except CannotBeWritten as refused:
            yield refused


def _due(book: Connection, codec: Codec, day: Day, currency: str | None = None) -> Iterator[PaymentInstruction]:
    """What may go into a file, of one currency if it is given, the oldest value date first."""
    c = bank_payments.c
    query = select(c.headers, c.value).where(c.state == BankState.DUE, c.value_on <= day.as_of)
    if currency is not None:
        query = query.where(c.currency == currency)
    for headers, value in stream(book, query.order_by(c.value_on, c.instruction_id)):
        yield read_instruction(codec, value, unpacked(headers))


def _fitting(instructions: Iterable[PaymentInstruction]) -> tuple[PaymentInstruction, ...]:
    """As many of them, from the first on, as a control sum has room for."""
    total, some = 0, []
    for instruction in instructions:
        total += instruction.amount_minor
        if total >= _LARGEST_SUM:
            break
        some.append(instruction)
    return tuple(some)


def _send(book: Connection, batch: Batch, folder: Path, now_ms: int) -> None:
    """Put down that these payments stand in this message. Raises _Changed."""
    c, content = bank_payments.c, pain_001(batch)
    ids = iter([it.instruction_id for it in batch.instructions])
    while some := list(islice(ids, _AT_ONCE)):
        due = update(bank_payments).where(c.instruction_id.in_(some), c.state == BankState.DUE)
        if book.execute(due.values(state=BankState.SENT, message_id=batch.message_id)).rowcount != len(some):
            raise _Changed
    amounts = [it.amount_minor for it in batch.instructions]
    row: Columns = {"kind": MessageKind.PAYMENTS, "payment_information_id": batch.payment_information_id}
    row |= {"account": batch.debtor.account, "currency": batch.currency, "execute_on": batch.execute_on}
    _keep(book, batch.message_id, row, amounts, content, folder, now_ms)


def _ask(book: Connection, stops: Stops, day: Day, folder: Path, now_ms: int) -> None:
    c, content = bank_cancellations.c, camt_055(stops)
    for payment in stops.payments:
        to_ask = update(bank_cancellations).where(
            c.instruction_id == payment.instruction_id, c.state == CancellationState.TO_ASK
        )
        asked = to_ask.values(state=CancellationState.SENT, message_id=stops.assignment_id)
        if book.execute(asked).rowcount != 1:
            raise _Changed
    amounts = [it.amount_minor for it in stops.payments]
    row: Columns = {"kind": MessageKind.CANCELLATIONS, "account": stops.debtor.account}
    row |= {"currency": stops.payments[0].currency, "execute_on": day.execute_on}
    _keep(book, stops.assignment_id, row, amounts, content, folder, now_ms)


def _keep(
    book: Connection,
    message_id: str,
    row: Columns,
    amounts: Sequence[int],
    content: bytes,
    folder: Path,
    now_ms: int,
) -> None:
    book.execute(
        insert(bank_messages).values(
            **row,
            message_id=message_id,
            transactions=len(amounts),
            total_minor=sum(amounts),
            sha256=sha256(content).hexdigest(),
            file=str(folder / f"{message_id}.xml"),
            written_at_ms=now_ms,
            content=content,
        )
    )


def _write(file: Path, digest: str, content: bytes) -> None:
    """Put a file in place whole, and for good before this returns; only its owner may read it."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        if file.exists():
            if sha256(file.read_bytes()).hexdigest() != digest:
                raise NotWritten(f"{file} is there with other content than the payment book has for it. Move it away")
            return
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        partial.replace(file)
        handle = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        why = f"{file} cannot be written: {error.strerror}"
        raise NotWritten(f"{why}. Its payments stand in the book; mend it and export again") from None
