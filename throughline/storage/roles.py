"""Who may do what: owner (migrations), writer, reader, auditor, and one role per neighbouring database.

Belongs here: creating the roles and granting their rights. Does not belong here: the triggers (migrations), which
hold for every role that grants forget.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, text

from throughline.storage.tables import APPEND_ONLY, LEDGER, MUTABLE, view_name

Role = Literal["owner", "writer", "reader", "auditor"]
ROLES: tuple[Role, ...] = ("owner", "writer", "reader", "auditor")
NEIGHBOURS = ("dagster", "mlflow")
"""Databases of other programs on a home's own server; each belongs to a role of its name."""


def role_name(role: str) -> str:
    """Return the server's name of `role`."""
    return f"throughline_{role}"


def create_role(connection: Connection, name: str, *, login: bool) -> None:
    """Create the role `name` unless it exists; two processes may try at once."""
    connection.execute(
        text(
            f"DO $$ BEGIN CREATE ROLE {name} {'LOGIN' if login else 'NOLOGIN'}; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    )


def grant_rights(connection: Connection) -> None:
    """Grant every role its rights; run by the owner after each migration.

    Writer: INSERT and SELECT on append-only tables, besides that INSERT, UPDATE and DELETE on the mutable ones.
    Reader and auditor: SELECT. All three may read where a sequence stands, which is compared with its table.
    """
    for statement in grant_statements():
        connection.execute(text(statement))


def grant_statements() -> tuple[str, ...]:
    """Return the statements of `grant_rights`, in their order."""
    writer, reader, auditor = (role_name(role) for role in ("writer", "reader", "auditor"))
    append_only = ", ".join(sorted(table.name for table in APPEND_ONLY))
    mutable = ", ".join(sorted(table.name for table in MUTABLE))
    views = ", ".join(sorted(view_name(table) for table in LEDGER))
    return (
        f"REVOKE ALL ON {append_only}, {mutable} FROM PUBLIC, {writer}, {reader}, {auditor}",
        f"GRANT SELECT ON {append_only}, {mutable}, {views}, alembic_version TO {writer}, {reader}, {auditor}",
        f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {writer}, {reader}, {auditor}",
        f"GRANT INSERT ON {append_only} TO {writer}",
        f"GRANT INSERT, UPDATE, DELETE ON {mutable} TO {writer}",
    )
