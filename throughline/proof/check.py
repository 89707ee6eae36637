"""Checking a proof file with nothing but a public key that the verifier brings.

Belongs here: the whole check, without a database and without believing the file anything. Does not belong here: making
one (prove). Whatever the file holds, the answer is a list of problems and never an exception.

What a file that holds proves: the records, word for word, were under the seals of their days (or listed in an event),
the events were in the log that the head stands for, and the head was signed with the verifier's key, or with one that
this key has handed the log over to. What it does not prove: that there is nothing else (a later correction, say).
"""

from __future__ import annotations

import json
import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from throughline.catalogue import catalogue
from throughline.errors import shown
from throughline.identity import canonical_bytes
from throughline.proof import tree
from throughline.proof.events import Event, Head, entry_leaves, rotated_key
from throughline.proof.keys import key_id
from throughline.proof.prove import FORMAT, followed_links
from throughline.tracking.records import body_hash, expected_uuid
from throughline.tracking.versions import version_problem

_PARTS = {"format", "asked", "records", "events", "head"}
_PLACES = ({"table", "body", "event", "index", "path"}, {"table", "body", "event"})


@dataclass(frozen=True)
class ProofCheck:
    """What a check says. ok: everything holds; problems: what does not; lines: the statement that is proved."""

    ok: bool
    problems: Sequence[str]
    lines: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``verify --proof FILE --json`` prints."""
        return {"ok": self.ok, "problems": list(self.problems), "statement": list(self.lines)}


class _Wrong(Exception):
    """The proof does not hold; the text says why."""


@dataclass(frozen=True)
class _Record:
    table: str
    uuid: str
    hash: str
    body: Mapping[str, Any]
    event: Event


def check_proof(data: object, public_key: bytes) -> ProofCheck:
    """Check a proof file. data: its JSON; public_key: the 32 raw bytes of the key that the verifier trusts."""
    try:
        lines = _check(data, public_key)
    except _Wrong as wrong:
        return ProofCheck(False, (str(wrong),), ())
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, IndexError, RecursionError) as error:
        return ProofCheck(False, (_malformed(error),), ())
    return ProofCheck(True, (), tuple(lines))


def _malformed(error: Exception) -> str:
    """Return the sentence for a file that is built in another way than a proof, in our own words."""
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return f"the file is not a proof: one of its parts lacks the field {shown(error.args[0])}"
    return "the file is not a proof: a value in it has another form than a proof gives it"


def _check(data: Any, public_key: bytes) -> list[str]:
    if not isinstance(data, dict) or data.get("format") != FORMAT or set(data) != _PARTS:
        raise _Wrong(f"the file is not a proof of the form '{FORMAT}'")
    head = _head(data["head"])
    events = _events(data["events"], head)
    signer = _signer(head, [event for event in events.values() if event.kind == "key"], public_key)
    records = _records(data["records"], events)
    _check_links(records)
    asked = records.get(str(uuids.UUID(data["asked"])))
    if asked is None or data["asked"] != asked.uuid:
        raise _Wrong(f"the record {data['asked']} that was asked for is not in the file")
    if {record.event.seq for record in records.values()} != {seq for seq in events if events[seq].kind != "key"}:
        raise _Wrong("the file holds an event that no record stands under")
    return _statement(asked, records, head, signer)


def _head(told: Any) -> Head:
    if not isinstance(told, dict) or set(told) != {"body", "signature"}:
        raise _Wrong("the file holds no signed head")
    return Head.read(canonical_bytes(told["body"]), _text(told["signature"]))


def _signer(head: Head, changes: Sequence[Event], public_key: bytes) -> str:
    """Return how the trusted key stands behind the head. Raises _Wrong where it does not."""
    trusted, steps = public_key, 0
    for change in changes:
        new = rotated_key(change, trusted)
        if new is not None:
            trusted, steps = new, steps + 1
    if not head.signed_by(trusted):
        raise _Wrong(
            f"the head is not signed with the key you gave ({key_id(public_key)}), nor with one that this key has "
            f"handed the log over to; it names key {head.key}"
        )
    words = f"key {key_id(trusted)}"
    if steps:
        words += f", to which your key {key_id(public_key)} has handed the log over"
    return words


def _events(listed: Any, head: Head) -> dict[int, Event]:
    events: dict[int, Event] = {}
    before = -1
    for item in listed:
        if set(item) != {"body", "path"}:
            raise _Wrong("an event of the file has another form")
        event = Event.read(canonical_bytes(item["body"]))
        if (
            event.complaint()
            or event.kind not in ("seal", "entries", "key")
            or event.told.get("log") != head.told["log"]
        ):
            raise _Wrong(f"event {event.seq} is no event of the log of the head")
        if event.seq <= before:
            raise _Wrong("the events are not in their order")
        before = event.seq
        if not tree.verify_inclusion(
            event.leaf, event.seq, head.tree_size, _path(item["path"]), bytes.fromhex(head.root)
        ):
            raise _Wrong(f"event {event.seq} ({event.name}) is not in the log that the head stands for")
        events[event.seq] = event
    return events


def _records(listed: Any, events: Mapping[int, Event]) -> dict[str, _Record]:
    records: dict[str, _Record] = {}
    for item in listed:
        if set(item) not in _PLACES or item["table"] not in catalogue().records:
            raise _Wrong("a record of the file has another form")
        table, body = item["table"], item["body"]
        canonical = canonical_bytes(body)
        told = json.loads(canonical)
        unknown = version_problem(table, told)
        if unknown is not None:
            raise _Wrong(f"a record of {table} cannot be checked: {unknown}")
        digest, uuid = body_hash(table, canonical), str(expected_uuid(table, told))
        event = events.get(item["event"]) if type(item["event"]) is int else None
        if event is None:
            raise _Wrong(f"{table} {uuid} stands under an event that is not in the file")
        if uuid in records:
            raise _Wrong(f"{table} {uuid} is in the file twice")
        if event.told.get("experiment") != told["experiment"]:
            raise _Wrong(f"{table} {uuid} stands under an event of another experiment")
        if event.kind == "key":
            held = False
        elif event.kind == "entries":
            held = set(item) == _PLACES[1] and (table, uuid, digest) in entry_leaves(event)
        else:
            held = set(item) == _PLACES[0] and _under_seal(table, told, digest, item, event)
        if not held:
            raise _Wrong(f"{table} {uuid} is not under {event.name} (event {event.seq}): it was changed")
        records[uuid] = _Record(table, uuid, digest, told, event)
    return records


def _under_seal(table: str, body: Mapping[str, Any], digest: str, item: Mapping[str, Any], event: Event) -> bool:
    asset = catalogue().table_asset[table]
    if event.told["asset"] != asset or event.partition != date.fromisoformat(body["partition"]):
        return False
    leaf = tree.leaf_hash(bytes.fromhex(digest))
    root = bytes.fromhex(event.told["root"])
    if type(item["index"]) is not int:
        return False
    return tree.verify_inclusion(leaf, item["index"], event.told["leaves"], _path(item["path"]), root)


def _check_links(records: Mapping[str, _Record]) -> None:
    for record in records.values():
        for key, table in followed_links(record.table):
            told = record.body.get(key)
            if not told:
                continue
            named = records.get(told["uuid"])
            if named is None:
                raise _Wrong(
                    f"{record.table} {record.uuid} stands on {table} {told['uuid']}, which the file leaves out"
                )
            if (named.table, named.hash) != (table, told["hash"]):
                raise _Wrong(f"{record.table} {record.uuid} names {table} {told['uuid']} with another hash")


def _statement(asked: _Record, records: Mapping[str, _Record], head: Head, signer: str) -> list[str]:
    first = (
        f"{len(records)} records, {asked.table} {asked.uuid} among them, were in this form in the log of "
        f"{head.tree_size:,} events that was signed at {head.told['recorded_at']} with {signer}."
    )
    return [first] + [
        f"{record.table} {record.uuid} sha256 {record.hash}: {record.event.name}, event {record.event.seq}, logged at "
        f"{record.event.told['recorded_at']}"
        for record in records.values()
    ]


def _path(told: Any) -> list[bytes]:
    if not isinstance(told, list):
        raise _Wrong("a path of the file is no list")
    path = [bytes.fromhex(_text(item)) for item in told]
    if any(len(item) != 32 or item.hex() != text for item, text in zip(path, told, strict=True)):
        raise _Wrong("a path of the file holds something that is no hash")
    return path


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong("the file holds a value that is no text where one must be")
    return value
