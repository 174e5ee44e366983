"""Brings the figures up to date from the outbox: page by page, each page one short transaction with its mark.

A lane's outbox is written in the order of `seq`, one transaction at a time, so what is read up to a mark is complete.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec.structs import asdict
from sqlalchemy import Connection, Engine, Row, Table, Text, cast, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from schemas.codec import Codec
from schemas.records import AdjusterDecision, ClaimStatus, PaymentInstruction, Record, ReserveMovement
from schemas.topics import INSTRUCTIONS
from sinks.ledger.tables import (
    claims,
    journal,
    lanes,
    outbox,
    report_claims,
    report_liabilities,
    report_marks,
    report_movements,
    report_people,
    report_providers,
)
from streams.received import unpack_headers
from streams.reports import liabilities
from streams.reports.claim_figures import (
    ClaimFigures,
    Movement,
    ProviderFigures,
    day_number,
    describe,
    follow,
    providers,
    reserved,
)
from streams.rules.claim import Claim
from streams.rules.reserves import MOVEMENT
from streams.rules.sync import STATUS

DECISIONS: Final = "adjuster.decision.v1"
READ: Final = (STATUS, MOVEMENT, INSTRUCTIONS)
_PAGE: Final = 40_000
_AT_ONCE: Final = 5000  # values in one statement: SQLite takes 32 766

T = TypeVar("T")
_UPSERTS: Final[Mapping[str, Callable[[Table], Any]]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
_state = msgspec.json.Decoder(Claim).decode


class Behind(NamedTuple):
    """A lane's outbox after what was read of it."""

    lane: int
    seq: int
    end: int


class _Page(NamedTuple):
    """What the snapshots of a page come to; `decided` has the ref of each decision, and whose claim it is on."""

    figures: dict[str, ClaimFigures]
    providers: list[ProviderFigures]
    movements: list[Movement]
    liabilities: list[liabilities.Liability]
    decided: list[tuple[str, str]]


def behind(connection: Connection) -> list[Behind]:
    """How far the figures of each lane are, and how far its outbox is."""
    at = report_marks.c
    query = select(lanes.c.lane, func.coalesce(at.seq, 0), lanes.c.seq)
    query = query.outerjoin_from(lanes, report_marks, at.lane == lanes.c.lane).order_by(lanes.c.lane)
    return [Behind(*row) for row in connection.execute(query)]


def refresh(engine: Engine, codec: Codec) -> Iterator[int]:
    """Read what every lane has sent up to now into the figures; after each page, how many outbox rows it had."""
    with engine.begin() as connection:
        todo = behind(connection)
    if not todo:
        return
    marks = _UPSERTS[engine.dialect.name](report_marks).on_conflict_do_nothing()
    with engine.begin() as connection:
        connection.execute(marks, [{"lane": lane, "seq": 0} for lane, _, _ in todo])
    for lane, at, end in todo:
        seq = at
        while seq < end:
            before = seq
            with engine.begin() as connection:
                seq = _read_page(connection, codec, lane, end)
            yield seq - before


def _read_page(connection: Connection, codec: Codec, lane: int, end: int) -> int:
    """Read the next rows of a lane; up to which number it is read now."""
    mark = report_marks.c
    # Written first, so that whoever else brings this lane up to date waits here, and then goes on after this page.
    connection.execute(update(report_marks).where(mark.lane == lane).values(seq=mark.seq))
    seq: int = connection.execute(select(mark.seq).where(mark.lane == lane)).scalar_one()
    last = min(seq + _PAGE, end)
    if last <= seq:
        return seq
    o = outbox.c
    query = select(o.topic, o.subject, o.cause, o.headers, o.value).where(
        o.lane == lane, o.seq > seq, o.seq <= last, o.topic.in_(READ)
    )
    rows = [
        (subject, cause, codec.decode(topic, value, unpack_headers(headers)))
        for topic, subject, cause, headers, value in connection.execute(query.order_by(o.seq))
    ]
    page = _followed(connection, lane, rows)
    _write(connection, page)
    _write_people(connection, codec, page)
    connection.execute(update(report_marks).where(mark.lane == lane).values(seq=last))
    return last


