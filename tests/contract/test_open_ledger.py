"""A ledger that cannot be opened says what is wrong and what to do, and never a password."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from sinks.ledger.migrate import migrate
from sinks.ledger.open import open_ledger, read_engine
from sinks.ledger.port import LedgerUnavailable
from sinks.ledger.postgres import PostgresLedger

NOBODY = "postgresql://claimhub:hunter2@127.0.0.1:1/claims?password=hunter4"


@pytest.mark.parametrize(
    "url", ["", "mysql://host/x", "postgresql", "sqlite://", "hunter2", "postgres://u:hunter2@h/d"]
)
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    """The message shows the two right forms and the setting."""
    with pytest.raises(
        LedgerUnavailable, match=r"postgresql://user@host/database.*sqlite:///file.*CLAIMHUB_LEDGER"
    ) as error:
        open_ledger(url)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("opener", [open_ledger, read_engine])
def test_a_file_that_is_not_there(opener: type, tmp_path: Path) -> None:
    """Reading makes no empty file in passing."""
    file = tmp_path / "none.db"

    with pytest.raises(LedgerUnavailable, match=r"none\.db does not exist. Run: claimhub migrate"):
        opener(f"sqlite:///{file}")
    assert not file.exists()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """Any file can be named by mistake."""
    file = tmp_path / "letter.txt"
    file.write_text("Dear reader, this is no database." * 100)

    for attempt in (open_ledger, migrate):
        with pytest.raises(LedgerUnavailable, match=r"letter\.txt cannot be .*not a database"):
            attempt(f"sqlite:///{file}")


def test_a_database_without_tables(tmp_path: Path, postgres_url: str) -> None:
    """The next command is named."""
    file = tmp_path / "empty.db"
    file.touch()

    for url in (f"sqlite:///{file}", postgres_url):
        with pytest.raises(LedgerUnavailable, match=r"not of version .*Run: claimhub migrate"):
            open_ledger(url)


@pytest.mark.parametrize("password", [None, "hunter3"])
def test_a_server_that_is_not_there(password: str | None) -> None:
    """The message names the server and the settings; neither the URL's nor the separate password is in it."""
    with pytest.raises(LedgerUnavailable, match=r"127.0.0.1.*CLAIMHUB_LEDGER") as opened:
        open_ledger(NOBODY, password)
    with pytest.raises(LedgerUnavailable, match=r"127.0.0.1.*claimhub migrate") as migrated:
        migrate(NOBODY, password)
    with pytest.raises(LedgerUnavailable, match=r"127.0.0.1.*CLAIMHUB_LEDGER") as used:
        PostgresLedger(NOBODY, password, "worker-1").published([1])
    for error in (opened, migrated, used):
        assert "hunter" not in str(error.value)


def test_a_database_that_is_not_there(postgres_url: str) -> None:
    """A server without this database is named with it."""
    missing = make_url(postgres_url).set(database="no_such_database").render_as_string(hide_password=False)

    with pytest.raises(LedgerUnavailable, match="no_such_database"):
        open_ledger(missing)


def test_the_password_may_come_apart_from_the_url(postgres_url: str) -> None:
    """Migrate, ledger and engine log in with the password given beside the URL."""
    url = make_url(postgres_url)
    bare = url.set(password=None).render_as_string(hide_password=False)
    migrate(bare, url.password or "any")
    ledger = open_ledger(bare, url.password or "any")
    assert ledger.published([]) == {}
    ledger.close()


def test_a_ledger_of_a_version_to_come(tmp_path: Path) -> None:
    """An older claimhub neither uses nor changes tables it does not know."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    migrate(url)
    with read_engine(url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(LedgerUnavailable, match="not of version"):
        open_ledger(url)
    with pytest.raises(LedgerUnavailable, match="does not know"):
        migrate(url)


@pytest.mark.parametrize("owner", ["x" * 64, "worker-1\n", "Zoë"])
def test_an_owner_the_database_would_not_find_again(owner: str) -> None:
    """PostgreSQL cuts and replaces such names: a frozen owner could not be put out."""
    with pytest.raises(ValueError, match="printable ASCII"):
        PostgresLedger(NOBODY, None, owner)
