"""The checks on finance's book: it has what was instructed, its files add up, and every cent of a statement is matched
or a break."""

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, Integer, and_, case, cast, exists, func, or_, select

from schemas.records import BreakKind
from sinks.ledger.bank_tables import (
    bank_breaks,
    bank_entries,
    bank_files,
    bank_messages,
    bank_payments,
    bank_statements,
)
from sinks.ledger.tables import payments
from sinks.payments.book import BankState, EntryKind, MessageKind

ADVICE: Final = "camt.054"
"""A notification: it tells early of what a statement repeats."""


def book_as_instructed(connection: Connection) -> Iterator[str]:
    """Finance's book has no payment but those instructed, for the same claim, amount and currency; what it refused is
    not paid."""
    b, p = bank_payments.c, payments.c
    joined = bank_payments.join(payments, b.instruction_id == p.id, isouter=True)
    differs = or_(p.id.is_(None), b.claim != p.claim, b.amount_minor != p.amount_minor, b.currency != p.currency)
    query = select(b.instruction_id, p.id).select_from(joined).where(b.state != BankState.REFUSED, differs)
    for id_, known in connection.execute(query.order_by(b.instruction_id)):
        yield f"payment {id_}: {'no claim has instructed it' if known is None else 'the claim instructed other money'}"
    query = select(b.instruction_id).where(
        b.state.in_((BankState.REFUSED, BankState.DUE, BankState.HELD)), b.message_id.is_not(None)
    )
    for id_ in connection.execute(query.order_by(b.instruction_id)).scalars():
        yield f"payment {id_}: it stands in a file though it was not to be paid"


def files_add_up(connection: Connection) -> Iterator[str]:
    """A payment file has as many payments as it says, of its currency and its sum: each payment stands in one file."""
    m, b = bank_messages.c, bank_payments.c
    sums = (
        select(
            b.message_id,
            func.count().label("transactions"),
            func.sum(b.amount_minor).label("total_minor"),
            func.min(b.currency).label("least"),
            func.max(b.currency).label("most"),
        )
        .where(b.message_id.is_not(None))
        .group_by(b.message_id)
        .subquery()
    )
    s = sums.c
    query = (
        select(m.message_id, m.transactions, m.total_minor, s.transactions, s.total_minor)
        .select_from(bank_messages.join(sums, s.message_id == m.message_id, isouter=True))
        .where(
            m.kind == MessageKind.PAYMENTS,
            or_(
                s.message_id.is_(None),
                s.transactions != m.transactions,
                s.total_minor != m.total_minor,
                s.least != m.currency,
                s.most != m.currency,
            ),
        )
        .order_by(m.message_id)
    )
    for id_, count, total, found, sum_ in connection.execute(query):
        yield f"file {id_}: {count} payments of {total} in minor units, the book has {found or 0} of {sum_ or 0}"


def statements_add_up(connection: Connection) -> Iterator[str]:
    """Opening balance plus every booked line is the closing balance, or a break says that it is not."""
    s, e, b = bank_statements.c, bank_entries.c, bank_breaks.c
    told = exists().where(b.sha256 == s.sha256, b.kind == BreakKind.BALANCE)
    booked = func.coalesce(func.sum(e.amount_minor), 0)
    query = (
        select(s.sha256, s.number, s.opening_minor, booked, s.closing_minor)
        .select_from(
            bank_statements.join(
                bank_entries,
                and_(e.sha256 == s.sha256, e.statement == s.number, e.currency == s.currency),
                isouter=True,
            )
        )
        .where(~told)
        .group_by(s.sha256, s.number, s.opening_minor, s.closing_minor)
        .having(s.opening_minor + booked != s.closing_minor)
        .order_by(s.sha256, s.number)
    )
    for sha256, number, opening, sum_, closing in connection.execute(query):
        yield f"statement {number} of file {sha256[:12]}: {opening} + {sum_} is not {closing}, in minor units"


def cents_matched(connection: Connection) -> Iterator[str]:
    """Every booked line is a payment of ours of that very amount, its return, other money by a rule, or a break that
    is told; and no payment is booked twice."""
    e, p, b = bank_entries.c, bank_payments.c, bank_breaks.c
    sign = case((e.kind == EntryKind.PAYMENT, -1), else_=1)
    joined = bank_entries.join(bank_payments, e.instruction_id == p.instruction_id, isouter=True)
    wrong = or_(p.instruction_id.is_(None), e.amount_minor * sign != p.amount_minor, e.currency != p.currency)
    place = (e.sha256, e.statement, e.number, e.part)
    query = (
        select(e.sha256, e.line, e.kind)
        .select_from(joined)
        .where(e.kind.in_((EntryKind.PAYMENT, EntryKind.RETURN)), wrong)
    )
    for sha256, line, kind in connection.execute(query.order_by(*place)):
        yield f"line {line} of file {sha256[:12]}: a {kind} that is not the money of one of our payments"
    known = exists().where(b.break_id == e.break_id)
    query = select(e.sha256, e.line, e.kind).where(e.kind == EntryKind.BREAK, ~known).order_by(*place)
    for sha256, line, _ in connection.execute(query):
        yield f"line {line} of file {sha256[:12]}: a break that nobody is told of"
    # An advice tells early of what the statement repeats.
    both = bank_entries.join(bank_files, bank_files.c.sha256 == e.sha256)
    counts = select(e.instruction_id, e.kind, cast(func.count(), Integer)).select_from(both)
    counts = counts.where(e.kind.in_((EntryKind.PAYMENT, EntryKind.RETURN)), bank_files.c.message != ADVICE)
    for id_, kind, count in connection.execute(counts.group_by(e.instruction_id, e.kind).having(func.count() > 1)):
        yield f"payment {id_}: {count} lines of the statement are its {kind}"
