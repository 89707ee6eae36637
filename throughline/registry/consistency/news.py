"""What was logged since a size of the seal log: the partitions and artifacts that a daily check looks at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Connection, text

from throughline.catalogue import catalogue

_AT_ONCE = 10_000


@dataclass
class News:
    """partitions: (experiment, day) of logged seals, verdicts and entries. artifacts: hashes that logged seals name."""

    partitions: set[tuple[str, date]] = field(default_factory=set)
    artifacts: set[str] = field(default_factory=set)


def news_since(connection: Connection, since: int) -> News:
    """Return what events from number `since` on are about; one that says nothing readable is the audit's to name."""
    news = News()
    entries: dict[str, set[str]] = {}
    statement = text("SELECT experiment, partition, body FROM seal_events WHERE seq >= :since ORDER BY seq")
    for experiment, day, body in connection.execute(statement, {"since": since}):
        if experiment is not None and day is not None:
            news.partitions.add((experiment, day))
        told = _told(bytes(body))
        if isinstance(told.get("artifact"), str):
            news.artifacts.add(told["artifact"])
        if told.get("kind") == "entries" and isinstance(told.get("rows"), list):
            for row in told["rows"]:
                entries.setdefault(str(row[0]), set()).add(str(row[1]))
    for table in catalogue().registries:
        uuids = sorted(entries.get(table, ()))
        for start in range(0, len(uuids), _AT_ONCE):
            named = text(f"SELECT DISTINCT experiment, partition FROM {table} WHERE uuid = ANY(CAST(:keys AS uuid[]))")
            rows = connection.execute(named, {"keys": uuids[start : start + _AT_ONCE]})
            news.partitions.update((row[0], row[1]) for row in rows)
    return news


def _told(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
