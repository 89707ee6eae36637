"""Inserting what is recorded once: the same again does nothing, something else under the same name is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select, tuple_

from throughline.errors import LedgerConflict
from throughline.storage.row_log import insert_listed


def insert_once(conn: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *compared: str) -> int:
    """Insert rows and list them in the seal log; compare those whose primary key exists.

    Args:
        conn: in a transaction, with the writer's role.
        table: one of `storage.tables.LISTED`.
        rows: column -> value.
        compared: the columns that must be equal where a row exists.

    Returns:
        How many rows are new.

    Raises:
        LedgerConflict: an existing row differs.
    """
    new = set(insert_listed(conn, table, rows))
    key = list(table.primary_key.columns)
    known = {item: row for row in rows if (item := tuple(row[column.name] for column in key)) not in new}
    statement = select(*key, *(table.c[name] for name in compared)).where(tuple_(*key).in_(list(known)))
    for existing in conn.execute(statement) if known else ():
        row = known[tuple(existing[: len(key)])]
        described = " of ".join(str(part)[:24] for part in reversed(existing[: len(key)]))
        for name, recorded in zip(compared, existing[len(key) :], strict=True):
            before = bytes(recorded) if isinstance(recorded, memoryview) else recorded
            require_same(table.name, described, before, row[name])
    return len(new)


def require_same(table: str, row: str, recorded: Any, given: Any) -> None:
    """Raise LedgerConflict where what is recorded and what is given differ; it shows both from where they part."""
    if recorded == given:
        return
    before, now = (item.decode() if isinstance(item, bytes) else str(item) for item in (recorded, given))
    first = next((k for k, (one, other) in enumerate(zip(before, now, strict=False)) if one != other), 0)
    start = max(0, first - 40)
    raise LedgerConflict(
        f"{table} {row} is recorded as ...{before[start : start + 120]}..., this call gives "
        f"...{now[start : start + 120]}...: a record never changes"
    )
