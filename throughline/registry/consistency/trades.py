"""A trade and its entries in the other registries against each other, in both directions.

Belongs here: `check_links` for the entries of a part of a chunk. Does not belong here: what must hold in an entry of a
registry (`throughline.registries`), the records of the chain that a trade names (chain) and the seals (seals).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from throughline.findings import Finding, FindingKind
from throughline.registries import TRADES, Body, Fields, Problem, linked_names, places, registries
from throughline.registry.consistency.entries import Entry
from throughline.tracking.checking import finding

_OPENED, _CLOSED, _LINKED = (places(TRADES)[name] for name in ("opened_at", "closed_at", "linked_registries"))
_NAMED = [
    (
        name,
        places(TRADES)[f"specialized_hashes.{name}"],
        places(name)[registry.identity],
        places(name)["canonical.hash"],
        registry,
    )
    for name, registry in registries().items()
]
"""Registry, place of the hash by which a trade names its entry, places of identity and trade hash in the entry."""
_ALL_LINKED = '["' + '","'.join(linked_names()) + '"]'


@dataclass
class Part:
    """The entries of a part of a chunk, by registry."""

    entries: Mapping[str, list[Entry]]
    findings: list[Finding] = field(default_factory=list)

    @property
    def trades(self) -> list[Entry]:
        """The canonical trades."""
        return self.entries[TRADES]

    def find(
        self,
        entry: Entry,
        kind: FindingKind,
        problem: str,
        expected: object = None,
        actual: object = None,
    ) -> None:
        """Add a finding on an entry."""
        self.findings.append(finding(entry.table, entry.uuid, kind, problem, expected, actual))


def check_links(connection: Connection, part: Part) -> None:
    """Add to `part` what does not hold between its trades and their entries in the other registries."""
    trades = _one_each(part, part.trades, "uuid", {})
    entries = {name: _one_each(part, part.entries[name], "trade", trades) for name in registries()}
    certain = {name: _check_entries(part, name, list(rows.values())) for name, rows in entries.items()}
    for uuid, trade in trades.items():
        own = {name: rows[uuid] for name, rows in entries.items() if uuid in rows}
        if not _certainly_hold(trade, own, certain):
            _explain(part, trade, own)
    for name, rows in entries.items():
        _check_missing(connection, part, name, [trade for uuid, trade in trades.items() if uuid not in rows])
        _check_orphans(connection, part, [entry for uuid, entry in rows.items() if uuid not in trades])


def _one_each(part: Part, entries: Iterable[Entry], key: str, trades: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the entries by UUID, or by the UUID of their trade; a second one of the same is a finding.

    Of two entries of a trade the one that the trade names by its hash is the first, else the one with the lower UUID.
    """
    first: dict[str, Entry] = {}
    again: dict[str, list[Entry]] = {}
    for entry in entries:
        name = getattr(entry, key)
        if first.setdefault(name, entry) is not entry:
            again.setdefault(name, [first[name]]).append(entry)
    for name, several in again.items():
        several.sort(key=lambda entry: (not _is_named(trades.get(name), entry), entry.uuid, entry.hash))
        first[name] = several[0]
        for entry in several[1:]:
            of = "with this UUID" if key == "uuid" else f"of trade {name}"
            part.find(entry, "duplicate", f"is a second row {of}; the other is {several[0].uuid}", 1, len(several))
    return first


def _is_named(trade: Entry | None, entry: Entry) -> bool:
    body, own = (trade.body if trade is not None else None), entry.body
    if body is None or own is None or entry.table not in registries():
        return False
    identity = own.get(registries()[entry.table].identity)
    return bool(identity) and (_hashes(body) or {}).get(entry.table) == identity


def _hashes(body: Body) -> Mapping[str, Any] | None:
    """Return registry -> hash by which a trade names its entry, None where its body has no such table."""
    hashes = body.get("specialized_hashes")
    return hashes if isinstance(hashes, dict) else None


def _check_entries(part: Part, name: str, entries: Sequence[Entry]) -> Mapping[str, Any]:
    """Check each entry of a registry in itself; return what `Registry.certain` says of those that certainly hold."""
    registry = registries()[name]
    certain = registry.certain([entry for entry in entries if entry.fields is not None])
    for entry in entries:
        if entry.uuid not in certain and (body := entry.body) is not None:
            _report(part, entry, registry.own_problems, body)
    return certain


def _report(part: Part, entry: Entry, problems: Any, *bodies: Any) -> None:
    """Add the problems of an entry; a body that lacks what they ask for is a finding too."""
    try:
        found: list[Problem] = list(problems(*bodies))
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        part.find(entry, "unreadable", f"body lacks or garbles a field ({type(error).__name__}: {error})")
        return
    for problem in found:
        part.find(entry, *problem)


