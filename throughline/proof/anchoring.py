"""Bringing the anchor up to the log: everything committed and not anchored yet, the leaves read again from the rows.

Belongs here: copying, and the questions whether the log still contains what was copied and whether the anchor still
has it. Does not belong here: the anchor's files (anchor), and the full comparison (audit).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine

from throughline.identity import sha256_hex
from throughline.proof import sources
from throughline.proof.anchor import Anchor, Anchored, pack
from throughline.proof.errors import ProofError
from throughline.proof.events import Event, Head, entry_leaves
from throughline.proof.manifest import manifest_hash

_ANCHOR_LOCK = int(sha256_hex(b"throughline seal log anchor")[:15], 16)
EVENTS_AT_ONCE = 1000
_NOTHING = manifest_hash(())
LEAVES_AT_ONCE = 50_000
"""A segment ends with the event that passes one of these: whoever reads one holds no more than that."""


def require_anchored(connection: Connection, anchor: Anchor) -> None:
    """Raise ProofError unless the database has the newest anchored head: a rewritten log is not continued."""
    sizes = anchor.head_sizes()
    if not sizes:
        return
    query = "SELECT body, signature FROM seal_heads WHERE tree_size = %s"
    row = connection.exec_driver_sql(query, (sizes[-1],)).one_or_none()
    try:
        head = anchor.head(sizes[-1])
    except ValueError as error:
        raise ProofError(f"Head {sizes[-1]} of the anchor {anchor.location} cannot be read ({error}).") from error
    if row is None or (bytes(row[0]), row[1]) != (head.body, head.signature):
        raise ProofError(
            f"The seal log does not contain the anchored head {sizes[-1]}: something was removed or rewritten, or an "
            "older database was restored. Run `throughline verify`; nothing was logged."
        )


def anchor_problem(connection: Connection, anchor: Anchor) -> str | None:
    """Return what keeps the anchor from standing for the log in the database, None where nothing does.

    Looks at names and at the newest head only: a run asks it before it begins. Nothing is written.
    """
    last = connection.exec_driver_sql("SELECT body FROM seal_events ORDER BY seq DESC LIMIT 1").scalar()
    if last is None:
        return None
    event = Event.read(bytes(last))
    try:
        log = anchor.log_id()
        if log is None:
            return (
                f"The anchor {anchor.location} is empty, but {event.seq + 1:,} events are logged: it was lost or "
                "moved. Name the right one in THROUGHLINE_ANCHOR or restore it from a copy; if there is none, run "
                "`throughline verify`, then begin a new one from what the database holds with `throughline key anchor`."
            )
        if log != event.told["log"]:
            return f"The anchor {anchor.location} belongs to another log: name the right one in THROUGHLINE_ANCHOR."
        require_anchored(connection, anchor)
        lost = anchor.lost_head()
        if lost is not None:
            return (
                f"The anchor {anchor.location} has lost its newest head, which covered {lost:,} events: restore the "
                "anchor from a copy, or write the head again from the database with `throughline key anchor`."
            )
    except ProofError as error:
        return str(error)
    return None


def catch_up(connection: Connection, anchor: Anchor) -> int:
    """Anchor every event and head that is committed and not anchored; return how many events the last head covers."""
    connection.exec_driver_sql("SELECT pg_advisory_lock(%s)", (_ANCHOR_LOCK,))
    connection.commit()
    try:
        return _anchor_committed(connection, anchor)
    finally:
        if not connection.invalidated:
            connection.rollback()
            connection.exec_driver_sql("SELECT pg_advisory_unlock(%s)", (_ANCHOR_LOCK,))
            connection.commit()


def _anchor_committed(connection: Connection, anchor: Anchor) -> int:
    sizes, segments = anchor.head_sizes(), anchor.segments()
    following = segments[-1][1] + 1 if segments else 0
    query = "SELECT body, signature FROM seal_heads WHERE tree_size > %s ORDER BY tree_size"
    heads = [
        Head.read(bytes(row[0]), row[1]) for row in connection.exec_driver_sql(query, (sizes[-1] if sizes else 0,))
    ]
    if not heads:
        if sizes:
            anchor.receipt(sizes[-1])
        return sizes[-1] if sizes else 0
    end = heads[-1].tree_size
    while following < end:
        query = "SELECT body FROM seal_events WHERE seq >= %s AND seq < %s ORDER BY seq LIMIT %s"
        rows = connection.exec_driver_sql(query, (following, end, EVENTS_AT_ONCE))
        entries = _with_leaves(connection, at_once([Event.read(bytes(body)) for (body,) in rows]))
        if not entries:
            raise ProofError(f"The seal log has no event {following}: run `throughline verify`.")
        anchor.write_segment(entries)
        following += len(entries)
    for head in heads:
        anchor.write_head(head)
    anchor.receipt(end)
    return end


def at_once(events: Sequence[Event]) -> Sequence[Event]:
    """Return as many of the first events as may be held in memory with their leaves; at least one."""
    leaves = 0
    for count, event in enumerate(events, 1):
        leaves += leaves_of(event)
        if leaves > LEAVES_AT_ONCE or count == EVENTS_AT_ONCE:
            return events[:count]
    return events


def leaves_of(event: Event) -> int:
    """Return how many leaves stand behind an event or in it; 0 where it says something else than a number."""
    leaves, rows = event.told.get("leaves"), event.told.get("rows")
    return (leaves if isinstance(leaves, int) else 0) + (len(rows) if isinstance(rows, list) else 0)


def _with_leaves(connection: Connection, events: Sequence[Event]) -> list[Anchored]:
    """Return events with the leaves behind them, which must be those that were logged."""
    behind = sources.behind(connection, [sources.seal_key(event) for event in events if event.kind == "seal"])
    result = []
    for event in events:
        if event.kind == "seal":
            found = behind[sources.seal_key(event)]
            manifest, packed = found.manifest(), found.packed()
        else:
            leaves = entry_leaves(event) if "manifest" in event.told else []  # else the event itself is the whole list
            manifest, packed = manifest_hash(leaves), pack(leaves)
        if manifest != event.told.get("manifest", _NOTHING):
            raise ProofError(
                f"The rows behind {event.name} (event {event.seq}) changed after they were logged: run `throughline "
                "verify`; they are not anchored."
            )
        result.append(Anchored(event, packed))
    return result


def reanchor(engine: Engine, anchor: Anchor) -> int:
    """Copy the whole log to an anchor that is empty; return how many events it holds then.

    For an anchor that was lost or is moved. It vouches for the database as it is now and for nothing before: run
    `audit` against the old anchor first where there is one.
    """
    with engine.connect() as connection:
        first = connection.exec_driver_sql("SELECT body FROM seal_events WHERE seq = 0").scalar()
        connection.commit()
        if first is None:
            return 0
        if anchor.log_id() is None:
            anchor.start(str(Event.read(bytes(first)).told["log"]))
        return catch_up(connection, anchor)
