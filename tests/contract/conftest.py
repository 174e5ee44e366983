"""Finance's book of payments, empty, in each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sinks.ledger.open import read_engine
from tests.ledgers import make_ledger


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine over an empty ledger, which the book is in."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/ledger.db"
        make_ledger(url)
    else:
        url = request.getfixturevalue("postgres_ledger")
    opened = read_engine(url, begin="BEGIN IMMEDIATE")
    yield opened
    opened.dispose()