def _followed(connection: Connection, lane: int, rows: Sequence[tuple[str, str, Record]]) -> _Page:
    """Follow the claims of these records, each given with the claim and its cause."""
    numbers = sorted({number for number, _, _ in rows})
    figures = {row.claim: ClaimFigures(**row._mapping) for row in _rows_of(connection, numbers)}
    figures |= {number: ClaimFigures(number, lane) for number in numbers if number not in figures}
    states = dict(_states(connection, numbers))
    for number, claim in states.items():
        describe(figures[number], claim)
    movements, opened, decided = [], list[liabilities.Liability](), []
    for number, cause, record in rows:
        if isinstance(record, ReserveMovement):
            movements.append(reserved(figures[number], record))
            opened.append(liabilities.reserved(figures[number], record))
        elif isinstance(record, PaymentInstruction):
            opened.append(liabilities.instructed(figures[number], record))
        elif isinstance(record, ClaimStatus):
            paid_before = figures[number].paid_minor
            movements += follow(figures[number], record)
            opened += liabilities.changed(figures[number], record, record.paid_minor - paid_before)
            if cause.startswith(DECISIONS):
                decided.append((cause, number))
    found = [provider for number, claim in states.items() for provider in providers(figures[number], claim)]
    return _Page(figures, found, movements, opened, decided)


def _states(connection: Connection, numbers: Iterable[str]) -> Iterator[tuple[str, Claim]]:
    c = claims.c
    for some in _parts(numbers, _AT_ONCE):
        for number, state in connection.execute(select(c.claim, cast(c.state, Text)).where(c.claim.in_(some))):
            yield number, _state(state)


def _write(connection: Connection, page: _Page) -> None:
    for numbers in _parts(page.figures, _AT_ONCE):
        connection.execute(delete(report_claims).where(report_claims.c.claim.in_(numbers)))
        connection.execute(delete(report_providers).where(report_providers.c.claim.in_(numbers)))
    _insert(connection, report_claims, map(asdict, page.figures.values()))
    _insert(connection, report_providers, map(asdict, page.providers))
    moved: Counter[tuple[str | int, ...]] = Counter()
    for movement in page.movements:
        known = page.figures[movement.claim]
        moved[movement.kind, known.line, known.currency, known.loss_month, movement.month] += movement.amount_minor
    _add(connection, report_movements, moved)
    open_: Counter[tuple[str | int, ...]] = Counter()
    for liability in page.liabilities:
        known = page.figures[liability.claim]
        open_[liability.kind, known.line, known.currency, liability.day] += liability.amount_minor
    _add(connection, report_liabilities, open_)


def _write_people(connection: Connection, codec: Codec, page: _Page) -> None:
    """Count the decisions of a page by who took them."""
    j = journal.c
    taken: Counter[tuple[str | int, ...]] = Counter()
    place = (j.topic, j.generation, j.partition, j.offset)
    for some in _parts(page.decided, _AT_ONCE // len(place)):
        places = {(topic, *map(int, at)): number for ref, number in some for topic, *at in [ref.split("/")]}
        query = select(*place, j.at_ms, j.headers, j.value).where(tuple_(*place).in_(list(places)))
        for *at, at_ms, headers, value in connection.execute(query):
            decision = codec.decode(DECISIONS, value, unpack_headers(headers))
            assert isinstance(decision, AdjusterDecision)
            month = day_number(at_ms, page.figures[places[tuple(at)]].line) // 100
            taken[decision.person, decision.role, decision.action, month] += 1
    _add(connection, report_people, taken)


def _rows_of(connection: Connection, numbers: Iterable[str]) -> Iterator[Row[Any]]:
    for some in _parts(numbers, _AT_ONCE):
        yield from connection.execute(select(report_claims).where(report_claims.c.claim.in_(some)))


def _insert(connection: Connection, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    found = list(rows)
    if found:
        connection.execute(insert(table), found)


def _add(connection: Connection, table: Table, counted: Counter[tuple[str | int, ...]]) -> None:
    """Add to the last column of the rows with these keys, always in one order: two that do so never wait in a ring."""
    *keys, total = table.columns
    made = _UPSERTS[connection.dialect.name](table)
    made = made.on_conflict_do_update(index_elements=keys, set_={total.name: total + made.excluded[total.name]})
    rows = [dict(zip(table.columns.keys(), (*key, amount), strict=True)) for key, amount in sorted(counted.items())]
    if rows:
        connection.execute(made, rows)


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
