"""Brings a ledger's tables to this version. Safe to run from several processes at once, and again."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy.exc import DBAPIError

from sinks.ledger.open import SQLITE, first_line, make_engine, named, parse_url
from sinks.ledger.port import LedgerUnavailable

# Any fixed number: it keeps two migrations of one PostgreSQL database from running side by side.
_LOCK: Final = 7_216_113


def migrate(url: str, password: str | None = None) -> None:
    """Make or upgrade all tables, in one transaction. A SQLite file and its folder are made when missing.

    Raises LedgerUnavailable when the database cannot be reached or refuses.
    """
    parsed = parse_url(url)
    if parsed.drivername == SQLITE:
        Path(parsed.database or "").parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    engine = make_engine(parsed, password, begin="BEGIN IMMEDIATE")
    try:
        with engine.begin() as connection:
            if engine.dialect.name != SQLITE:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError:
        raise LedgerUnavailable(
            f"{named(parsed)} has tables of a version this claimhub does not know. Use the one that made it, or a newer"
        ) from None
    except DBAPIError as error:
        raise LedgerUnavailable(
            f"{named(parsed)} cannot be migrated: {first_line(error)}. Mend that, then run: claimhub migrate"
        ) from None
    finally:
        engine.dispose()
