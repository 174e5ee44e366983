"""The tables, the port's rows and the rules speak of the same things in the same order."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Table

import sinks.ledger
from sinks.ledger import bank_tables, tables  # noqa: F401  (both add to the metadata)
from sinks.ledger.metadata import metadata
from sinks.ledger.money_checks import PAYMENT_STATES
from sinks.ledger.port import (
    ClaimRow,
    CoverUseRow,
    DeadRow,
    JournalRow,
    OutboxRow,
    ParkedRow,
    PaymentRow,
    PeerLimitRow,
    PolicyRow,
    TraceRow,
)
from sinks.ledger.verify import STAGES
from streams.rules.claim import PaymentState, Stage


@pytest.mark.parametrize(
    ("table", "fields"),
    [
        (tables.journal, JournalRow._fields),
        (tables.outbox, OutboxRow._fields),
        (tables.payments, PaymentRow._fields),
        (tables.parked, ParkedRow._fields),
        (tables.dead_letters, (*DeadRow._fields, "redriven_at_ms")),
        (tables.claims, ClaimRow._fields),
        (tables.policies, PolicyRow._fields),
        (tables.traces, TraceRow._fields),
        (tables.cover_uses, CoverUseRow._fields),
        (tables.peer_limits, (*PeerLimitRow._fields, "at_ms")),
    ],
)
def test_columns_stand_in_the_order_of_the_rows(table: Table, fields: Sequence[str]) -> None:
    """Rows are written by position: a column out of place would hold another's value."""
    assert tuple(table.columns.keys()) == tuple(fields)


def test_the_version_is_the_newest_migration() -> None:
    """A migration without a new VERSION would let old tables pass for new ones."""
    config = Config()
    config.set_main_option("script_location", str(Path(sinks.ledger.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_current_head() == tables.VERSION


def test_verify_knows_every_stage_and_payment_state() -> None:
    """The sinks do not import the rules, so the two lists are held together here."""
    assert set(STAGES) == set(Stage)
    assert set(PAYMENT_STATES) == set(PaymentState)


def test_every_money_column_holds_large_integers() -> None:
    """Minor units in 64 bits, no float and no decimal anywhere."""
    kinds = {column.type.python_type for table in metadata.tables.values() for column in table.columns}
    amounts = [column for table in metadata.tables.values() for column in table.columns if "minor" in column.name]

    assert float not in kinds
    assert {str(column.type) for column in amounts} == {"BIGINT"}
