"""The wire that is cut: what the server has when the client knows nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.crash.proxy import Cut, Proxy, When

LIMIT_S = 10
Write = Callable[["psycopg.Connection[tuple[int]]", bool], None]


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE lanes (seq int, token int)")
    wire = Proxy(int(str(conninfo_to_dict(postgres_url)["port"])))
    yield wire
    wire.close()


def _through(proxy: Proxy, url: str) -> "psycopg.Connection[tuple[int]]":
    connection: psycopg.Connection[tuple[int]] = psycopg.connect(
        url, host="127.0.0.1", port=proxy.port, sslmode="disable", gssencmode="disable", autocommit=True
    )
    return connection


def _write(connection: "psycopg.Connection[tuple[int]]", prepare: bool) -> None:
    with connection.transaction():
        connection.execute("INSERT INTO lanes VALUES (1, 1)")
        connection.execute("UPDATE lanes SET seq = %s", (2,), prepare=prepare)


def _write_as_a_pipeline(connection: "psycopg.Connection[tuple[int]]", prepare: bool) -> None:
    with connection.pipeline():
        for statement in ("BEGIN", "INSERT INTO lanes VALUES (1, 1)", "UPDATE lanes SET seq = 2", "COMMIT"):
            connection.execute(statement, prepare=prepare)


def _rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM lanes").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("write", [_write, _write_as_a_pipeline])
@pytest.mark.parametrize(("when", "rows"), [("before", 0), ("after", 1)])
def test_a_commit_that_is_cut_is_there_or_not_and_the_client_cannot_tell(
    proxy: Proxy,
    postgres_url: str,
    when: When,
    rows: int,
    write: Callable[[psycopg.Connection[tuple[int]], bool], None],
) -> None:
    """Whether the statement comes by its text or by the name it was prepared under."""
    for prepare in (False, True):
        done = proxy.cut(Cut("batch", when, 1))
        with _through(proxy, postgres_url) as connection, pytest.raises(psycopg.OperationalError):
            write(connection, prepare)
        done.result(LIMIT_S)
    assert _rows(postgres_url) == 2 * rows


def test_other_transactions_pass(proxy: Proxy, postgres_url: str) -> None:
    """Only the n-th COMMIT of the kind that is meant is cut."""
    done = proxy.cut(Cut("batch", "before", 2))
    with _through(proxy, postgres_url) as connection:
        for statement in ("INSERT INTO lanes VALUES (1, 1)", "UPDATE lanes SET seq = 2", "UPDATE lanes SET token = 2"):
            with connection.transaction():
                connection.execute(statement)
    with pytest.raises(TooLate):
        done.result(0)
    assert _rows(postgres_url) == 1


def test_a_wire_that_stands_still_goes_on_later(proxy: Proxy, postgres_url: str) -> None:
    """What was said meanwhile arrives."""
    with ThreadPoolExecutor(1) as client, _through(proxy, postgres_url) as connection:
        proxy.stand_still(True)
        said = client.submit(connection.execute, "INSERT INTO lanes VALUES (1, 1)")
        with pytest.raises(TooLate):
            said.result(0.3)
        assert _rows(postgres_url) == 0
        proxy.stand_still(False)
        said.result(LIMIT_S)
    assert _rows(postgres_url) == 1
