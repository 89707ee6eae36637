"""The audit's heads: those of the database against those of the anchor, their roots, and who signed them.

Belongs here: one head at a time, in the order of their sizes, and at the end the judgement of all signatures. Does not
belong here: the trees (audit_events) and the line of keys (trust).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from throughline.findings import Finding, FindingKind
from throughline.proof.anchor import Anchor
from throughline.proof.audit_listed import RESTORE
from throughline.proof.errors import ProofError
from throughline.proof.events import Head
from throughline.proof.keys import key_id
from throughline.proof.runs import Runs
from throughline.proof.sources import shown_time
from throughline.proof.tree import Frontier
from throughline.proof.trust import KeyLine, untrusted

Row = Mapping[str, Any]
_LINE = ("seal_heads", "")
ANCHOR_REPAIR = "name the right anchor in THROUGHLINE_ANCHOR, or restore it from a copy"


@dataclass
class HeadAudit:
    """Compares heads. sizes: of the anchored ones, ascending. heads: (head, in the anchor?) whose root holds."""

    anchor: Anchor
    runs: Runs
    line: KeyLine
    sizes: Sequence[int] = ()
    heads: list[tuple[Head, bool]] = field(default_factory=list)
    wrong: list[tuple[Head, bool]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def check(self, size: int, row: Row | None, own_tree: Frontier | None, true_tree: Frontier) -> None:
        """Compare the head of `size`. row: the database's, None where it has none; the trees as they are at `size`."""
        copy = self.anchored(size)
        own: Head | None = None
        if row is not None:
            try:
                own = Head.read(bytes(row["body"]), str(row["signature"]))
            except ValueError as error:
                self._find(size, False, "unreadable", f"head {size} is not readable ({error})")
        if copy is not None:
            self._check_root(copy, true_tree, True)
            self._check_copy(size, row, own, copy)
        elif own is not None and self.sizes and size < self.sizes[-1]:
            self._find(size, False, "unexpected_row", f"head {size} was never anchored")
        if own is not None and row is not None:
            self._check_columns(size, row, own)
            if own.tree_size != size:
                return  # it was moved, which its columns have said; its root belongs to another tree
            if copy is None or (own.body, own.signature) != (copy.body, copy.signature):
                self._check_root(own, own_tree, False)

    def anchored(self, size: int) -> Head | None:
        """Return the anchored head of `size`, None where there is none or it cannot be read (which is found)."""
        if size not in self._known:
            return None
        try:
            return self.anchor.head(size)
        except (ValueError, KeyError, TypeError, IndexError, ProofError) as error:
            self._find(size, True, "unreadable", f"cannot be read: {error}")
            return None

    def judge(self, public_key: bytes) -> None:
        """Judge all signatures by the trusted key."""
        whole = untrusted(self.line, [head for head, _ in self.heads], public_key) if self.heads else None
        if whole:
            first, anchored = self.heads[0]
            problem = f"{len(self.heads):,} head(s) from this one on are not to be trusted: {whole}"
            self._find(first.tree_size, anchored, "foreign_signature", problem, key_id(public_key), first.key)
        for head, anchored in ([] if whole else self.heads) + self.wrong:
            wrong = self.line.problem(head)
            if wrong:
                problem = f"head {head.tree_size} {wrong}"
                self._find(head.tree_size, anchored, "foreign_signature", problem, None, head.key)

    def _check_copy(self, size: int, row: Row | None, own: Head | None, copy: Head) -> None:
        if row is None:
            gone = Finding("seal_heads", str(size), f"head {size} is gone", "missing_row", copy.root, None, RESTORE)
            self.runs.differs(_LINE, gone, missing=True)
        elif own is not None and (own.body, own.signature) == (copy.body, copy.signature):
            self.runs.intact(_LINE)
        else:
            found = None if own is None else own.root
            problem = f"head {size} is not what was anchored"
            changed = Finding("seal_heads", str(size), problem, "broken_chain", copy.root, found, RESTORE)
            self.runs.differs(_LINE, changed, missing=False)

    def _check_columns(self, size: int, row: Row, own: Head) -> None:
        says = {
            "tree_size": own.tree_size,
            "root": own.root,
            "key_id": own.key,
            "recorded_at": str(own.told["recorded_at"]),
        }
        has = {**row, "recorded_at": shown_time(row["recorded_at"])}
        for name, value in says.items():
            if has[name] != value:
                problem = f"column {name} of head {size} is not what its body says"
                self._find(size, False, "hash_mismatch", problem, str(value), str(has[name]))

    def _check_root(self, head: Head, tree: Frontier | None, anchored: bool) -> None:
        found = tree.root().hex() if tree is not None and tree.size == head.tree_size else None
        if found == head.root:
            self.heads.append((head, anchored))
            return
        self.wrong.append((head, anchored))
        problem = f"the root of head {head.tree_size} is not that of the {head.tree_size:,} events before it"
        self._find(head.tree_size, anchored, "broken_chain", problem, head.root, found)

    def _find(
        self,
        size: int,
        anchored: bool,
        kind: FindingKind,
        problem: str,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        table, row, repair = (
            ("anchor", f"heads/{size:020}.json", ANCHOR_REPAIR) if anchored else ("seal_heads", str(size), RESTORE)
        )
        self.findings.append(Finding(table, row, problem, kind, expected, found, repair))

    @cached_property
    def _known(self) -> frozenset[int]:
        return frozenset(self.sizes)
