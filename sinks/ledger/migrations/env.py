"""What Alembic runs for every command: it migrates over the connection that `migrate.py` hands in."""

from alembic import context

from sinks.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
