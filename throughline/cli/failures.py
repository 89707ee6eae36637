"""Failures of machine and database in words: which object, and what a person does about it.

Belongs here: one sentence for each error of the operating system, PostgreSQL and the migrations that no caller handles.
Does not belong here: errors of our own, whose text is already a sentence.
"""

from __future__ import annotations

import errno
import re
from typing import Any

_AGAIN = "nothing that was sealed is lost, and the same command goes on from there"
_SYSTEM = {
    errno.ENOSPC: f"the disk is full: free some space; {_AGAIN}",
    errno.EDQUOT: f"the disk quota is used up: free some space; {_AGAIN}",
    errno.EROFS: "the file system is read-only: mount it writable, or choose a home elsewhere with --home",
    errno.EACCES: "this user may not use it: change its owner or mode, or choose a home elsewhere with --home",
    errno.EPERM: "this user may not use it: change its owner or mode, or choose a home elsewhere with --home",
    errno.EMFILE: "this process has too many files open: raise the limit (`ulimit -n`)",
    errno.ENFILE: "this machine has too many files open: close some programs",
    errno.ENOMEM: "the machine has no memory left: close some programs, or raise the limit (`ulimit -v`)",
    errno.EIO: "the disk cannot be read or written: look at the system's log, and restore the home from a backup",
    errno.ENOENT: "it does not exist: give the path of something that does",
    errno.ENOTDIR: "a part of the path is a file: give the path of a folder",
    errno.EISDIR: "it is a folder: give the path of a file",
}
_SCHEMA = "the table is not as the migrations made it: `throughline verify` names the difference; restore a backup"
_FOREIGN = "another program uses this database: give Throughline an empty one of its own, in --database"
_DATABASE = {
    "53100": f"the database's disk is full: free some space; {_AGAIN}",
    "53200": "the database has no memory left: close some programs, or raise the limit (`ulimit -v`)",
    "53300": "all connections of the database are in use: stop some processes, or raise max_connections",
    "57P01": f"the database was shut down meanwhile: run the command again; {_AGAIN}",
    "57P02": f"the database crashed meanwhile: run the command again; {_AGAIN}",
    "57P03": "the database is starting or stopping: run the command again in a moment",
    "57014": f"the database ended the query because it took too long: raise statement_timeout; {_AGAIN}",
    "25006": "the database only allows reading: connect to the primary server, or open it for writing",
    "40P01": f"two processes waited for each other and the database ended this one: run the command again; {_AGAIN}",
    "42501": "the database's user may not do this: `GRANT CREATE ON SCHEMA public` to it, grant it the roles that the "
    "migrations made, or connect as the owner of the database",
    "42P07": _FOREIGN,
    "42710": _FOREIGN,
    "42723": _FOREIGN,
    "42703": _SCHEMA,
    "42P01": _SCHEMA,
    "42704": _SCHEMA,
    "42804": _SCHEMA,
    "42883": _SCHEMA,
    "58030": "the database cannot read or write its disk: look at the system's log, and restore a backup",
    "58P01": "a file of the database is missing: restore the home from a backup",
    "XX001": "a file of the database is damaged: restore the home from a backup; do not write to it before",
    "XX002": "an index of the database is damaged: rebuild it with REINDEX, or restore the home from a backup",
}
_CONNECTING = (
    ("No space left on device", "53100"),
    ("Disk quota exceeded", "53100"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
    ("is starting up", "57P03"),
    ("is shutting down", "57P03"),
    ("not yet accepting connections", "57P03"),
)
"""What a refused connection says, which comes without a code, and the code that it would have."""
_REVISION = re.compile(r"Can't locate revision identified by '([^']*)'")


def sentence_of(error: BaseException) -> str | None:
    """Return the sentence for a failure of machine or database, None where the error is neither."""
    sentence = _of_one(error)
    if sentence is None and error.__cause__ is not None:
        return sentence_of(error.__cause__)
    return sentence


def _of_one(error: BaseException) -> str | None:
    module = type(error).__module__
    if module.startswith("sqlalchemy"):
        origin = getattr(error, "orig", None)
        return None if origin is None else _database(origin)
    if module.startswith("psycopg2"):
        return _database(error)
    if module.startswith("alembic"):
        return _migration(error)
    if isinstance(error, MemoryError):
        return _SYSTEM[errno.ENOMEM]
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) and error.errno in _SYSTEM:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{_SYSTEM[error.errno]}"
    return None


def _database(error: Any) -> str | None:
    code = getattr(error, "pgcode", None)
    said = _first_line(error)
    if code in _DATABASE:
        return f"{said}: {_DATABASE[code]}"
    if code is None and type(error).__name__ in ("OperationalError", "InterfaceError"):
        known = next((_DATABASE[meant] for words, meant in _CONNECTING if words in said), None)
        lost = f"the database cannot be reached or closed the connection: see that it runs; {_AGAIN}"
        return f"{said}: {known or lost}"
    return None


def _first_line(error: Any) -> str:
    """Return what PostgreSQL says in its first line, which names the object, without its prefix."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else "the database said nothing"
    return re.sub(r"^(?:.*?)(?:ERROR|FATAL|PANIC):\s*", "", text).rstrip(".:")


def _migration(error: BaseException) -> str | None:
    match = _REVISION.search(str(error))
    if match is None:
        return None
    return (
        f"the database is at migration '{match[1]}', which this release does not know: a newer release made it, so use "
        "that one; if alembic_version was changed by hand, restore it from a backup"
    )
