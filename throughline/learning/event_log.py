"""The log of model events: reading it, and appending to it by compare-and-set. SQL only.

Belongs here: the one transaction in which an event is checked against the newest one and written. Does not belong here:
who may ask for an event and why (lifecycle), what follows from the events (events).
"""

from __future__ import annotations

import json
from datetime import date, datetime

from sqlalchemy import Connection, Engine, func, select, text

from throughline.errors import LedgerConflict
from throughline.identity import content_hash
from throughline.learning.events import IllegalEvent, ModelEvent, event_of, require_legal, unfold
from throughline.learning.observations import midnight_after
from throughline.storage import tables
from throughline.storage.queries import lock_key
from throughline.storage.row_log import insert_listed

CANDIDATES = "trade_candidates"


def events_lock(experiment: str) -> str:
    """Return the name of the lock (`storage.queries.advisory_lock`) that deciding and appending events exclude by."""
    return f"{experiment}/model_events"


def read_events(conn: Connection, experiment: str) -> tuple[ModelEvent, ...]:
    """Return the events of an experiment in order. Raises IllegalEvent where a body is not what was written."""
    table = tables.model_events
    statement = select(table.c.seq, table.c.content_hash, table.c.body).where(table.c.experiment == experiment)
    events = []
    for seq, digest, raw in conn.execute(statement.order_by(table.c.seq)):
        body = bytes(raw)
        if content_hash("model_event", body) != digest:
            raise IllegalEvent(
                f"model event {seq} of experiment {experiment[:12]} is not what was recorded: `throughline verify` "
                "says what was changed; nobody serves from it"
            )
        events.append(event_of(json.loads(body)))
    return tuple(events)


def append_event(engine: Engine, event: ModelEvent) -> None:
    """Append an event if it may follow the newest one: compare-and-set, in one transaction, under the events' lock.

    Raises LedgerConflict where another event came in between, or where a day is sealed in which it would count;
    IllegalEvent where the state does not allow it.
    """
    with engine.begin() as conn:
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key(events_lock(event.experiment))})
        before = read_events(conn, event.experiment)
        if len(before) > event.seq:
            other = before[event.seq]
            raise LedgerConflict(
                f"model_events of experiment {event.experiment[:12]}: event {event.seq} was written by another in the "
                f"meantime ({other.kind} {other.model[:12]}), so {event.kind} {event.model[:12]} was not; look at "
                "`throughline models` and decide again"
            )
        require_legal(unfold(before)[-1], event)
        decided = decided_until(conn, event.experiment)
        if decided is not None and event.effective_at < decided:
            raise LedgerConflict(
                f"model_events of experiment {event.experiment[:12]}: {event.kind} {event.model[:12]} would count from "
                f"{event.effective_at:%Y-%m-%d %H:%M}, but candidates are sealed until {decided:%Y-%m-%d %H:%M}: an "
                "event cannot take effect in a past that is decided"
            )
        row = {
            "experiment": event.experiment,
            "seq": event.seq,
            "kind": event.kind,
            "model": event.model,
            "effective_at": event.effective_at,
            "content_hash": event.hash,
            "body": event.body,
        }
        insert_listed(conn, tables.model_events, [row])


def decided_until(conn: Connection, experiment: str) -> datetime | None:
    """Return the end of the last sealed day of candidates, None where there is none."""
    c = tables.partition_seals.c
    last: date | None = conn.execute(
        select(func.max(c.partition)).where(c.experiment == experiment, c.asset == CANDIDATES)
    ).scalar_one()
    return None if last is None else midnight_after(last)
