"""Keeps what claims leave for others by when they were notified, and says of each what it is of."""

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Make the table anew with what was in it: papers and contents, whose kind is 0 in the lowest four bits."""
    op.execute("CREATE TABLE earlier_traces AS SELECT digest, at_ms, claim, lane FROM traces")
    op.drop_table("traces")
    op.create_table(
        "traces",
        sa.Column("digest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("claim", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "at_ms", "claim", name="traces_pk"),
    )
    op.execute("INSERT INTO traces SELECT digest & -16, at_ms, claim, min(lane) FROM earlier_traces GROUP BY 1, 2, 3")
    op.drop_table("earlier_traces")
