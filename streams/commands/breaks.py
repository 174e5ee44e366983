"""`claimhub breaks`: what does not fit and somebody has to clear, whose it is, for how long it has stood, and who said
how it ends. The claims' lanes raise some, finance's book of payments the others; people clear both alike."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, literal_column, select

from schemas.money import format_minor
from schemas.records import BreakKind
from schemas.topics import BREAKS, Owner
from sinks.ledger.bank_tables import bank_breaks, bank_files, bank_payments
from sinks.ledger.tables import outbox, parked, payments
from sinks.ledger.written import read_written
from sinks.payments.book import BankState
from streams.commands import show
from streams.commands.failures import Failed
from streams.commands.why import record_at
from streams.reconciliation.clearing import Action, Standing, read_standings
from streams.rules.claim import PaymentState

MISSING_NO_MORE: Final = frozenset({BankState.BOOKED, BankState.RETURNED, BankState.REJECTED, BankState.CANCELLED})
"""Where a payment stands of which nobody waits to see it on a statement any more."""

_OF_PAYMENTS: Final = frozenset({BreakKind.UNKNOWN, BreakKind.STATUS})
"""The kinds that the claims' lanes raise about a payment: what they are about is its instruction."""

_CHUNK: Final = 500


class RaisedBreak(Struct, frozen=True):
    """A break as it stands; amounts in minor units, below zero when they leave our account.

    Most are open until two people have said how they end. One about a parked record is open for as long as that waits,
    one about a payment nobody knows the end of, or that the bank does not know, until there is word of it; `ended` says
    what ended it. `place` is file, line and element; `proposed` is a resolution that waits for another person.
    """

    id: str
    kind: str
    owner: str
    subject: str | None
    about: str
    since: str
    age_s: int
    raised: str
    open: bool
    ended: str | None
    reason: str
    expected_minor: int | None = None
    found_minor: int | None = None
    currency: str | None = None
    instruction: str | None = None
    account: str | None = None
    day: str | None = None
    place: str | None = None
    proposed: str | None = None
    actions: tuple[Action, ...] = ()


def read_breaks(connection: Connection, owner: str | None = None, *, every: bool = False) -> list[RaisedBreak]:
    """The breaks that are open, or every one ever raised; the oldest first, and of one owner only if it is given."""
    found = [it for it in _raised(connection) if (every or it.open) and owner in (None, it.owner)]
    return sorted(found, key=lambda it: (it.since, it.id))


def show_breaks(breaks: list[RaisedBreak]) -> None:
    """Print the breaks."""
    rows = [
        (
            it.id,
            it.owner,
            it.subject,
            it.account,
            it.kind,
            show.age(it.age_s),
            it.ended or (f"proposed: {it.proposed}" if it.proposed else "open"),
            it.reason,
        )
        for it in breaks
    ]
    headings = ("break", "owner", "claim or policy", "account", "kind", "age", "stands", "reason")
    show.table(headings, rows, "no breaks")


def read_break(connection: Connection, id_: str) -> RaisedBreak:
    """One break. Raises Failed when there is none of this id."""
    for found in _raised(connection):
        if found.id == id_:
            return found
    raise Failed(f"no break has the id {id_}. See: claimhub breaks ls --all")


def show_break(found: RaisedBreak) -> None:
    """Print one break, and below it what people did."""
    pairs: list[tuple[str, object]] = [
        ("break", found.id),
        ("kind", found.kind),
        ("owner", found.owner),
        ("claim or policy", found.subject),
        ("about", found.about),
        ("instruction", found.instruction),
        ("account", found.account),
        ("day", found.day),
        ("found in", found.place),
        ("since", f"{found.since}, for {show.age(found.age_s)}"),
        ("raised", found.raised),
        ("stands", found.ended or "open"),
        ("proposed", found.proposed),
        ("reason", found.reason),
        ("expected", _amount(found.expected_minor, found.currency)),
        ("found", _amount(found.found_minor, found.currency)),
    ]
    show.pairs([(name, value) for name, value in pairs if value is not None])
    for did in found.actions:
        show.line(f"{show.time(did.at_ms)}  {in_words(did)}: {did.reason}")


def in_words(did: Action) -> str:
    """What one person did about a break."""
    if did.owner is not None:
        return f"{did.person} gave it to {did.owner}"
    if did.proposed_by is not None:
        return f"{did.person} confirmed {did.proposed_by}'s {did.resolution}"
    return f"{did.person} proposed {did.resolution}"


def _raised(connection: Connection) -> Iterator[RaisedBreak]:
    now_ms = time.time_ns() // 1_000_000
    standings = read_standings(connection)
    for found in (*_of_lanes(connection, now_ms), *_of_the_bank(connection, now_ms)):
        standing = standings.get(found.id)
        yield found if standing is None else _as_cleared(found, standing)


