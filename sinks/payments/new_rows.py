"""Puts many rows into the book at once, and finds many: in one statement, however many they are."""

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Date,
    Integer,
    LargeBinary,
    Table,
    Text,
    TextClause,
    any_,
    insert,
    literal,
    text,
)
from sqlalchemy.dialects import sqlite

_TYPES: Final = ((BigInteger, "bigint"), (Integer, "int"), (Date, "date"))
_POSTGRES: Final = "postgresql"


def insert_new(book: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows whose keys, primary and unique, the table does not have; what is there stays as it is. All have
    the same fields."""
    _insert(book, table, rows, new=True)


def insert_rows(book: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all have the same fields. Raises IntegrityError for a key that is there."""
    _insert(book, table, rows, new=False)


def among(book: Connection, column: ColumnElement[str], words: Collection[str]) -> ColumnElement[bool]:
    """Whether a column is one of these words."""
    if book.dialect.name == _POSTGRES:  # one parameter: so many are costly
        return column == any_(literal(list(words), ARRAY(Text)))
    return column.in_(words)


def _insert(book: Connection, table: Table, rows: Sequence[dict[str, Any]], *, new: bool) -> None:
    if not rows:
        return
    if book.dialect.name == _POSTGRES:  # all rows as one value: a row at a time costs three times as much
        said = msgspec.json.encode(rows).decode()
        book.execute(_from_json(table, tuple(rows[0]), new), {"rows": said})
    else:
        made = sqlite.insert(table).on_conflict_do_nothing() if new else insert(table)
        book.execute(made, rows)


@cache
def _from_json(table: Table, fields: Sequence[str], new: bool) -> TextClause:
    columns = ", ".join(f'"{field}"' for field in fields)
    values = ", ".join(f"decode(x.\"{it}\", 'base64')" if _is_bytes(table, it) else f'x."{it}"' for it in fields)
    types = ", ".join(f'"{field}" {_type(table, field)}' for field in fields)
    conflict = "ON CONFLICT DO NOTHING" if new else ""
    return text(
        f'INSERT INTO "{table.name}" ({columns}) SELECT {values} '  # noqa: S608
        f"FROM json_to_recordset(CAST(:rows AS json)) AS x ({types}) {conflict}"
    )


def _is_bytes(table: Table, field: str) -> bool:
    return isinstance(table.columns[field].type, LargeBinary)


def _type(table: Table, field: str) -> str:
    """Of a column as JSON has it: bytes are base64 there."""
    kind = table.columns[field].type
    return next((name for of, name in _TYPES if isinstance(kind, of)), "text")
