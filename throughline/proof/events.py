"""What the seal log is made of: events, heads, and the bytes that are hashed and signed. Pure.

Belongs here: the bodies, their reading, and how a head and a change of keys are signed. Does not belong here: which
events there are (log) and whether they hold (audit).

An event's body is canonical JSON; its leaf hash (RFC 9162) is over those very bytes. Kinds: `genesis` (the log's random
id, the first public key, and the rows of append-only tables that were there), `seal` (a partition seal with its
verdicts and the hash of its leaf manifest), `entries` (records written by hand), `rows` (rows of append-only tables, by
the transaction that wrote them), `key` (a new key, signed by the old one). In logs that an older release began:
`adopted` (the rows that were there when this release first published), `verdict` (of a partition logged before),
`quarantine`.
A head is signed over a word of its own, so that no signature can be taken for another; the log's id in every body
keeps two logs apart (as the origin line of C2SP checkpoints does).
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from throughline.identity import SCHEMA_VERSION, canonical_bytes, content_hash, parse_time, sha256_hex, time_text
from throughline.proof.keys import Signer, key_id, signature_holds
from throughline.proof.manifest import Leaf
from throughline.proof.tree import Frontier, leaf_hash
from throughline.storage.records import Seal
from throughline.storage.row_log import key_of, listed_table
from throughline.storage.tables import ledger_table

EventKind = Literal["genesis", "seal", "verdict", "entries", "quarantine", "rows", "adopted", "key"]
ROW_KINDS = ("genesis", "rows", "adopted", "quarantine")
"""Kinds whose events list rows of append-only tables by `storage.row_log`'s names and hashes."""
ENTRIES_PER_EVENT = 250
"""At most so many records stand in one `entries` event, since a proof of one of them carries the whole event."""
_WHERE: Mapping[str, type] = {"experiment": str, "asset": str, "partition": str, "verdicts": list}
_SAYS: Mapping[str, Mapping[str, type]] = {
    "genesis": {"key": str},
    "seal": {**_WHERE, "root": str, "leaves": int, "status": str, "manifest": str, "written": list},
    "verdict": _WHERE,
    "entries": {"experiment": str, "rows": list, "manifest": str, "written": list},
    "quarantine": {"rows": list, "manifest": str},
    "rows": {"rows": list},
    "adopted": {"rows": list},
    "key": {"new_key": str},
}
_HEAD = b"throughline seal head\0001\0"
_ROTATION = b"throughline key rotation\0001\0"


class Written(NamedTuple):
    """Rows of a table that were written together: by which run, when (`time_text` of recorded_at), how many.

    Content hashes leave these two columns out; with them in the log nobody can date a record back.
    """

    table: str
    run_id: str | None
    recorded_at: str
    rows: int


@dataclass(frozen=True, slots=True)
class Event:
    """One event. body: the canonical bytes; told: what they say."""

    body: bytes
    told: Mapping[str, Any]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Event:
        """Return the event that says `told`."""
        return cls.read(canonical_bytes({"schema_version": SCHEMA_VERSION, **told}))

    @classmethod
    def read(cls, body: bytes) -> Event:
        """Return the event in `body`. Raises ValueError where it is none."""
        told = json.loads(body)
        if not isinstance(told, dict) or not isinstance(told.get("seq"), int) or not isinstance(told.get("kind"), str):
            raise ValueError("not an event of the seal log")
        return cls(bytes(body), told)

    def complaint(self) -> str | None:
        """Return what an event of its kind must say and this one does not, None where nothing is missing."""
        for name, form in _SAYS.get(self.kind, {"a known kind": type(None)}).items():
            if not isinstance(self.told.get(name), form):
                return f"says no {name}"
        try:
            _ = self.partition
            for leaf in entry_leaves(self):
                if self.kind in ROW_KINDS:
                    key_of(listed_table(leaf.table), leaf.key)
                else:
                    ledger_table(leaf.table), uuid.UUID(leaf.key)
            for group in self.told.get("written", ()):
                ledger_table(Written(*group).table)
            for told in self.told.get("verdicts", ()):
                _ = told["seal"], told["suite_hash"], told["hash"]
        except (ValueError, KeyError, TypeError) as error:
            return f"is not readable ({type(error).__name__}: {error})"
        return None

    @property
    def seq(self) -> int:
        """Place in the log, from 0."""
        return int(self.told["seq"])

    @property
    def kind(self) -> str:
        """One of `EventKind`."""
        return str(self.told["kind"])

    @property
    def leaf(self) -> bytes:
        """The leaf hash in the log's tree."""
        return leaf_hash(self.body)

    @property
    def partition(self) -> date | None:
        """The day it is about."""
        told = self.told.get("partition")
        return date.fromisoformat(told) if told else None

    @property
    def name(self) -> str:
        """What it is about, for people: ``asset/partition`` or its kind."""
        return f"{self.told['asset']}/{self.told['partition']}" if self.told.get("asset") else self.kind


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head. body: the canonical bytes under the signature (base64)."""

    body: bytes
    signature: str
    told: Mapping[str, Any]

    @classmethod
    def read(cls, body: bytes, signature: str) -> Head:
        """Return the head in `body`. Raises ValueError where it is none."""
        told = json.loads(body)
        if not isinstance(told, dict) or not isinstance(told.get("tree_size"), int):
            raise ValueError("not a head of the seal log")
        for name in ("log", "root", "key_id", "recorded_at"):
            if not isinstance(told.get(name), str):
                raise ValueError(f"a head without {name}")
        return cls(bytes(body), signature, told)

    @property
    def tree_size(self) -> int:
        """How many events it stands for."""
        return int(self.told["tree_size"])

    @property
    def root(self) -> str:
        """The root over them, 64 hex digits."""
        return str(self.told["root"])

    @property
    def key(self) -> str:
        """Id of the key that it says it is signed with."""
        return str(self.told["key_id"])

    @property
    def recorded_at(self) -> datetime:
        """When it was signed, by the signer's clock."""
        return parse_time(str(self.told["recorded_at"]))

    def frontier(self) -> Frontier:
        """Return the tree it stands for, ready to grow. Raises ValueError where it is not the one of its root."""
        told = self.told.get("frontier")
        if not isinstance(told, list):
            raise ValueError("a head without frontier")
        made = Frontier(self.tree_size, tuple(bytes.fromhex(item) for item in told))
        if made.root().hex() != self.root:
            raise ValueError("the frontier of the head is not that of its root")
        return made

    def signed_by(self, public_key: bytes) -> bool:
        """Return whether the signature was made with this key, which it names."""
        return self.key == key_id(public_key) and signature_holds(
            public_key, _HEAD + self.body, decoded(self.signature)
        )


