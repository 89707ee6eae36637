"""Proof files: everything that a stranger needs to check one trade without the database.

Belongs here: making them. Does not belong here: checking (check needs no database and shares
nothing with this but the form), what a person is told on the way (cli).

The file (JSON) holds the records of the chain behind an id with their bodies; for each its place and Merkle path in the
seal of its day, or the event that lists it; these events, and all changes of keys, with their paths to one signed head;
that head. Hashes and UUIDs are not in it: they follow from the bodies. Sizes and roots are not either: they stand in
the events and the head, which the signature covers.
"""

from __future__ import annotations

import json
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from throughline.catalogue import catalogue
from throughline.errors import UnknownRecord
from throughline.identity import seal_of
from throughline.proof import sources, tree
from throughline.proof.errors import ProofError
from throughline.proof.events import Event, entry_leaves
from throughline.proof.writing import last_head
from throughline.storage.records import LedgerRow
from throughline.tracking.lookup import find_record, records_of
from throughline.tracking.records import body_hash

FORMAT = "throughline proof 1"
Named = tuple[str, LedgerRow]


def followed_links(table: str) -> tuple[tuple[str, str], ...]:
    """Return the (body key, table) links of a table whose records a proof must hold too.

    A link to the table itself leads back through the whole history; a proof does not follow it.
    """
    return tuple(link for link in catalogue().links[table].items() if link[1] != table)


@dataclass
class _Paths:
    """Where each record stands. seals: key -> leaf hashes of the day in the order of the tree."""

    connection: Connection
    size: int
    events: dict[int, Event] = field(default_factory=dict)
    seals: dict[sources.Key, list[str]] = field(default_factory=dict)

    def place(self, table: str, row: LedgerRow) -> dict[str, Any] | None:
        """Return the record's place: {event, index, path}, or {event} for one written by hand; None: not logged yet."""
        key = (row.experiment, catalogue().table_asset[table], row.partition)
        event = self._seal_event(key)
        if event is None:
            return self._entries_place(table, row)
        self.events[event.seq] = event
        if key not in self.seals:
            behind = sources.leaves_behind(self.connection, [key])[key]
            self.seals[key] = sorted(leaf.hash for leaf in behind)  # hex sorts as the bytes do
        hashes = self.seals[key]
        # What was changed since is refused here, where the remedy can be said; the file would not hold anyway.
        if body_hash(table, row.body) not in hashes or seal_of(hashes) != event.told["root"]:
            raise ProofError(
                f"{table} {row.uuid}, or another row of {event.name}, was changed since it was sealed: run "
                "`throughline verify`."
            )
        index = hashes.index(body_hash(table, row.body))
        leaves = [tree.leaf_hash(bytes.fromhex(item)) for item in hashes]
        path = [item.hex() for item in tree.inclusion_proof(index, leaves)]
        return {"event": event.seq, "index": index, "path": path}

    def _seal_event(self, key: sources.Key) -> Event | None:
        query = (
            "SELECT body FROM seal_events WHERE kind = 'seal' AND experiment = %s AND asset = %s AND partition = %s"
            " AND seq < %s"
        )
        body = self.connection.exec_driver_sql(query, (*key, self.size)).scalar()
        return None if body is None else Event.read(bytes(body))

    def _entries_place(self, table: str, row: LedgerRow) -> dict[str, Any] | None:
        query = (
            "SELECT body FROM seal_events WHERE kind = 'entries' AND experiment = %s AND seq < %s"
            " AND strpos(convert_from(body, 'UTF8'), %s) > 0 ORDER BY seq"
        )
        for (body,) in self.connection.exec_driver_sql(query, (row.experiment, self.size, str(row.uuid))):
            event = Event.read(bytes(body))
            if (table, str(row.uuid), row.content_hash) in entry_leaves(event):
                self.events[event.seq] = event
                return {"event": event.seq}
        return None


@dataclass(frozen=True)
class ProofFile:
    """A proof that was made. data: what the file holds; left_out: records of the chain that are not logged yet."""

    data: Mapping[str, Any]
    left_out: Sequence[tuple[str, str]]

    def text(self) -> str:
        """Return the bytes of the file, as text."""
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"


