"""The audit: is what the database holds now what was logged, signed and anchored?

Belongs here: the seal log against itself (hashes, order, heads, signatures) and against the anchor, walked once in its
order in bounded memory. Does not belong here: what stands behind the events (audit_rows), what rows say (verification).

Truth is the anchored event where there is one, else the database's. Every event is taken into the tree: nothing between
two heads is believed for the sake of the heads (the 'linear fake' of immudb before 1.3.2 lived in such a gap).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from throughline.findings import Finding, FindingKind, ordered
from throughline.identity import time_text
from throughline.proof import sources
from throughline.proof.anchor import Anchor, Anchored, Strength
from throughline.proof.anchoring import EVENTS_AT_ONCE, LEAVES_AT_ONCE, at_once, leaves_of
from throughline.proof.audit_events import EventAudit, readable
from throughline.proof.audit_heads import ANCHOR_REPAIR, HeadAudit
from throughline.proof.audit_listed import Logged
from throughline.proof.audit_rows import RowAudit
from throughline.proof.errors import ProofError
from throughline.proof.events import Event, Head
from throughline.proof.keys import key_id
from throughline.proof.runs import Runs
from throughline.proof.tree import Frontier
from throughline.proof.trust import KeyLine

Progress = Callable[[str, int], None]
_BATCH = 1000


@dataclass(frozen=True)
class AuditResult:
    """What an audit says.

    findings: ordered by table, row, problem. tree_size, root: the log in the database. anchored_size, anchored_at:
    the newest anchored head (0 and None where there is none). unanchored_rows: rows of append-only tables that no
    anchored event stands for (None where the comparison began later or a table cannot be read). strength: what the
    anchor is worth. key_id: the trusted key, None where none was given and so no signature was checked. since: where
    the comparison began (0 = at the beginning). rows: how many rows, seals and verdicts were compared.
    """

    findings: Sequence[Finding]
    tree_size: int
    root: str
    anchored_size: int
    anchored_at: datetime | None
    unanchored_rows: int | None
    strength: Strength
    key_id: str | None
    since: int = 0
    rows: int = 0

    @property
    def ok(self) -> bool:
        """True if nothing was found."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``verify --json`` prints as `proof`."""
        return {
            "ok": self.ok,
            "findings": [item.as_json() for item in self.findings],
            "tree_size": self.tree_size,
            "root": self.root,
            "anchored_size": self.anchored_size,
            "anchored_at": time_text(self.anchored_at) if self.anchored_at else None,
            "unanchored_rows": self.unanchored_rows,
            "strength": self.strength,
            "key_id": self.key_id,
            "signatures_checked": self.key_id is not None,
            "since": self.since,
            "rows": self.rows,
        }


def audit(
    connection: Connection,
    anchor: Anchor,
    public_key: bytes | None,
    progress: Progress | None = None,
    since: int | None = None,
    unreadable: frozenset[str] = frozenset(),
) -> AuditResult:
    """Compare the log with itself, with the anchor, and with every row, seal and verdict behind it.

    connection, anchor: of one `snapshot.anchored_snapshot`, or what is anchored after the snapshot began would seem to
    be missing from the database. public_key: the trusted key (32 raw bytes), from the signer or the owner's file;
    None = signatures are not checked. progress: called with what was compared and how many rows. since: the size of a
    head that an earlier report vouches for: what was logged before it is not compared again, but where that head does
    not hold, everything is. unreadable: tables that cannot be read; rows of theirs are not compared, and what is not
    anchored is not counted. Raises nothing for what it finds.
    """
    work = _Audit(connection, anchor, progress or (lambda _, __: None), unreadable)
    start = work.begin(since)
    work.walk(start)
    if not unreadable:
        if not start:  # what was vouched for by an earlier audit is not asked again
            work.rows.name_unlogged()
        work.rows.listed.name_unlisted(whole=not start)
    return work.result(start, public_key)


