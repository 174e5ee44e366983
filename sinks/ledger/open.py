"""From a ledger's URL to a ledger: `postgresql://…` or `sqlite:///file`."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from sinks.ledger.port import Ledger, LedgerUnavailable
from sinks.ledger.postgres import PostgresLedger
from sinks.ledger.sqlite import SqliteLedger
from sinks.ledger.tables import VERSION

POSTGRES, SQLITE = "postgresql", "sqlite"


def open_ledger(url: str, password: str | None = None, owner: str = "claimhub") -> Ledger:
    """Open a migrated ledger. `owner` names this process in the database, as it does in `take`: unique, ASCII,
    63 characters at most.

    Raises LedgerUnavailable as `read_engine` does.
    """
    read_engine(url, password).dispose()
    parsed = parse_url(url)
    if parsed.drivername == SQLITE:
        return SqliteLedger(Path(parsed.database or ""))
    return PostgresLedger(url, password, owner)


def read_engine(url: str, password: str | None = None, begin: str = "BEGIN") -> Engine:
    """A SQLAlchemy engine over the same database, for reports, an operator's few writes and finance's book, never for
    batches. On SQLite `begin` opens each transaction: `BEGIN IMMEDIATE` waits for its turn to write before it reads.

    Raises LedgerUnavailable when the database cannot be reached or its tables are not of this version; the text says
    what to do and holds no password.
    """
    parsed = parse_url(url)
    where = named(parsed)
    if parsed.drivername == SQLITE and not Path(parsed.database or "").is_file():
        raise LedgerUnavailable(f"the ledger file {parsed.database} does not exist. Run: claimhub migrate")
    engine = make_engine(parsed, password, begin)
    try:
        with engine.connect() as connection:
            known = inspect(connection).has_table("alembic_version")
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if known else None
    except DBAPIError as error:
        engine.dispose()
        raise LedgerUnavailable(
            f"the ledger {where} cannot be reached: {first_line(error)}. "
            "Start it, or correct CLAIMHUB_LEDGER and CLAIMHUB_LEDGER_PASSWORD"
        ) from None
    if found != VERSION:
        engine.dispose()
        raise LedgerUnavailable(f"the tables of the ledger {where} are not of version {VERSION}. Run: claimhub migrate")
    return engine


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


def named(url: URL) -> str:
    """The URL as a message may show it."""
    return url.difference_update_query(["password"]).render_as_string(hide_password=True)


def first_line(error: DBAPIError) -> str:
    """The driver's words without what follows the first line: a DETAIL may quote values."""
    return str(error.orig).partition("\n")[0]
