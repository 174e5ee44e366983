"""Puts many rows into the book at once: in one statement, however many they are."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Date, Integer, LargeBinary, Table, TextClause, insert, text
from sqlalchemy.dialects import sqlite

_ARRAYS: Final = ((BigInteger, "bigint[]"), (Integer, "int[]"), (Date, "date[]"), (LargeBinary, "bytea[]"))


def insert_new(book: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows whose keys, primary and unique, the table does not have; what is there stays as it is."""
    _insert(book, table, rows, new=True)


def insert_rows(book: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows that all have the same fields. Raises IntegrityError for a key that is there."""
    _insert(book, table, rows, new=False)


def _insert(book: Connection, table: Table, rows: Sequence[dict[str, Any]], *, new: bool) -> None:
    if not rows:
        return
    if book.dialect.name == "postgresql":  # a column at a time: a row at a time costs three times as much
        fields = tuple(rows[0])
        book.execute(_unnested(table, fields, new), {field: [row[field] for row in rows] for field in fields})
    else:
        made = sqlite.insert(table).on_conflict_do_nothing() if new else insert(table)
        book.execute(made, rows)


@cache
def _unnested(table: Table, fields: Sequence[str], new: bool) -> TextClause:
    columns = ", ".join(f'"{field}"' for field in fields)
    arrays = ", ".join(f"CAST(:{field} AS {_array(table, field)})" for field in fields)
    conflict = " ON CONFLICT DO NOTHING" if new else ""
    return text(f'INSERT INTO "{table.name}" ({columns}) SELECT * FROM unnest({arrays}){conflict}')  # noqa: S608


def _array(table: Table, field: str) -> str:
    kind = table.columns[field].type
    return next((array for of, array in _ARRAYS if isinstance(kind, of)), "text[]")
