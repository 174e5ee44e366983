"""Keeps when the next tick of a claim is due."""

import sqlalchemy as sa
from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the column, and an index on the claims that something is due for; nothing is due for those from before."""
    op.add_column("claims", sa.Column("due_at_ms", sa.BigInteger()))
    something_due = sa.text("due_at_ms IS NOT NULL")
    op.create_index(
        "claims_due", "claims", ["lane", "due_at_ms"], postgresql_where=something_due, sqlite_where=something_due
    )
