"""Reading a whole ledger without holding it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Select


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads one state of the ledger, whoever writes meanwhile."""
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with engine.begin() as connection:
        yield connection


def stream(connection: Connection, query: Select[Any], page: int = 1000) -> Iterator[Any]:
    """The query's rows, a page at a time from the server; other queries may run on the connection meanwhile."""
    return iter(connection.execute(query, execution_options={"stream_results": True, "yield_per": page}))
