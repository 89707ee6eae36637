"""What the untouched home holds, kept in memory: rows and their links, seals, and the order in which they were logged.

Belongs here: looking things up, and which rows a finding about a run ("from this one on, so many") covers. Read once a
process, from the database and the anchor, before anything is touched.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from tests.integration.tampering.home import SealedHome
from throughline.catalogue import catalogue
from throughline.proof.events import ROW_KINDS, Event, Head, entry_leaves
from throughline.proof.manifest import Leaf
from throughline.storage.records import Seal
from throughline.storage.tables import LEDGER

Name = tuple[str, str]
"""Table and row, as findings say them."""
CANDIDATES_OF = ("research_docs", "dispositions", "executions", "outcomes")
"""Tables of which a finding may name the candidate instead of a row (``candidate <uuid>``)."""


@dataclass(frozen=True)
class Row:
    """One ledger row."""

    table: str
    uuid: str
    experiment: str
    partition: date
    hash: str
    data: bytes

    @property
    def name(self) -> Name:
        return self.table, self.uuid

    @cached_property
    def body(self) -> Mapping[str, Any]:
        body: Mapping[str, Any] = json.loads(self.data)
        return body

    @property
    def asset(self) -> str:
        return catalogue().table_asset[self.table]


@dataclass
class Books:
    """Everything, by name. `lines`: what is logged in one order (rows of a table of an experiment, seals of an asset,
    events, heads), as findings name it."""

    home: SealedHome
    rows: dict[Name, Row] = field(default_factory=dict)
    seals: dict[tuple[str, date], Seal] = field(default_factory=dict)
    judged: set[tuple[str, date]] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    leaves: list[list[Leaf]] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)
    lines: dict[str, list[list[str]]] = field(default_factory=dict)
    links: dict[Name, set[Name]] = field(default_factory=lambda: defaultdict(set))
    """Row -> the rows that its body names, and those whose bodies name it."""
    below: dict[Name, set[Name]] = field(default_factory=lambda: defaultdict(set))
    """Row -> the rows whose bodies name it by its hash."""

    def table(self, name: str) -> list[Row]:
        """The rows of a table by UUID."""
        return sorted((row for row in self.rows.values() if row.table == name), key=lambda row: row.uuid)

    def line_of(self, name: Name) -> list[str]:
        """The line in which something stands."""
        return next(line for line in self.lines[name[0]] if name[1] in line)

    def run(self, table: str, first: str, count: int) -> set[Name]:
        """What "`count` of `table` from `first` on" covers; nothing where that is not what was logged."""
        for line in self.lines.get(table, ()):
            if first in line:
                place = line.index(first)
                return {(table, key) for key in line[place : place + count]}
        return set()

    def family(self, names: set[Name]) -> set[Name]:
        """With each entry of a registry its trade and the other entries of that trade."""
        found = set(names)
        for name in names:
            if name[0] in catalogue().registries:
                trades = {name} if name[0] == "canonical_trades" else self.links[name]
                for one in trades:
                    if one[0] == "canonical_trades":
                        found |= {one, *(item for item in self.below[one] if item[0] in catalogue().registries)}
        return found


def references(table: str, body: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (body key, table, UUID) of every record that a body names by UUID and hash."""
    found = []
    for key, target in (*catalogue().links[table].items(), ("supersedes", table)):
        named = body.get(key)
        if isinstance(named, dict) and isinstance(named.get("uuid"), str):
            found.append((key, target, named["uuid"]))
    return found


def read_books(home: SealedHome, connection: Connection) -> Books:
    """Read the untouched home."""
    books = Books(home)
    for table in LEDGER:
        query = f"SELECT uuid::text, experiment, partition, content_hash, body FROM {table.name}"
        for uuid, experiment, day, digest, body in connection.exec_driver_sql(query):
            books.rows[table.name, uuid] = Row(table.name, uuid, experiment, day, digest, bytes(body))
    for row in books.rows.values():
        for _, target, uuid in references(row.table, row.body):
            books.links[row.name].add((target, uuid))
            books.links[target, uuid].add(row.name)
            books.below[target, uuid].add(row.name)
    columns = "experiment, asset, partition, root, leaves, status, blocked_by, artifact, details, run_id"
    for found in connection.exec_driver_sql(f"SELECT {columns} FROM partition_seals").all():
        books.seals[found[1], found[2]] = Seal(*found)
    books.judged = {
        (row[0], row[1]) for row in connection.exec_driver_sql("SELECT asset, partition FROM gate_verdicts")
    }
    heads = connection.exec_driver_sql("SELECT body, signature FROM seal_heads ORDER BY tree_size")
    books.heads = [Head.read(bytes(body), signature) for body, signature in heads]
    for first, last in home.proof.anchor.segments():
        for anchored in home.proof.anchor.read_segment(first, last):
            books.events.append(anchored.event)
            books.leaves.append(anchored.leaves() or entry_leaves(anchored.event))
    books.lines = _lines(books)
    return books


def _lines(books: Books) -> dict[str, list[list[str]]]:
    rows: dict[tuple[str, str], list[str]] = defaultdict(list)
    seals: dict[str, list[str]] = defaultdict(list)
    for event, leaves in zip(books.events, books.leaves, strict=True):
        if event.kind == "seal":
            seals[event.told["asset"]].append(event.name)
        for leaf in leaves:
            if leaf.table != "partition_seals":
                listed = event.kind in ROW_KINDS
                rows[leaf.table, "" if listed else str(event.told["experiment"])].append(leaf.key)
    lines: dict[str, list[list[str]]] = defaultdict(list)
    for (table, _), keys in rows.items():
        lines[table].append(keys)
    lines["partition_seals"] = list(seals.values())
    lines["seal_events"] = [[str(event.seq) for event in books.events]]
    lines["seal_heads"] = [[str(head.tree_size) for head in books.heads]]
    return lines


def candidates_in(row: Row, body: Mapping[str, Any] | None = None) -> set[str]:
    """Return the candidates that a row is about."""
    told = row.body if body is None else body
    found = {row.uuid} if row.table == "candidates" else set()
    named = told.get("candidate")
    if isinstance(named, dict):
        found.add(str(named.get("uuid")))
    if row.table == "portfolio_states":
        paths = told.get("paths")
        base = paths.get("base") if isinstance(paths, dict) else None
        closed: Sequence[Any] = base.get("closed", ()) if isinstance(base, dict) else ()
        found |= {str(line["candidate"]) for line in closed if isinstance(line, dict) and "candidate" in line}
    return found