def make_proof(connection: Connection, asked: uuids.UUID) -> ProofFile:
    """Return the proof of the chain behind `asked` (a UUID of any ledger table), under the newest signed head.

    connection: may read everything. Raises UnknownRecord where no record has the id, ProofError where the record or
    one that it names is not logged yet, or is no longer what was sealed.
    """
    head = last_head(connection)
    table, row = find_record(connection, asked)
    if head is None:
        raise ProofError("Nothing of this home is in the seal log yet: run the flow up to registry_seals first.")
    paths = _Paths(connection, head.tree_size)
    records, left_out = [], []
    for name, item in _chain(connection, table, row):
        place = paths.place(name, item)
        if place is None:
            left_out.append((name, str(item.uuid)))
        else:
            records.append({"table": name, "body": json.loads(item.body), **place})
    _require_whole(asked, left_out, connection, table, row)
    query = "SELECT body FROM seal_events WHERE kind = 'key' AND seq < %s"
    for (body,) in connection.exec_driver_sql(query, (head.tree_size,)):
        event = Event.read(bytes(body))
        paths.events[event.seq] = event
    data = {
        "format": FORMAT,
        "asked": str(asked),
        "records": records,
        "events": _events(connection, paths, head.tree_size),
        "head": {"body": json.loads(head.body), "signature": head.signature},
    }
    return ProofFile(data, left_out)


def _require_whole(
    asked: uuids.UUID, left_out: Sequence[tuple[str, str]], connection: Connection, table: str, row: LedgerRow
) -> None:
    missing = {uuid for _, uuid in left_out}
    needed = [(table, row), *_ancestors(connection, table, row)]
    for name, item in needed:
        if str(item.uuid) in missing:
            raise ProofError(
                f"{name} {item.uuid} is not in the seal log yet, so {asked} cannot be proved: run the flow up to "
                "registry_seals of that day (or, for records written by hand, the consistency check), then ask again."
            )


def _events(connection: Connection, paths: _Paths, size: int) -> list[dict[str, Any]]:
    query = "SELECT leaf_hash FROM seal_events WHERE seq < %s ORDER BY seq"
    leaves = [bytes.fromhex(item) for (item,) in connection.exec_driver_sql(query, (size,))]
    if len(leaves) != size:
        raise ProofError(f"The seal log has {len(leaves)} events before {size}: run `throughline verify`.")
    paths_of = tree.inclusion_proofs(sorted(paths.events), leaves)
    return [
        {"body": json.loads(paths.events[seq].body), "path": [item.hex() for item in paths_of[seq]]}
        for seq in sorted(paths.events)
    ]


def _chain(connection: Connection, table: str, row: LedgerRow) -> list[Named]:
    """Return the records behind one: all that hang on its candidate or trade, and what they stand on."""
    found: dict[str, Named] = {str(row.uuid): (table, row)}
    candidate = row.uuid if table == "candidates" else row.columns.get("candidate_uuid")
    trades = [row.uuid] if table == "canonical_trades" else [row.columns.get("canonical_uuid")]
    if candidate is None and trades[0] is not None:
        candidate = find_record(connection, trades[0])[1].columns.get("candidate_uuid")
    if candidate is not None:
        head = find_record(connection, candidate)
        found[str(head[1].uuid)] = head
        for name in (kind.table for kind in catalogue().records.values() if kind.one_per_candidate):
            for item in records_of(connection, name, candidate):
                found[str(item.uuid)] = (name, item)
        trades += [item.uuid for name, item in found.values() if name == "canonical_trades"]
    for trade in {item for item in trades if item is not None}:
        for name in (item for item in catalogue().registries if item != "canonical_trades"):
            query = f"SELECT uuid FROM {name} WHERE canonical_uuid = %s"
            for (key,) in connection.exec_driver_sql(query, (str(trade),)):
                found[str(key)] = find_record(connection, uuids.UUID(str(key)))
    for name, item in list(found.values()):
        for above in _ancestors(connection, name, item):
            found[str(above[1].uuid)] = above
    order = {name: place for place, name in enumerate(catalogue().records)}
    return sorted(found.values(), key=lambda named: (order[named[0]], named[1].uuid))


def _ancestors(connection: Connection, table: str, row: LedgerRow) -> list[Named]:
    found: list[Named] = []
    body = json.loads(row.body)
    for key, target in followed_links(table):
        told = body.get(key)
        if told:
            try:
                above = find_record(connection, uuids.UUID(str(told["uuid"])))
            except UnknownRecord:
                raise ProofError(
                    f"{table} {row.uuid} names {target} {told['uuid']}, which is gone: run `throughline verify`."
                ) from None
            found += [above, *_ancestors(connection, *above)]
    return found
