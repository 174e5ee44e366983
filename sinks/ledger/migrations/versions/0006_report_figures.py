"""Keeps the figures of reports, which `claimhub reports` brings up to date itself."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

WORD: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, empty: the next report fills them from the outbox."""
    op.create_table(
        "report_marks",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lane", name="report_marks_pk"),
    )
    op.create_table(
        "report_claims",
        sa.Column("claim", WORD, nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("stage", WORD, nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("line", WORD, nullable=False),
        sa.Column("cause", WORD, nullable=False),
        sa.Column("region", WORD, nullable=False),
        sa.Column("currency", WORD, nullable=False),
        sa.Column("loss_month", sa.Integer(), nullable=False),
        sa.Column("outcome", WORD, nullable=False),
        sa.Column("reported_day", sa.Integer()),
        sa.Column("registered_day", sa.Integer()),
        sa.Column("not_accepted_day", sa.Integer()),
        sa.Column("decided_day", sa.Integer()),
        sa.Column("paid_day", sa.Integer()),
        sa.Column("closed_day", sa.Integer()),
        sa.Column("reopened_day", sa.Integer()),
        sa.Column("estimated_minor", sa.BigInteger(), nullable=False),
        sa.Column("payable_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("touchless", sa.Boolean(), nullable=False),
        sa.Column("document_notices", sa.Integer(), nullable=False),
        sa.Column("clocks", WORD, nullable=False),
        sa.Column("waits", WORD, nullable=False),
        sa.Column("reported_s", sa.BigInteger()),
        sa.Column("registered_s", sa.BigInteger()),
        sa.Column("investigating_s", sa.BigInteger()),
        sa.Column("assessing_s", sa.BigInteger()),
        sa.Column("decided_s", sa.BigInteger()),
        sa.Column("agreed_s", sa.BigInteger()),
        sa.Column("paying_s", sa.BigInteger()),
        sa.PrimaryKeyConstraint("claim", name="report_claims_pk"),
    )
    op.create_table(
        "report_providers",
        sa.Column("claim", WORD, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", WORD, nullable=False),
        sa.Column("provider", WORD, nullable=False),
        sa.Column("supplements", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", WORD, nullable=False),
        sa.Column("days", sa.Integer()),
        sa.PrimaryKeyConstraint("claim", "number", name="report_providers_pk"),
    )
    op.create_table(
        "report_movements",
        sa.Column("kind", WORD, nullable=False),
        sa.Column("line", WORD, nullable=False),
        sa.Column("currency", WORD, nullable=False),
        sa.Column("loss_month", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "line", "currency", "loss_month", "month", name="report_movements_pk"),
    )
    op.create_table(
        "report_people",
        sa.Column("person", WORD, nullable=False),
        sa.Column("role", WORD, nullable=False),
        sa.Column("action", WORD, nullable=False),
        sa.Column("month", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("decisions", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person", "role", "action", "month", name="report_people_pk"),
    )
