"""Reading what stands behind the log from the database: unlogged seals, their verdicts, and the leaves under them.

Belongs here: SQL. Does not belong here: comparing (log, audit). Everything comes back in one deterministic order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from throughline.catalogue import LOG, catalogue
from throughline.identity import seal_of, sha256_hex, time_text
from throughline.proof.events import Event, Written, day_leaf, entry_leaves
from throughline.proof.manifest import Leaf
from throughline.storage.records import Seal
from throughline.storage.tables import CHAIN, REGISTRY, ledger_table
from throughline.tracking.system import MODE

Key = tuple[str, str, date]
"""(experiment, asset, partition)."""

_SEAL = "experiment, asset, partition, root, leaves, status, blocked_by, artifact, details, run_id"
_ONE_LINE = "replace(coalesce(content_hash, ''), E'\\n', ' ')"
"""A meddled hash must not bring lines of its own, which could stand for rows that are gone."""
_FLOW = {asset: place for place, asset in enumerate(catalogue().upstream)}


@dataclass(frozen=True, slots=True)
class SealRow:
    """A partition seal with the time at which the database was given it."""

    seal: Seal
    sealed_at: datetime

    @property
    def key(self) -> Key:
        """(experiment, asset, partition)."""
        return self.seal.experiment, self.seal.asset, self.seal.partition


def unlogged_seals(connection: Connection, experiment: str | None) -> list[SealRow]:
    """Return the seals without an event, by experiment, day and the order of the flow."""
    # EXCEPT and not an anti-join: on tables that were just filled the planner joins them row against row.
    found = connection.exec_driver_sql(
        "SELECT experiment, asset, partition FROM partition_seals WHERE %(e)s IS NULL OR experiment = %(e)s"
        " EXCEPT SELECT experiment, asset, partition FROM seal_events WHERE kind = 'seal'"
        " AND (%(e)s IS NULL OR experiment = %(e)s)",
        {"e": experiment},
    )
    return sorted(seal_rows(connection, [tuple(row) for row in found]).values(), key=lambda row: _log_order(row.key))


def _log_order(key: Key) -> tuple[object, ...]:
    return key[0], key[2], *flow_order(key[1])


def flow_order(asset: str) -> tuple[int, str]:
    """Return where an asset comes in the flow; the seal of the day's seals last, after assets that are not known."""
    return (len(_FLOW) + 1 if asset == LOG else _FLOW.get(asset, len(_FLOW))), asset


def seal_rows(connection: Connection, keys: Sequence[Key]) -> dict[Key, SealRow]:
    """Return the partition seals of `keys` that there are."""
    wanted = set(keys)
    found: dict[Key, SealRow] = {}
    for experiment, assets, days in _rectangles(wanted):
        rows = connection.exec_driver_sql(
            f"SELECT {_SEAL}, sealed_at FROM partition_seals WHERE experiment = %s AND asset = ANY(%s)"
            " AND partition = ANY(%s)",
            (experiment, assets, days),
        )
        found |= {(row[0], row[1], row[2]): SealRow(Seal(*row[:10]), row[10]) for row in rows}
    return {key: row for key, row in found.items() if key in wanted}


def verdict_rows(connection: Connection, keys: Iterable[Key]) -> dict[Key, list[Mapping[str, Any]]]:
    """Return the verdicts of the partitions `keys`, by seal and suite hash."""
    wanted = set(keys)
    found: dict[Key, list[Mapping[str, Any]]] = defaultdict(list)
    for experiment, assets, days in _rectangles(wanted):
        rows = connection.exec_driver_sql(
            "SELECT experiment, asset, partition, seal, suite, suite_hash, passed, failures, recorded_at"
            " FROM gate_verdicts WHERE experiment = %s AND asset = ANY(%s) AND partition = ANY(%s)"
            ' ORDER BY asset COLLATE "C", partition, seal COLLATE "C", suite_hash COLLATE "C"',
            (experiment, assets, days),
        )
        for row in rows.mappings():
            key = (row["experiment"], row["asset"], row["partition"])
            if key in wanted:
                found[key].append(dict(row))
    return found


