"""What a consistency check covers: the seal log up to its size, as the log still is, and the seals that it names.

Belongs here: the two questions that the gate of learning asks of a report that the log has outgrown. Does not belong
here: the report and its age (report), and the check (check).

A log only grows. A check of its first n events therefore stays true of them while other processes append, as long as
the first n events still have the root that the check recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, text

from throughline.proof.events import Event, Head
from throughline.proof.tree import Frontier


@dataclass(frozen=True)
class Reading:
    """What a consumer reads: the sealed days of one asset of an experiment, each with the root of its seal."""

    experiment: str
    asset: str
    days: Sequence[tuple[date, str]]


def root_at(connection: Connection, size: int) -> str | None:
    """Return the root (64 hex digits) of the log's first `size` events, None where the log does not have them.

    Computed from the newest head of at most `size` events and the events after it. A head whose columns, body and
    frontier contradict one another gives None as well.
    """
    query = text(
        "SELECT tree_size, root, body, signature FROM seal_heads WHERE tree_size <= :size"
        " ORDER BY tree_size DESC LIMIT 1"
    )
    row = connection.execute(query, {"size": size}).one_or_none()
    try:
        tree = Frontier()
        if row is not None:
            head = Head.read(bytes(row.body), row.signature)
            tree = head.frontier()
            if (head.tree_size, head.root) != (row.tree_size, row.root):
                return None
        query = text("SELECT body FROM seal_events WHERE seq >= :first AND seq < :size ORDER BY seq")
        for (body,) in connection.execute(query, {"first": tree.size, "size": size}):
            event = Event.read(bytes(body))
            if event.seq != tree.size:
                return None
            tree.append(event.leaf)
    except ValueError:
        return None
    return tree.root().hex() if tree.size == size else None


def not_covered(connection: Connection, size: int, reading: Reading) -> date | None:
    """Return the first day read that the log's first `size` events do not vouch for, None where they vouch for all.

    A day is vouched for if one of these events logs its seal with the root that was read, and no later event is about
    the same asset and day (a late verdict, another seal).
    """
    if not reading.days:
        return None
    query = text(
        "SELECT seq, body FROM seal_events WHERE experiment = :experiment AND asset = :asset"
        " AND partition BETWEEN :first AND :last ORDER BY seq"
    )
    asked = [day for day, _ in reading.days]
    values = {"experiment": reading.experiment, "asset": reading.asset, "first": min(asked), "last": max(asked)}
    logged: dict[date, str] = {}
    later: set[date] = set()
    for seq, body in connection.execute(query, values):
        event = Event.read(bytes(body))
        if event.partition is None:
            continue
        if seq >= size:
            later.add(event.partition)
        elif event.kind == "seal":
            logged[event.partition] = str(event.told.get("root"))
    return next((day for day, root in sorted(reading.days) if logged.get(day) != root or day in later), None)
