"""The coordinator's checks: of all registries, with a report on record, and the gate that reports hold.

Belongs here: handing a check what it needs from an open home. Does not belong here: checking and its reports
(consistency).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine

from throughline.clock import Clock
from throughline.errors import SettingsError
from throughline.findings import Finding
from throughline.proof.settings import Proof
from throughline.registry.consistency.check import check_registry
from throughline.registry.consistency.report import record_report, refuse_failed
from throughline.registry.consistency.result import ConsistencyResult
from throughline.storage.artifacts import ArtifactStore


@dataclass(frozen=True)
class Checks:
    """What a check needs. writer, reader: engines with these rights; artifacts: the home's store, None where there is
    no home; enforces_roles: as `Database.enforces_roles`."""

    writer: Engine
    reader: Engine
    proof: Proof
    artifacts: ArtifactStore | None
    clock: Clock
    enforces_roles: bool = True

    def validate(self) -> dict[str, Any]:
        """Check everything in full, record the report and return it, with `report`: its hash, and `checked_at`."""
        if self.artifacts is None:
            raise SettingsError("a consistency report needs an artifact store: open the coordinator on a home")
        checked_at = self.clock.now()
        result = self._check()
        report, _ = record_report(self.writer, self.artifacts, result, checked_at)
        return {**result.as_json(), "checked_at": checked_at.isoformat(), "report": report.report}

    def findings(self) -> Sequence[Finding]:
        """Return what a full check finds, without recording a report."""
        return self._check().findings

    def require_open(self, connection: Connection) -> None:
        """Raise GateClosed where the newest report failed: nothing is to be learned from what is known to be broken."""
        refuse_failed(connection)

    def _check(self) -> ConsistencyResult:
        return check_registry(
            self.reader,
            scope="full",
            artifacts=self.artifacts,
            anchor=self.proof.anchor,
            public_key=self.proof.signer.public_key,
            enforces_roles=self.enforces_roles,
        )
