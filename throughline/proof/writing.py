"""The end of the log inside the transaction that appends to it: opened, added to, signed.

Belongs here: the invariants of appending (no gaps, times that do not run backwards, the last head ours and anchored).
Does not belong here: what is appended (log).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg2.extras import execute_values
from sqlalchemy import Connection

from throughline.identity import time_text
from throughline.proof.anchoring import require_anchored
from throughline.proof.errors import ProofError
from throughline.proof.events import Event, EventKind, Head, sign_head
from throughline.proof.keys import Signer
from throughline.proof.listed import unlisted_rows
from throughline.proof.settings import Proof
from throughline.proof.tree import Frontier
from throughline.storage.row_log import INSERT_EVENTS

_UNSIGNED = ("genesis", "entries", "quarantine", "rows")
"""Kinds that wait for a head; all others are written together with theirs."""
_HEAD = "INSERT INTO seal_heads (tree_size, root, key_id, body, signature, recorded_at) VALUES %s"


@dataclass
class Tail:
    """The end of the log inside the transaction that appends to it."""

    connection: Connection
    log: str
    size: int
    last_time: str
    waiting: list[Event] = field(default_factory=list)

    def add(self, proof: Proof, kind: EventKind, told: Mapping[str, Any]) -> Event:
        """Append an event that says `told`."""
        self.last_time = max(time_text(proof.clock.now()), self.last_time)
        event = Event.of({"kind": kind, "log": self.log, "seq": self.size, "recorded_at": self.last_time, **told})
        self.waiting.append(event)
        self.size += 1
        return event

    def flush(self) -> list[Event]:
        """Write what was added; return it."""
        events, self.waiting = self.waiting, []
        values = [
            (
                event.seq,
                event.kind,
                event.told.get("experiment"),
                event.told.get("asset"),
                event.partition,
                event.leaf.hex(),
                event.body,
                event.told["recorded_at"],
            )
            for event in events
        ]
        _insert(self.connection, INSERT_EVENTS, values)
        return events


def open_tail(connection: Connection, proof: Proof, begin: bool) -> Tail | None:
    """Return the end of the log, begun where there is none and `begin` is set."""
    last = connection.exec_driver_sql("SELECT body FROM seal_events ORDER BY seq DESC LIMIT 1").scalar()
    anchored = proof.anchor.log_id()
    if last is None:
        if proof.anchor.head_sizes():
            raise ProofError(
                f"The anchor {proof.anchor.location} holds a log and this database none: restore the database, or "
                "name another anchor in THROUGHLINE_ANCHOR to begin a new log."
            )
        if not begin:
            return None
        log = anchored or secrets.token_hex(16)
        proof.anchor.start(log)  # first: a log without an anchor is then always an anchor that was lost
        tail = Tail(connection, log, 0, "")
        rows = [list(row) for row in unlisted_rows(connection)]
        tail.add(proof, "genesis", {"key": proof.signer.public_key.hex(), "key_id": proof.signer.key_id, "rows": rows})
        return tail
    event = Event.read(bytes(last))
    log = str(event.told["log"])
    if anchored is None:
        raise ProofError(
            f"The anchor {proof.anchor.location} is empty, but {event.seq + 1} events are logged: name the right one "
            "in THROUGHLINE_ANCHOR, or begin this one from what the database holds now with `throughline key anchor`."
        )
    if anchored != log:
        raise ProofError(
            f"The anchor {proof.anchor.location} belongs to another log ({anchored}, this one is {log}): name another "
            "one in THROUGHLINE_ANCHOR."
        )
    return Tail(connection, log, event.seq + 1, str(event.told["recorded_at"]))


def last_head(connection: Connection) -> Head | None:
    """Return the newest head in the database, None where none was signed."""
    query = "SELECT body, signature FROM seal_heads ORDER BY tree_size DESC LIMIT 1"
    row = connection.exec_driver_sql(query).one_or_none()
    return None if row is None else Head.read(bytes(row[0]), row[1])


def sign(tail: Tail, proof: Proof, signer: Signer | None = None) -> Head:
    """Write what was added and a head over it; where nothing was, return the head that is there."""
    frontier, last = _frontier(tail, proof)
    for event in tail.flush():
        frontier.append(event.leaf)
    if last is not None and last.tree_size == frontier.size:
        return last
    time = max(time_text(proof.clock.now()), tail.last_time)
    head = sign_head(signer or proof.signer, tail.log, frontier, time)
    _insert(tail.connection, _HEAD, [(head.tree_size, head.root, head.key, head.body, head.signature, time)])
    return head


def _frontier(tail: Tail, proof: Proof) -> tuple[Frontier, Head | None]:
    """Return the tree of all written events: from the last head, which must be ours, and the events after it."""
    last = last_head(tail.connection)
    require_anchored(tail.connection, proof.anchor)
    frontier = Frontier()
    if last is not None:
        if not last.signed_by(proof.signer.public_key):
            raise ProofError(
                f"The last head of the seal log ({last.tree_size}) is signed by key {last.key}, the key here is "
                f"{proof.signer.key_id}: use the right key, finish an interrupted `throughline key rotate`, or run "
                "`throughline verify`."
            )
        try:
            frontier = last.frontier()
        except ValueError as error:
            raise ProofError(f"The last head of the seal log ({last.tree_size}) cannot be used: {error}.") from error
    rows = tail.connection.exec_driver_sql(
        "SELECT body FROM seal_events WHERE seq >= %s ORDER BY seq", (frontier.size,)
    )
    for (body,) in rows:
        event = Event.read(bytes(body))
        if event.seq != frontier.size:
            raise ProofError(f"The seal log has no event {frontier.size}: run `throughline verify`.")
        if event.kind not in _UNSIGNED:
            raise ProofError(
                f"Event {event.seq} of the seal log ({event.name}) is under no signed head, which only happens to "
                "records written by hand: something else wrote it. Run `throughline verify`; nothing was logged."
            )
        frontier.append(event.leaf)
    return frontier, last


def _insert(connection: Connection, statement: str, values: Sequence[tuple[Any, ...]]) -> None:
    if values:
        cursor = connection.connection.cursor()
        try:
            execute_values(cursor, statement, values, page_size=500)
        finally:
            cursor.close()
