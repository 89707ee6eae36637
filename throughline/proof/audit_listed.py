"""The audit of rows that the log lists one by one: experiments, artifacts, models and what became of them, verdicts.

Belongs here: each listed row against its hash, and rows that no event lists. Does not belong here: records of the
ledger, which stand behind seals (audit_rows), how a row is hashed (storage.row_log).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from throughline.findings import Finding
from throughline.proof.anchor import Anchored
from throughline.proof.events import ROW_KINDS, Event, entry_leaves
from throughline.proof.listed import (
    VERDICTS,
    begins_list,
    count_rows,
    duplicates,
    listed_hashes,
    rows_are_listed,
    verdict_names,
    verdicts_without_seal,
)
from throughline.proof.runs import Runs
from throughline.storage.tables import LISTED

RESTORE = "restore it from a backup of the database and verify again"
_REMOVE = "find out who inserted it and take it out"


@dataclass(frozen=True)
class Logged:
    """An event that holds. anchored: the same as anchored, with its leaves; None where it is not anchored yet."""

    event: Event
    anchored: Anchored | None


@dataclass
class ListedAudit:
    """Compares listed rows, batch by batch in the order of the log.

    listed: table -> names of rows that events list; missing: those of them that the table lacks. anchored: table ->
    how many existing rows anchored events list. verdicts: name -> (partition, hash) of verdicts that the event of their
    seal does not name; a later event must list them. begun: an event that was compared begins the list of rows.
    """

    connection: Connection
    runs: Runs
    findings: list[Finding] = field(default_factory=list)
    rows: int = 0
    listed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    missing: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    anchored: Counter[str] = field(default_factory=Counter)
    verdicts: dict[str, tuple[str, str]] = field(default_factory=dict)
    begun: bool = False

    def check(self, logged: Sequence[Logged]) -> None:
        """Compare the rows that a batch of events lists with what the tables hold."""
        chosen = [item for item in logged if item.event.kind in ROW_KINDS]
        self.begun = self.begun or any(begins_list(item.event) for item in chosen)
        names: dict[str, list[str]] = defaultdict(list)
        for item in chosen:
            for leaf in entry_leaves(item.event):
                names[leaf.table].append(leaf.key)
        found = {table: listed_hashes(self.connection, table, wanted) for table, wanted in names.items()}
        for item in chosen:
            for leaf in entry_leaves(item.event):
                self.listed[leaf.table].add(leaf.key)
                self._compare(item, leaf.table, leaf.key, leaf.hash, found[leaf.table].get(leaf.key))

    def _compare(self, item: Logged, table: str, name: str, expected: str, found: str | None) -> None:
        self.rows += 1
        line, event = (table, ""), item.event
        row = _shown(table, name)
        if found is None:
            self.missing[table].add(name)
            problem = f"is gone; it was logged in event {event.seq}"
            gone = Finding(table, row, problem, "missing_row", expected, None, RESTORE)
            self.runs.differs(line, gone, missing=True)
            return
        self.anchored[table] += item.anchored is not None
        if found == expected:
            self.runs.intact(line)
            return
        problem = f"was edited after it was logged in event {event.seq}"
        self.runs.differs(line, Finding(table, row, problem, "hash_mismatch", expected, found, RESTORE), missing=False)

    def add_verdicts(self, event: Event, hashes: Iterable[tuple[str, str]]) -> None:
        """Take in the verdicts that the table holds of a partition. hashes: (name, hash); event: of its seal."""
        named = set(verdict_names(event))
        if event.kind == "verdict":
            self.listed[VERDICTS] |= named
            return
        self.verdicts |= {name: (event.name, digest) for name, digest in hashes if name not in named}

    def name_unlisted(self, *, whole: bool) -> None:
        """Name the rows that no event lists: who writes one lists it in the same transaction.

        whole: every event was compared; else only verdicts of the seals that were compared are looked at. Nothing is
        named before the log has adopted the rows of the time when it listed none.
        """
        if not self.begun and (whole or not rows_are_listed(self.connection)):
            return
        for name, (partition, digest) in self.verdicts.items():
            if name not in self.listed[VERDICTS]:
                suite = name.rpartition("/")[2]
                problem = f"the verdict of suite {suite[:12]}... is in no event of the seal log"
                self._unexpected(VERDICTS, partition, problem, digest)
        for table in LISTED if whole else ():
            known = self.listed[table.name]
            if table.name == VERDICTS:
                self._name_duplicates(table.name)
                for name in verdicts_without_seal(self.connection):
                    self._unexpected(table.name, _shown(table.name, name), "judges a partition that has no seal", None)
                continue
            if count_rows(self.connection, table.name) <= len(known - self.missing[table.name]):
                continue
            self._name_duplicates(table.name)
            for name, digest in listed_hashes(self.connection, table.name).items():
                if name not in known:
                    problem = "is in no event of the seal log, though whoever writes such a row logs it"
                    self._unexpected(table.name, name, problem, digest)

    def _name_duplicates(self, table: str) -> None:
        """Name the rows whose primary key another row has too: somebody has taken the constraint away."""
        for name, count in duplicates(self.connection, table):
            problem = f"there are {count} rows of this primary key"
            self.findings.append(Finding(table, _shown(table, name), problem, "duplicate", "1", str(count), _REMOVE))

    def _unexpected(self, table: str, row: str, problem: str, found: str | None) -> None:
        self.findings.append(Finding(table, row, problem, "unexpected_row", None, found, _REMOVE))

    def count_unanchored(self) -> int:
        """Return how many rows no anchored event lists, verdicts that an event of their seal names left out."""
        late = len(self.listed[VERDICTS] - self.missing[VERDICTS]) - self.anchored[VERDICTS]
        others = (table.name for table in LISTED if table.name != VERDICTS)
        return max(0, late) + sum(max(0, count_rows(self.connection, name) - self.anchored[name]) for name in others)


def _shown(table: str, name: str) -> str:
    """Return how findings name a row: a verdict by its partition, like every other finding on it."""
    return "/".join(name.split("/")[1:3]) if table == VERDICTS else name
