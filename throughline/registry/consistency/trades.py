"""Trade, soulprint and bucket entry against each other, in both directions.

Belongs here: `link_findings` for the entries of a part of a chunk. Does not belong here: the records of the chain that
a trade names (chain) and the seals (seals).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from throughline.findings import Finding, FindingKind
from throughline.registry.consistency import vectors
from throughline.registry.consistency.entries import Entry
from throughline.registry.consistency.forms import AT, NULL, Told
from throughline.registry.records import BUCKET_SCHEMA, LINKED
from throughline.tracking.checking import finding

_PRINTS, _BUCKETS = "soulprints", "profit_buckets"
_ALL_LINKED = '["' + '","'.join(LINKED) + '"]'

# Where the quick way finds what it compares.
_TRADE, _PRINT, _CELL = (AT[name] for name in ("canonical_trades", _PRINTS, _BUCKETS))
_OPENED, _CLOSED, _SEGMENT, _SYMBOL = (_TRADE[name] for name in ("opened_at", "closed_at", "segment", "symbol"))
_STRATEGY, _ENDED, _LINKED = (_TRADE[name] for name in ("strategy_id", "termination_reason", "linked_registries"))
_NAMES_PRINT, _NAMES_PATTERN = (_TRADE[f"specialized_hashes.{name}"] for name in (_PRINTS, _BUCKETS))
_PRINT_OF, _SOULPRINT, _DECIDED = (_PRINT[name] for name in ("canonical.hash", "soulprint", "decision_time"))
_SUBJECT, _SIMHASH = _PRINT["subject"], _PRINT["simhash"]
_CELL_OF, _PATTERN, _CELL_PRINT = (_CELL[name] for name in ("canonical.hash", "pattern", "soulprint"))
_CELL_CLOSED, _CELLS, _CELL_SCHEMA = (_CELL[name] for name in ("closed_at", "buckets", "schema"))
_BEST, _WORST, _REASON = (_CELL[name] for name in ("max_favorable_percent", "max_adverse_percent", "exits.reason"))
_EXIT_BEST, _EXIT_WORST = _CELL["exits.max_favorable_percent"], _CELL["exits.max_adverse_percent"]


@dataclass
class Part:
    """The entries of a part of a chunk, by registry."""

    entries: Mapping[str, list[Entry]]
    findings: list[Finding] = field(default_factory=list)

    @property
    def trades(self) -> list[Entry]:
        """The canonical trades."""
        return self.entries["canonical_trades"]

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
    """Add to `part` what does not hold between its trades and their entries in the specialised registries."""
    trades = _one_each(part, part.trades, "uuid", {})
    prints = _one_each(part, part.entries[_PRINTS], "trade", trades)
    buckets = _one_each(part, part.entries[_BUCKETS], "trade", trades)
    marks = _check_prints(part, prints.values())
    whole = []
    for uuid, trade in trades.items():
        soulprint, bucket = prints.get(uuid), buckets.get(uuid)
        if soulprint is not None and bucket is not None:
            whole.append((trade, soulprint, bucket))
    for trade, soulprint, bucket in whole:
        if not _certainly_hold(trade, soulprint, bucket, marks):
            _explain(part, trade, soulprint, bucket)
    for table, held in ((_PRINTS, prints), (_BUCKETS, buckets)):
        _check_missing(connection, part, table, [trade for uuid, trade in trades.items() if uuid not in held])
        _check_orphans(connection, part, [entry for uuid, entry in held.items() if uuid not in trades])


def _one_each(part: Part, entries: Iterable[Entry], key: str, trades: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the entries by UUID, or by the UUID of their trade; a second one of the same is a finding.

    Of two entries of a trade the one that the trade names by its hash is the first, else the one with the lower UUID.
    """
    held: dict[str, Entry] = {}
    again: dict[str, list[Entry]] = {}
    for entry in entries:
        name = getattr(entry, key)
        if held.setdefault(name, entry) is not entry:
            again.setdefault(name, [held[name]]).append(entry)
    for name, several in again.items():
        several.sort(key=lambda entry: (not _is_named(trades.get(name), entry), entry.uuid, entry.hash))
        held[name] = several[0]
        for entry in several[1:]:
            of = "with this UUID" if key == "uuid" else f"of trade {name}"
            part.find(entry, "duplicate", f"is a second row {of}; the other is {several[0].uuid}", 1, len(several))
    return held


def _is_named(trade: Entry | None, entry: Entry) -> bool:
    told, own = (trade.body if trade is not None else None), entry.body
    if told is None or own is None:
        return False
    named = told.get("specialized_hashes")
    key = "soulprint" if entry.table == _PRINTS else "pattern"
    return isinstance(named, dict) and bool(own.get(key)) and bool(named.get(entry.table) == own[key])


def _check_prints(part: Part, prints: Iterable[Entry]) -> dict[str, int | None]:
    """Check each soulprint in itself; return UUID -> SimHash of those that certainly hold."""
    quick: list[tuple[Entry, Told]] = []
    values: list[list[float]] = []
    slow: list[Entry] = []
    for entry in prints:
        told = entry.told
        numbers = None if told is None or entry.text is None else vectors.quick_values(entry.text, told)
        if numbers is None or told is None:
            slow.append(entry)
        else:
            quick.append((entry, told))
            values.append(numbers)
    marks: dict[str, int | None] = {}
    for (entry, told), mark in zip(quick, vectors.quick_simhashes(values), strict=True):
        if told[_SIMHASH] == (NULL if mark is None else f"{mark:016x}") and vectors.quick_missing(told):
            marks[entry.uuid] = mark
        else:
            slow.append(entry)
    for entry in slow:
        if entry.body is not None:
            _say(part, entry, vectors.soulprint_problems, entry.body)
    return marks


