"""The rows of append-only tables that the seal log lists one by one, and the event that lists them.

Belongs here: the hash of a whole row, its name, and inserting rows together with their event. Does not belong here: the
records of the ledger (their seals are logged), signing and anchoring (proof.log), comparing (proof.audit).

Whoever writes a row of a table in `storage.tables.LISTED` lists it in an event of the same transaction, so a row that
no event lists was put there by somebody else. Before the log has begun there is nothing to append to: its first event
lists what is there then.
"""

from __future__ import annotations

import json
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cache
from typing import Any

from psycopg2.extras import execute_values
from sqlalchemy import Boolean, Connection, Date, DateTime, Integer, LargeBinary, Table, Uuid
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import insert

from throughline.identity import SCHEMA_VERSION, canonical_bytes, content_hash, parse_time, sha256_hex, time_text
from throughline.storage.tables import LISTED

LOG_LOCK = int(sha256_hex(b"throughline seal log")[:15], 16)
"""Key of the advisory lock that whoever appends to the seal log holds."""
LOCK_LOG = "SELECT pg_advisory_xact_lock(%s)"
ROWS_PER_EVENT = 1000
INSERT_EVENTS = (
    "INSERT INTO seal_events (seq, kind, experiment, asset, partition, leaf_hash, body, recorded_at) VALUES %s"
)
_LARGEST_INTEGER = 2**53 - 1  # canonical JSON has none beyond it
_LISTED = {table.name: table for table in LISTED}
_DAY = "YYYY-MM-DD"
_TIME = f'{_DAY}"T"HH24:MI:SS.US"Z"'


def listed_table(name: str) -> Table:
    """Return the table `name`. Raises KeyError where the log does not list its rows one by one."""
    return _LISTED[name]


