"""The ledger's business hash: the same input gives the same hash, however it was cut into batches or runs.

Left out is what a run decides: lanes, tokens, `seq`, `entry`, schema ids, and what the hub's lanes say to one another:
how often one asked or woke another, and at which offsets, depends on who published first and on repeats. Within a
subject and topic the order of outputs counts.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Text, case, cast, select

from schemas.topics import DEAD_LETTERS, TOPICS, Direction
from sinks.ledger.streaming import stream
from sinks.ledger.tables import claims, outbox, payments, policies
from sinks.ledger.written import read_written

# Lists in a state that are kept in the order of arrival but mean a set.
_SETS: Final = ("seen", "waiting", "same_papers")
INTERNAL: Final = tuple(t.name for t in TOPICS.values() if t.direction is Direction.INTERNAL)
_INTERNAL_REF: Final = re.compile(rf"((?:{'|'.join(map(re.escape, INTERNAL))})/\d+/\d+)/\d+".encode())

_canonical = msgspec.json.Encoder(order="sorted").encode


def business_hash(connection: Connection) -> str:
    """SHA-256 (hex) over claims, policies, payments and outputs in an order of their own, row by row."""
    digest = hashlib.sha256()
    for row in _rows(connection):
        line = business_line(row)
        digest.update(b"%d:" % len(line) + line)
    return digest.hexdigest()


def business_line(row: tuple[Any, ...]) -> bytes:
    """A row as it counts: the same for the same input."""
    return _INTERNAL_REF.sub(rb"\1", _canonical(row))


def business_state(text: bytes) -> dict[str, Any]:
    """A state, from its JSON text, as it counts."""
    # Without the offsets before it is sorted: they would decide the order.
    state: dict[str, Any] = msgspec.json.decode(_INTERNAL_REF.sub(rb"\1", text))
    return state | {name: sorted(state[name]) for name in _SETS if name in state}


def _rows(connection: Connection) -> Iterator[tuple[Any, ...]]:
    claim_rows = select(claims.c.claim, claims.c.version, claims.c.stage, cast(claims.c.state, Text)).order_by(
        claims.c.claim
    )
    for *columns, state in stream(connection, claim_rows):
        yield "claim", *columns, business_state(state.encode())
    policy_rows = select(policies.c.number, policies.c.version, policies.c.plate, cast(policies.c.state, Text))
    for *columns, state in stream(connection, policy_rows.order_by(policies.c.number)):
        yield "policy", *columns, business_state(state.encode())
    p = payments.c
    payment_rows = select(
        p.claim,
        p.settlement_version,
        p.attempt,
        p.id,
        p.amount_minor,
        p.currency,
        p.state,
        p.proposed_by,
        p.approved_by,
        p.cause,
    )
    for row in stream(connection, payment_rows.order_by(p.claim, p.settlement_version, p.attempt)):
        yield "payment", *row
    o = outbox.c
    output_rows = select(o.subject, o.topic, o.key, o.cause, o.rule, o.reason, o.value)
    # Dead letters of several topics meet in one lane in any order: they stand by cause.
    by_cause = case((o.topic == DEAD_LETTERS, o.cause), else_="")
    for *columns, topic, key, cause, rule, reason, value in stream(
        connection, output_rows.where(o.topic.not_in(INTERNAL)).order_by(o.subject, o.topic, by_cause, o.lane, o.seq)
    ):
        yield "output", *columns, topic, key, cause, rule, reason, read_written(topic, value) or value
