"""Everything that a database is, as one mapping: object to properties, all of them text.

Belongs here: putting the rows of every system catalogue together, so that the snapshots of two databases of one
server version are equal if, and only if, their objects are. Does not belong here: what is expected (`pristine`), which
differences matter (`compare`), roles, databases and settings (`server_objects`).

An object has a kind (``table``, ``trigger``, ``grant``) and a name (``outcomes.outcomes_append_only``). Whatever
column a catalogue has, also one of a later version, is a property; `catalogs` lists the few that are none. The rights
on an object are objects themselves, one for each grantee.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from throughline.integrity.database.catalogs import Catalog, read_catalogs
from throughline.integrity.database.naming import Key, Names
from throughline.integrity.database.reading import Row, read_rows
from throughline.integrity.database.rights import granted

Properties = Mapping[str, str | None]

DATABASE = "{database}"
"""Stands for the name of the database."""
_SERVER_NAMES = """
SELECT 'pg_authid', CAST(oid AS text), CAST(rolname AS text) FROM pg_catalog.pg_roles UNION ALL
SELECT 'pg_database', CAST(oid AS text),
       CASE WHEN datname = current_database() THEN %s ELSE CAST(datname AS text) END FROM pg_catalog.pg_database
UNION ALL SELECT 'pg_tablespace', CAST(oid AS text), CAST(spcname AS text) FROM pg_catalog.pg_tablespace
UNION ALL SELECT 'pg_namespace', CAST(oid AS text), CAST(nspname AS text) FROM pg_catalog.pg_namespace
"""
_MEMBERS = """
SELECT CAST(c.relname AS text), CAST(d.objid AS text), CAST(d.deptype AS text),
       CAST(r.relname AS text), CAST(d.refobjid AS text)
FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.classid
JOIN pg_catalog.pg_class r ON r.oid = d.refclassid WHERE d.deptype IN ('e', 'i') AND d.objsubid = 0
ORDER BY d.objid, d.refclassid, d.refobjid
"""


@dataclass(frozen=True)
class Snapshot:
    """Objects of a database with their properties.

    Attributes:
        objects: kind and name to property to text, None where the catalogue has NULL.
        parents: kind and name to the object that it falls with; only of objects that have one.

    Example:
        >>> snapshot = read_snapshot(connection, fixed_below=12359)
        >>> snapshot.objects["trigger", "outcomes.outcomes_append_only"]["tgenabled"]
        'A'
    """

    objects: Mapping[Key, Properties]
    parents: Mapping[Key, Key]


def read_snapshot(connection: Connection, fixed_below: int) -> Snapshot:
    """Return every object that `initdb` did not make with a fixed OID, and our schema.

    Args:
        connection: to the database, of any role, in a transaction; its search path is pg_catalog afterwards.
        fixed_below: the first OID that is not the same in all databases of the server's version
            (`builtins.first_free_oid`).
    """
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = pg_catalog, pg_temp")  # definitions then name every other schema
        catalogs = read_catalogs(cursor)
        cursor.execute(_SERVER_NAMES, (DATABASE,))
        server = {(catalog, oid): name for catalog, oid, name in cursor.fetchall()}
        cursor.execute(_MEMBERS)
        members = {(name, oid, way): (above, other) for name, oid, way, above, other in cursor.fetchall()}
        rows = {catalog.name: read_rows(cursor, catalog, fixed_below) for catalog in catalogs.values()}
    names = Names(catalogs, rows, server, members)
    objects: dict[Key, dict[str, str | None]] = {}
    parents: dict[Key, Key] = {}
    for name, entries in rows.items():
        for row in entries:
            _add(objects, parents, names, catalogs[name], row)
    return Snapshot(objects, parents)


def _add(
    objects: dict[Key, dict[str, str | None]], parents: dict[Key, Key], names: Names, catalog: Catalog, row: Row
) -> None:
    """Add the object of a row, and the rights on it."""
    key, parent = names.key(catalog, row), names.parent(catalog, row)
    properties = objects.setdefault(key, {})
    properties.update(row.values)
    for column in catalog.translated & row.values.keys():
        properties[column] = names.value(catalog, row, column)
    for column in ("attnum", "arguments"):
        properties.pop(column, None)
    if "owned by" in row.links:
        properties["owned by"] = names.owned_by(row)
    if parent is not None and parent != key:
        parents[key] = parent
    if row.rights is None:
        return
    kind, name = key
    label = "rights"
    if catalog.name == "pg_attribute":
        name, _, column = name.rpartition(".")
        label, key = f"rights on column {column}", parent or key
    elif catalog.name == "pg_default_acl":
        name, label = "default privileges", f"rights on new objects ({name})"
    elif kind == "type":
        name = f"type {name}"
    for grantee, words in granted(row.rights, names.owner(catalog, row)):
        right = ("grant", f"{name}.{grantee}")
        objects.setdefault(right, {})[label] = words
        if catalog.name not in ("pg_default_acl", "pg_parameter_acl"):  # these are nothing but rights
            parents[right] = key
