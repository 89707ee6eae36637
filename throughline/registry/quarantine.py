"""Quarantine: entries taken out of use with a reason, and given back. Nothing is ever deleted.

Belongs here: the list of what is in quarantine, adding to it and releasing from it. Does not belong here: finding what
is wrong (consistency) and the questions that leave quarantined entries out (statistics, patterns).

The list is append-only, and logged like the entries themselves; of each entry its last action counts. A trade is out of
use if it or one of its specialised entries is.
"""

from __future__ import annotations

import json
import uuid as uuids
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, func, select, text
from sqlalchemy.dialects.postgresql import distinct_on

from throughline.errors import LedgerConflict, UnknownRecord
from throughline.findings import Finding
from throughline.registries import TRADES, registries
from throughline.storage.row_log import insert_listed, lock_log
from throughline.storage.tables import REGISTRY, ledger_table, registry_quarantine

QUARANTINE, RELEASE = "quarantine", "release"
TABLES = tuple(table.name for table in REGISTRY)

_LATEST = (
    "SELECT DISTINCT ON (table_name, row_uuid) table_name, row_uuid, action FROM registry_quarantine "
    "ORDER BY table_name, row_uuid, seq DESC"
)
_TRADES = text(
    f"WITH quarantined AS (SELECT table_name, row_uuid FROM ({_LATEST}) AS latest WHERE action = '{QUARANTINE}') "
    f"SELECT row_uuid FROM quarantined WHERE table_name = '{TRADES}'"
    + "".join(
        f" UNION SELECT canonical_uuid FROM {name} JOIN quarantined ON row_uuid = uuid WHERE table_name = '{name}'"
        for name in registries()
    )
)


@dataclass(frozen=True, slots=True)
class QuarantinedEntry:
    """An entry in quarantine. finding: the finding as JSON text."""

    table: str
    uuid: uuids.UUID
    reason: str
    finding: str


def quarantined_entries(connection: Connection) -> list[QuarantinedEntry]:
    """Return what is in quarantine now, by table and uuid."""
    c = registry_quarantine.c
    key = (c.table_name, c.row_uuid)
    latest = select(registry_quarantine).ext(distinct_on(*key)).order_by(*key, c.seq.desc())
    rows = [row for row in connection.execute(latest) if row.action == QUARANTINE]
    return [QuarantinedEntry(row.table_name, row.row_uuid, row.reason, row.finding) for row in rows]


def quarantined_trades(connection: Connection) -> frozenset[uuids.UUID]:
    """Return the uuids of the canonical trades that are out of use, themselves or by one of their entries."""
    return frozenset(connection.execute(_TRADES).scalars())


def last_action(connection: Connection) -> int:
    """Return the number of the last action on the list, 0 where there is none: equal numbers, equal lists."""
    return int(connection.execute(select(func.coalesce(func.max(registry_quarantine.c.seq), 0))).scalar_one())


def quarantine(
    connection: Connection, table: str, uuid: uuids.UUID, reason: str, finding: Finding
) -> QuarantinedEntry | None:
    """Take an entry out of use and log it, in the connection's transaction; return None where it already is out.

    Raises UnknownRecord for an entry that does not exist, ValueError for a table that is no registry or for no reason.
    """
    finding_text = json.dumps(finding.as_json(), sort_keys=True)
    done = _act(connection, table, uuid, QUARANTINE, reason, finding_text)
    return QuarantinedEntry(table, uuid, reason, finding_text) if done else None


def release(connection: Connection, table: str, uuid: uuids.UUID, reason: str) -> None:
    """Give an entry back to use and log it, in the connection's transaction.

    Raises:
        LedgerConflict: where it is not in quarantine.
    """
    if not _act(connection, table, uuid, RELEASE, reason, "{}"):
        raise LedgerConflict(f"{table} {uuid} is not in quarantine, so it cannot be released. Nothing was written.")


def quarantine_all(connection: Connection, findings: Iterable[Finding]) -> list[QuarantinedEntry]:
    """Take out of use every entry of a registry that a finding names by its uuid; return those that were not yet.

    The reason is the finding's kind and problem. Findings about other things (seals, triggers, the log) and about rows
    that are not there name nothing to take out.
    """
    taken: list[QuarantinedEntry] = []
    for finding in findings:
        uuid = _uuid(finding.row)
        if finding.table not in TABLES or uuid is None or not _exists(connection, finding.table, uuid):
            continue
        reason = f"{finding.kind}: {finding.problem}"
        entry = quarantine(connection, finding.table, uuid, reason, finding)
        if entry is not None:
            taken.append(entry)
    return taken


def _act(connection: Connection, table: str, uuid: uuids.UUID, action: str, reason: str, finding: str) -> bool:
    registry_table(table)
    if not reason.strip():
        raise ValueError(f"{action} of {table} {uuid} has no reason: say why")
    lock_log(connection)  # two at once: the second one waits, and sees what the first did
    if not _exists(connection, table, uuid):
        raise UnknownRecord(f"{table} holds no record {uuid}, so there is nothing to {action}")
    c = registry_quarantine.c
    latest = select(c.action).where(c.table_name == table, c.row_uuid == uuid).order_by(c.seq.desc()).limit(1)
    if (connection.execute(latest).scalar() or RELEASE) == action:
        return False
    row: dict[str, Any] = {
        "table_name": table,
        "row_uuid": uuid,
        "action": action,
        "reason": reason,
        "finding": finding,
    }
    insert_listed(connection, registry_quarantine, [row])
    return True


def registry_table(name: str) -> Table:
    """Return the table of a registry. Raises ValueError for a name that is no registry's."""
    if name not in TABLES:
        raise ValueError(f"{name} is no registry: name one of {', '.join(TABLES)}")
    return ledger_table(name)


def _exists(connection: Connection, table: str, uuid: uuids.UUID) -> bool:
    source = ledger_table(table)
    return connection.execute(select(source.c.uuid).where(source.c.uuid == uuid)).scalar() is not None


def _uuid(row: str) -> uuids.UUID | None:
    try:
        return uuids.UUID(row)
    except ValueError:
        return None
