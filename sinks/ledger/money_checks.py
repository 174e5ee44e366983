"""The checks on money: claims, the payments table and the instructions in the outbox tell one story."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Text, cast, func, select

from schemas.topics import INSTRUCTIONS
from sinks.ledger.streaming import stream
from sinks.ledger.tables import claims, outbox, payments
from sinks.ledger.written import read_written

DEAD: Final = ("rejected", "returned", "cancelled")
PAID: Final = ("settled", "booked")
PAYMENT_STATES: Final = frozenset(("instructed", "accepted", "unknown", *PAID, *DEAD))

_headers = msgspec.msgpack.Decoder(list[tuple[str, bytes | None]]).decode


class _Payment(msgspec.Struct):
    id: str
    settlement_version: int
    amount_minor: int
    currency: str
    state: str


class _Approval(msgspec.Struct):
    role: str
    person: str


class _Advance(msgspec.Struct, frozen=True):
    approvals: tuple[_Approval, ...] = ()


class _ClaimMoney(msgspec.Struct):
    """The part of a claim's state the checks read."""

    payments: tuple[_Payment, ...] = ()
    approvals: tuple[_Approval, ...] = ()
    advance: _Advance = _Advance()


class _Instruction(NamedTuple):
    """An instruction as it stands in the outbox; the amount is None when its value cannot be read."""

    claim: str
    place: str
    id: str
    amount_minor: int | None
    currency: str | None


_claim_money = msgspec.json.Decoder(_ClaimMoney).decode


def one_effective_payment(connection: Connection) -> Iterator[str]:
    """A settlement version has at most one payment that is neither rejected, returned nor cancelled."""
    p = payments.c
    query = (
        select(p.claim, p.settlement_version, func.count())
        .where(p.state.not_in(DEAD))
        .group_by(p.claim, p.settlement_version)
    )
    for claim, version, count in connection.execute(query.having(func.count() > 1)):
        yield f"claim {claim} settlement {version}: {count} effective payments"


def instructed_once(connection: Connection) -> Iterator[str]:
    """Every payment has exactly one instruction of its id, amount and currency, and every instruction its payment."""
    p = payments.c
    rows = stream(connection, select(p.claim, p.id, p.amount_minor, p.currency).order_by(p.claim))
    both: Iterable[tuple[str, Any]] = merge(
        ((row.claim, row) for row in rows),
        ((row.claim, row) for row in _instructions(connection)),
        key=lambda pair: pair[0],
    )
    for claim, group in groupby(both, key=lambda pair: pair[0]):
        rows_of_claim = [row for _, row in group]
        sent = [row for row in rows_of_claim if isinstance(row, _Instruction)]
        paid = {row.id: row for row in rows_of_claim if not isinstance(row, _Instruction)}
        counts = Counter(row.id for row in sent)
        for id_ in paid:
            if counts[id_] != 1:
                yield f"claim {claim} payment {id_}: {counts[id_]} instructions"
        for row in sent:
            if row.id not in paid:
                yield f"claim {claim} {row.place}: instruction {row.id or '(no id)'} has no payment"
            elif (row.amount_minor, row.currency) != (paid[row.id].amount_minor, paid[row.id].currency):
                yield f"claim {claim} {row.place}: instruction {row.id} differs from its payment"


def sums_agree(connection: Connection) -> Iterator[str]:
    """Σ approved in the claims = Σ instructed in the outbox = Σ settled + Σ pending + Σ returned in the payments, per
    currency; what was rejected or cancelled counts as returned."""
    p = payments.c
    approved: dict[str, int] = defaultdict(int)
    for _, money in _claims(connection):
        for payment in money.payments:
            approved[payment.currency] += payment.amount_minor
    instructed: dict[str, int] = defaultdict(int)
    for row in _instructions(connection):
        if row.amount_minor is not None and row.currency is not None:
            instructed[row.currency] += row.amount_minor
    states: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    query = select(p.currency, p.state, func.sum(p.amount_minor)).group_by(p.currency, p.state)
    for currency, state, amount in connection.execute(query):
        states[currency]["settled" if state in PAID else "returned" if state in DEAD else "pending"] += int(amount)
    for currency in sorted(approved.keys() | instructed.keys() | states.keys()):
        settled, pending, returned = (states[currency][name] for name in ("settled", "pending", "returned"))
        if not approved[currency] == instructed[currency] == settled + pending + returned:
            yield (
                f"{currency} in minor units: approved {approved[currency]}, instructed {instructed[currency]}, "
                f"settled {settled} + pending {pending} + returned {returned}"
            )


def two_people(connection: Connection) -> Iterator[str]:
    """Nobody both proposed and approved a payment, or holds two roles on a claim's settlement or advance."""
    p = payments.c
    for claim, id_ in connection.execute(select(p.claim, p.id).where(p.proposed_by == p.approved_by)):
        yield f"claim {claim} payment {id_}: proposed and approved by the same"
    for claim, money in _claims(connection):
        for approvals in (money.approvals, money.advance.approvals):
            roles: dict[str, set[str]] = defaultdict(set)
            for approval in approvals:
                roles[approval.person].add(approval.role)
            for held in roles.values():
                if len(held) > 1:
                    yield f"claim {claim}: one person as {' and '.join(sorted(held))}"


def payments_as_claimed(connection: Connection) -> Iterator[str]:
    """Each claim's own payments are the rows of the payments table, state for state."""
    p = payments.c
    query = select(p.claim, p.id, p.settlement_version, p.amount_minor, p.currency, p.state).order_by(p.claim)
    rows = ((claim, _Payment(*columns)) for claim, *columns in stream(connection, query))
    claimed = ((claim, payment) for claim, money in _claims(connection) for payment in money.payments)
    pairs = merge(((c, False, x) for c, x in rows), ((c, True, x) for c, x in claimed), key=lambda item: item[0])
    for claim, group in groupby(pairs, key=lambda item: item[0]):
        sides: tuple[dict[str, _Payment], dict[str, _Payment]] = ({}, {})
        for _, in_claim, payment in group:
            sides[in_claim][payment.id] = payment
        for id_ in sorted(sides[0].keys() | sides[1].keys()):
            if sides[0].get(id_) != sides[1].get(id_):
                yield f"claim {claim} payment {id_}: the claim and the payments table differ"


def _claims(connection: Connection) -> Iterator[tuple[str, _ClaimMoney]]:
    for claim, state in stream(connection, select(claims.c.claim, cast(claims.c.state, Text)).order_by(claims.c.claim)):
        yield claim, _claim_money(state)


def _instructions(connection: Connection) -> Iterator[_Instruction]:
    o = outbox.c
    query = select(o.subject, o.lane, o.seq, o.headers, o.value).where(o.topic == INSTRUCTIONS)
    for claim, lane, seq, headers, value in stream(connection, query.order_by(o.subject)):
        id_ = dict(_headers(headers)).get("instruction_id") or b""
        fields = read_written(INSTRUCTIONS, value) or {}
        place = f"outbox {lane}/{seq}"
        yield _Instruction(claim, place, id_.decode(), fields.get("amount_minor"), fields.get("currency"))
