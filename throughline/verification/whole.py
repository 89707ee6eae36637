"""Everything that `throughline verify` asks of a home, in one snapshot: chain, registries, guards, seal log, anchor.

Belongs here: putting the checks together, each finding once. Does not belong here: any check, and how it is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select

from throughline.findings import Finding, distinct
from throughline.integrity.database import check_database
from throughline.integrity.database.damage import attempt, damaged_tables, located
from throughline.proof.anchor import Anchor
from throughline.proof.audit import AuditResult, audit
from throughline.registry.consistency.check import check_connection
from throughline.storage import tables
from throughline.storage.artifacts import ArtifactStore
from throughline.verification.ledger import Progress
from throughline.verification.rest import check_rest
from throughline.verification.result import VerifyResult
from throughline.verification.verify import verify_connection


@dataclass(frozen=True)
class Whole:
    """The whole answer. findings: of all checks, each once. records: what was recomputed. log: None where the log
    cannot be read. complete: whether everything was checked; unreadable: the tables that are missing, shut to whoever
    asks, damaged or of other columns, where it was not."""

    findings: Sequence[Finding]
    records: VerifyResult
    log: AuditResult | None
    complete: bool = True
    unreadable: Sequence[str] = ()

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
    expected: Callable[[int], None] | None = None,
    server: Sequence[Finding] = (),
) -> Whole:
    """Check a home on an open connection, in its transaction (REPEATABLE READ, with the auditor's rights).

    connection, anchor: of one `proof.snapshot.anchored_snapshot`. public_key: the trusted key, None = signatures are
    not checked. experiments: whose records are recomputed (None = all); registries and log are always checked whole.
    progress: called with what is read and how many rows more were checked; expected: called once with about how many
    there are. server: what `integrity.database.check_server` found.

    Where a table cannot be read, it is named with its column or its pages, and what does not need it is checked.
    """
    report = progress or (lambda _, __: None)
    objects = check_database(connection, enforces_roles=enforces_roles)
    damage = list(objects.blocking)
    if not damage:

        def everything() -> Whole:
            if expected is not None:
                expected(_rows_to_check(connection, experiments))
            records = verify_connection(connection, artifacts, progress, experiments, readable=True)
            log = audit(connection, anchor, public_key, progress)
            report("registries", 0)
            registries = check_connection(connection, enforces_roles=enforces_roles, database=objects)
            return Whole(distinct([*records.findings, *log.findings, *registries.findings, *server]), records, log)

        whole = attempt(connection, everything, damage)
        if whole is not None:
            return whole
        damage = located(connection, damage)
    rest = check_rest(
        connection,
        anchor,
        public_key,
        damage,
        progress=report,
        experiments=experiments,
    )
    findings = distinct([*damage, *objects.findings, *rest.findings, *server])
    return Whole(findings, VerifyResult(rest.rows, findings, {}), rest.log, False, sorted(damaged_tables(findings)))


def _rows_to_check(connection: Connection, experiments: Sequence[str] | None) -> int:
    """Return about how many rows the checks report: each record is read with its experiment and with the seal log."""

    def count(table: Table, *, whole: bool = False) -> int:
        statement = select(func.count()).select_from(table)
        if experiments is not None and not whole:
            statement = statement.where(table.c.experiment.in_(experiments))
        return int(connection.execute(statement).scalar_one())

    records = sum(count(table) for table in tables.LEDGER)
    logged = sum(count(table, whole=True) for table in (*tables.LEDGER, tables.seal_events))
    sealed = count(tables.partition_seals) + count(tables.gate_verdicts)
    stored = count(tables.artifacts, whole=True) if experiments is None else 0
    return records + logged + sealed + stored
