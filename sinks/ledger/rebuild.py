"""A fresh ledger to rebuild into: made empty, given what no record tells, and compared with the one it is made from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import JSON, Column, Connection, Engine, Table, Text, cast, insert, inspect, select
from sqlalchemy.exc import DBAPIError

from sinks.ledger.migrate import migrate
from sinks.ledger.open import SQLITE, first_line, make_engine, named, parse_url, read_engine
from sinks.ledger.port import LedgerUnavailable
from sinks.ledger.streaming import stream
from sinks.ledger.tables import (
    accepted_losses,
    claims,
    lanes,
    payments,
    peer_limits,
    policies,
    positions,
    relay,
    relay_next,
    topics,
)

_STATES: Final = (claims, policies, payments)


class NotEmpty(Exception):
    """The ledger to rebuild into holds something already: nothing was written."""


class StateDifference(NamedTuple):
    """A row of a table of states that two ledgers do not have alike: the column, for a state its first field."""

    table: str
    key: str
    field: str


def open_fresh(url: str, password: str | None = None) -> Engine:
    """Make the tables of a ledger that is not there yet: a new SQLite file, or an empty PostgreSQL database.

    Raises NotEmpty, LedgerUnavailable.
    """
    parsed = parse_url(url)
    where = named(parsed)
    if parsed.drivername == SQLITE:
        there = Path(parsed.database or "").exists()
    else:
        engine = make_engine(parsed, password)
        try:
            there = bool(inspect(engine).get_table_names())
        except DBAPIError as error:
            raise LedgerUnavailable(
                f"{where} cannot be reached: {first_line(error)}. Start it, or name another"
            ) from None
        finally:
            engine.dispose()
    if there:
        raise NotEmpty(f"{where} is not empty. Nothing was written; name a new SQLite file or an empty database")
    migrate(url, password)
    return read_engine(url, password)


def copy_lanes(source: Connection, fresh: Connection) -> int:
    """Give the fresh ledger its topics and lanes, the lanes without records and held by nobody; how many lanes."""
    _copy(source, fresh, topics)
    empty = {"seq": 0, "entry": 0, "owner": "", "deaths": 0, "suspect": None}
    return _copy(source, fresh, lanes, empty)


def copy_progress(source: Connection, fresh: Connection) -> None:
    """Bring positions, accepted losses, peers' limits, the relay's marks and the lanes' last entry to where they are:
    all records are in, all that was published stays published, and nobody holds a lane."""
    for table in (positions, accepted_losses, peer_limits, relay, relay_next):
        _copy(source, fresh, table)
    for lane, entry in source.execute(select(lanes.c.lane, lanes.c.entry)).all():
        fresh.execute(lanes.update().where(lanes.c.lane == lane).values(entry=entry, owner=""))


def state_differences(one: Connection, other: Connection) -> Iterator[StateDifference]:
    """Claims, policies and payments that are not the same in both, in the order of their keys."""
    for table in _STATES:
        (key,) = table.primary_key.columns
        columns = [cast(column, Text) if _is_json(column) else column for column in table.columns]
        query = select(*columns).order_by(key)
        yield from _differences(table, list(table.columns), stream(one, query), stream(other, query))


def _differences(
    table: Table, columns: Sequence[Column[Any]], one: Iterator[Any], other: Iterator[Any]
) -> Iterator[StateDifference]:
    """Two streams in the order of their first column, the key."""
    a: Any = next(one, None)
    b: Any = next(other, None)
    while a is not None or b is not None:
        if a is None or (b is not None and b[0] < a[0]):
            yield StateDifference(table.name, b[0], "only in the replay")
            b = next(other, None)
        elif b is None or a[0] < b[0]:
            yield StateDifference(table.name, a[0], "missing in the replay")
            a = next(one, None)
        else:
            for column, was, now in zip(columns, a, b, strict=True):
                if was != now and (field := _state_field(was, now) if _is_json(column) else str(column.name)):
                    yield StateDifference(table.name, a[0], field)
            a, b = next(one, None), next(other, None)


def _is_json(column: Column[Any]) -> bool:
    return isinstance(column.type, JSON)


def _state_field(was: str, now: str) -> str | None:
    """The first field of two JSON objects that is not the same."""
    one, other = msgspec.json.decode(was), msgspec.json.decode(now)
    names = sorted(one.keys() | other.keys())
    return next((f"state.{name}" for name in names if one.get(name) != other.get(name)), None)


def _copy(
    source: Connection, fresh: Connection, table: Table, changes: Mapping[str, Any] = MappingProxyType({})
) -> int:
    rows = [{**row._mapping, **changes} for row in source.execute(select(table))]
    if rows:
        fresh.execute(insert(table), rows)
    return len(rows)
