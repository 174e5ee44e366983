"""Keeps what nearly all claims come to with a shop or hospital, for the records to come to be compared with."""

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the table, empty until the first `claimhub reports peers --publish`."""
    word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "peer_limits",
        sa.Column("kind", word, nullable=False),
        sa.Column("line", word, nullable=False),
        sa.Column("currency", word, nullable=False),
        sa.Column("claims", sa.BigInteger(), nullable=False),
        sa.Column("per_cent", sa.Integer(), nullable=False),
        sa.Column("limit_minor", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "line", "currency", name="peer_limits_pk"),
    )
