"""Differences in their order: single ones are named one by one, an unbroken run up to the end by its first and count.

Belongs here: telling an edit from a truncation or a rewrite. Does not belong here: what differs (audit).

What was anchored comes in one order, per kind of thing (the rows of a table of an experiment, the events, the heads).
Where everything from one on is gone it was truncated, where everything from one on is another it was rewritten; where
something intact follows, each difference stands alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from throughline.findings import Finding, FindingKind

LONGEST = 1000
"""A run in the middle that is longer than this is named by its first and count too."""


@dataclass
class _Run:
    count: int = 0
    missing: int = 0
    last: str = ""
    findings: list[Finding] = field(default_factory=list)


@dataclass
class Runs:
    """Collects differences; `finish` gives the findings. what: the word for the things, in the plural."""

    findings: list[Finding] = field(default_factory=list)
    _open: dict[tuple[str, str], _Run] = field(default_factory=lambda: defaultdict(_Run))

    def differs(self, key: tuple[str, str], finding: Finding, missing: bool) -> None:
        """Take in a difference in the line `key`; `missing` says that the thing is gone rather than another."""
        run = self._open[key]
        run.count += 1
        run.missing += missing
        run.last = finding.row
        if len(run.findings) < LONGEST:
            run.findings.append(finding)

    def intact(self, key: tuple[str, str]) -> None:
        """Take in that the line `key` goes on with something that did not change."""
        run = self._open.pop(key, None)
        if run is None:
            return
        if run.count <= LONGEST:
            self.findings += run.findings
        else:
            self.findings.append(_summed(run, f"to {run.last}"))

    def finish(self) -> list[Finding]:
        """Return all findings; what is open now reaches to the end of its line."""
        for run in self._open.values():
            self.findings += run.findings if run.count == 1 else [_summed(run, "to the end")]
        self._open.clear()
        return self.findings


def _summed(run: _Run, until: str) -> Finding:
    first = run.findings[0]
    gone = run.missing == run.count
    kind: FindingKind = "truncated" if gone else "rewritten"
    word = "gone" if gone else "not what was anchored"
    if not gone and run.missing:
        word += f" ({run.missing:,} of them gone)"
    problem = f"{run.count:,} of {first.table} from this one on {until} are {word}; here: {first.problem}"
    return Finding(first.table, first.row, problem, kind, str(run.count), str(run.count - run.missing), first.repair)
