"""The objects that a server brings along (`pg_catalog`), held against those of its version.

Belongs here: one digest for each catalogue over the rows with fixed OIDs, and a short digest for each row that names
the ones that differ. `now()` with another body would answer every question of ours falsely, so the rows are read as
they are and hashed here, not by a function of the server.

OIDs below 12000 stand in PostgreSQL's sources; the system views after them are created in a fixed order. What follows
(collations of the machine, information_schema, text search) differs between machines: `first_free_oid` is where it
begins.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from throughline.findings import Finding
from throughline.integrity.database.catalogs import Catalog, read_catalogs
from throughline.integrity.database.reading import PUBLIC_OID

_FIRST_UNPINNED = 12000
_SHORT = 3
"""Bytes of a row's digest: enough to name a row once the digest of its catalogue differs."""
SHOWN = 20
"""At most so many changed rows of one catalogue are listed."""
_SHOWN_AS = {"pg_class": "regclass", "pg_type": "regtype", "pg_proc": "regprocedure"}
_REPAIR = "dump the database and restore it into a new home: this server's own catalogue was changed"


@dataclass(frozen=True)
class Digest:
    """Digests of the fixed rows of a catalogue.

    Attributes:
        whole: SHA-256 of all rows in the order of their keys, in hex.
        rows: base64 of `_SHORT` bytes of SHA-256 for each row, one after the other.
    """

    whole: str
    rows: str


def first_free_oid(connection: Connection) -> int:
    """Return the first OID that `initdb` gave to something of the machine: the first collation of its locales."""
    statement = f"SELECT min(oid) FROM pg_catalog.pg_collation WHERE oid >= {_FIRST_UNPINNED}"
    return int(connection.exec_driver_sql(statement).scalar_one())


def read_digests(connection: Connection, fixed_below: int) -> Mapping[str, Digest]:
    """Return the digest of each catalogue that has fixed rows; rights on rows have one of their own.

    Args:
        connection: of any role, in a transaction.
        fixed_below: the first OID that is not compared.
    """
    return {name: _digest(rows.splitlines()) for name, rows in _streams(connection, fixed_below) if rows}


def check_builtins(
    connection: Connection, fixed_below: int, expected: Mapping[str, Digest], *, rights: bool
) -> Iterator[Finding]:
    """Yield a finding for each object of the server itself that is not the one of its version.

    Args:
        connection: as for `read_digests`.
        fixed_below: as for `read_digests`.
        expected: digests of an untouched server of this version.
        rights: whether rights on built-in objects are compared; the owner of a configured server may give some.
    """
    for name, rows in _streams(connection, fixed_below):
        digest = expected.get(name, _digest([]))
        if name.endswith(" rights") and not rights:
            continue
        if hashlib.sha256(rows).hexdigest() != digest.whole:
            yield from _changed(name, rows.splitlines(), digest)


def _changed(name: str, lines: list[bytes], expected: Digest) -> Iterator[Finding]:
    known = base64.b64decode(expected.rows)
    waiting: dict[bytes, int] = {}
    for start in range(0, len(known), _SHORT):
        digest = known[start : start + _SHORT]
        waiting[digest] = waiting.get(digest, 0) + 1
    changed = []
    for line in lines:
        digest = _short(line)
        if waiting.get(digest, 0):
            waiting[digest] -= 1
        else:
            changed.append(line)
    for line in changed[:SHOWN]:
        fields = line.decode("utf-8", "replace").split("\t")
        problem = "is not the object that this version of PostgreSQL brings along"
        yield Finding("built-in", f"{name}.{fields[0]}", problem, "trigger_changed", "built in", _cut(fields), _REPAIR)
    gone = sum(waiting.values()) - len(changed)
    if gone > 0 or len(changed) > SHOWN:
        problem = f"{max(gone, 0)} built-in rows are missing and {len(changed)} are others"
        yield Finding("built-in", name, problem, "trigger_changed", "built in", f"{len(lines)} rows", _REPAIR)


def _cut(fields: list[str]) -> str:
    return " ".join(fields)[:200]


def _digest(lines: list[bytes]) -> Digest:
    whole = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    return Digest(whole, base64.b64encode(b"".join(map(_short, lines))).decode())


def _short(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()[:_SHORT]


def _streams(connection: Connection, fixed_below: int) -> Iterator[tuple[str, bytes]]:
    """Yield each catalogue with its fixed rows as COPY writes them, the name of the object first."""
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor:
        cursor.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        for catalog in read_catalogs(cursor).values():
            rights = next((name for name, kind in catalog.columns.items() if kind == "aclitem[]"), None)
            if catalog.columns[catalog.anchor] not in ("oid", "regproc"):
                continue
            chosen = f"CAST(t.{catalog.anchor} AS oid) < {fixed_below}"
            if catalog.name == "pg_namespace":
                chosen += f" AND t.oid <> {PUBLIC_OID}"  # its owner and rights are compared with the migrations'
            plain = [_column(catalog, name) for name in catalog.properties if name != rights]
            yield catalog.name, _copy(cursor, catalog, plain, chosen)
            if rights is not None:
                chosen += f" AND t.{rights} IS NOT NULL"
                yield f"{catalog.name} rights", _copy(cursor, catalog, [f"t.{rights}"], chosen)


def _copy(cursor: Any, catalog: Catalog, columns: list[str], chosen: str) -> bytes:
    key = [_column(catalog, name) for name in catalog.key]
    own = ["t.oid"] if "oid" in catalog.columns else []
    stream = io.BytesIO()
    cursor.copy_expert(
        f"COPY (SELECT {', '.join([_label(catalog), *own, *columns])} FROM pg_catalog.{catalog.name} AS t"
        f" WHERE {chosen} ORDER BY {', '.join(own or key or columns)}) TO STDOUT",
        stream,
    )
    return stream.getvalue()


def _column(catalog: Catalog, name: str) -> str:
    return f"CAST(t.{name} AS oid)" if catalog.columns[name] == "regproc" else f"t.{name}"


def _label(catalog: Catalog) -> str:
    """Return what a row is called: its relation, type or function and its name."""
    parts = []
    for column in catalog.key:
        target = catalog.references.get(column)
        if target is None:
            parts.append(f"t.{column}")
        elif target in _SHOWN_AS and catalog.columns[column] in ("oid", "regproc"):
            parts.append(f"CAST(CAST(t.{column} AS oid) AS {_SHOWN_AS[target]})")
    return f"concat_ws('.', {', '.join(f'CAST({part} AS text)' for part in parts)})" if parts else "''"