ByHand = tuple[Leaf, str | None, str]
"""A record written by hand: its leaf, run_id, recorded_at as text."""


def unlogged_by_hand(connection: Connection, experiment: str | None) -> dict[str, list[ByHand]]:
    """Return experiment -> chain records in mode 'tracking' that no `entries` event lists, parents first.

    Not those of the registries: whoever registers a trade logs it in the same transaction, so that one without an event
    was put there by somebody else.
    """
    bodies = connection.exec_driver_sql("SELECT body FROM seal_events WHERE kind = 'entries'")
    known = {(leaf.table, leaf.key) for (body,) in bodies for leaf in entry_leaves(Event.read(bytes(body)))}
    found: dict[str, list[ByHand]] = defaultdict(list)
    for table in CHAIN:
        query = (
            f"SELECT t.experiment, t.uuid::text, t.content_hash, t.run_id, t.recorded_at FROM {table.name} AS t"
            " JOIN experiments AS e ON e.id = t.experiment WHERE e.mode = %(m)s AND (%(e)s IS NULL OR e.id = %(e)s)"
            " ORDER BY t.experiment, t.uuid"
        )
        for row in connection.exec_driver_sql(query, {"m": MODE, "e": experiment}):
            if (table.name, row[1]) not in known:
                found[row[0]].append((Leaf(table.name, row[1], row[2]), row[3], shown_time(row[4])))
    return dict(sorted(found.items()))


@dataclass(slots=True)
class Behind:
    """What stands behind a seal. text: its leaf manifest; rows: how many leaves; written: when and by which runs."""

    text: str = ""
    rows: int = 0
    written: list[Written] = field(default_factory=list)

    def manifest(self) -> str:
        """Return the hash of the manifest."""
        return sha256_hex(self.text.encode("utf-8"))

    def hashes(self) -> list[str]:
        """Return the hashes of the leaves, in order."""
        return [leaf.hash for leaf in self.leaves()]

    def leaves(self) -> list[Leaf]:
        """Return the leaves, in order."""
        return [Leaf._make(line.split(" ", 2)) for line in self.text.split("\n")[:-1]]

    def packed(self) -> str:
        """Return the leaves as the JSON of a list of lists."""
        if not self.text:
            return "[]"
        return '[["' + self.text[:-1].replace(" ", '","').replace("\n", '"],["') + '"]]'


def behind(connection: Connection, keys: Sequence[Key]) -> dict[Key, Behind]:
    """Return what stands behind the seals of `keys`: ledger rows, or for the log's own asset the day's other seals.

    Bars are lines of an artifact: nothing stands behind their seals here. The server puts a day's lines together, which
    is several times faster than to fetch the rows; it is believed no more for that than for the rows themselves.
    """
    found = {key: Behind() for key in keys}
    mixed: list[Key] = []
    for (experiment, asset), days in _grouped(keys).items():
        for table in catalogue().asset_tables.get(asset, ()):
            rows = connection.exec_driver_sql(
                "SELECT partition, count(*),"
                f" string_agg('{table} ' || uuid || ' ' || {_ONE_LINE} || E'\\n', '' ORDER BY uuid),"
                " count(run_id), min(run_id), max(run_id), min(recorded_at), max(recorded_at)"
                f" FROM {table} WHERE experiment = %s AND partition = ANY(%s) GROUP BY partition",
                (experiment, days),
            )
            for day, number, text, named, run, last_run, time, last_time in rows:
                day_behind = found[experiment, asset, day]
                day_behind.text += text
                day_behind.rows += int(number)
                if time == last_time and run == last_run and named in (0, number):
                    day_behind.written.append(Written(table, run, shown_time(time), int(number)))
                else:
                    mixed.append((experiment, asset, day))
        if asset == LOG:
            for seal in day_seals(connection, experiment, days):
                day_behind = found[experiment, asset, seal.partition]
                day_behind.text += f"partition_seals {seal.asset}/{seal.partition} {day_leaf(seal)}\n"
                day_behind.rows += 1
    for key, groups in written_behind(connection, mixed).items():
        found[key].written = groups
    for day_behind in found.values():
        day_behind.written.sort(key=_written_order)
    return found


