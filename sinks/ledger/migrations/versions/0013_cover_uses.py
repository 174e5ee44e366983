"""Keeps what claims use of the covers that their policy has for a year, for the policy's other claims to come."""

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the table, empty: what claims settled before have used is known once they are settled anew."""
    word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "cover_uses",
        sa.Column("policy", word, nullable=False),
        sa.Column("claim", word, nullable=False),
        sa.Column("cover", word, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("loss_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("deductible_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("policy", "claim", "cover", name="cover_uses_pk"),
        sa.UniqueConstraint("policy", "number", name="cover_uses_in_turn"),
    )
