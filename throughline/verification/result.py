"""What a verification says: its findings, and the seals of every experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from throughline.findings import Finding

Seals = Mapping[str, Mapping[str, str]]
"""asset -> partition (ISO date) -> root."""


@dataclass(frozen=True)
class VerifyResult:
    """The whole answer.

    rows: how many stored rows were checked. findings: ordered by table, row, problem. seals: experiment -> `Seals`.
    pending: rows of executions and outcomes that a session has written and their own asset has not sealed yet (a run
    that stopped in between leaves them); they are checked as rows and are no findings. active: the experiment whose
    seals ``--json`` shows as `seals` (the one set active last), None in an empty home.
    """

    rows: int
    findings: Sequence[Finding]
    seals: Mapping[str, Seals]
    pending: int = 0
    active: str | None = None

    @property
    def ok(self) -> bool:
        """True if nothing was found."""
        return not self.findings

    @property
    def broken(self) -> int:
        """How many stored rows have at least one finding."""
        return len({(item.table, item.row) for item in self.findings})

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``verify --json`` prints.

        `seals` is asset -> partition -> root of the active experiment; `experiments` has the same for every one.
        """
        return {
            "ok": self.ok,
            "rows": self.rows,
            "pending": self.pending,
            "findings": [item.as_json() for item in self.findings],
            "experiment": self.active,
            "seals": _plain(self.seals.get(self.active or "", {})),
            "experiments": {key: _plain(value) for key, value in self.seals.items()},
        }


def _plain(seals: Seals) -> dict[str, dict[str, str]]:
    return {asset: dict(days) for asset, days in seals.items()}
