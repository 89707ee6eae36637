"""Tables, guards and views as the catalogue declares them, made without a migration."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import Connection, Table, text

from throughline.storage.tables import APPEND_ONLY, LEDGER, metadata, view_name


def create_declared(connection: Connection) -> None:
    """Create everything that is declared in an empty database."""
    metadata.create_all(connection)
    refuse: str = import_module("throughline.storage.migrations.versions.0001_ledger").REFUSE
    connection.execute(text(refuse))
    for table in APPEND_ONLY:
        create_guard(connection, table)
    for table in LEDGER:
        create_view(connection, table)


def create_guard(connection: Connection, table: Table) -> None:
    """Create the trigger that refuses changes of a table."""
    guard = f"{table.name}_append_only"
    connection.execute(
        text(
            f"CREATE TRIGGER {guard} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table.name} "
            "FOR EACH STATEMENT EXECUTE FUNCTION throughline_refuse_change()"
        )
    )
    connection.execute(text(f"ALTER TABLE {table.name} ENABLE ALWAYS TRIGGER {guard}"))


def create_view(connection: Connection, table: Table) -> None:
    """Create the view that leaves out corrected records."""
    later = f"SELECT 1 FROM {table.name} AS later WHERE later.supersedes = record.uuid"
    connection.execute(
        text(f"CREATE VIEW {view_name(table)} AS SELECT * FROM {table.name} AS record WHERE NOT EXISTS ({later})")
    )