class _Audit:
    """One audit under way."""

    def __init__(self, connection: Connection, anchor: Anchor, progress: Progress, unreadable: frozenset[str]) -> None:
        self.connection = connection
        self.anchor = anchor
        self.progress = progress
        self.runs = Runs()
        self.line = KeyLine()
        self.events = EventAudit(self.runs, self.line)
        self.heads = HeadAudit(anchor, self.runs, self.line)
        self.rows = RowAudit(connection, self.runs, unreadable)
        self.findings: list[Finding] = []

    def find_anchor(self, row: str, kind: FindingKind, problem: str) -> None:
        self.findings.append(Finding("anchor", row, problem, kind, repair=ANCHOR_REPAIR))

    def begin(self, since: int | None) -> int:
        """Read what is anchored; return the number of the first event to compare."""
        try:
            self.anchor.segments()
            log, self.heads.sizes = self.anchor.log_id(), self.anchor.head_sizes()
        except ProofError as error:
            self.find_anchor(self.anchor.location, "unreadable", str(error))
            return 0
        self.events.log = log
        self._find_lost_head()
        return self._resume(since) if since else 0

    def _find_lost_head(self) -> None:
        """Find the newest head that was written and is gone: no later head shows that it was there."""
        try:
            size = self.anchor.lost_head()
        except ProofError as error:
            self.find_anchor(self.anchor.location, "unreadable", str(error))
            return
        if size is not None:
            covered = self.heads.sizes[-1] if self.heads.sizes else 0
            problem = f"is gone: no head covers the anchored events from {covered} to {size - 1}"
            repair = "restore the anchor from a copy, or write the head again with `throughline key anchor`"
            self.findings.append(Finding("anchor", f"heads/{size:020}.json", problem, "missing_row", repair=repair))

    def _resume(self, since: int) -> int:
        """Take up the tree of the head `since`; return 0 where it does not hold."""
        query = "SELECT body, signature FROM seal_heads WHERE tree_size = %s"
        row = self.connection.exec_driver_sql(query, (since,)).one_or_none()
        if row is None or since not in self.heads.sizes:
            return 0
        try:
            head, copy = Head.read(bytes(row[0]), row[1]), self.anchor.head(since)
            tree = head.frontier()
            query = (
                "SELECT body FROM seal_events WHERE seq < %s AND (kind IN ('genesis', 'key') OR seq = %s) ORDER BY seq"
            )
            told = [Event.read(bytes(row[0])) for row in self.connection.exec_driver_sql(query, (since, since - 1))]
        except (ValueError, ProofError):
            return 0
        line = KeyLine()
        wrong = [event for event in told if line.add(event)]
        if wrong or not told or (head.body, head.signature) != (copy.body, copy.signature):
            return 0
        self.line.sizes, self.line.keys = line.sizes, line.keys
        self.events.true_tree, self.events.own_tree = tree, Frontier(tree.size, tree.nodes)
        self.events.size, self.events.last_time = since, str(told[-1].told.get("recorded_at"))
        self.heads.heads.append((head, True))
        return since

    def walk(self, start: int) -> None:
        """Walk the log from event `start` to the last one of the database or of the anchor."""
        query = "SELECT min(seq), coalesce(max(seq) + 1, 0) FROM seal_events"
        lowest, end = self.connection.exec_driver_sql(query).one()
        if lowest is not None and lowest < 0:
            self.events.find(lowest, "broken_chain", "has a number before the beginning of the log")
        if end and self.events.log is None and not self.findings:
            problem = f"holds nothing, though {end:,} events are logged: it was lost, removed or never named"
            self.find_anchor(self.anchor.location, "missing_link", problem)
        position = start
        for batch in self._anchored_batches(start):
            self._check_batch(position, len(batch), batch)
            position += len(batch)
        while position < end:
            query = "SELECT body FROM seal_events WHERE seq >= %s ORDER BY seq LIMIT %s"
            found = [readable(bytes(row[0])) for row in self.connection.exec_driver_sql(query, (position, _BATCH))]
            count = len(at_once([event for event in found if event is not None])) or 1
            self._check_batch(position, min(count, end - position), [])
            position += min(count, end - position)

    def _anchored_batches(self, start: int) -> Iterator[list[Anchored]]:
        """Yield the anchored events from `start` on, up to the first that cannot be used.

        Whoever publishes often leaves many small segments: as many are taken together as one large one holds.
        """
        batch: list[Anchored] = []
        leaves = 0
        for segment in self._segments(start):
            more = sum(leaves_of(item.event) for item in segment)
            if batch and (len(batch) + len(segment) > EVENTS_AT_ONCE or leaves + more > LEAVES_AT_ONCE):
                yield batch
                batch, leaves = [], 0
            batch += segment
            leaves += more
        if batch:
            yield batch

    def _segments(self, start: int) -> Iterator[list[Anchored]]:
        """Yield the events of each segment from event `start` on, up to the first that cannot be used."""
        segments = self.anchor.segments() if self.events.log is not None else []
        position = start
        for first, last in segments:
            if last < position:
                continue
            name = f"segments/{first:020}-{last:020}.jsonl"
            if first > position:
                problem = f"the events from {position} to {first - 1} are not anchored, though later ones are"
                self.find_anchor(name, "missing_row", problem)
                return
            try:
                read = [item for item in self.anchor.read_segment(first, last) if item.event.seq >= position]
            except (ValueError, IndexError, KeyError, TypeError, ProofError) as error:
                self.find_anchor(name, "unreadable", f"cannot be read: {error}")
                return
            yield read
            position = last + 1
        if self.heads.sizes and self.heads.sizes[-1] > position:
            problem = f"the events from {position} to {self.heads.sizes[-1] - 1} are not anchored, but a head over them"
            self.find_anchor("segments", "missing_row", problem)

    def _check_batch(self, first: int, count: int, anchored: Sequence[Anchored]) -> None:
        rows = self._read("seal_events", "seq", first, first + count)
        heads = self._read("seal_heads", "tree_size", first + 1, first + count + 1)
        logged = []
        for place in range(count):
            seq, copy = first + place, anchored[place] if anchored else None
            event = self.events.check(seq, rows.get(seq), copy)
            if event is not None:
                logged.append(Logged(event, copy))
            self.heads.check(seq + 1, heads.get(seq + 1), self.events.own_tree, self.events.true_tree)
        before = self.rows.rows
        self.rows.check(logged)
        self.progress("seal log", len(rows) + self.rows.rows - before)

    def _read(self, table: str, key: str, first: int, end: int) -> dict[int, Mapping[str, Any]]:
        query = f"SELECT * FROM {table} WHERE {key} >= %s AND {key} < %s"
        found = self.connection.exec_driver_sql(query, (first, end)).mappings()
        return {int(row[key]): dict(row) for row in found}

    def _unanchored(self, start: int, size: int) -> int | None:
        # Counting them asks every event by hand ever logged: 4.5 s at a million trades, so not in a daily check.
        if start or self.rows.unreadable:
            return None
        return sources.count_unanchored(self.connection, size) + self.rows.listed.count_unanchored()

    def result(self, start: int, public_key: bytes | None) -> AuditResult:
        """Judge the signatures and put everything together."""
        query = "SELECT tree_size FROM seal_heads WHERE tree_size > %s OR tree_size <= 0 ORDER BY tree_size"
        end = max(self.events.size, self.events.true_tree.size)
        for (size,) in self.connection.exec_driver_sql(query, (end,)):
            problem = f"head {size} stands for events that there are not"
            self.findings.append(Finding("seal_heads", str(size), problem, "broken_chain"))
        if public_key is not None:
            self.heads.judge(public_key)
        last = next(filter(None, map(self.heads.anchored, reversed(self.heads.sizes))), None)
        size = last.tree_size if last is not None else 0
        found = [*self.findings, *self.events.findings, *self.heads.findings, *self.rows.findings, *self.runs.finish()]
        return AuditResult(
            findings=ordered(found),
            tree_size=self.events.size,
            root=(self.events.own_tree or self.events.true_tree).root().hex(),
            anchored_size=size,
            anchored_at=last.recorded_at if last is not None else None,
            unanchored_rows=self._unanchored(start, size),
            strength=self.anchor.strength,
            key_id=key_id(public_key) if public_key is not None else None,
            since=start,
            rows=self.rows.rows,
        )
