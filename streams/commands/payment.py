"""`claimhub payments show`, `hold` and `release`: one payment as finance's book and its claim have it, and keeping it
back."""

import time
from collections.abc import Callable

from msgspec import Struct
from sqlalchemy import Connection, select

from schemas.money import format_minor
from sinks.ledger.bank_tables import bank_messages, bank_payments
from sinks.payments import holds
from streams.commands import show
from streams.commands.failures import Failed
from streams.commands.given import given
from streams.commands.ledger import open_book
from streams.commands.payments import PaymentAttempt, read_payments
from streams.settings import Settings


class InBook(Struct, frozen=True):
    """A payment in finance's book: `held_by` and `why` of one that is held or refused, the file of one that is sent."""

    state: str
    value_on: str
    uetr: str
    taken_in: str
    key_id: str | None
    held_by: str | None
    why: str | None
    message_id: str | None
    file: str | None


class Shown(Struct, frozen=True):
    """One payment. Finance's book has none before it was taken in, the claim none that it never gave."""

    instruction_id: str
    claim: str
    amount_minor: int
    currency: str
    book: InBook | None
    attempt: PaymentAttempt | None


def read_payment(connection: Connection, instruction_id: str) -> Shown:
    """Both sides of a payment. Raises Failed when neither has it."""
    p, m = bank_payments.c, bank_messages.c
    joined = bank_payments.outerjoin(bank_messages, m.message_id == p.message_id)
    query = select(bank_payments, m.file).select_from(joined).where(p.instruction_id == instruction_id)
    row = connection.execute(query).one_or_none()
    attempt = next(iter(read_payments(connection, instruction=instruction_id)), None)
    known = row or attempt
    if known is None:
        raise Failed(f"no payment has the id {instruction_id}. See: claimhub payments ls")
    book = (
        None
        if row is None
        else InBook(
            state=row.state,
            value_on=row.value_on.isoformat(),
            uetr=row.uetr,
            taken_in=show.time(row.at_ms),
            key_id=row.key_id,
            held_by=row.held_by,
            why=row.reason,
            message_id=row.message_id,
            file=row.file,
        )
    )
    return Shown(instruction_id, known.claim, known.amount_minor, known.currency, book, attempt)


def show_payment(found: Shown) -> None:
    """Print both sides."""
    pairs: list[tuple[str, object]] = [
        ("payment", found.instruction_id),
        ("claim", found.claim),
        ("amount", format_minor(found.amount_minor, found.currency)),
    ]
    if found.attempt is not None:
        attempt = found.attempt
        which = f"attempt {attempt.attempt} of settlement {attempt.settlement_version}"
        pairs += [("claim says", f"{attempt.state}, {which}"), ("approved by", attempt.approved_by)]
    if found.book is not None:
        book = found.book
        pairs += [
            ("book says", book.state),
            ("value date", book.value_on),
            ("UETR", book.uetr),
            ("taken in", book.taken_in),
            ("signed with", book.key_id),
            ("held by", book.held_by),
            ("why", book.why),
            ("file", book.file),
        ]
    show.pairs(pairs)


def hold(settings: Settings, instruction_id: str, person: str, reason: str) -> Shown:
    """Keep a payment that is due out of every file. Raises WrongInput, Failed, NotHeld."""
    return _done(holds.hold, settings, instruction_id, person, reason)


def release(settings: Settings, instruction_id: str, person: str, reason: str) -> Shown:
    """Let a held payment be due again. Raises WrongInput, Failed, NotHeld."""
    return _done(holds.release, settings, instruction_id, person, reason)


def _done(
    do: Callable[[Connection, str, str, str, int], None],
    settings: Settings,
    instruction_id: str,
    person: str,
    reason: str,
) -> Shown:
    person, reason = given("--person", person), given("--reason", reason)
    with open_book(settings) as book:
        do(book, instruction_id, person, reason, time.time_ns() // 1_000_000)
        return read_payment(book, instruction_id)
