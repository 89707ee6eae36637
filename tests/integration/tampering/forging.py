"""Seals, events and heads made again over what the rows are now: everything but the key and the anchor.

Belongs here: doing by hand what `proof.log` and the sealing of the flow do. Does not belong here: rows (attacker).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.integration.tampering.intruder import Intruder
from throughline.catalogue import LOG, catalogue
from throughline.identity import seal_of
from throughline.proof import sources
from throughline.proof.events import ROW_KINDS, Event, Head, day_leaf, seal_told, sign_head, verdict_told
from throughline.proof.keys import key_id
from throughline.proof.listed import listed_hashes
from throughline.proof.manifest import Leaf, manifest_hash
from throughline.proof.sources import seal_key
from throughline.proof.tree import Frontier

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
class Forger(Intruder):
    """An intruder who can make seals, events and heads fit."""

    def reseal(self) -> None:
        """Give every day with a touched row the seal of the rows that are there now."""
        days = set()
        for name in self.trace.rows:
            row = self.books.rows.get(name)
            days |= (
                {(catalogue().table_asset[name[0]], row.partition)}
                if row and row.experiment != self.books.home.by_hand
                else set()
            )
            if name in self.trace.days and self.trace.bodies[name].get("experiment") != self.books.home.by_hand:
                days.add((catalogue().table_asset[name[0]], self.trace.days[name]))
        for asset, day in sorted(days):
            if (asset, day) in self.books.seals:
                self._reseal(asset, day)
        self.reseal_log({day for _, day in days})

    def _reseal(self, asset: str, day: date) -> None:
        where = (self.books.home.experiment, day)
        hashes: list[str] = []
        for table in catalogue().asset_tables[asset]:
            found = self.sql(f"SELECT content_hash FROM {table} WHERE experiment = %s AND partition = %s", *where)
            hashes += found.scalars()
        before = self.books.seals[asset, day]
        details = json.loads(before.details)
        if _COUNTED.get(asset) in details:
            details[_COUNTED[asset]] = len(hashes) - ("open" in details)  # the state of what is open
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
            elif event.kind == "entries":
                rows = self._rows_behind(event)
                if rows:
                    told.append({**event.told, "rows": [list(leaf) for leaf in rows], "manifest": manifest_hash(rows)})
            elif event.kind in ROW_KINDS:
                names = [(table, name) for table, name, _ in event.told["rows"]]
                hashes = {name: listed_hashes(self.connection, name[0], [name[1]]).get(name[1]) for name in names}
                kept = [[*name, digest] for name, digest in hashes.items() if digest is not None]
                if kept or event.kind == "genesis":
                    told.append({**event.told, "rows": kept})
            else:
                told.append(dict(event.told))
        self.write_events([Event.of({**item, "seq": seq}) for seq, item in enumerate(told)])

    def _rows_behind(self, event: Event) -> list[Leaf]:
        found = []
        for table, key, digest in event.told["rows"]:
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
