"""The audit's second half: what stands behind each event (rows, seals, verdicts) against the database, exactly named.

Belongs here: comparing. Does not belong here: the log itself (audit), which of two states is the true one (the anchored
event is, where there is one).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from throughline.catalogue import LOG, catalogue
from throughline.findings import Finding, FindingKind
from throughline.proof import sources
from throughline.proof.audit_listed import RESTORE, ListedAudit, Logged
from throughline.proof.events import Event, entry_leaves, seal_columns, verdict_told, written_groups
from throughline.proof.manifest import Leaf, manifest_hash
from throughline.proof.runs import Runs
from throughline.proof.sources import seal_key
from throughline.storage.row_log import row_name

Facts = Mapping[str, sources.RowFacts]
"""Key -> what the database has."""


@dataclass
class RowAudit:
    """Compares what stands behind events, batch by batch in the log's order.

    rows: how many things were compared. present: table -> how many existing records by hand the events list.
    unreadable: tables that are not read. listed: the audit of rows that events list one by one.
    """

    connection: Connection
    runs: Runs
    unreadable: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)
    rows: int = 0
    present: Counter[str] = field(default_factory=Counter)
    listed: ListedAudit = field(init=False)

    def __post_init__(self) -> None:
        self.listed = ListedAudit(self.connection, self.runs, self.findings)

    def check(self, logged: Sequence[Logged]) -> None:
        """Compare what stands behind a batch of events, where all tables that it stands in can be read."""
        if self.unreadable:
            logged = [item for item in logged if self.unreadable.isdisjoint(_tables_behind(item.event))]
        seals = [item for item in logged if item.event.kind == "seal"]
        keys = [seal_key(item.event) for item in seals]
        judged = keys + [seal_key(item.event) for item in logged if item.event.kind == "verdict"]
        behind = sources.behind(self.connection, [key for key in keys if key[1] != LOG])
        rows = sources.seal_rows(self.connection, keys)
        verdicts = sources.verdict_rows(self.connection, judged)
        for item, key in zip(seals, keys, strict=True):
            self._check_seal(item.event, rows.get(key))
            if key[1] != LOG:  # its leaves are seals, each of which has an event of its own
                self._check_leaves(item, behind[key])
        entries = [item.event for item in logged if item.event.kind == "entries"]
        facts = self._facts([leaf for event in entries for leaf in entry_leaves(event)])
        for item in logged:
            if item.event.kind in ("seal", "verdict"):
                self._check_verdicts(item.event, verdicts.get(seal_key(item.event), ()))
            elif item.event.kind == "entries":
                self._check_entries(item.event, facts)
        before = self.listed.rows
        self.listed.check(logged)
        self.rows += self.listed.rows - before

    def _check_seal(self, event: Event, row: sources.SealRow | None) -> None:
        self.rows += 1
        line = ("partition_seals", f"{event.told['experiment']}/{event.told['asset']}")
        if row is None:
            problem = f"is gone; event {event.seq} of the log names it"
            finding = Finding("partition_seals", event.name, problem, "missing_row", event.told["root"], None, RESTORE)
            self.runs.differs(line, finding, missing=True)
            return
        columns = seal_columns(row.seal, row.sealed_at)
        changed = [name for name, value in columns.items() if event.told.get(name) != value]
        if not changed:
            self.runs.intact(line)
            return
        name = changed[0]
        words = ", ".join(item.removesuffix("_hash") for item in changed)
        problem = f"is not what event {event.seq} of the log says of it: {words} changed"
        expected, found = str(event.told.get(name)), str(columns[name])
        finding = Finding("partition_seals", event.name, problem, "seal_mismatch", expected, found, RESTORE)
        self.runs.differs(line, finding, missing=False)

    def _check_leaves(self, item: Logged, behind: sources.Behind) -> None:
        event = item.event
        self.rows += behind.rows
        experiment = str(event.told["experiment"])
        if behind.manifest() == event.told["manifest"]:
            for table in {group.table for group in behind.written}:
                self.runs.intact((table, experiment))
            self._check_written(event, None, behind)
            return
        found, expected = behind.leaves(), self._expected(item)
        if expected is None:
            tables = " + ".join(catalogue().asset_tables.get(str(event.told["asset"]), ()))
            problem = f"the rows of {tables} are not those of event {event.seq}, which is not anchored yet"
            finding = Finding("partition_seals", event.name, problem, "seal_mismatch", event.told["manifest"])
            self.findings.append(finding)
            self._check_written(event, found, behind)
            return
        held = {(leaf.table, leaf.key): leaf.hash for leaf in found}
        self._compare(expected, held, experiment, event)
        known = {(leaf.table, leaf.key) for leaf in expected}
        for leaf in found:
            if (leaf.table, leaf.key) not in known:
                problem = f"is not among the rows that were sealed in {event.name} (event {event.seq})"
                repair = "look who inserted it; take it out, or record it as a correction of a later day"
                self.findings.append(Finding(leaf.table, leaf.key, problem, "unexpected_row", None, leaf.hash, repair))
        self._check_written(event, [leaf for leaf in found if (leaf.table, leaf.key) in known], behind)

    def _expected(self, item: Logged) -> list[Leaf] | None:
        if item.anchored is None:
            return None
        try:
            leaves = item.anchored.leaves()
        except (ValueError, TypeError):
            leaves = None
        if leaves is not None and manifest_hash(leaves) == item.event.told["manifest"]:
            return leaves
        problem = f"the leaf manifest of {item.event.name} is not the one that its event names"
        self.findings.append(Finding("anchor", f"event {item.event.seq}", problem, "rewritten"))
        return None

    def _check_entries(self, event: Event, facts: Mapping[str, Facts]) -> None:
        expected = entry_leaves(event)
        self.rows += len(expected)
        held = {
            (leaf.table, leaf.key): facts[leaf.table][leaf.key].hash
            for leaf in expected
            if leaf.key in facts[leaf.table]
        }
        self.present.update(table for table, _ in held)
        self._compare(expected, held, str(event.told["experiment"]), event)
        self._name_rewritten(event, expected, facts)

    def name_unlogged(self) -> None:
        """Name registry entries by hand that no event lists: the transaction that writes one logs it.

        Asked when every event was compared.
        """
        for table, count in sources.registered_by_hand(self.connection).items():
            if count <= self.present[table]:
                continue
            for key, found in sources.in_no_event(self.connection, table):
                problem = "is in no event of the seal log, though it would be logged by whoever wrote it"
                repair = "look who inserted it; take it out"
                self.findings.append(Finding(table, key, problem, "unexpected_row", None, found, repair))

    def _facts(self, leaves: Sequence[Leaf]) -> dict[str, Facts]:
        """Return table -> key -> what the database has, for those of `leaves` that it has."""
        keys: dict[str, list[str]] = defaultdict(list)
        for leaf in leaves:
            keys[leaf.table].append(leaf.key)
        found: dict[str, Facts] = {}
        for table, wanted in keys.items():
            found[table] = sources.rows_by_uuid(self.connection, table, wanted)
        return found

    def _check_written(self, event: Event, found: Sequence[Leaf] | None, behind: sources.Behind) -> None:
        """Compare when and by whom the rows were written. found: those that were logged; None = all behind the seal."""
        expected = written_groups(event)
        if behind.written == expected:
            return
        leaves = behind.leaves() if found is None else found
        named = self._name_rewritten(event, leaves, self._facts(leaves))
        if not named and found is None:
            problem = f"by which runs, or when, its rows were written is not what event {event.seq} says"
            self.findings.append(Finding("partition_seals", event.name, problem, "hash_mismatch", repair=RESTORE))

    def _name_rewritten(self, event: Event, leaves: Sequence[Leaf], facts: Mapping[str, Facts]) -> bool:
        """Name the rows that another run or another time claims to have written; return whether there were any."""
        allowed: dict[str, set[tuple[str | None, str]]] = defaultdict(set)
        for group in written_groups(event):
            allowed[group.table].add((group.run_id, group.recorded_at))
        named = False
        for leaf in leaves:
            row = facts[leaf.table].get(leaf.key)
            if row is not None and (row.run_id, row.recorded_at) not in allowed[leaf.table]:
                problem = f"run_id or recorded_at was edited after it was logged in {event.name} (event {event.seq})"
                expected = " or ".join(f"{run} {time}" for run, time in sorted(allowed[leaf.table], key=str))
                found = f"{row.run_id} {row.recorded_at}"
                self.findings.append(Finding(leaf.table, leaf.key, problem, "hash_mismatch", expected, found, RESTORE))
                named = True
        return named

    def _compare(
        self, expected: Sequence[Leaf], held: Mapping[tuple[str, str], str], experiment: str, event: Event
    ) -> None:
        missing = [leaf for leaf in expected if (leaf.table, leaf.key) not in held]
        elsewhere = self._elsewhere(missing) if event.kind == "seal" else {}
        for leaf in expected:
            line = (leaf.table, experiment)
            found = held.get((leaf.table, leaf.key))
            if found == leaf.hash:
                self.runs.intact(line)
            elif found is not None:
                problem = f"was edited after it was logged in {event.name} (event {event.seq})"
                finding = Finding(leaf.table, leaf.key, problem, "hash_mismatch", leaf.hash, found, RESTORE)
                self.runs.differs(line, finding, missing=False)
            elif leaf.key in elsewhere:
                problem = f"was moved to {elsewhere[leaf.key]}; it was logged in {event.name} (event {event.seq})"
                finding = Finding(
                    leaf.table, leaf.key, problem, "hash_mismatch", event.name, elsewhere[leaf.key], RESTORE
                )
                self.runs.differs(line, finding, missing=False)
            else:
                problem = f"is gone; it was logged in {event.name} (event {event.seq})"
                finding = Finding(leaf.table, leaf.key, problem, "missing_row", leaf.hash, None, RESTORE)
                self.runs.differs(line, finding, missing=True)

    def _elsewhere(self, leaves: Sequence[Leaf]) -> dict[str, str]:
        found = {}
        for table in sorted({leaf.table for leaf in leaves}):
            keys = [leaf.key for leaf in leaves if leaf.table == table]
            for key, row in sources.rows_by_uuid(self.connection, table, keys).items():
                found[key] = f"partition {row.partition} of experiment {row.experiment[:12]}"
        return found

    def _check_verdicts(self, event: Event, rows: Sequence[Mapping[str, Any]]) -> None:
        held = {(told["seal"], told["suite_hash"]): told["hash"] for told in map(verdict_told, rows)}
        key = seal_key(event)
        self.listed.add_verdicts(event, [(row_name((*key, *verdict)), digest) for verdict, digest in held.items()])
        for told in event.told["verdicts"]:
            self.rows += 1
            found = held.get((told["seal"], told["suite_hash"]))
            if found == told["hash"]:
                continue
            word = "is gone" if found is None else "was edited"
            problem = f"the verdict of suite {told['suite_hash'][:12]}... {word} after event {event.seq} logged it"
            kind: FindingKind = "missing_row" if found is None else "hash_mismatch"
            self.findings.append(Finding("gate_verdicts", event.name, problem, kind, told["hash"], found, RESTORE))


def _tables_behind(event: Event) -> set[str]:
    """Return the tables in which what an event logs stands."""
    if event.kind in ("seal", "verdict"):
        return {"partition_seals", "gate_verdicts", *catalogue().asset_tables.get(str(event.told["asset"]), ())}
    return {leaf.table for leaf in entry_leaves(event)}
