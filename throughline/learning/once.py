"""Inserting what is said once: the same again does nothing, something else under the same name is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects.postgresql import insert

from throughline.errors import LedgerConflict


def insert_once(conn: Connection, table: Table, values: Mapping[str, Any], key: Sequence[str], *compared: str) -> bool:
    """Insert a row; where its key is known, compare and return False. Raises LedgerConflict where it differs."""
    statement = insert(table).values(values).on_conflict_do_nothing().returning(table.c[key[0]])
    if conn.execute(statement).scalar() is not None:
        return True
    where = [table.c[name] == values[name] for name in key]
    found = conn.execute(select(*(table.c[name] for name in compared)).where(*where)).one()
    row = " of ".join(str(values[name])[:24] for name in reversed(key))
    for name, recorded in zip(compared, found, strict=True):
        before = bytes(recorded) if isinstance(recorded, memoryview) else recorded
        require_same(table.name, row, before, values[name])
    return False


def require_same(table: str, row: str, recorded: Any, given: Any) -> None:
    """Raise LedgerConflict where what is recorded and what is given differ; it shows both from where they part."""
    if recorded == given:
        return
    before, now = (item.decode() if isinstance(item, bytes) else str(item) for item in (recorded, given))
    first = next((k for k, (one, other) in enumerate(zip(before, now, strict=False)) if one != other), 0)
    start = max(0, first - 40)
    raise LedgerConflict(
        f"{table} {row} is recorded as ...{before[start : start + 120]}..., this call gives "
        f"...{now[start : start + 120]}...: what was said once stays"
    )
