"""How commands read the ledger, and bring its tables to this version."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sinks.ledger.migrate import migrate
from sinks.ledger.open import parse_url, read_engine
from sinks.ledger.port import LedgerUnavailable
from streams.settings import Settings


def shown_url(settings: Settings) -> str:
    """The ledger's URL without its password."""
    return parse_url(settings.ledger_url).render_as_string(hide_password=True)


def password(settings: Settings) -> str | None:
    """The ledger's password, if it is a setting of its own."""
    return settings.ledger_password.get_secret_value() if settings.ledger_password else None


def run_migrations(settings: Settings) -> str:
    """Bring the ledger's tables to this version; the URL of the ledger. Raises LedgerUnavailable."""
    migrate(settings.ledger_url, password(settings))
    return shown_url(settings)


@contextmanager
def open_engine(settings: Settings, begin: str = "BEGIN") -> Iterator[Engine]:
    """An engine over the ledger. Whatever the database says inside becomes LedgerUnavailable, without any values."""
    engine = read_engine(settings.ledger_url, password(settings), begin)
    try:
        yield engine
    except DBAPIError as error:
        why = (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
        raise LedgerUnavailable(
            f"the ledger {shown_url(settings)} does not answer as it should ({why}). Run: claimhub doctor"
        ) from None
    finally:
        engine.dispose()


@contextmanager
def open_connection(settings: Settings) -> Iterator[Connection]:
    """One transaction over the ledger, committed at the end. Raises LedgerUnavailable."""
    with open_engine(settings) as engine, engine.begin() as connection:
        yield connection


@contextmanager
def open_book(settings: Settings) -> Iterator[Connection]:
    """One transaction that reads and writes finance's book, committed at the end: on SQLite it waits for its turn
    before it reads, so that what it has read still holds when it writes. Raises LedgerUnavailable."""
    with open_engine(settings, "BEGIN IMMEDIATE") as engine, engine.begin() as connection:
        yield connection
