"""Writing trades by hand: all rows of all trades of a call, or nothing; the same again is nothing.

Belongs here: the rows' way into the tables and the seal log, in one transaction. Does not belong here: what the rows
say (entry, records) and whole days (flow).

The log's lock is taken first and kept to the end of the transaction, so writers come one after the other: what is asked
under it cannot change before it is written.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, text

from throughline.errors import LedgerConflict
from throughline.proof.log import append_entries
from throughline.proof.settings import Proof
from throughline.registry.records import TradeRows
from throughline.storage.copy import copy_tuples
from throughline.storage.records import LedgerRow
from throughline.storage.tables import REGISTRY, projection

_WRITTEN = ("uuid", "experiment", "partition", "content_hash", "body", "supersedes", "run_id")
_KNOWN = "SELECT uuid, content_hash FROM {} WHERE uuid = ANY(CAST(:keys AS uuid[]))"


def write_trades(connection: Connection, proof: Proof, trades: Sequence[TradeRows], experiment: str) -> int:
    """Write the rows of trades of `experiment` and log them, in the connection's transaction; return how many are new.

    The caller holds the log (`throughline.proof.log.lock_log`). Raises LedgerConflict where something else is recorded
    under the natural key of one of them.
    """
    by_table = [(table, [item.by_table()[table.name] for item in trades]) for table in REGISTRY]
    fresh: list[tuple[str, LedgerRow]] = []
    for table, rows in by_table:
        new = _new_rows(connection, table, rows)
        _copy(connection, table, new)
        fresh += [(table.name, row) for row in new]
    append_entries(connection, proof, fresh, experiment)
    return sum(name == "canonical_trades" for name, _ in fresh)


def _new_rows(connection: Connection, table: Table, rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    """Return the rows that are not recorded, each once."""
    keys = {"keys": [str(row.uuid) for row in rows]}
    known: dict[uuids.UUID, str] = {
        row.uuid: row.content_hash for row in connection.execute(text(_KNOWN.format(table.name)), keys)
    }
    new: dict[uuids.UUID, LedgerRow] = {}
    for row in rows:
        before = known.get(row.uuid) or (new[row.uuid].content_hash if row.uuid in new else None)
        if before is None:
            new[row.uuid] = row
        elif before != row.content_hash:
            raise LedgerConflict(
                f"{table.name} {row.uuid} is recorded with hash {before}, this gives {row.content_hash}: what is "
                "recorded stays; correct it with supersedes. Nothing was written."
            )
    return list(new.values())


def _copy(connection: Connection, table: Table, rows: Sequence[LedgerRow]) -> None:
    names = projection(table)
    values: list[list[Any]] = [
        [getattr(row, name) for name in _WRITTEN] + [row.columns[name] for name in names] for row in rows
    ]
    cursor = connection.connection.cursor()
    try:
        copy_tuples(cursor, table, _WRITTEN + names, values)
    finally:
        cursor.close()
