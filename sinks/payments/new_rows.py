"""Puts rows into the book that may be there already: what is there stays as it is."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_new(book: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows whose keys, primary and unique, the table does not have, in one statement for all."""
    if rows:
        made = postgresql if book.dialect.name == "postgresql" else sqlite
        book.execute(made.insert(table).on_conflict_do_nothing(), rows)
