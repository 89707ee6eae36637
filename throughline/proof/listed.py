"""Reading the rows that the seal log lists one by one (`storage.tables.LISTED`), and which of them no event lists.

Belongs here: SQL. Does not belong here: names and hashes of rows (storage.row_log), comparing (listed_audit).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection

from throughline.proof.events import Event, entry_leaves
from throughline.proof.manifest import Leaf
from throughline.proof.sources import Key, seal_key
from throughline.storage.row_log import key_of, listed_table, open_cursor, read_all_hashes, read_hashes, row_name
from throughline.storage.tables import LISTED

VERDICTS = "gate_verdicts"
"""Listed like all others, but by the event of their seal where they were written with it."""


def rows_are_listed(connection: Connection) -> bool:
    """Return whether every row must be in an event: the log began with a list of rows, or has adopted what was there.

    A log that an older release began has done so once this release has published.
    """
    query = "SELECT body FROM seal_events WHERE kind = 'genesis' OR kind = 'adopted' ORDER BY kind LIMIT 1"
    body = connection.exec_driver_sql(query).scalar()
    try:
        return body is not None and begins_list(Event.read(bytes(body)))
    except ValueError:  # somebody edited it, which is no reason to adopt anything
        return True


def begins_list(event: Event) -> bool:
    """Return whether rows are listed from this event on."""
    return event.kind in ("genesis", "adopted") and "rows" in event.told


def listed_hashes(connection: Connection, table: str, names: Sequence[str] | None = None) -> dict[str, str]:
    """Return name -> hash of the rows `names` (None = all) of a table of `storage.tables.LISTED` that there are."""
    with open_cursor(connection) as cursor:
        source = listed_table(table)
        return read_all_hashes(cursor, source) if names is None else read_hashes(cursor, source, names)


def count_rows(connection: Connection, table: str) -> int:
    """Return how many rows a table has."""
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {listed_table(table).name}").scalar_one())


def duplicates(connection: Connection, table: str) -> list[tuple[str, int]]:
    """Return (name, number) of the rows of a table whose primary key several rows have."""
    columns = ", ".join(column.name for column in listed_table(table).primary_key.columns)
    query = f"SELECT {columns}, count(*) FROM {table} GROUP BY {columns} HAVING count(*) > 1"
    return [(row_name(row[:-1]), int(row[-1])) for row in connection.exec_driver_sql(query)]


def verdicts_without_seal(connection: Connection) -> list[str]:
    """Return the names of the verdicts on partitions that are neither sealed nor logged: both are written at once."""
    key = ", ".join(column.name for column in listed_table(VERDICTS).primary_key.columns)
    same = "s.experiment = v.experiment AND s.asset = v.asset AND s.partition = v.partition"
    query = (
        f"SELECT {key} FROM {VERDICTS} AS v WHERE NOT EXISTS (SELECT 1 FROM partition_seals AS s WHERE {same})"
        f" AND NOT EXISTS (SELECT 1 FROM seal_events AS s WHERE s.kind = 'seal' AND {same}) ORDER BY {key}"
    )
    return [row_name(tuple(row)) for row in connection.exec_driver_sql(query)]


def unlisted_rows(connection: Connection) -> list[Leaf]:
    """Return the rows of the listed tables that no event lists, by table and primary key.

    Verdicts of a partition whose seal is not logged yet are left out: the event of the seal will name them.
    """
    listed: dict[str, set[str]] = defaultdict(set)
    logged: set[Key] = set()
    query = "SELECT body FROM seal_events WHERE kind IN ('seal', 'verdict', 'genesis', 'rows', 'quarantine')"
    for (body,) in connection.exec_driver_sql(query):
        event = Event.read(bytes(body))
        if event.kind == "seal":
            logged.add(seal_key(event))
        listed[VERDICTS].update(verdict_names(event))
        for leaf in entry_leaves(event):
            listed[leaf.table].add(leaf.key)
    found = []
    for table in LISTED:
        for name, digest in listed_hashes(connection, table.name).items():
            pending = table.name == VERDICTS and _partition_of(name) not in logged
            if name not in listed[table.name] and not pending:
                found.append(Leaf(table.name, name, digest))
    return found


def verdict_names(event: Event) -> list[str]:
    """Return the names of the rows of the verdicts that a `seal` or `verdict` event has."""
    told = event.told.get("verdicts", ())
    return [row_name((*seal_key(event), item["seal"], item["suite_hash"])) for item in told]


def _partition_of(name: str) -> Key:
    experiment, asset, day, *_ = key_of(listed_table(VERDICTS), name)
    return experiment, asset, date.fromisoformat(day)