def _say(part: Part, entry: Entry, problems: Any, *arguments: Any) -> None:
    """Add what `problems` says of an entry; a body that lacks what it asks for is a finding too."""
    try:
        for problem, expected, actual in problems(*arguments):
            part.find(entry, "hash_mismatch", problem, expected, actual)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        part.find(entry, "unreadable", f"body lacks or garbles a field ({type(error).__name__}: {error})")


def _certainly_hold(trade: Entry, soulprint: Entry, bucket: Entry, marks: Mapping[str, int | None]) -> bool:
    """Return True if the three certainly belong to each other. marks: SimHash of the soulprints that hold."""
    told, of, cell = trade.told, soulprint.told, bucket.told
    if told is None or of is None or cell is None or soulprint.uuid not in marks:
        return False
    segment, opened, closed = told[_SEGMENT], told[_OPENED], told[_CLOSED]
    return (
        of[_PRINT_OF] == cell[_CELL_OF] == trade.hash
        and told[_NAMES_PRINT] == of[_SOULPRINT] == cell[_CELL_PRINT]
        and told[_NAMES_PATTERN] == cell[_PATTERN]
        and told[_LINKED] == _ALL_LINKED
        and trade.partition == soulprint.partition == bucket.partition
        and of[_DECIDED] <= opened <= closed == cell[_CELL_CLOSED]
        and of[_SUBJECT] == (told[_SYMBOL] if segment == NULL else segment)
        and cell[_REASON] == told[_ENDED]
        and cell[_BEST] == cell[_EXIT_BEST]
        and cell[_WORST] == cell[_EXIT_WORST]
        and cell[_CELL_SCHEMA] == BUCKET_SCHEMA
        and cell[_CELLS] == vectors.quick_buckets(marks[soulprint.uuid], told[_STRATEGY])
        and vectors.quick_pattern(cell)
    )


def _explain(part: Part, trade: Entry, soulprint: Entry, bucket: Entry) -> None:
    """Say exactly what does not hold between the three (nothing, where only the quick way could not be sure)."""
    told, of, cell = trade.body, soulprint.body, bucket.body
    if told is None or of is None or cell is None:
        return  # said when the row was examined
    try:
        for entry, body in ((soulprint, of), (bucket, cell)):
            _explain_reference(part, trade, entry, body["canonical"])
        _explain_trade(part, trade, told, of, cell)
        _explain_entries(part, (trade, told), (soulprint, of), (bucket, cell))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        part.find(trade, "unreadable", f"bodies lack or garble a field ({type(error).__name__}: {error})")


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


def _explain_trade(
    part: Part, trade: Entry, told: Mapping[str, Any], of: Mapping[str, Any], cell: Mapping[str, Any]
) -> None:
    if told["linked_registries"] != list(LINKED):
        problem = "the registries that it says it is linked to are not those there are"
        part.find(trade, "missing_link", problem, list(LINKED), told["linked_registries"])
    named = told["specialized_hashes"]
    for table, has in ((_PRINTS, of["soulprint"]), (_BUCKETS, cell["pattern"])):
        if table not in named:
            part.find(trade, "missing_link", f"names no hash of its entry in {table}", has)
        elif named[table] != has:
            problem = f"names {table} {named[table][:16]}..., its entry there has {has[:16]}..."
            part.find(trade, "dangling_link", problem, named[table], has)
    for name in sorted(named.keys() - {_PRINTS, _BUCKETS}):
        part.find(trade, "dangling_link", f"names an entry in {name}, which is no registry", None, named[name])
    if told["opened_at"] > told["closed_at"]:
        part.find(trade, "wrong_order", "closed before it was opened", told["opened_at"], told["closed_at"])


def _explain_entries(
    part: Part,
    trade: tuple[Entry, Mapping[str, Any]],
    soulprint: tuple[Entry, Mapping[str, Any]],
    bucket: tuple[Entry, Mapping[str, Any]],
) -> None:
    (trade_entry, told), (print_entry, of), (bucket_entry, cell) = trade, soulprint, bucket
    if of["decision_time"] > told["opened_at"]:
        problem = "was decided after its trade was opened"
        part.find(print_entry, "wrong_order", problem, f"{told['opened_at']} or before", of["decision_time"])
    subject = told["segment"] or told["symbol"]
    for entry, name, expected, actual in (
        (print_entry, "subject", subject, of["subject"]),
        (bucket_entry, "closed_at", told["closed_at"], cell["closed_at"]),
        (bucket_entry, "exits.reason", told["termination_reason"], cell["exits"]["reason"]),
        (bucket_entry, "soulprint", of["soulprint"], cell["soulprint"]),
    ):
        if expected != actual:
            problem = f"{name} is {actual}, its trade {trade_entry.uuid} gives {expected}"
            part.find(entry, "inconsistent", problem, expected, actual)
    _say(part, bucket_entry, vectors.bucket_problems, cell, of["simhash"], told["strategy_id"])


def _check_missing(connection: Connection, part: Part, table: str, trades: Sequence[Entry]) -> None:
    """Trades without an entry in a registry, unless it lies in another partition (which is said of that entry)."""
    elsewhere = _where(connection, table, "canonical_uuid", [trade.uuid for trade in trades])
    for trade in trades:
        if trade.uuid not in elsewhere:
            hashes = (trade.body or {}).get("specialized_hashes")
            expected = hashes.get(table) if isinstance(hashes, dict) else None
            part.find(trade, "missing_link", f"has no entry in {table}", expected, "none")


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
