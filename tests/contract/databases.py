"""The databases the ledger's contract is tested on: what opens a ledger there, and what looks behind its back."""

import json
from collections.abc import Sequence
from typing import Any, Final, Protocol

from sqlalchemy import select

from sinks.ledger import tables
from sinks.ledger.metadata import metadata
from sinks.ledger.open import open_ledger, read_engine
from sinks.ledger.port import Ledger
from tests.simulation.ledger import MemoryLedger, MemoryTables


class Database(Protocol):
    """One empty database for one test."""

    def open(self, owner: str) -> Ledger:
        """A process's ledger on this database."""

    def rows(self, table: str) -> Sequence[tuple[Any, ...]]:
        """The rows of a table, as the port's rows hold them; JSON as text."""


class SqlDatabase:
    """SQLite or PostgreSQL, migrated."""

    _JSON: Final = ("claims", "policies")

    def __init__(self, url: str) -> None:
        self._url = url

    def open(self, owner: str) -> Ledger:
        """See Database."""
        return open_ledger(self._url, owner=owner)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """See Database."""
        engine = read_engine(self._url)
        with engine.connect() as connection:
            found = connection.execute(select(*tables.row_columns(metadata.tables[table]))).all()
        engine.dispose()
        return [(*row[:-1], json.dumps(row[-1])) if table in self._JSON else tuple(row) for row in found]


class MemoryDatabase:
    """The simulation's tables."""

    def __init__(self) -> None:
        self._tables = MemoryTables()

    def open(self, owner: str) -> Ledger:
        """See Database."""
        return MemoryLedger(self._tables, owner)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """See Database."""
        return self._tables.rows(table)
