"""Somebody with the superuser's password and our source code, but neither key nor anchor.

Belongs here: what such a person can do to the database, from one cell up to a whole history made consistent again
(hashes, columns, children, seals, events, heads under a key of their own), and the note of what was touched.
"""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection

from tests.integration.tampering.books import Books, Name
from tests.integration.tampering.naming import Trace
from throughline.identity import canonical_bytes, seal_of
from throughline.proof import sources
from throughline.proof.anchoring import seal_key
from throughline.proof.events import Event, Head, day_leaf, quarantine_leaf, seal_told, sign_head, verdict_told
from throughline.proof.keys import key_id
from throughline.proof.manifest import Leaf, manifest_hash
from throughline.proof.tree import Frontier
from throughline.storage.records import LedgerRow
from throughline.storage.tables import ledger_table
from throughline.tracking.layout import ASSET_TABLES, LOG, TABLE_ASSET
from throughline.tracking.records import body_hash, project

DEGREES = ("bare", "columns", "children", "seals", "log", "heads")
"""How far the traces are covered, each with all before it."""
_COUNTED = {
    "trade_candidates": "candidates",
    "research_snapshots": "documents",
    "shadow_outcomes": "resolved",
    "executions": "executions",
    "outcomes": "outcomes",
}


@dataclass(frozen=True)
class _Thief:
    """A signer with a key of its own; `claimed` is the key id that it writes."""

    claimed: str | None = None
    key: Ed25519PrivateKey = field(default_factory=lambda: Ed25519PrivateKey.from_private_bytes(b"t" * 32))

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def key_id(self) -> str:
        return self.claimed or key_id(self.public_key)

    def known_public_key(self) -> bytes:
        return self.public_key

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