def decoded(signature: object) -> bytes:
    """Return the bytes of a signature in base64; nothing where it is not readable."""
    try:
        return base64.b64decode(str(signature), validate=True)
    except ValueError:
        return b""


def sign_head(signer: Signer, log: str, frontier: Frontier, recorded_at: str) -> Head:
    """Return the signed head of a tree."""
    told = {
        "schema_version": SCHEMA_VERSION,
        "log": log,
        "tree_size": frontier.size,
        "root": frontier.root().hex(),
        "frontier": [item.hex() for item in frontier.nodes],
        "key_id": signer.key_id,
        "recorded_at": recorded_at,
    }
    body = canonical_bytes(told)
    return Head(body, base64.b64encode(signer.sign(_HEAD + body)).decode("ascii"), told)


def rotation(signer: Signer, log: str, seq: int, new_public_key: bytes) -> dict[str, Any]:
    """Return what a `key` event says beside seq, log and time: the new key, and the old one's word for it."""
    told = {"new_key": new_public_key.hex(), "new_key_id": key_id(new_public_key), "old_key_id": signer.key_id}
    message = _ROTATION + canonical_bytes({"log": log, "seq": seq, **told})
    return {**told, "signature": base64.b64encode(signer.sign(message)).decode("ascii")}


def rotated_key(event: Event, old_public_key: bytes) -> bytes | None:
    """Return the new key that a `key` event names, None unless the old key has signed it."""
    told = {name: event.told.get(name) for name in ("new_key", "new_key_id", "old_key_id")}
    try:
        new = bytes.fromhex(str(told["new_key"]))
    except ValueError:
        return None
    if told["old_key_id"] != key_id(old_public_key) or told["new_key_id"] != key_id(new):
        return None
    message = _ROTATION + canonical_bytes({"log": event.told.get("log"), "seq": event.seq, **told})
    return new if signature_holds(old_public_key, message, decoded(event.told.get("signature"))) else None


def day_leaf(seal: Seal) -> str:
    """Return the leaf of a partition seal in the seal of its day: a hash of everything in it that is deterministic."""
    told = {
        "asset": seal.asset,
        "blocked_by": seal.blocked_by,
        "leaves": seal.leaves,
        "partition": seal.partition,
        "root": seal.root,
        "status": seal.status,
    }
    return content_hash("partition_seal", canonical_bytes(told))


def seal_told(
    seal: Seal, sealed_at: datetime, verdicts: Sequence[Mapping[str, str]], manifest: str, written: Sequence[Written]
) -> dict[str, Any]:
    """Return what a `seal` event says of a partition seal: every column, and what its rows' hashes leave out.

    verdicts: as `verdict_told` gives them. written: when, and by which runs, the rows behind it were written.
    """
    return {
        "experiment": seal.experiment,
        "asset": seal.asset,
        "partition": seal.partition.isoformat(),
        **seal_columns(seal, sealed_at),
        "verdicts": list(verdicts),
        "manifest": manifest,
        "written": [list(group) for group in written],
    }


def seal_columns(seal: Seal, sealed_at: datetime) -> dict[str, Any]:
    """Return the columns of a partition seal beside its key, as an event says them (`details` by their hash)."""
    return {
        "root": seal.root,
        "leaves": seal.leaves,
        "status": seal.status,
        "blocked_by": seal.blocked_by,
        "artifact": seal.artifact,
        "details_hash": sha256_hex(seal.details.encode("utf-8")),
        "run_id": seal.run_id,
        "sealed_at": time_text(sealed_at),
    }


def verdict_told(row: Mapping[str, Any]) -> dict[str, str]:
    """Return what an event says of a gate verdict. row: all columns of ``gate_verdicts``."""
    columns = {**row, "recorded_at": time_text(row["recorded_at"])}
    digest = content_hash("gate_verdict", canonical_bytes(columns))
    return {"hash": digest, "seal": str(row["seal"]), "suite_hash": str(row["suite_hash"])}


def written_groups(event: Event) -> list[Written]:
    """Return when and by which runs the rows behind an event were written, as it says."""
    return [Written(str(table), run, str(time), int(rows)) for table, run, time, rows in event.told.get("written", ())]


def entry_leaves(event: Event) -> list[Leaf]:
    """Return the leaves that stand in the event itself (`entries` and `ROW_KINDS`)."""
    return [Leaf(str(table), str(key), str(digest)) for table, key, digest in event.told.get("rows", ())]
