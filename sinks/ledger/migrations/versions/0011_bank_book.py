"""Makes the book of what goes to the bank and comes back."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None

_WORD = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

_POSTGRES: Final = (
    """
    CREATE TRIGGER break_actions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON break_actions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

_SQLITE: Final = tuple(
    f"""
    CREATE TRIGGER break_actions_no_{change.lower()} BEFORE {change} ON break_actions
    BEGIN SELECT RAISE(ABORT, 'the break_actions are append-only'); END
    """
    for change in ("UPDATE", "DELETE")
)


def upgrade() -> None:
    """Make the tables, empty, and guard what people did as the journal is guarded."""
    op.create_table(
        "bank_breaks",
        sa.Column("break_id", _WORD, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("account", _WORD),
        sa.Column("day", sa.Date()),
        sa.Column("instruction_id", _WORD),
        sa.Column("claim", _WORD),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("sha256", _WORD),
        sa.Column("line", sa.Integer()),
        sa.Column("element", sa.Text()),
        sa.Column("expected_minor", sa.BigInteger()),
        sa.Column("found_minor", sa.BigInteger()),
        sa.Column("currency", _WORD),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("break_id", name="bank_breaks_pk"),
    )
    op.create_index("bank_breaks_instruction", "bank_breaks", ["instruction_id"])
    op.create_table(
        "bank_cancellations",
        sa.Column("instruction_id", _WORD, nullable=False),
        sa.Column("claim", _WORD, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("message_id", _WORD),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("instruction_id", name="bank_cancellations_pk"),
    )
    op.create_index("bank_cancellations_state", "bank_cancellations", ["state"])
    op.create_table(
        "bank_entries",
        sa.Column("sha256", _WORD, nullable=False),
        sa.Column("statement", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", _WORD, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", _WORD, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("instruction_id", _WORD),
        sa.Column("matched_by", _WORD),
        sa.Column("break_id", _WORD),
        sa.Column("reference", sa.Text()),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "statement", "number", "part", name="bank_entries_pk"),
    )
    op.create_index("bank_entries_account", "bank_entries", ["account", "day"])
    op.create_index("bank_entries_instruction", "bank_entries", ["instruction_id"])
    op.create_table(
        "bank_files",
        sa.Column("sha256", _WORD, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("message", _WORD, nullable=False),
        sa.Column("version", _WORD),
        sa.Column("bank_message_id", _WORD),
        sa.Column("received_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("warnings", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="bank_files_pk"),
    )
    op.create_table(
        "bank_messages",
        sa.Column("message_id", _WORD, nullable=False),
        sa.Column("kind", _WORD, nullable=False),
        sa.Column("payment_information_id", _WORD),
        sa.Column("account", _WORD, nullable=False),
        sa.Column("currency", _WORD, nullable=False),
        sa.Column("execute_on", sa.Date(), nullable=False),
        sa.Column("transactions", sa.Integer(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("sha256", _WORD, nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("written_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("message_id", name="bank_messages_pk"),
        sa.UniqueConstraint("payment_information_id", name="bank_messages_payment_information_id_key"),
    )
    op.create_table(
        "bank_payment_actions",
        sa.Column("instruction_id", _WORD, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action", _WORD, nullable=False),
        sa.Column("person", _WORD, nullable=False),
        sa.Column("held_by", _WORD),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("held_by <> person", name="bank_payment_actions_two_people"),
        sa.PrimaryKeyConstraint("instruction_id", "number", name="bank_payment_actions_pk"),
    )
    op.create_table(
        "bank_payments",
        sa.Column("instruction_id", _WORD, nullable=False),
        sa.Column("claim", _WORD, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", _WORD, nullable=False),
        sa.Column("value_on", sa.Date(), nullable=False),
        sa.Column("uetr", _WORD, nullable=False),
        sa.Column("state", _WORD, nullable=False),
        sa.Column("message_id", _WORD),
        sa.Column("held_by", _WORD),
        sa.Column("reason", sa.Text()),
        sa.Column("key_id", _WORD),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("headers", sa.LargeBinary()),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("instruction_id", name="bank_payments_pk"),
    )
    op.create_index("bank_payments_claim", "bank_payments", ["claim"])
    op.create_index("bank_payments_message", "bank_payments", ["message_id"])
    op.create_index("bank_payments_state", "bank_payments", ["state", "value_on"])
    op.create_index("bank_payments_uetr", "bank_payments", ["uetr"])
    op.create_table(
        "bank_positions",
        sa.Column("topic", _WORD, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("topic_id", _WORD, nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition", name="bank_positions_pk"),
    )
    op.create_table(
        "bank_records",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("event_id", _WORD, nullable=False),
        sa.Column("topic", _WORD, nullable=False),
        sa.Column("key", _WORD, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("sent_at_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("number", name="bank_records_pk"),
        sa.UniqueConstraint("event_id", name="bank_records_event_id_key"),
    )
    unsent = sa.text("sent_at_ms IS NULL")
    op.create_index("bank_records_unsent", "bank_records", ["number"], postgresql_where=unsent, sqlite_where=unsent)
    op.create_table(
        "bank_statements",
        sa.Column("sha256", _WORD, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("account", _WORD, nullable=False),
        sa.Column("currency", _WORD, nullable=False),
        sa.Column("sequence", sa.Integer()),
        sa.Column("page", sa.Integer()),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("opening_minor", sa.BigInteger(), nullable=False),
        sa.Column("closing_minor", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "number", name="bank_statements_pk"),
    )
    op.create_index("bank_statements_account", "bank_statements", ["account", "day"])
    op.create_table(
        "bank_statuses",
        sa.Column("sha256", _WORD, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("instruction_id", _WORD, nullable=False),
        sa.Column("level", _WORD, nullable=False),
        sa.Column("code", _WORD, nullable=False),
        sa.Column("reason_code", _WORD),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "number", name="bank_statuses_pk"),
    )
    op.create_index("bank_statuses_instruction", "bank_statuses", ["instruction_id"])
    op.create_table(
        "break_actions",
        sa.Column("break_id", _WORD, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action", _WORD, nullable=False),
        sa.Column("person", _WORD, nullable=False),
        sa.Column("owner", _WORD),
        sa.Column("resolution", _WORD),
        sa.Column("proposed_by", _WORD),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "action <> 'resolved' OR (proposed_by IS NOT NULL AND proposed_by <> person)",
            name="break_actions_two_people",
        ),
        sa.PrimaryKeyConstraint("break_id", "number", name="break_actions_pk"),
    )
    for statement in _POSTGRES if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)
