"""The first tables."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

WORD: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
STATE: Final = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

# Says no to whatever would change what happened. Statement triggers cost the inserts nothing.
POSTGRES: Final = (
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'the % is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$
    """,
    """
    CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    # lz4 where the server was built with it: a state too large for its page is packed several times as fast.
    """
    DO $$ BEGIN
        IF (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
            ALTER TABLE claims ALTER COLUMN state SET COMPRESSION lz4;
            ALTER TABLE policies ALTER COLUMN state SET COMPRESSION lz4;
        END IF;
    END $$
    """,
)

SQLITE: Final = tuple(
    f"""
    CREATE TRIGGER journal_no_{change.lower()} BEFORE {change} ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END
    """
    for change in ("UPDATE", "DELETE")
)


def upgrade() -> None:
    """Make the tables and guard the journal."""
    _lanes()
    _records()
    _states()
    _outputs()
    for statement in POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def _lanes() -> None:
    """Where each lane stands."""
    op.create_table(
        "topics",
        sa.Column("topic", WORD, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("partitions", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name="topics_pk"),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("lane", name="lanes_pk"),
    )
    op.create_table(
        "positions",
        sa.Column("topic", WORD, nullable=False),
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "lane", name="positions_pk"),
    )


def _records() -> None:
    """What became of each record: applied, waiting, or dead."""
    op.create_table(
        "journal",
        sa.Column("topic", WORD, nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=True),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("topic", "generation", "partition", "offset", name="journal_pk"),
    )
    op.create_index("journal_subject", "journal", ["subject"])
    op.create_table(
        "parked",
        sa.Column("topic", WORD, nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("topic", "generation", "partition", "offset", name="parked_pk"),
    )
    op.create_index("parked_subject", "parked", ["subject"])
    op.create_table(
        "dead_letters",
        sa.Column("topic", WORD, nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("redriven_at_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("topic", "generation", "partition", "offset", name="dead_letters_pk"),
    )


def _states() -> None:
    """What is known now: claims, policies and payments."""
    op.create_table(
        "claims",
        sa.Column("claim", WORD, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.PrimaryKeyConstraint("claim", name="claims_pk"),
        # Room in each page for the next versions of its claims: an update then touches no index.
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "policies",
        sa.Column("number", WORD, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("plate", WORD, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.PrimaryKeyConstraint("number", name="policies_pk"),
    )
    op.create_index("policies_plate", "policies", ["plate"])
    op.create_table(
        "payments",
        sa.Column("id", WORD, nullable=False),
        sa.Column("claim", WORD, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("settlement_version", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=False),
        sa.Column("cause", WORD, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("approved_by <> proposed_by", name="payments_two_people"),
        sa.PrimaryKeyConstraint("id", name="payments_pk"),
        sa.UniqueConstraint("claim", "settlement_version", "attempt", name="payments_claim_key"),
    )
    op.create_index(
        "payments_one_effective",
        "payments",
        ["claim", "settlement_version"],
        unique=True,
        postgresql_where=sa.text("state <> 'rejected'"),
        sqlite_where=sa.text("state <> 'rejected'"),
    )


def _outputs() -> None:
    """What is to be published, and how far it is."""
    op.create_table(
        "outbox",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("topic", WORD, nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("key", WORD, nullable=False),
        sa.Column("subject", WORD, nullable=False),
        sa.Column("cause", WORD, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("lane", "seq", name="outbox_pk"),
    )
    op.create_index("outbox_subject", "outbox", ["subject"])
    op.create_table(
        "relay",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("published", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane", name="relay_pk"),
    )
    op.create_table(
        "relay_next",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("topic", WORD, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane", "topic", "partition", name="relay_next_pk"),
    )