def _as_cleared(found: RaisedBreak, standing: Standing) -> RaisedBreak:
    resolved, proposed = standing.resolved, standing.proposed
    ended = found.ended
    if resolved is not None:
        ended = f"{resolved.resolution}, say {resolved.proposed_by} and {resolved.person}: {resolved.reason}"
    return replace(
        found,
        owner=standing.owner or found.owner,
        open=found.open and resolved is None,
        ended=ended,
        proposed=None if proposed is None else f"{proposed.resolution}, says {proposed.person}: {proposed.reason}",
        actions=standing.actions,
    )


def _of_lanes(connection: Connection, now_ms: int) -> Iterator[RaisedBreak]:
    c = outbox.c
    # Written out, not bound: so that the databases see that the index on breaks serves.
    query = select(c.at_ms, c.value).where(c.topic == literal_column(f"'{BREAKS}'")).order_by(c.at_ms, c.lane, c.seq)
    rows = [(at_ms, read_written(BREAKS, value)) for at_ms, value in connection.execute(query)]
    said = [(at_ms, fields) for at_ms, fields in rows if fields is not None]
    waiting = _parked(connection) if said else set()
    unknown = [fields["about"] for _, fields in said if fields["kind"] == BreakKind.UNKNOWN]
    states = _states(connection, unknown) if unknown else {}
    for at_ms, fields in said:
        yield _of_lane(fields, at_ms, now_ms, _ended(connection, fields, waiting, states))


def _of_lane(said: dict[str, Any], at_ms: int, now_ms: int, ended: str | None) -> RaisedBreak:
    since: datetime = said["since_at_ms"]
    since_ms = int(since.timestamp() * 1000)
    return RaisedBreak(
        id=said["break_id"],
        kind=said["kind"],
        owner=said["owner"],
        subject=said["key"],
        about=said["about"],
        since=show.time(since_ms),
        age_s=max(0, now_ms - since_ms) // 1000,
        raised=show.time(at_ms),
        open=ended is None,
        ended=ended,
        reason=said["reason"],
        expected_minor=said["expected_minor"],
        found_minor=said["found_minor"],
        currency=said["currency"],
        instruction=said["about"] if said["kind"] in _OF_PAYMENTS else None,
    )


def _ended(
    connection: Connection, said: dict[str, Any], waiting: set[str], states: Mapping[str, PaymentState]
) -> str | None:
    """What became of what a lane's break is about, once that is no longer as it was told."""
    about: str = said["about"]
    if said["kind"] == BreakKind.PARKED_TOO_LONG and about not in waiting:
        row = record_at(connection, about)
        return "the record is gone" if row is None else f"{row[1]}: {row[3]} [{row[2]}]"
    if said["kind"] == BreakKind.UNKNOWN and states.get(about) not in (None, PaymentState.UNKNOWN):
        return f"the payment is {states[about]}"
    return None


def _of_the_bank(connection: Connection, now_ms: int) -> Iterator[RaisedBreak]:
    query = (
        select(bank_breaks, bank_files.c.name, bank_payments.c.state)
        .select_from(bank_breaks)
        .outerjoin(bank_files, bank_files.c.sha256 == bank_breaks.c.sha256)
        .outerjoin(bank_payments, bank_payments.c.instruction_id == bank_breaks.c.instruction_id)
    )
    for row in connection.execute(query):
        over = row.kind == BreakKind.MISSING and row.state in MISSING_NO_MORE
        places = (row.name, None if row.line is None else f"line {row.line}", row.element)
        yield RaisedBreak(
            id=row.break_id,
            kind=row.kind,
            owner=Owner.FINANCE,
            subject=row.claim,
            about=row.about,
            since=show.time(row.since_ms),
            age_s=max(0, now_ms - row.since_ms) // 1000,
            raised=show.time(row.at_ms),
            open=not over,
            ended=f"the payment is {row.state}" if over else None,
            reason=row.reason,
            expected_minor=row.expected_minor,
            found_minor=row.found_minor,
            currency=row.currency,
            instruction=row.instruction_id,
            account=None if row.account is None else show.masked(row.account),
            day=None if row.day is None else row.day.isoformat(),
            place=", ".join(filter(None, places)) or None,
        )


def _states(connection: Connection, instructions: list[str]) -> dict[str, PaymentState]:
    c, found = payments.c, dict[str, PaymentState]()
    for start in range(0, len(instructions), _CHUNK):
        query = select(c.id, c.state).where(c.id.in_(instructions[start : start + _CHUNK]))
        found |= {id_: PaymentState(state) for id_, state in connection.execute(query)}
    return found


def _parked(connection: Connection) -> set[str]:
    """The places of the records that wait."""
    c = parked.c
    return {
        f"{topic}/{generation}/{partition}/{offset}"
        for topic, generation, partition, offset in connection.execute(
            select(c.topic, c.generation, c.partition, c.offset)
        )
    }


def _amount(minor: int | None, currency: str | None) -> str | None:
    return None if minor is None else format_minor(minor, currency) if currency else str(minor)
