"""Counts the processes that ended while they held a lane, and names the record that is suspected of it."""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Add both to the lanes; so far nobody has died."""
    op.add_column("lanes", sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("lanes", sa.Column("suspect", sa.Text(), nullable=True))
