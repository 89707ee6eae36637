"""What a database must be: what the migrations make on an empty one of the same server version.

Belongs here: choosing between the snapshot that ships with the code and one that is made now. It never comes from a
place that somebody who rules the database could write.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from throughline.integrity.database.builtins import Digest, first_free_oid, read_digests
from throughline.integrity.database.compare import portable
from throughline.integrity.database.shipped import decode, migrations_digest, read_shipped
from throughline.integrity.database.snapshot import Snapshot, read_snapshot
from throughline.storage.beside import pristine_database

EMBEDDED = 18
"""Major version of the embedded server."""
_KNOWN: dict[tuple[str, bool], Expected | None] = {}
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Expected:
    """What is expected of a database.

    Attributes:
        snapshot: its objects.
        fixed_below: the first OID whose row is compared one by one.
        built_in: digests of the server's own objects, None where nothing trustworthy is known of this version.
        portable: whether the snapshot is of another version of PostgreSQL, so that only what all versions write alike
            is compared (`compare.portable`).
    """

    snapshot: Snapshot
    fixed_below: int
    built_in: Mapping[str, Digest] | None
    portable: bool = False


def expected_database(connection: Connection, *, roles: bool) -> Expected | None:
    """Return what the database of a connection must be.

    Args:
        connection: to the database; used only where no snapshot ships for its version.
        roles: whether its objects belong to our roles.

    Returns:
        The snapshot that ships with this code for the server's major version, if it was made by these migrations. Else
        one of a database that the migrations make now (0.5 s, once a process). Where the connection's user may create
        no database, the one that ships for the embedded server, compared in part. None where that was made by other
        migrations.
    """
    raw: Any = connection.connection.driver_connection
    server = str(raw.get_parameter_status("server_version"))
    key = (f"{raw.info.host}:{raw.info.port} {server}", roles)
    with _ONE_AT_A_TIME:
        if key not in _KNOWN:
            own = _shipped(raw.server_version // 10000, server)
            _KNOWN[key] = own or _made(connection, roles) or _of_another_version(connection)
        return _KNOWN[key]


def _shipped(major: int, server: str) -> Expected | None:
    content = read_shipped(major)
    if content is None or content["migrations"] != migrations_digest():
        return None
    snapshot, digests = decode(content)
    return Expected(snapshot, content["fixed_below"], digests if content["server"] == server else None)


def _made(connection: Connection, roles: bool) -> Expected | None:
    try:
        with pristine_database(connection, roles=roles) as fresh:
            return read_expected(fresh)
    except psycopg2.errors.InsufficientPrivilege:
        return None
    except DBAPIError as error:
        if isinstance(error.orig, psycopg2.errors.InsufficientPrivilege):
            return None
        raise


def _of_another_version(connection: Connection) -> Expected | None:
    shipped = _shipped(EMBEDDED, "")
    if shipped is None:
        return None
    return Expected(portable(shipped.snapshot), first_free_oid(connection), None, portable=True)


def read_expected(fresh: Connection) -> Expected:
    """Return what is read from a pristine database."""
    fixed_below = first_free_oid(fresh)
    return Expected(read_snapshot(fresh, fixed_below), fixed_below, read_digests(fresh, fixed_below))
