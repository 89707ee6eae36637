"""Was everything that was changed named, and nothing else? The judge of the whole suite.

Belongs here: `Trace` (what a tamper touched) and `complaints`. A finding names something by table and row, or a run of
rows by its first one and their number.

Everything touched must be named, and a run must be told exactly. Besides it, only what follows from the tamper may be
named: the rows that are linked to a touched row (the three entries of a trade count as one), the seal, the verdict and
the log's seal of its day, and the seals of that day below a touched seal. Findings about anything else are false.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tests.integration.tampering.books import CANDIDATES_OF, Books, Name, Row, candidates_in, references
from throughline.catalogue import BARS, LOG, catalogue
from throughline.findings import Finding

RUNS = ("truncated", "rewritten")


@dataclass
class Trace:
    """What a tamper touched.

    rows: ledger rows, and how each was ('changed', 'gone', 'new'). bodies: what they say now. days: partitions beside
    their own in which they lie now. seals, verdicts: (asset, day). events, heads: numbers. things: whatever else must
    be named, by table and row. may: what may be named besides.
    """

    rows: dict[Name, str] = field(default_factory=dict)
    bodies: dict[Name, Mapping[str, Any]] = field(default_factory=dict)
    days: dict[Name, date] = field(default_factory=dict)
    seals: set[tuple[str, date]] = field(default_factory=set)
    verdicts: set[tuple[str, date]] = field(default_factory=set)
    events: set[int] = field(default_factory=set)
    heads: set[int] = field(default_factory=set)
    things: set[Name] = field(default_factory=set)
    may: set[Name] = field(default_factory=set)
    primary: dict[Name, frozenset[str]] = field(default_factory=dict)
    """What the tamper was about, and the kinds of which one must be said of it."""

    def touched(self) -> set[Name]:
        """Everything that must be named."""
        return {
            *self.rows,
            *(("partition_seals", f"{asset}/{day}") for asset, day in self.seals),
            *(("gate_verdicts", f"{asset}/{day}") for asset, day in self.verdicts),
            *(("seal_events", str(seq)) for seq in self.events),
            *(("seal_heads", str(size)) for size in self.heads),
            *self.things,
            *self.primary,
        }

    def follows(self, books: Books) -> set[Name]:
        """Everything that may be named."""
        near: set[Name] = set(self.rows)
        found = self.touched() | self.may
        for name in self.rows:
            near |= books.links[name]
            row = books.rows.get(name)
            if name in self.bodies:
                near |= {(table, uuid) for _, table, uuid in references(name[0], self.bodies[name])}
            found |= self._of_its_day(name, row)
        found |= books.family(near)
        for asset, day in self.seals | self.verdicts:
            found |= _of_a_seal(asset, day)
        return found

    def _of_its_day(self, name: Name, row: Row | None) -> set[Name]:
        table, asset = name[0], catalogue().table_asset[name[0]]
        body = self.bodies.get(name)
        days = {row.partition} if row else set()
        days |= {self.days[name]} if name in self.days else set()
        found = {("partition_seals", f"{asset}/{day}") for day in days} | {(table, f"{asset}/{day}") for day in days}
        found.add(("registry_quarantine", name[1]))
        people = (candidates_in(row) if row else set()) | (
            candidates_in(row or Row(table, name[1], "", date.min, "", b"{}"), body) if body else set()
        )
        found |= {(of, f"candidate {uuid}") for of in CANDIDATES_OF for uuid in people}
        before = row.body if row else {}
        if body is not None and body.get("data_seals") != before.get("data_seals"):
            told = {*body.get("data_seals", {}), *before.get("data_seals", {})}
            found |= {("partition_seals", f"{BARS}/{day}") for day in told}
        if body is not None and table == "research_docs" and body.get("inputs") != before.get("inputs"):
            inputs = [item for item in body["inputs"] if isinstance(item, dict)]
            found |= {("artifacts", str(item.get("artifact"))) for item in inputs}
        return found


def _of_a_seal(asset: str, day: date) -> set[Name]:
    below = {asset}
    for _ in catalogue().upstream:
        below |= {name for name, above in catalogue().upstream.items() if below & set(above)}
    found = {(kind, f"{name}/{day}") for name in below | {LOG} for kind in ("partition_seals", "gate_verdicts")}
    return found | {(table, f"{asset}/{day}") for table in catalogue().asset_tables.get(asset, ())}


def named(findings: Iterable[Finding], books: Books) -> dict[Name, set[str]]:
    """Return what findings name -> the kinds under which; runs are taken apart."""
    found: dict[Name, set[str]] = {}
    for item in findings:
        covered = {(item.table, item.row)}
        if item.kind in RUNS:
            covered |= books.run(item.table, item.row, int(item.expected or 0))
        for name in covered:
            found.setdefault(name, set()).add(item.kind)
    return found


def complaints(findings: Sequence[Finding], trace: Trace, books: Books) -> list[str]:
    """Return what was not named, and what was named without having been touched. Nothing = named exactly."""
    told = named(findings, books)
    missed = sorted(trace.touched() - told.keys())
    innocent = sorted(told.keys() - trace.follows(books))
    wrong = [f"not named: {table} {row}" for table, row in missed]
    for name, kinds in trace.primary.items():
        if name in told and not told[name] & kinds:
            wrong.append(f"{name[0]} {name[1]} is named, but as {', '.join(sorted(told[name]))}")
    return wrong + [f"named, but not touched: {table} {row} ({', '.join(told[table, row])})" for table, row in innocent]


def runs_told(findings: Sequence[Finding], trace: Trace, books: Books) -> list[str]:
    """Return the ends of lines that were touched as a whole and not told by their first one and their number."""
    wrong = []
    touched = trace.touched()
    for table, lines in books.lines.items():
        for line in lines:
            count = 0
            while count < len(line) and (table, line[-1 - count]) in touched:
                count += 1
            if count < 2:
                continue
            first = line[-count]
            told = [item for item in findings if item.kind in RUNS and (item.table, item.row) == (table, first)]
            if [item.expected for item in told] != [str(count)]:
                wrong.append(f"no run of {count} from {table} {first} on, but {[item.expected for item in told]}")
    return wrong
