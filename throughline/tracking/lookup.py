"""Finding records of a chain by any of its UUIDs. Reading only."""

from __future__ import annotations

import uuid as uuid_module
from collections.abc import Sequence

from sqlalchemy import Connection, Table, select

from throughline.errors import UnknownRecord
from throughline.storage.queries import as_row
from throughline.storage.records import LedgerRow
from throughline.storage.tables import LEDGER, ledger_table, projection


def records_of(connection: Connection, name: str, candidate: uuid_module.UUID) -> list[LedgerRow]:
    """Return the records of one table that hang on a candidate: the first, then its corrections in order."""
    table = ledger_table(name)
    query = select(table).where(table.c.candidate_uuid == candidate)
    rows = [as_row(row, projection(table)) for row in connection.execute(query).mappings()]
    ordered: list[LedgerRow] = []
    follower: uuid_module.UUID | None = None
    while len(ordered) < len(rows):
        following = [row for row in rows if row.supersedes == follower]
        if not following:
            break
        ordered.append(following[0])
        follower = following[0].uuid
    return ordered


def current_record(connection: Connection, name: str, candidate: uuid_module.UUID) -> LedgerRow | None:
    """Return the latest record of one table that hangs on a candidate, None where there is none."""
    records = records_of(connection, name, candidate)
    return records[-1] if records else None


def find_record(
    connection: Connection, uuid: uuid_module.UUID, tables: Sequence[Table] = LEDGER
) -> tuple[str, LedgerRow]:
    """Return table name and row of the record with this UUID, whatever its stage. Raises UnknownRecord."""
    for table in tables:
        row = connection.execute(select(table).where(table.c.uuid == uuid)).mappings().one_or_none()
        if row is not None:
            return table.name, as_row(row, projection(table))
    raise UnknownRecord(
        f"no record has the id {uuid}: looked in {', '.join(table.name for table in tables)} of this home"
    )