def leaves_behind(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[Leaf]]:
    """Return the leaves of `behind`."""
    return {key: found.leaves() for key, found in behind(connection, keys).items()}


def written_behind(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[Written]]:
    """Return when and by which runs the ledger rows behind the seals of `keys` were written, in order."""
    found: dict[Key, list[Written]] = {key: [] for key in keys}
    for (experiment, asset), days in _grouped(found).items():
        for table in catalogue().asset_tables.get(asset, ()):
            rows = connection.exec_driver_sql(
                f"SELECT partition, run_id, recorded_at, count(*) FROM {table} WHERE experiment = %s"
                " AND partition = ANY(%s) GROUP BY partition, run_id, recorded_at",
                (experiment, days),
            )
            for day, run, time, number in rows:
                found[experiment, asset, day].append(Written(table, run, shown_time(time), int(number)))
    for groups in found.values():
        groups.sort(key=_written_order)
    return found


def _written_order(group: Written) -> tuple[str, str, str]:
    return group.table, group.recorded_at, group.run_id or ""


def day_seals(connection: Connection, experiment: str, days: Sequence[date]) -> list[Seal]:
    """Return the seals that the log's own asset seals, by day and asset."""
    rows = connection.exec_driver_sql(
        f"SELECT {_SEAL} FROM partition_seals WHERE experiment = %s AND partition = ANY(%s) AND asset <> %s"
        ' ORDER BY partition, asset COLLATE "C"',
        (experiment, list(days), LOG),
    )
    return [Seal(*row) for row in rows]


def seal_problem(seal: Seal, found: Behind) -> str | None:
    """Return what is wrong where what is found does not give the seal, None where it does or where it seals no rows."""
    if seal.asset not in catalogue().asset_tables and seal.asset != LOG:
        return None
    if found.rows != seal.leaves:
        return f"it seals {seal.leaves} rows, there are {found.rows}"
    try:
        root = seal_of(found.hashes())
    except ValueError:
        return "a hash behind it is none"
    return None if root == seal.root else f"its root is {seal.root[:16]}..., the rows give {root[:16]}..."


def shown_time(value: Any) -> str:
    """Return an instant of the database as text; what is none as it is."""
    return time_text(value) if isinstance(value, datetime) else str(value)


def _rectangles(keys: Iterable[Key]) -> list[tuple[str, list[str], list[date]]]:
    """Return experiment, assets and days that cover `keys`: a run seals every asset of its days, so they fit well."""
    grouped: dict[str, tuple[set[str], set[date]]] = defaultdict(lambda: (set(), set()))
    for experiment, asset, day in keys:
        assets, days = grouped[experiment]
        assets.add(asset)
        days.add(day)
    return [(experiment, sorted(assets), sorted(days)) for experiment, (assets, days) in sorted(grouped.items())]


def _grouped(keys: Iterable[Key]) -> dict[tuple[str, str], list[date]]:
    grouped: dict[tuple[str, str], list[date]] = defaultdict(list)
    for experiment, asset, day in keys:
        grouped[experiment, asset].append(day)
    return grouped


class RowFacts(NamedTuple):
    """What the audit wants to know of a single row beside its body."""

    hash: str
    experiment: str = ""
    partition: date | None = None
    run_id: str | None = None
    recorded_at: str = ""


def rows_by_uuid(connection: Connection, table: str, keys: Sequence[str]) -> dict[str, RowFacts]:
    """Return uuid -> facts of those of `keys` that a ledger table has."""
    found = connection.exec_driver_sql(
        f"SELECT uuid::text, content_hash, experiment, partition, run_id, recorded_at FROM {ledger_table(table).name}"
        " WHERE uuid = ANY(%s::uuid[])",
        (list(keys),),
    )
    return {row[0]: RowFacts(row[1], row[2], row[3], row[4], shown_time(row[5])) for row in found}


