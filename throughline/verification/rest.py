"""What can still be checked of a home where some tables cannot be read.

Belongs here: asking everything that does not need those tables, each question by itself. Does not belong here: finding
out which tables they are (integrity.database.damage), and the whole check (whole).

Checked are the hash, columns and UUID of every row of the readable tables, the experiments, the seal log against its
key and anchor with all rows of readable tables behind it. Not checked are links, sums and
seals across tables: with a table missing among them each would report the same damage again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from throughline.catalogue import catalogue
from throughline.findings import Finding, distinct
from throughline.integrity.database.damage import attempt, damaged_tables
from throughline.proof.anchor import Anchor
from throughline.proof.audit import AuditResult, audit
from throughline.registry.consistency.corrections import check_corrections
from throughline.storage import tables
from throughline.tracking.checking import examine_row
from throughline.verification.ledger import Progress
from throughline.verification.reading import stream
from throughline.verification.verify import check_experiment


@dataclass(frozen=True)
class Rest:
    """What was found beside the damage. rows: how many were checked; log: None where the log cannot be read."""

    findings: Sequence[Finding]
    rows: int
    log: AuditResult | None


def check_rest(
    connection: Connection,
    anchor: Anchor,
    public_key: bytes | None,
    damage: Sequence[Finding],
    *,
    progress: Progress,
    experiments: Sequence[str] | None,
) -> Rest:
    """Check what does not need the tables that `damage` names.

    Args:
        connection: as for `whole.verify_whole`; its transaction goes on whatever is damaged.
        anchor: of the same `proof.snapshot.anchored_snapshot`.
        public_key: the trusted key, None = signatures are not checked.
        damage: findings on tables that are missing, shut, damaged or of other columns.
        progress: called with what is read and how many rows more were checked.
        experiments: whose rows are checked (None = all).
    """
    lost = damaged_tables(damage)
    findings: list[Finding] = []
    rows = 0

    def ask(question: Callable[[], int | None]) -> int:
        return attempt(connection, question, findings, lost) or 0

    if "experiments" not in lost:
        rows += ask(lambda: _experiments(connection, findings, experiments))
    for table in catalogue().records:
        if table not in lost:
            rows += ask(lambda table=table: _rows(connection, table, findings, progress, experiments))  # type: ignore[misc]
    log = None
    if lost.isdisjoint(("seal_events", "seal_heads")):
        log = attempt(
            connection, lambda: audit(connection, anchor, public_key, progress, unreadable=lost), findings, lost
        )
    found: list[Finding] = []
    if lost.isdisjoint((*(table.name for table in tables.LEDGER), "registry_quarantine")):
        found = attempt(connection, lambda: check_corrections(connection), findings, lost) or []
    return Rest(distinct([*findings, *(log.findings if log is not None else []), *found]), rows, log)


def _experiments(connection: Connection, findings: list[Finding], only: Sequence[str] | None) -> int:
    known = list(connection.execute(select(tables.experiments)).mappings())
    ids = {row["id"] for row in known}
    for row in known:
        if only is None or row["id"] in only:
            check_experiment(row, ids, findings)
    return len(known)


def _rows(
    connection: Connection, table: str, findings: list[Finding], progress: Progress, only: Sequence[str] | None
) -> int:
    """Check each row of a table by itself."""
    column = tables.ledger_table(table).c.experiment
    count = 0
    for experiment in connection.execute(select(column).distinct().order_by(column)).scalars().all():
        if only is not None and experiment not in only:
            continue
        for batch in stream(connection, table, experiment):
            for row in batch:
                findings += examine_row(table, row)[1]
            count += len(batch)
            progress(table, len(batch))
    return count
