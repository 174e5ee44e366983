"""Keeps since when a record waits that is to raise a break, and finds the breaks that were raised."""

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add the column and the indexes; what is parked already raises no break."""
    op.add_column("parked", sa.Column("since_ms", sa.BigInteger()))
    timed = sa.text("since_ms IS NOT NULL")
    op.create_index("parked_since", "parked", ["lane", "since_ms"], postgresql_where=timed, sqlite_where=timed)
    raised = sa.text("topic = 'hub.break.v1'")
    op.create_index("outbox_breaks", "outbox", ["at_ms"], postgresql_where=raised, sqlite_where=raised)
