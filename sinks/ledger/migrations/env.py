"""What Alembic runs for every command: it migrates over the connection that `migrate.py` hands in."""

from alembic import context

from sinks.ledger import bank_tables, tables  # noqa: F401  (each adds its own to the metadata)
from sinks.ledger.metadata import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
