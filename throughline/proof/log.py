"""The seal log: an append-only RFC 9162 log of what was sealed, in commit order, with signed heads.

Belongs here: appending events and heads, and bringing the anchor up to them. Does not belong here: what an event says
(events), checking the past (audit). It is the door of the log: `day_leaf` can be had from here too.

One writer appends at a time (an advisory lock held to the end of the transaction). `seq` has no gaps, times do not run
backwards. The last head carries the frontier of its tree under its signature, so appending does not read the past; but
nothing is appended to a log that does not contain what was anchored. A crash between commit and anchor heals at the
next publish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from throughline.identity import time_text
from throughline.proof import sources
from throughline.proof.anchoring import anchor_problem, catch_up
from throughline.proof.errors import ProofError
from throughline.proof.events import ENTRIES_PER_EVENT, Written, day_leaf, seal_told, verdict_told
from throughline.proof.listed import rows_are_listed, unlisted_rows
from throughline.proof.manifest import Leaf, manifest_hash
from throughline.proof.settings import Proof
from throughline.proof.tree import Frontier
from throughline.proof.writing import Tail, open_tail, sign
from throughline.storage.records import LedgerRow
from throughline.storage.row_log import ROWS_PER_EVENT, lock_log

__all__ = [
    "Published",
    "anchor_logged",
    "append_entries",
    "day_leaf",
    "publish",
]

_SEALS_AT_ONCE = 400


@dataclass(frozen=True)
class Published:
    """What a publish left: the log's size and root (64 hex digits), how many events are new, how many are anchored."""

    tree_size: int
    root: str
    new_events: int
    anchored: int


def publish(engine: Engine, proof: Proof, experiment: str | None = None, *, by_hand: bool = False) -> Published:
    """Log every partition seal that has no event yet (of `experiment`, None = of all), sign a head, anchor everything.

    by_hand: log records too that were written by hand without being logged (`TradeTrackingSystem` knows no key); all
    that ever were are looked through for it.

    Before a seal is logged its root is recomputed from the rows. Raises ProofError naming asset and day where it
    differs, where the log does not contain what is anchored, and where key or anchor cannot be used; where nothing is
    sealed and nothing logged, nothing is made.
    """
    with engine.connect() as connection:
        with connection.begin():
            lock_log(connection)
            rows = sources.unlogged_seals(connection, experiment)
            hand = sources.unlogged_by_hand(connection, experiment) if by_hand else {}
            tail = open_tail(connection, proof, begin=bool(rows or hand))
            if tail is None:
                return Published(0, Frontier().root().hex(), 0, 0)
            before = tail.size - len(tail.waiting)
            for start in range(0, len(rows), _SEALS_AT_ONCE):
                _add_seals(tail, proof, rows[start : start + _SEALS_AT_ONCE])
            for name, written in hand.items():
                _add_entries(tail, proof, name, written)
            if before and not rows_are_listed(connection):
                _adopt_rows(tail, proof)
            head = sign(tail, proof)
        anchored = catch_up(connection, proof.anchor)
        return Published(head.tree_size, head.root, tail.size - before, anchored)


def anchor_logged(engine: Engine, proof: Proof) -> str | None:
    """Sign and anchor what is in the log and not anchored yet; log nothing. Return why not, None where it was done.

    What a command calls at its end, for the rows that it listed after its last publish.
    """
    with engine.connect() as connection:
        problem = anchor_problem(connection, proof.anchor)
        connection.commit()
        if problem is not None:
            return problem
        try:
            with connection.begin():
                lock_log(connection)
                tail = open_tail(connection, proof, begin=False)
                if tail is not None:
                    sign(tail, proof)
            catch_up(connection, proof.anchor)
        except ProofError as error:
            return str(error)
    return None


def append_entries(
    connection: Connection, proof: Proof, rows: Sequence[tuple[str, LedgerRow]], experiment: str
) -> list[int]:
    """Log records written by hand as `entries` events in the caller's transaction; return the events' numbers.

    rows: (table, row) of records that this transaction has just written, of `experiment`. Call `lock_log` first in the
    transaction. No head is signed here; the next `publish` signs and anchors. Nothing is logged for no rows.
    """
    if not rows:
        return []
    lock_log(connection)
    tail = open_tail(connection, proof, begin=True)
    assert tail is not None
    now = time_text(connection.exec_driver_sql("SELECT now()").scalar_one())  # what recorded_at is in this transaction
    written = [(Leaf(table, str(row.uuid), row.content_hash), row.run_id, now) for table, row in rows]
    _add_entries(tail, proof, experiment, written)
    return [event.seq for event in tail.flush() if event.kind == "entries"]


def _add_entries(tail: Tail, proof: Proof, experiment: str, rows: Sequence[sources.ByHand]) -> None:
    for start in range(0, len(rows), ENTRIES_PER_EVENT):
        part = rows[start : start + ENTRIES_PER_EVENT]
        leaves = [leaf for leaf, _, _ in part]
        groups = Counter((leaf.table, run, time) for leaf, run, time in part)
        written = [Written(table, run, time, number) for (table, run, time), number in groups.items()]
        told = {
            "experiment": experiment,
            "rows": [list(leaf) for leaf in leaves],
            "manifest": manifest_hash(leaves),
            "written": [list(group) for group in sorted(written, key=lambda item: (item[0], item[2], item[1] or ""))],
        }
        tail.add(proof, "entries", told)


def _add_seals(tail: Tail, proof: Proof, rows: Sequence[sources.SealRow]) -> None:
    keys = [row.key for row in rows]
    behind = sources.behind(tail.connection, keys)
    verdicts = sources.verdict_rows(tail.connection, keys)
    for row in rows:
        problem = sources.seal_problem(row.seal, behind[row.key])
        if problem:
            raise ProofError(
                f"{row.seal.asset} of {row.seal.partition} is not logged: {problem} (experiment "
                f"{row.seal.experiment[:12]}). Run `throughline verify`; nothing was logged."
            )
        judged = [verdict_told(verdict) for verdict in verdicts.get(row.key, ())]
        found = behind[row.key]
        tail.add(proof, "seal", seal_told(row.seal, row.sealed_at, judged, found.manifest(), found.written))


def _adopt_rows(tail: Tail, proof: Proof) -> None:
    """List the rows of append-only tables that no event lists, once, in a log that an older release began.

    That release listed no rows. Until this event nothing protects them, and the event says so by its kind.
    """
    rows = unlisted_rows(tail.connection)
    for start in range(0, max(1, len(rows)), ROWS_PER_EVENT):
        tail.add(proof, "adopted", {"rows": [list(row) for row in rows[start : start + ROWS_PER_EVENT]]})
