"""Keeps what claims leave for other claims to find: digests of papers and contents."""

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the table, empty: what came before it is not found by what comes later."""
    op.create_table(
        "traces",
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("claim", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "claim", name="traces_pk"),
    )
