"""`claimhub claim why`: each output of a claim with the chain of records, rules and reasons that led to it."""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, and_, select

from sinks.ledger.tables import dead_letters, journal, outbox, parked
from streams.commands import show
from streams.commands.failures import Failed, WrongInput
from streams.received import unpack_headers

_LONGEST: Final = 20
_OURS: Final = "claimhub "
"""How the event id of a record that the hub itself sent begins; then its cause's ref, `#`, and a number."""


class Link(Struct, frozen=True):
    """One record on the way to an output: what the hub made of it, and the id of the event that caused it, if it
    names one."""

    ref: str
    at: str
    outcome: str
    rule: str
    reason: str
    caused_by: str | None


class Explanation(Struct, frozen=True):
    """An output, the rule and reason it rests on, and the records that led to it, nearest first. `output` counts the
    outputs of the claim from 1."""

    output: int
    topic: str
    key: str
    at: str
    rule: str
    reason: str
    cause: str
    chain: list[Link]


def read_explanations(connection: Connection, claim: str, wanted: str | None = None) -> list[Explanation]:
    """Why a claim's outputs are: all, the one of this number, or those of this topic. Raises Failed, WrongInput."""
    c = outbox.c
    query = select(c.topic, c.key, c.at_ms, c.rule, c.reason, c.cause).where(c.subject == claim)
    rows = list(enumerate(connection.execute(query.order_by(c.lane, c.seq)).all(), 1))
    if not rows:
        raise Failed(f"claim {claim} has no outputs. See: claimhub claim timeline {claim}")
    if wanted is not None:
        rows = [(n, row) for n, row in rows if wanted in (str(n), row.topic)]
        if not rows:
            raise WrongInput(f"claim {claim} has no output {wanted}. See: claimhub claim why {claim}")
    return [
        Explanation(
            n, row.topic, row.key, show.time(row.at_ms), row.rule, row.reason, row.cause, _chain(connection, row.cause)
        )
        for n, row in rows
    ]


def show_explanations(explanations: Iterable[Explanation]) -> None:
    """Print each output and, below it, what it rests on."""
    for found in explanations:
        show.line(f"{found.output}. {found.topic} {found.key} at {found.at}")
        show.line(f"   because {found.reason} [{found.rule}]")
        for link in found.chain:
            show.line(f"   after {link.ref} at {link.at}: {link.outcome}, {link.reason} [{link.rule}]")
            if link.caused_by is not None:
                show.line(f"   which was caused by {link.caused_by}")


def _chain(connection: Connection, ref: str | None) -> list[Link]:
    """The causing record, then what caused that, as far as this ledger knows."""
    chain: list[Link] = []
    while ref is not None and len(chain) < _LONGEST and all(link.ref != ref for link in chain):
        row = record_at(connection, ref)
        if row is None:
            break
        event_id, outcome, rule, reason, at_ms, headers = row
        causation = _causation(headers)
        chain.append(Link(ref, show.time(at_ms), outcome, rule, reason, causation))
        ref = _sent_for(event_id) or _sent_for(causation)
    return chain


def _causation(headers: bytes) -> str | None:
    """The id of the event that a record's sender names as its cause."""
    found = (value for name, value in unpack_headers(headers) if name == "causationid" and value)
    return next((value.decode(errors="replace") for value in found), None)


def _sent_for(event_id: str | None) -> str | None:
    """The ref of the record that made the hub send this event; None when another system sent it."""
    if event_id is None or not event_id.startswith(_OURS):
        return None
    return event_id.removeprefix(_OURS).rpartition("#")[0] or None


def record_at(connection: Connection, ref: str) -> tuple[Any, ...] | None:
    """What the hub made of the record at `ref`: event id, outcome, rule, reason, time, headers."""
    topic, *numbers = ref.split("/")
    if len(numbers) != 3 or not all(number.isdigit() for number in numbers):
        return None
    for table in (journal, dead_letters, parked):
        c = table.c
        generation, partition, offset = map(int, numbers)
        place = and_(c.topic == topic, c.generation == generation, c.partition == partition, c.offset == offset)
        row = connection.execute(select(table).where(place)).one_or_none()
        if row is not None and table is journal:
            return row.event_id, row.outcome, row.rule, row.reason, row.at_ms, row.headers
        if row is not None and table is parked:
            return ref, "parked", "engine.parked", row.reason, row.at_ms, row.headers
        if row is not None:
            return ref, "dead", f"engine.{row.code}", row.reason, row.at_ms, row.headers
    return None