def count_unanchored(connection: Connection, anchored_size: int) -> int:
    """Return how many ledger rows and seals no event before `anchored_size` stands for.

    The days of each table are found by leaping through its index, so the cost follows the days and what is unanchored;
    records written by hand are counted against all their events.
    """
    entries = connection.exec_driver_sql(
        "SELECT r->>0, count(DISTINCT r->>1) FROM seal_events AS e,"
        " jsonb_array_elements(convert_from(e.body, 'UTF8')::jsonb->'rows') AS r"
        " WHERE e.kind = 'entries' AND e.seq < %s GROUP BY r->>0",
        (anchored_size,),
    )
    covered = {row[0]: int(row[1]) for row in entries}
    total = int(
        connection.exec_driver_sql(
            "SELECT count(*) FROM (SELECT experiment, asset, partition FROM partition_seals EXCEPT"
            " SELECT experiment, asset, partition FROM seal_events WHERE kind = 'seal' AND seq < %s) AS unanchored",
            (anchored_size,),
        ).scalar_one()
    )
    parts = [
        f"(WITH RECURSIVE p AS ((SELECT experiment, partition FROM {table} ORDER BY experiment, partition LIMIT 1)"
        " UNION ALL SELECT n.experiment, n.partition FROM p CROSS JOIN LATERAL"
        f" (SELECT experiment, partition FROM {table} WHERE (experiment, partition) > (p.experiment, p.partition)"
        " ORDER BY experiment, partition LIMIT 1) AS n)"
        f" SELECT '{table}', coalesce(sum((SELECT count(*) FROM {table} AS t WHERE t.experiment = p.experiment"
        " AND t.partition = p.partition)), 0) FROM p WHERE NOT EXISTS (SELECT 1 FROM seal_events AS e WHERE"
        f" e.kind = 'seal' AND e.experiment = p.experiment AND e.asset = '{asset}' AND e.partition = p.partition"
        " AND e.seq < %(size)s OFFSET 0))"  # OFFSET 0: probed by its key for each day, never joined
        for table, asset in catalogue().table_asset.items()
    ]
    for table, rows in connection.exec_driver_sql(" UNION ALL ".join(parts), {"size": anchored_size}):
        total += max(0, int(rows) - covered.get(table, 0))
    return total


def registered_by_hand(connection: Connection) -> dict[str, int]:
    """Return table -> how many entries of the registries are in experiments of mode 'tracking'."""
    parts = [
        f"SELECT '{table.name}', count(*) FROM {table.name} AS t JOIN experiments AS e ON e.id = t.experiment"
        " WHERE e.mode = %(mode)s"
        for table in REGISTRY
    ]
    rows = connection.exec_driver_sql(" UNION ALL ".join(parts), {"mode": MODE})
    return {table: int(count) for table, count in rows}


def in_no_event(connection: Connection, table: str) -> list[tuple[str, str | None]]:
    """Return (uuid, content hash) of entries by hand in a registry that no event lists."""
    found = connection.exec_driver_sql(
        f"SELECT t.uuid::text, t.content_hash FROM {table} AS t JOIN experiments AS e ON e.id = t.experiment"
        " WHERE e.mode = %(m)s AND t.uuid::text NOT IN (SELECT r->>1 FROM seal_events AS v,"
        " jsonb_array_elements(convert_from(v.body, 'UTF8')::jsonb->'rows') AS r"
        " WHERE v.kind = 'entries' AND r->>0 = %(t)s) ORDER BY t.uuid",
        {"m": MODE, "t": table},
    )
    return [(row[0], row[1]) for row in found]


def seal_key(event: Event) -> Key:
    """Return (experiment, asset, partition) of a `seal` or `verdict` event."""
    return str(event.told["experiment"]), str(event.told["asset"]), date.fromisoformat(str(event.told["partition"]))
