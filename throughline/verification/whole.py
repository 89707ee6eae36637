"""Everything that `throughline verify` asks of a home, in one snapshot: chain, registries, guards, seal log, anchor.

Belongs here: putting the checks together, each finding once. Does not belong here: any check, and how it is printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from throughline.findings import Finding, distinct
from throughline.proof.anchor import Anchor
from throughline.proof.audit import AuditResult, audit
from throughline.registry.consistency.check import check_connection
from throughline.registry.consistency.guards import check_readable
from throughline.storage.artifacts import ArtifactStore
from throughline.verification.ledger import Progress
from throughline.verification.result import VerifyResult
from throughline.verification.verify import verify_connection


@dataclass(frozen=True)
class Whole:
    """The whole answer. findings: of all checks, each once. records, log: None where tables are gone or shut to whoever
    asks; the findings then say which, and nothing else was asked."""

    findings: Sequence[Finding]
    records: VerifyResult | None
    log: AuditResult | None

    @property
    def ok(self) -> bool:
        """True if nothing was found."""
        return not self.findings


def verify_whole(
    connection: Connection,
    artifacts: ArtifactStore | None,
    anchor: Anchor,
    public_key: bytes | None,
    *,
    enforces_roles: bool = True,
    progress: Progress | None = None,
    experiments: Sequence[str] | None = None,
) -> Whole:
    """Check a home on an open connection, in its transaction (REPEATABLE READ, with the auditor's rights).

    connection, anchor: of one `proof.snapshot.anchored_snapshot`. public_key: the trusted key, None = signatures are
    not checked. experiments: whose records are recomputed (None = all); registries and log are always checked whole.
    """
    if shut := check_readable(connection):
        return Whole(distinct(shut), None, None)
    records = verify_connection(connection, artifacts, progress, experiments)
    log = audit(connection, anchor, public_key, progress)
    registries = check_connection(connection, enforces_roles=enforces_roles)
    return Whole(distinct([*records.findings, *log.findings, *registries.findings]), records, log)