@dataclass
class Attacker:
    """One tamper: what is done on the connection, and its trace. degree: one of `DEGREES`."""

    connection: Connection
    books: Books
    random: Random
    degree: str = "heads"
    trace: Trace = field(default_factory=Trace)
    deeds: list[str] = field(default_factory=list)
    unlocked: list[str] = field(default_factory=list)
    files: dict[Path, bytes] = field(default_factory=dict)
    """What lay in the files that were touched."""

    def __post_init__(self) -> None:
        self.sql("SET LOCAL session_replication_role = replica")  # foreign keys and ordinary triggers are off

    def reaches(self, degree: str) -> bool:
        """Whether this attacker goes that far."""
        return DEGREES.index(self.degree) >= DEGREES.index(degree)

    def sql(self, statement: str, *values: Any) -> Any:
        """Run a statement."""
        return self.connection.exec_driver_sql(statement, values)

    def note(self, deed: str) -> None:
        """Say what was done, for the message of a test that fails."""
        self.deeds.append(deed)

    def unlock(self, table: str) -> None:
        """Take the trigger away that refuses changes."""
        if table not in self.unlocked:
            self.sql(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only")
            self.unlocked.append(table)

    def leave(self) -> None:
        """Put the triggers back, as a rule; who forgets one is found by that alone."""
        for table in self.unlocked:
            if self.random.random() < 0.04:
                self.note(f"left the trigger of {table} off")
                self.trace.things.add(("trigger", f"{table}.{table}_append_only"))
            else:
                self.sql(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
        self.sql("SET LOCAL session_replication_role = origin")

    # Rows of the ledger

    def body(self, name: Name) -> dict[str, Any]:
        """Return what a row says now, to be changed."""
        told: dict[str, Any] = copy.deepcopy(dict(self.trace.bodies.get(name) or self.books.rows[name].body))
        return told

    def write_body(self, name: Name, body: Mapping[str, Any], columns: bool) -> None:
        """Replace the body of a row, with the hash, and with the columns where these can be read from the body."""
        table, uuid = name
        data = canonical_bytes(body)
        self.unlock(table)
        values: dict[str, Any] = {"body": data, "content_hash": body_hash(table, data)}
        if columns:
            try:
                values |= project(table, json.loads(data))
            except (KeyError, TypeError, ValueError, ArithmeticError):
                self.note("the columns do not follow")
        told = ", ".join(f'"{column}" = %s' for column in values)
        self.sql(f"UPDATE {table} SET {told} WHERE uuid = %s", *map(_plain, values.values()), uuid)
        self.trace.rows.setdefault(name, "changed")
        self.trace.bodies[name] = body

    def cascade(self) -> None:
        """Make every record below a changed one name it by its new hash, down to the end of the chain."""
        waiting = [name for name, how in self.trace.rows.items() if how == "changed"]
        while waiting:
            above = waiting.pop(0)
            if self.trace.rows[above] != "changed":
                continue
            digest = self.hash_of(above)
            for name in sorted(self.books.below[above]):
                body = self.body(name)
                refs = [item for item in body.values() if isinstance(item, dict) and item.get("uuid") == above[1]]
                if self.trace.rows.get(name, "changed") != "changed" or all(item["hash"] == digest for item in refs):
                    continue
                for item in refs:
                    item["hash"] = digest
                self.write_body(name, body, columns=True)
                waiting.append(name)

    def hash_of(self, name: Name) -> str:
        """Return the content hash that a row has now."""
        return str(self.sql(f"SELECT content_hash FROM {name[0]} WHERE uuid = %s", name[1]).scalar_one())

    def delete(self, names: Iterable[Name]) -> None:
        """Delete rows."""
        for table, uuid in sorted(names):
            self.unlock(table)
            self.sql(f"DELETE FROM {table} WHERE uuid = %s", uuid)
            self.trace.rows[table, uuid] = "gone"

    def below(self, names: Iterable[Name]) -> set[Name]:
        """Return the rows with everything that hangs on them."""
        found, waiting = set(names), list(names)
        while waiting:
            for name in self.books.below[waiting.pop()]:
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return found

    def insert(self, table: str, row: LedgerRow) -> None:
        """Insert a row that is right in itself."""
        self.unlock(table)
        values = {
            "uuid": row.uuid,
            "experiment": row.experiment,
            "partition": row.partition,
            "content_hash": row.content_hash,
            "body": row.body,
            "supersedes": row.supersedes,
            **row.columns,
        }
        names = ", ".join(f'"{column}"' for column in values)
        marks = ", ".join(["%s"] * len(values))
        self.sql(f"INSERT INTO {table} ({names}) VALUES ({marks})", *map(_plain, values.values()))
        name = (table, str(row.uuid))
        self.trace.rows[name] = "new"
        self.trace.bodies[name] = json.loads(row.body)
        self.trace.days[name] = row.partition

    # Seals, events, heads

    def cover(self) -> None:
        """Do all that the degree says, after the rows."""
        if self.reaches("children"):
            self.cascade()
        if self.reaches("seals"):
            self.reseal()
        if self.reaches("log"):
            self.relog()
        if self.reaches("heads"):
            self.rehead()
        self.leave()

    def reseal(self) -> None:
        """Give every day with a touched row the seal of the rows that are there now."""
        days = set()
        for name in self.trace.rows:
            row = self.books.rows.get(name)
            days |= (
                {(TABLE_ASSET[name[0]], row.partition)} if row and row.experiment != self.books.home.by_hand else set()
            )
            if name in self.trace.days and self.trace.bodies[name].get("experiment") != self.books.home.by_hand:
                days.add((TABLE_ASSET[name[0]], self.trace.days[name]))
        for asset, day in sorted(days):
            if (asset, day) in self.books.seals:
                self._reseal(asset, day)
        self.reseal_log({day for _, day in days})

    def _reseal(self, asset: str, day: date) -> None:
        where = (self.books.home.experiment, day)
        hashes: list[str] = []
        for table in ASSET_TABLES[asset]:
            found = self.sql(f"SELECT content_hash FROM {table} WHERE experiment = %s AND partition = %s", *where)
            hashes += found.scalars()
        before = self.books.seals[asset, day]
        details = json.loads(before.details)
        if _COUNTED.get(asset) in details:
            details[_COUNTED[asset]] = len(hashes)
        text = before.details if len(hashes) == before.leaves else json.dumps(details)
        self.set_seal(asset, day, root=seal_of(hashes), leaves=len(hashes), details=text)

    def set_seal(self, asset: str, day: date, **values: Any) -> None:
        """Write over columns of a seal; verdicts follow its root."""
        before = self.books.seals[asset, day]
        values = {name: value for name, value in values.items() if getattr(before, name) != value}
        if not values:
            return
        self.unlock("partition_seals")
        told = ", ".join(f"{column} = %s" for column in values)
        self.sql(f"UPDATE partition_seals SET {told} WHERE asset = %s AND partition = %s", *values.values(), asset, day)
        self.trace.seals.add((asset, day))
        if "root" in values and (asset, day) in self.books.judged:
            self.unlock("gate_verdicts")
            where = "UPDATE gate_verdicts SET seal = %s WHERE asset = %s AND partition = %s"
            self.sql(where, values["root"], asset, day)
            self.trace.verdicts.add((asset, day))

    def reseal_log(self, days: Iterable[date]) -> None:
        """Give the log's own seal of the days what their seals give now."""
        for day in sorted(set(days)):
            if (LOG, day) in self.books.seals:
                seals = sources.day_seals(self.connection, self.books.home.experiment, [day])
                self.set_seal(LOG, day, root=seal_of(day_leaf(seal) for seal in seals), leaves=len(seals))

    def relog(self) -> None:
        """Make the events say what seals, verdicts, rows and quarantine are now; what is gone takes its event along."""
        events = [event for event in self.books.events if event.seq not in self.trace.events]
        if len(events) < len(self.books.events):
            return  # the log itself was touched: that is the tamper
        keys = [seal_key(event) for event in events if event.kind in ("seal", "verdict")]
        seals = sources.seal_rows(self.connection, keys)
        verdicts = sources.verdict_rows(self.connection, keys)
        behind = sources.leaves_behind(self.connection, keys)
        written = sources.written_behind(self.connection, keys)
        told: list[dict[str, Any]] = []
        for event in events:
            if event.kind == "seal":
                key = seal_key(event)
                if key not in seals:
                    continue
                found = seals[key]
                judged = [verdict_told(row) for row in verdicts.get(key, ())]
                said = seal_told(found.seal, found.sealed_at, judged, manifest_hash(behind[key]), written[key])
                told.append({**event.told, **said})
            elif event.kind in ("entries", "quarantine"):
                rows = self._rows_behind(event)
                if rows:
                    told.append({**event.told, "rows": [list(leaf) for leaf in rows], "manifest": manifest_hash(rows)})
            else:
                told.append(dict(event.told))
        self.write_events([Event.of({**item, "seq": seq}) for seq, item in enumerate(told)])

    def _rows_behind(self, event: Event) -> list[Leaf]:
        found = []
        for table, key, digest in event.told["rows"]:
            if table == "registry_quarantine":
                row = self.sql("SELECT * FROM registry_quarantine WHERE seq = %s", int(key)).mappings().one_or_none()
                found += [quarantine_leaf(dict(row))] if row is not None else []
                continue
            how = self.trace.rows.get((table, key))
            if how != "gone":
                found.append(Leaf(table, key, self.hash_of((table, key)) if how else digest))
        fresh = [name for name, how in self.trace.rows.items() if how == "new"]
        mine = [name for name in fresh if self.trace.bodies[name]["experiment"] == event.told.get("experiment")]
        if mine and event.seq == self.first_entries():
            found += [Leaf(table, key, self.hash_of((table, key))) for table, key in mine]
        return found

    def first_entries(self) -> int:
        """Return the number of the first event of records written by hand."""
        return next(event.seq for event in self.books.events if event.kind == "entries")

    def write_events(self, events: Sequence[Event]) -> None:
        """Make the log consist of `events`."""
        before = self.books.events
        changed = [seq for seq, event in enumerate(events) if event.body != before[seq].body]
        self.unlock("seal_events")
        self.sql("UPDATE seal_events SET kind = 'moved' WHERE seq = ANY(%s)", changed)  # one event of a seal at a time
        for seq in changed:
            self.write_event(seq, events[seq])
        self.sql("DELETE FROM seal_events WHERE seq >= %s", len(events))
        self.trace.events |= set(range(len(events), len(before)))

    def write_event(self, seq: int, event: Event) -> None:
        """Write over an event and all columns that follow from it."""
        self.unlock("seal_events")
        told = event.told
        self.sql(
            "UPDATE seal_events SET kind = %s, experiment = %s, asset = %s, partition = %s, leaf_hash = %s, body = %s,"
            " recorded_at = %s WHERE seq = %s",
            event.kind,
            told.get("experiment"),
            told.get("asset"),
            event.partition,
            event.leaf.hex(),
            event.body,
            told["recorded_at"],
            seq,
        )
        self.trace.events.add(seq)

    def forged_signature(self) -> str:
        """Return something that looks like a signature."""
        return b64encode(self.random.randbytes(64)).decode("ascii")

    def rehead(self) -> None:
        """Make the heads those of the events that are there: forged, forged in our name, stale or taken away."""
        bodies = [bytes(row[0]) for row in self.sql("SELECT body FROM seal_events ORDER BY seq")]
        try:
            events = [Event.read(body) for body in bodies]
        except ValueError:
            return
        way = self.random.choice(("forged", "in our name", "stale", "taken away"))
        self.note(f"heads {way}")
        thief = _Thief(self.books.home.proof.signer.key_id if way == "in our name" else None)
        frontier, heads = Frontier(), {head.tree_size: head for head in self.books.heads}
        self.unlock("seal_heads")
        for event in events:
            frontier.append(event.leaf)
            before = heads.pop(frontier.size, None)
            if before is None or before.root == frontier.root().hex():
                continue
            if way == "taken away":
                heads[frontier.size] = before
                continue
            made = sign_head(thief, str(before.told["log"]), frontier, str(before.told["recorded_at"]))
            self.write_head(before.tree_size, replace(made, signature=before.signature) if way == "stale" else made)
        for size in heads:
            self.sql("DELETE FROM seal_heads WHERE tree_size = %s", size)
            self.trace.heads.add(size)

    def write_head(self, size: int, head: Head) -> None:
        """Write over a head and all columns that follow from it."""
        self.unlock("seal_heads")
        self.sql(
            "UPDATE seal_heads SET root = %s, key_id = %s, body = %s, signature = %s, recorded_at = %s"
            " WHERE tree_size = %s",
            head.root,
            head.key,
            head.body,
            head.signature,
            str(head.told["recorded_at"]),
            size,
        )
        self.trace.heads.add(size)

    def forge_head(self, size: int) -> None:
        """Add a head over the first events, signed with another key."""
        frontier = Frontier()
        for event in self.books.events[:size]:
            frontier.append(event.leaf)
        last = self.books.events[size - 1].told
        head = sign_head(_Thief(), str(last["log"]), frontier, str(last["recorded_at"]))
        self.unlock("seal_heads")
        values = (size, head.root, head.key, head.body, head.signature, str(last["recorded_at"]))
        self.sql("INSERT INTO seal_heads VALUES (%s, %s, %s, %s, %s, %s)", *values)
        self.note(f"a forged head over {size} events")
        self.trace.heads.add(size)


def _plain(value: Any) -> Any:
    return str(value) if type(value).__name__ == "UUID" else value


def table_columns(table: str) -> list[str]:
    """Return the columns of a ledger table."""
    return [column.name for column in ledger_table(table).columns]


__all__ = ["DEGREES", "Attacker", "table_columns"]
