"""Databases beside the one that a connection is in: a new empty one, made by the migrations, for as long as it is used.

Belongs here: reaching the same server again with the same credentials. Does not belong here: what is read there
(`integrity.database`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import sql
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from throughline.storage import migrations
from throughline.storage.cluster import ADMIN
from throughline.storage.roles import ROLES, grant_rights, role_name

TEMPORARY = "throughline_pristine_"
"""How the names of temporary databases begin."""


def is_embedded(connection: Connection) -> bool:
    """Return whether a connection is to a home's own server.

    That follows from how this process connected and from nothing that the server says: to a socket, as a role of ours
    or as the bootstrap superuser. To a configured server we connect as the user of its URL, and then take a role.
    """
    parameters = _parameters(connection)
    ours = {ADMIN, *(role_name(role) for role in ROLES)}
    own_role = "role=" in parameters.get("options", "")
    return parameters.get("host", "").startswith("/") and parameters.get("user") in ours and not own_role


@contextmanager
def pristine_database(connection: Connection, *, roles: bool) -> Iterator[Connection]:
    """Yield a connection, as the owner, to a new database of the same server that holds what the migrations make.

    Args:
        connection: to a database of the server; only its parameters are used.
        roles: whether the server has our roles, which then own the objects and get their rights.

    Raises:
        psycopg2.Error: the connection's user may create no database.
    """
    name = TEMPORARY + secrets.token_hex(8)
    parameters = _parameters(connection)
    embedded = is_embedded(connection)
    admin = connect_as_admin(connection, "postgres") if embedded else _open(parameters | {"options": ""})
    try:
        with admin.cursor() as cursor:
            cursor.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (migrations.LOCK,))
            _drop_leftovers(cursor)
            owner = f"OWNER {role_name('owner')}" if embedded else ""
            cursor.execute(
                sql.SQL(
                    f"CREATE DATABASE {{}} {owner} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
                ).format(sql.Identifier(name))
            )
            try:
                yield from _migrated(parameters | {"dbname": name}, embedded, roles)
            finally:
                cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    finally:
        admin.close()


def connect_as_admin(connection: Connection, database: str | None = None) -> Any:
    """Return a psycopg2 connection, in autocommit, as the bootstrap superuser of a home's own server.

    Args:
        connection: to the server.
        database: where to, None for the connection's own database.
    """
    parameters = _parameters(connection) | {"user": ADMIN, "options": ""}
    return _open(parameters | ({} if database is None else {"dbname": database}))


def _migrated(parameters: dict[str, str], embedded: bool, roles: bool) -> Iterator[Connection]:
    owner = role_name("owner")
    if embedded:
        parameters = parameters | {"user": owner, "options": ""}
    elif roles:
        admin = _open(parameters | {"options": ""})
        with admin.cursor() as cursor:
            cursor.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {owner}")
        admin.close()
        parameters = parameters | {"options": f"-c role={owner}"}

    def connect() -> Any:
        raw = _open(parameters)
        raw.autocommit = False
        return raw

    engine = create_engine("postgresql+psycopg2://", creator=connect, poolclass=NullPool)
    migrations.upgrade(engine, then=grant_rights if roles else None)
    with engine.connect() as connection:
        yield connection


def _drop_leftovers(cursor: Any) -> None:
    """Drop the temporary databases of processes that were killed; with the lock held there are no others."""
    cursor.execute("SELECT datname FROM pg_catalog.pg_database WHERE starts_with(datname, %s)", (TEMPORARY,))
    for (name,) in cursor.fetchall():
        cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _parameters(connection: Connection) -> dict[str, str]:
    raw: Any = connection.connection.driver_connection
    parameters = dict(raw.info.dsn_parameters)
    if raw.info.password:
        parameters["password"] = raw.info.password
    return parameters


def _open(parameters: dict[str, Any]) -> Any:
    raw = psycopg2.connect(**parameters)
    raw.autocommit = True
    with raw.cursor() as cursor:
        cursor.execute("SET search_path = public; SET TIME ZONE 'UTC'")
    return raw
