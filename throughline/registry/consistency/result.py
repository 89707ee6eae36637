"""What a check of the registries says. Plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from throughline.findings import Finding

Scope = Literal["full", "daily"]

LIMIT = 100_000
"""At most so many findings are kept; the others are counted: a registry that was rewritten must not fill memory."""


@dataclass(frozen=True)
class ConsistencyResult:
    """The whole answer.

    scope: 'full', or 'daily' (only what was logged from event `since` on). findings: by table, row and problem.
    set_aside: findings on entries in quarantine that the quarantine answers. rows, trades, partitions: how many were
    checked. tree_size, root: the seal log as it was. audit: what `proof.audit` says of it, None where it was not held
    against an anchor. enforces_roles: False where the database has no roles whose grants could be checked. omitted:
    findings beyond `LIMIT`. seconds: how long it took.
    """

    scope: Scope
    since: int | None
    findings: Sequence[Finding]
    set_aside: Sequence[Finding]
    rows: int
    trades: int
    partitions: int
    tree_size: int
    root: str
    audit: Mapping[str, Any] | None
    enforces_roles: bool
    omitted: int
    seconds: float

    @property
    def ok(self) -> bool:
        """True if nothing was found."""
        return not self.findings and not self.omitted

    @property
    def audited(self) -> bool:
        """True if the seal log was held against an anchor."""
        return self.audit is not None

    @property
    def sentences(self) -> list[str]:
        """What a person should know beside the findings."""
        told = []
        if not self.audited:
            told.append("the seal log was not held against an anchor: a consistent rewrite would not be seen")
        if not self.enforces_roles:
            told.append("the database has no roles of its own for this home: grants and owners were not checked")
        if self.set_aside:
            told.append(f"{len(self.set_aside)} finding(s) on quarantined entries are set aside")
        if self.omitted:
            told.append(f"{self.omitted} more finding(s) are not listed")
        return told

    def as_json(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        return {
            "ok": self.ok,
            "scope": self.scope,
            "since": self.since,
            "rows": self.rows,
            "trades": self.trades,
            "partitions": self.partitions,
            "findings": [item.as_json() for item in self.findings],
            "by_kind": dict(sorted(Counter(item.kind for item in self.findings).items())),
            "set_aside": [item.as_json() for item in self.set_aside],
            "omitted": self.omitted,
            "tree_size": self.tree_size,
            "root": self.root,
            "audit": None if self.audit is None else dict(self.audit),
            "enforces_roles": self.enforces_roles,
            "notes": self.sentences,
            "seconds": round(self.seconds, 3),
        }


@dataclass
class Tally:
    """What parts of a check gave, added up."""

    rows: int = 0
    trades: int = 0
    omitted: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Sequence[Finding]) -> None:
        """Keep findings, up to `LIMIT`."""
        room = max(0, LIMIT - len(self.findings))
        self.findings += findings[:room]
        self.omitted += max(0, len(findings) - room)

    def as_json(self) -> dict[str, Any]:
        """Return what a worker process sends."""
        return {
            "rows": self.rows,
            "trades": self.trades,
            "omitted": self.omitted,
            "findings": [item.as_json() for item in self.findings],
        }

    def merge(self, told: Mapping[str, Any]) -> None:
        """Add what a worker process sent."""
        self.rows += told["rows"]
        self.trades += told["trades"]
        self.omitted += told["omitted"]
        self.add([Finding(**item) for item in told["findings"]])
