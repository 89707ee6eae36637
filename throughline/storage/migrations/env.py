"""Alembic environment, used by `throughline.storage.migrations` only: it takes the connection it is handed."""

from alembic import context

from throughline.storage.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
