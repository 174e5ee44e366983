"""From a ledger's URL to a ledger: `postgresql://…` or `sqlite:///file`."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from sinks.ledger.port import Ledger, LedgerUnavailable
from sinks.ledger.postgres import PostgresLedger
from sinks.ledger.sqlite import SqliteLedger

POSTGRES, SQLITE = "postgresql", "sqlite"


def open_ledger(url: str, password: str | None = None, owner: str = "claimhub") -> Ledger:
    """Open a migrated ledger. `owner` names this process in the database: ASCII, 63 characters at most.

    Raises LedgerUnavailable when there is no such database or it has no tables yet; the text holds no password.
    """
    parsed = parse_url(url)
    if parsed.drivername == SQLITE:
        return SqliteLedger(_existing_file(parsed))
    return PostgresLedger(url, password, owner)


def read_engine(url: str, password: str | None = None) -> Engine:
    """A SQLAlchemy engine over the same database, for reports and an operator's few writes, never for batches.

    Connecting may raise sqlalchemy.exc.OperationalError. Raises LedgerUnavailable for a SQLite file that is not there.
    """
    parsed = parse_url(url)
    if parsed.drivername == SQLITE:
        _existing_file(parsed)
    return make_engine(parsed, password)


def make_engine(url: URL, password: str | None, begin: str = "BEGIN") -> Engine:
    """An engine for a parsed URL. On SQLite `begin` opens each transaction, so that all its reads are one snapshot."""
    if url.drivername == POSTGRES:
        url = url.set(drivername="postgresql+psycopg")
        return create_engine(
            url if password is None else url.set(password=password), connect_args={"connect_timeout": 3}
        )
    # The driver's own idea of transactions is off: it would begin one before a write only.
    engine = create_engine(url, connect_args={"isolation_level": None, "timeout": 10})
    event.listen(engine, "begin", _begin_with(begin))
    return engine


def _begin_with(statement: str) -> Callable[[Connection], None]:
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    return begin


def parse_url(url: str) -> URL:
    """The URL in parts. Raises LedgerUnavailable when it is none of the two kinds."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if (
        parsed is None
        or parsed.drivername not in (POSTGRES, SQLITE)
        or (parsed.drivername == SQLITE and not parsed.database)
    ):
        raise LedgerUnavailable(
            "the ledger's URL is neither postgresql://user@host/database nor sqlite:///file. Correct CLAIMHUB_LEDGER"
        )
    return parsed


def _existing_file(url: URL) -> Path:
    file = Path(url.database or "")
    if not file.is_file():
        raise LedgerUnavailable(f"the ledger file {file} does not exist. Run: claimhub migrate")
    return file