def _certainly_hold(trade: Entry, own: Mapping[str, Entry], certain: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return True if a trade and its entries certainly belong to each other. certain: by registry and UUID."""
    fields = trade.fields
    if fields is None or len(own) != len(_NAMED):
        return False
    if fields[_LINKED] != _ALL_LINKED or not fields[_OPENED] <= fields[_CLOSED]:
        return False
    others: dict[str, tuple[Fields, Any]] = {}
    for name, named, identity, of, registry in _NAMED:
        entry = own[name]
        read, known = entry.fields, certain[name]
        if read is None or entry.uuid not in known or entry.partition != trade.partition:
            return False
        if read[of] != trade.hash or fields[named] != read[identity] or not registry.fits(read, fields, others):
            return False
        others[name] = read, known[entry.uuid]
    return True


def _explain(part: Part, trade: Entry, own: Mapping[str, Entry]) -> None:
    """Say exactly what does not hold between them (nothing, where only the quick way could not be sure).

    Where an entry that the trade names is missing, that is said instead.
    """
    body = trade.body
    bodies = {name: read for name, entry in own.items() if (read := entry.body) is not None}
    if body is None or len(bodies) < len(own):
        return  # said when the row was examined
    try:
        if not set(body["specialized_hashes"]) & registries().keys() <= own.keys():
            return
        for name, entry in own.items():
            _explain_reference(part, trade, entry, bodies[name]["canonical"])
        _explain_trade(part, trade, body, bodies)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        part.find(trade, "unreadable", f"bodies lack or garble a field ({type(error).__name__}: {error})")
        return
    for name, entry in own.items():
        _report(part, entry, registries()[name].problems, bodies[name], body, bodies)


def _explain_reference(part: Part, trade: Entry, entry: Entry, named: Mapping[str, str]) -> None:
    if named["uuid"] != trade.uuid:
        problem = f"its column names trade {trade.uuid}, its body {named['uuid']}"
        part.find(entry, "wrong_parent", problem, trade.uuid, named["uuid"])
    elif named["hash"] != trade.hash:
        problem = f"names trade {trade.uuid} with hash {named['hash'][:16]}..., which has {trade.hash[:16]}..."
        part.find(entry, "dangling_link", problem, named["hash"], trade.hash)
    if entry.partition != trade.partition:
        problem = f"lies in the partition {entry.partition}, its trade in {trade.partition}"
        part.find(entry, "wrong_parent", problem, trade.partition, entry.partition)


def _explain_trade(part: Part, trade: Entry, body: Body, bodies: Mapping[str, Body]) -> None:
    named = body["specialized_hashes"]
    expected = sorted(named.keys() | bodies.keys())
    if body["linked_registries"] != expected:
        problem = "the registries that it says it is linked to are not those of its entries"
        part.find(trade, "missing_link", problem, expected, body["linked_registries"])
    for name, entry in bodies.items():
        identity = entry[registries()[name].identity]
        if name not in named:
            part.find(trade, "missing_link", f"names no hash of its entry in {name}", identity)
        elif named[name] != identity:
            problem = f"names {name} {named[name][:16]}..., its entry there has {identity[:16]}..."
            part.find(trade, "dangling_link", problem, named[name], identity)
    for name in sorted(named.keys() - registries().keys()):
        part.find(trade, "dangling_link", f"names an entry in {name}, which is no registry", None, named[name])
    if body["opened_at"] > body["closed_at"]:
        part.find(trade, "wrong_order", "closed before it was opened", body["opened_at"], body["closed_at"])


def _check_missing(connection: Connection, part: Part, table: str, trades: Sequence[Entry]) -> None:
    """Trades without the entry that they name in a registry, unless it lies in another partition (said of the entry).

    A trade that was registered before a registry existed does not name it.
    """
    elsewhere = _where(connection, table, "canonical_uuid", [trade.uuid for trade in trades])
    for trade in trades:
        hashes = None if trade.body is None else _hashes(trade.body)
        if trade.uuid not in elsewhere and (hashes is None or table in hashes):
            part.find(trade, "missing_link", f"has no entry in {table}", (hashes or {}).get(table), "none")


def _check_orphans(connection: Connection, part: Part, entries: Sequence[Entry]) -> None:
    known = _where(connection, "canonical_trades", "uuid", [entry.trade for entry in entries])
    for entry in entries:
        if entry.trade not in known:
            part.find(entry, "orphan", f"names trade {entry.trade}, which does not exist", entry.trade, "none")
        else:
            problem = f"lies in the partition {entry.partition}, its trade {entry.trade} in {known[entry.trade]}"
            part.find(entry, "wrong_parent", problem, known[entry.trade], entry.partition)


def _where(connection: Connection, table: str, column: str, wanted: Sequence[str]) -> dict[str, str]:
    """Return value of `column` -> partition with experiment, of the rows of `table` that have it."""
    if not wanted:
        return {}
    statement = text(f"SELECT {column}, partition, experiment FROM {table} WHERE {column} = ANY(CAST(:keys AS uuid[]))")
    rows = connection.execute(statement, {"keys": list(wanted)})
    return {str(key): f"{day} of experiment {experiment[:12]}" for key, day, experiment in rows}
