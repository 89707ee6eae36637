"""A trade against the records of the chain that it names, and the day's outcomes against its trades.

Belongs here: candidate, research snapshot, execution and outcome of a trade: they exist, have the hash that the trade
names, belong to each other, and give the very trade and soulprint that are recorded (`registry.records` and the
registries are asked again). Does not belong here: the chain by itself (verification).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from throughline.catalogue import catalogue
from throughline.findings import FindingKind
from throughline.registries import NULL, TRADES, places, registries
from throughline.registry.consistency.entries import Entry
from throughline.registry.consistency.reading import Chunk
from throughline.registry.consistency.trades import Part
from throughline.registry.records import trade_body
from throughline.storage.records import LedgerRow
from throughline.storage.tables import outcomes
from throughline.tracking.checking import finding
from throughline.tracking.records import body_hash
from throughline.tracking.versions import same_version

_NAMED = tuple(catalogue().links["canonical_trades"].items())
"""(body key, table) of the records of the chain that a trade names."""
_UUIDS = {f"{key}.uuid" for key, _ in _NAMED}
_ABOVE = {"research": ("candidate",), "execution": ("candidate", "research"), "outcome": ("candidate", "execution")}
_PLACES = [place for path, place in places(TRADES).items() if path in _UUIDS]
Records = Mapping[str, LedgerRow]


def check_chain(connection: Connection, part: Part, chunk: Chunk) -> dict[str, list[Entry]]:
    """Add to `part` what does not hold between its trades and the chain; return outcome UUID -> its trades.

    Corrections are held by their links alone: they are there to say something else than the chain.
    """
    told: dict[str, list[Entry]] = {}
    bodies = [
        (trade, body)
        for trade in part.trades
        if (not chunk.by_hand or _names_any(trade)) and (body := trade.body) is not None
    ]
    records = {table: _records(connection, table, _references(bodies, key)) for key, table in _NAMED}
    entries = {name: {entry.trade: entry for entry in part.entries[name]} for name in registries()}
    for table, rows in records.items():
        for row in rows.values():
            actual = body_hash(table, row.body)
            if actual != row.content_hash:
                problem = f"body hashes to {actual[:16]}..., the row says {row.content_hash[:16]}..."
                part.findings.append(
                    finding(table, row.uuid, "hash_mismatch", problem, row.content_hash, actual),
                )
    for trade, body in bodies:
        found = _links(part, trade, body, records)
        if not chunk.by_hand and body.get("outcome") is None:
            part.find(trade, "missing_link", "names no outcome that it is the trade of")
        if not trade.supersedes and isinstance(body.get("outcome"), dict):
            told.setdefault(str(body["outcome"].get("uuid")), []).append(trade)
        if len(found) == len(_NAMED) and not trade.supersedes and not chunk.by_hand:
            _derived(part, trade, body, {name: rows.get(trade.uuid) for name, rows in entries.items()}, found)
    return told


def check_outcomes(
    connection: Connection, part: Part, chunk: Chunk, sealed: Sequence[date], told: Mapping[str, Sequence[Entry]]
) -> None:
    """Every outcome of a day whose trades are sealed has exactly one trade. told: what `check_chain` gave."""
    for uuid, held in told.items():
        for second in sorted(held, key=lambda entry: entry.uuid)[1:]:
            part.find(second, "duplicate", f"is a second trade of outcome {uuid}", 1, len(held))
    if not sealed:
        return
    c = outcomes.c
    statement = select(c.uuid, c.partition).where(
        c.experiment == chunk.experiment, c.partition.in_(list(sealed)), c.supersedes.is_(None)
    )
    for uuid, day in connection.execute(statement):
        if str(uuid) not in told:
            problem = f"outcome of {day} has no canonical trade, though the trades of that day are sealed"
            part.findings.append(finding("outcomes", uuid, "missing_link", problem, "a canonical trade", "none"))


def _names_any(trade: Entry) -> bool:
    """Return whether a trade names any record of the chain: one written by hand seldom does."""
    return trade.fields is None or any(trade.fields[place] != NULL for place in _PLACES)


def _references(bodies: Sequence[tuple[Entry, Mapping[str, Any]]], key: str) -> set[str]:
    wanted = set()
    for _, body in bodies:
        named = _reference(body, key)
        if named is not None:
            wanted.add(named[0])
    return wanted


def _reference(body: Mapping[str, Any], key: str) -> tuple[str, str] | None:
    named = body.get(key)
    if not isinstance(named, dict):
        return None
    try:
        return str(UUID(named["uuid"])), str(named["hash"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _records(connection: Connection, table: str, wanted: set[str]) -> Records:
    if not wanted:
        return {}
    columns = "uuid::text, experiment, partition, content_hash, body"
    statement = f"SELECT {columns} FROM {table} WHERE uuid = ANY(CAST(%s AS uuid[]))"
    return {
        row[0]: LedgerRow(UUID(row[0]), row[1], row[2], row[3], bytes(row[4]), None, {})
        for row in connection.exec_driver_sql(statement, (sorted(wanted),))
    }


def _links(part: Part, trade: Entry, body: Mapping[str, Any], records: Mapping[str, Records]) -> dict[str, LedgerRow]:
    """Return the records that the trade names, by key, of those links that hold."""
    held: dict[str, LedgerRow] = {}
    for key, table in _NAMED:
        named = _reference(body, key)
        if named is None:
            continue
        names = f"{key} names {table} {named[0]}"
        row = records[table].get(named[0])
        wrong = _wrong(part, trade, body, named[1], row)
        if wrong is not None:
            kind, problem, expected, actual = wrong
            part.find(trade, kind, names + problem, expected, actual)
        elif row is not None:
            held[key] = row
    for key, above in _ABOVE.items():
        if key in held:
            own = _json(held[key])
            for name in above:
                if own.get(name) != body.get(name):
                    problem = f"its {key} {held[key].uuid} belongs to another {name} than it says"
                    part.find(trade, "wrong_parent", problem, own.get(name), body.get(name))
    return held


def _wrong(
    part: Part, trade: Entry, body: Mapping[str, Any], claimed: str, row: LedgerRow | None
) -> tuple[FindingKind, str, object, object] | None:
    if row is None:
        return "dangling_link", ", which does not exist", claimed, None
    if row.content_hash != claimed:
        problem = f" with hash {claimed[:16]}..., which has {row.content_hash[:16]}..."
        return "dangling_link", problem, claimed, row.content_hash
    if row.experiment != body["experiment"]:
        return "wrong_parent", f" of another experiment ({row.experiment[:12]})", body["experiment"], row.experiment
    if row.partition.isoformat() > trade.partition:
        return "wrong_order", f" of a later day ({row.partition})", f"{trade.partition} or before", row.partition
    return None


def _json(row: LedgerRow) -> Mapping[str, Any]:
    try:
        body = json.loads(row.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _derived(
    part: Part,
    trade: Entry,
    body: Mapping[str, Any],
    entries: Mapping[str, Entry | None],
    held: Mapping[str, LedgerRow],
) -> None:
    """The trade is what its chain gives, and its entries what its research record gives."""
    research = held["research"]
    _compare(
        part,
        trade,
        body,
        lambda: same_version(
            "canonical_trades",
            body,
            trade_body(held["candidate"], research, held["execution"], held["outcome"])
            | {"partition": held["outcome"].partition.isoformat()},
        ),
        "its chain",
    )
    for name, entry in entries.items():
        own = entry.body if entry is not None else None
        if entry is not None and own is not None:
            _compare(part, entry, own, partial(registries()[name].derived, research), f"research_docs {research.uuid}")


def _compare(
    part: Part, entry: Entry, body: Mapping[str, Any], expected: Callable[[], Mapping[str, Any]], source: str
) -> None:
    try:
        given = expected()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        part.find(entry, "unreadable", f"{source} lacks or garbles a field ({type(error).__name__}: {error})")
        return
    for name in sorted(given):
        if body.get(name) != given[name]:
            problem = f"{name} is {_short(body.get(name))}, {source} gives {_short(given[name])}"
            part.find(entry, "inconsistent", problem, given[name], body.get(name))


def _short(value: object) -> str:
    told = str(value)
    return told if len(told) <= 60 else told[:57] + "..."
