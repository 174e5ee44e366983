"""Keeps who decided to go on without records that were deleted before they were read."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None

WORD: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

POSTGRES: Final = (
    """
    CREATE TRIGGER accepted_losses_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON accepted_losses
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

SQLITE: Final = tuple(
    f"""
    CREATE TRIGGER accepted_losses_no_{change.lower()} BEFORE {change} ON accepted_losses
    BEGIN SELECT RAISE(ABORT, 'the accepted_losses are append-only'); END
    """
    for change in ("UPDATE", "DELETE")
)


def upgrade() -> None:
    """Make the table, and guard it as the journal is guarded."""
    op.create_table(
        "accepted_losses",
        sa.Column("topic", WORD, nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("accepted_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "generation", "lane", "first", name="accepted_losses_pk"),
    )
    for statement in POSTGRES if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
