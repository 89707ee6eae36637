"""The audit's events: each row of the log against its own body, against the anchored copy, and into the trees.

Belongs here: one event at a time, in order. Does not belong here: what stands behind an event (audit_rows), heads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from throughline.findings import Finding, FindingKind
from throughline.proof.anchor import Anchored
from throughline.proof.audit_listed import RESTORE
from throughline.proof.events import Event
from throughline.proof.runs import Runs
from throughline.proof.sources import shown_time
from throughline.proof.tree import Frontier, leaf_hash
from throughline.proof.trust import KeyLine

Row = Mapping[str, Any]
_LINE = ("seal_events", "")


@dataclass
class EventAudit:
    """Walks the events. log: the id of the anchored log, None where nothing is anchored.

    true_tree: of the events as anchored, and where they are not, as in the database. own_tree: of the database's alone,
    None once one of them is missing. size: how many events the database has, gaps counted.
    """

    runs: Runs
    line: KeyLine
    log: str | None = None
    true_tree: Frontier = field(default_factory=Frontier)
    own_tree: Frontier | None = field(default_factory=Frontier)
    size: int = 0
    last_time: str = ""
    findings: list[Finding] = field(default_factory=list)

    def check(self, seq: int, row: Row | None, copy: Anchored | None) -> Event | None:
        """Compare event `seq`; return the true one where it can be used. row: the database's; copy: the anchor's."""
        event = copy.event if copy is not None else None
        leaf = event.leaf if event is not None else b""
        complaint = event.complaint() if event is not None else None
        if row is None:
            self.own_tree = None
            self._missing(seq, copy)
        else:
            body = bytes(row["body"])
            self.size = seq + 1
            if copy is not None and copy.event.body != body:
                if self.own_tree is not None:
                    self.own_tree.append(leaf_hash(body))
                self._changed(seq, row, copy)
            else:
                if copy is not None:
                    self.runs.intact(_LINE)
                else:
                    event, leaf = readable(body), leaf_hash(body)
                    complaint = event.complaint() if event is not None else "is not readable"
                if self.own_tree is not None:
                    self.own_tree.append(leaf)
                self._check_row(seq, row, event, leaf, complaint)
        if event is None:
            return None
        self.true_tree.append(leaf)
        if complaint is not None:
            return None
        wrong = self.line.add(event)
        if wrong:
            self.find(seq, "foreign_signature", f"event {seq} {wrong}")
        return event

    def find(
        self, seq: int, kind: FindingKind, problem: str, expected: str | None = None, found: str | None = None
    ) -> None:
        """Add a finding on an event."""
        self.findings.append(Finding("seal_events", str(seq), problem, kind, expected, found, RESTORE))

    def _missing(self, seq: int, copy: Anchored | None) -> None:
        if copy is None:
            self.find(seq, "broken_chain", f"event {seq} of the seal log is gone")
            return
        problem = f"event {seq} ({copy.event.name}) of the seal log is gone"
        expected = copy.event.leaf.hex()
        gone = Finding("seal_events", str(seq), problem, "missing_row", expected, None, RESTORE)
        self.runs.differs(_LINE, gone, missing=True)

    def _changed(self, seq: int, row: Row, copy: Anchored) -> None:
        problem = f"event {seq} ({copy.event.name}) of the seal log is not what was anchored"
        expected, found = copy.event.leaf.hex(), leaf_hash(bytes(row["body"])).hex()
        changed = Finding("seal_events", str(seq), problem, "broken_chain", expected, found, RESTORE)
        self.runs.differs(_LINE, changed, missing=False)

    def _check_row(self, seq: int, row: Row, own: Event | None, leaf: bytes, complaint: str | None) -> None:
        if own is None or complaint:
            self.find(seq, "unreadable", f"event {seq} {complaint}")
            return
        if leaf.hex() != row["leaf_hash"]:
            problem = f"the leaf hash of event {seq} is not that of its body"
            self.find(seq, "hash_mismatch", problem, leaf.hex(), str(row["leaf_hash"]))
        time = str(own.told.get("recorded_at"))
        says = {
            "seq": own.seq,
            "kind": own.kind,
            "experiment": own.told.get("experiment"),
            "asset": own.told.get("asset"),
            "partition": own.partition,
            "recorded_at": time,
        }
        has = {**row, "recorded_at": shown_time(row["recorded_at"])}
        for name, value in says.items():
            if has[name] != value:
                problem = f"column {name} of event {seq} is not what its body says"
                self.find(seq, "hash_mismatch", problem, str(value), str(has[name]))
        if time < self.last_time:
            problem = f"event {seq} is older than the event before it"
            self.find(seq, "wrong_order", problem, f"not before {self.last_time}", time)
        self.last_time = max(time, self.last_time)
        if self.log is not None and own.told.get("log") != self.log:
            problem = f"event {seq} belongs to another log"
            self.find(seq, "broken_chain", problem, self.log, str(own.told.get("log")))


def readable(body: bytes) -> Event | None:
    """Return the event in `body`, None where it is none."""
    try:
        return Event.read(body)
    except ValueError:
        return None
