"""Keeps states as the JSON text they come as: to take them apart cost the database more than all else in a commit."""

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Turn jsonb into json; SQLite keeps text anyway."""
    if op.get_bind().dialect.name == "postgresql":
        for table in ("claims", "policies"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN state TYPE json USING state::text::json")
