"""Keeps what is open on each day; the figures of reports are counted anew, as what they have cannot tell it."""

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | None = None
depends_on: str | None = None

_FIGURES = ("report_marks", "report_claims", "report_providers", "report_movements", "report_people")


def upgrade() -> None:
    """Empty the figures, which the next report fills from the outbox, and add what they did not have."""
    word = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    for table in _FIGURES:
        op.execute(sa.delete(sa.table(table)))
    with op.batch_alter_table("report_claims") as claims:
        claims.add_column(sa.Column("approved_minor", sa.BigInteger(), nullable=False))
        claims.add_column(sa.Column("instructed_minor", sa.BigInteger(), nullable=False))
    op.create_table(
        "report_liabilities",
        sa.Column("kind", word, nullable=False),
        sa.Column("line", word, nullable=False),
        sa.Column("currency", word, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "line", "currency", "day", name="report_liabilities_pk"),
    )
