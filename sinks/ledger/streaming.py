"""Reading a whole table without holding it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select


def stream(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    """The query's rows, a thousand at a time from the server; other queries may run on the connection meanwhile."""
    return iter(connection.execute(query, execution_options={"stream_results": True, "yield_per": 1000}))