def insert_listed(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Insert rows and list them in the seal log, in the caller's transaction.

    Args:
        connection: with the writer's rights, READ COMMITTED. The log's lock is held until the transaction ends.
        table: one of `storage.tables.LISTED`.
        rows: column -> value; columns with a default may be left out. Rows whose primary key exists are skipped.

    Returns:
        The primary keys of the rows that are new, as the database returns them.

    Example:
        >>> with engine.begin() as connection:  # doctest: +SKIP
        ...     insert_listed(connection, tables.model_trials, [{"experiment": e, "trial": t, "body": b"{}"}])
    """
    if not rows:
        return []
    lock_log(connection)
    statement = insert(table).values(list(rows)).on_conflict_do_nothing().returning(*table.primary_key.columns)
    keys = [tuple(row) for row in connection.execute(statement)]
    with open_cursor(connection) as cursor:
        list_rows(cursor, table, keys)
    return keys


@contextmanager
def open_cursor(connection: Connection) -> Iterator[Any]:
    """Yield a cursor of the driver in the connection's transaction."""
    cursor = connection.connection.cursor()
    try:
        yield cursor
    finally:
        cursor.close()


def lock_log(connection: Connection) -> None:
    """Wait for the seal log and hold it until the transaction ends.

    Take it before the first row of a transaction that will append: two transactions that wait for each other's rows and
    for the log would end in a deadlock. The transaction must be READ COMMITTED (the default), or it would not see the
    log's end.
    """
    connection.exec_driver_sql(LOCK_LOG, (LOG_LOCK,))


def list_rows(
    cursor: Any, table: Table, keys: Sequence[Sequence[Any]], partition: tuple[str, str, date] | None = None
) -> None:
    """Append events that list rows which this transaction has written; nothing where the log has not begun.

    Args:
        cursor: psycopg2's, of a transaction that holds the log's lock.
        table: one of `storage.tables.LISTED`.
        keys: primary keys of the rows.
        partition: (experiment, asset, day) that all of them are about; the events then carry it, for whoever asks what
            was logged of a partition.
    """
    if not keys:
        return
    cursor.execute("SELECT seq, body, now() FROM seal_events ORDER BY seq DESC LIMIT 1")
    last = cursor.fetchone()
    if last is None:
        return
    seq, before, now = int(last[0]), json.loads(bytes(last[1])), time_text(last[2])
    names = [row_name(key) for key in keys]
    hashes = read_hashes(cursor, table, names)
    time = max(now, str(before["recorded_at"]))
    where = partition or (None, None, None)
    about = dict(zip(("experiment", "asset", "partition"), partition, strict=True)) if partition else {}
    values = []
    for start in range(0, len(names), ROWS_PER_EVENT):
        seq += 1
        content = {
            "kind": "rows",
            "log": before["log"],
            "recorded_at": time,
            "rows": [(table.name, name, hashes[name]) for name in names[start : start + ROWS_PER_EVENT]],
            "schema_version": SCHEMA_VERSION,
            "seq": seq,
        }
        body = canonical_bytes(content | about)
        values.append((seq, "rows", *where, sha256_hex(b"\0" + body), body, time))
    execute_values(cursor, INSERT_EVENTS, values)


def row_name(key: Sequence[Any]) -> str:
    """Return the name of a row in the log: its primary key, parts divided by slashes (a slash in a part is %2F)."""
    texts = [time_text(part) if isinstance(part, datetime) else str(part) for part in key]
    return "/".join(text.replace("%", "%25").replace("/", "%2F") for text in texts)


def key_of(table: Table, name: str) -> tuple[str, ...]:
    """Return the primary key that `row_name` wrote, as texts. Raises ValueError for a name of another form."""
    parts = tuple(part.replace("%2F", "/").replace("%25", "%") for part in name.split("/"))
    columns = list(table.primary_key.columns)
    if len(parts) != len(columns):
        raise ValueError(f"{name!r} is no primary key of {table.name}")
    for column, part in zip(columns, parts, strict=True):
        if isinstance(column.type, Integer):
            if not -(2**63) <= int(part) < 2**63:
                raise ValueError(f"{part} is beyond 64 bits")
        elif isinstance(column.type, Uuid):
            uuid.UUID(part)
        elif isinstance(column.type, DateTime):
            parse_time(part)
        elif isinstance(column.type, Date):
            date.fromisoformat(part)
        elif "\0" in part:
            raise ValueError("a text of the database holds no NUL")
    return parts


def read_hashes(cursor: Any, table: Table, names: Sequence[str]) -> dict[str, str]:
    """Return name -> hash of those of the rows `names` that the table has."""
    if not names:
        return {}
    columns = list(table.primary_key.columns)
    keys = [key_of(table, name) for name in names]
    types = [column.type.compile(dialect=postgresql.dialect()) for column in columns]  # type: ignore[no-untyped-call]
    arrays = ", ".join(f"%s::text[]::{kind}[]" for kind in types)
    key = ", ".join(column.name for column in columns)
    where = f"WHERE ({key}) IN (SELECT * FROM unnest({arrays}))"
    cursor.execute(_select(table) + where, [list(parts) for parts in zip(*keys, strict=True)])
    return dict(_hashed(table, cursor))


def read_all_hashes(cursor: Any, table: Table) -> dict[str, str]:
    """Return name -> hash of every row of a table, in the order of the primary key."""
    order = ", ".join(
        f"{column.name}" if isinstance(column.type, Integer) else f'{column.name}::text COLLATE "C"'
        for column in table.primary_key.columns
    )
    cursor.execute(_select(table) + f"ORDER BY {order}")
    return dict(_hashed(table, cursor))


@cache
def _select(table: Table) -> str:
    """Return the query for all columns, as texts that no setting of the session changes."""
    parts = []
    for column in table.columns:
        if isinstance(column.type, LargeBinary):
            parts.append(column.name)
        elif isinstance(column.type, DateTime):
            parts.append(f"to_char({column.name} AT TIME ZONE 'UTC', '{_TIME} BC')")
        elif isinstance(column.type, Date):
            parts.append(f"to_char({column.name}, '{_DAY} BC')")
        else:
            parts.append(f"{column.name}::text")
    return f"SELECT {', '.join(parts)} FROM {table.name} "


def _hashed(table: Table, rows: Iterable[Sequence[Any]]) -> Iterable[tuple[str, str]]:
    names = [column.name for column in table.columns]
    types = [column.type for column in table.columns]
    places = [names.index(column.name) for column in table.primary_key.columns]
    for row in rows:
        values = [_value(kind, text) for kind, text in zip(types, row, strict=True)]
        key = [str(values[place]) for place in places]
        yield (
            row_name(key),
            content_hash(table.name, canonical_bytes(dict(zip(names, values, strict=True)))),
        )


def _value(kind: Any, text: Any) -> Any:
    """Return a column's value as the hash of its row takes it; different values give different results."""
    if text is None:
        return None
    if isinstance(kind, LargeBinary):
        return sha256_hex(bytes(text))
    if isinstance(kind, DateTime | Date):
        return text.removesuffix(" AD")
    if isinstance(kind, Boolean):
        return text == "true"
    if isinstance(kind, Integer):
        number = int(text)
        return number if abs(number) <= _LARGEST_INTEGER else text
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text
    return {"not_normalized": text.encode("utf-8").hex()}  # canonical JSON would make it equal to its NFC form
