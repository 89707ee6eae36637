"""A finding: something stored that does not hold, named so exactly that a person can go and look.

Belongs here: the shape and the vocabulary, shared by everything that checks (verification, registry, proof).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

FindingKind = Literal[
    "hash_mismatch",
    "missing_link",
    "dangling_link",
    "orphan",
    "duplicate",
    "wrong_parent",
    "wrong_order",
    "seal_mismatch",
    "broken_chain",
    "foreign_signature",
    "artifact_changed",
    "missing_row",
    "unexpected_row",
    "truncated",
    "rewritten",
    "trigger_changed",
    "grant_changed",
    "setting_changed",
    "unreadable",
    "inconsistent",
]
"""hash_mismatch: a body, hash, column or UUID does not follow from the body. missing_link: a reference that must be
there is not. dangling_link: a reference to nothing, or to another hash. orphan: an entry that no canonical trade stands
behind. duplicate: two where one may be. wrong_parent: a link into another chain. wrong_order: a time or sequence out of
order. seal_mismatch: a partition seal that its rows do not give. broken_chain: the seal log's events or heads do not
follow from each other. foreign_signature: a head that the trusted key did not sign. artifact_changed: stored bytes are
missing or others. missing_row, unexpected_row: against the anchored manifest. truncated: rows or events from one on are
gone. rewritten: rows or events from one on are others. trigger_changed, grant_changed: objects or rights of the
database are not those of the migrations. setting_changed: a setting of the server, of a database or of a role is
another. unreadable: bytes that say nothing. inconsistent: sums and states that contradict one another.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold.

    table: the table, or the kind of object (``trigger``, ``grant``, ``anchor``). row: the UUID, id, hash, sequence
    number, or ``asset/partition`` for seals and verdicts. problem: one clause for people. expected, found: the two
    values that differ, as text, where there are two. repair: what the owner can do.
    """

    table: str
    row: str
    problem: str
    kind: FindingKind = "inconsistent"
    expected: str | None = None
    found: str | None = None
    repair: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return {
            "table": self.table,
            "row": self.row,
            "problem": self.problem,
            "kind": self.kind,
            "expected": self.expected,
            "found": self.found,
            "repair": self.repair,
        }


def distinct(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings of several checks, ordered; where they say the same of the same row, only the first."""
    kept: dict[tuple[str, str, str], Finding] = {}
    for item in findings:
        kept.setdefault((item.table, item.row, item.kind), item)
    return ordered(list(kept.values()))


def ordered(findings: set[Finding] | list[Finding]) -> list[Finding]:
    """Return findings without duplicates, by table, row and problem."""
    return sorted(set(findings), key=lambda item: (item.table, item.row, item.problem))
