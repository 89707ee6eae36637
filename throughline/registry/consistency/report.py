"""Reports of consistency checks, and the gate that they hold open. Fails closed.

Belongs here: recording what a check said, and what a consumer asks before it learns from the registry. Does not belong
here: checking (check).

A report is an artifact (the whole result as JSON) and a row that names it. The gate believes the newest report only if
it is ok, audited, recent, covers everything that the consumer reads, and is about events that the log still begins
with; a daily one only as long as the full check before it was ok. What other processes log after the check does not
close the gate. The gate reads the table alone: a report that somebody inserts opens it until the next check, which
names that no event of the seal log lists it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, select

from throughline.errors import CheckOutgrown, GateClosed
from throughline.registry.consistency.coverage import Reading, not_covered, root_at
from throughline.registry.consistency.result import ConsistencyResult
from throughline.storage.artifacts import ArtifactRef, ArtifactStore
from throughline.storage.queries import record_artifacts
from throughline.storage.row_log import insert_listed
from throughline.storage.tables import consistency_reports, seal_heads

KIND = "consistency_report"
"""Kind of the artifacts that hold reports."""
MAX_AGE = timedelta(days=2)
"""How old the newest report may be where a consumer says nothing else: a daily check may be late once."""
_AGAIN = "run the registry-consistency job"


@dataclass(frozen=True, slots=True)
class Report:
    """A recorded report. report: hash of its artifact."""

    seq: int
    scope: str
    checked_at: datetime
    ok: bool
    rows: int
    findings: int
    tree_size: int
    root: str
    report: str


def record_report(
    engine: Engine, artifacts: ArtifactStore, result: ConsistencyResult, checked_at: datetime
) -> tuple[Report, ArtifactRef]:
    """Store the result as an artifact and record it; return both.

    engine: with the writer role. checked_at: when the check began (aware). A result whose log was not audited is
    recorded as not ok: nothing may be learned from a registry that was only compared with itself.
    """
    told = result.as_json() | {"checked_at": checked_at.isoformat()}
    data = json.dumps(told, sort_keys=True, ensure_ascii=False, indent=1).encode("utf-8")
    ref = artifacts.put(data, KIND, "application/json")
    values: dict[str, Any] = {
        "scope": result.scope,
        "checked_at": checked_at,
        "ok": result.ok and result.audited,
        "rows": result.rows,
        "findings": len(result.findings) + result.omitted,
        "tree_size": result.tree_size,
        "root": result.root,
        "report": ref.hash,
    }
    with engine.begin() as connection:
        record_artifacts(connection, [ref])
        ((seq,),) = insert_listed(connection, consistency_reports, [values])
    return Report(seq=seq, **values), ref


def newest_report(connection: Connection, scope: str | None = None) -> Report | None:
    """Return the newest report (of `scope`), None where there is none."""
    c = consistency_reports.c
    columns = [c[name] for name in Report.__slots__]
    statement = select(*columns).order_by(c.seq.desc()).limit(1)
    if scope is not None:
        statement = statement.where(c.scope == scope)
    found = connection.execute(statement).one_or_none()
    return None if found is None else Report(*found)


def vouched_size(connection: Connection) -> int | None:
    """Return the size of the log from which on a daily check may begin, None where only a full one will do.

    That is the size that the newest ok report is about, if the newest full report was ok too and the log still has the
    head that it names.
    """
    full = newest_report(connection, "full")
    if full is None or not full.ok:
        return None
    c = consistency_reports.c
    statement = select(c.tree_size, c.root).where(c.ok).order_by(c.seq.desc()).limit(1)
    size, root = connection.execute(statement).one()
    head = select(seal_heads.c.root).where(seal_heads.c.tree_size == size)
    return size if connection.execute(head).scalar() == root else None


def refuse_failed(connection: Connection) -> None:
    """Raise GateClosed where the newest report, or the newest full one, failed; a home never checked passes.

    For what only looks at the registries: nothing is to be read out of what is known to be broken. What learns from
    them asks `require_registry`.
    """
    for report in (newest_report(connection), newest_report(connection, "full")):
        if report is not None:
            _refuse_failed(report)


def _refuse_failed(report: Report) -> None:
    if not report.ok:
        raise GateClosed(
            f"the {report.scope} registry check of {report.checked_at:%Y-%m-%d %H:%M} failed with "
            f"{report.findings} finding(s) (report {report.report[:12]}): mend them, then {_AGAIN} in full"
        )


def require_registry(
    connection: Connection,
    now: datetime,
    reading: Reading,
    max_age: timedelta = MAX_AGE,
    max_full_age: timedelta | None = None,
) -> Report:
    """Return the newest report if the registry may be learned from; else raise GateClosed with the reason.

    Args:
        connection: may read the reports and the seal log.
        now: of the wall clock, aware.
        reading: what is learned from.
        max_age: how old the newest report may be.
        max_full_age: how old the newest full report may be; None = any age.

    Raises:
        CheckOutgrown: the newest check passed, but a day that is read was logged or judged after it, or is not logged.
        GateClosed: no report; the newest one, or the newest full one, is not ok, too old or from the future; the seal
            log no longer begins with the events that were checked.
    """
    newest = newest_report(connection)
    if newest is None:
        raise GateClosed(f"the registry was never checked: {_AGAIN}")
    full = newest_report(connection, "full")
    if full is None:
        raise GateClosed(f"the registry was never checked in full: {_AGAIN} in full")
    for report in (newest, full):
        _refuse_failed(report)
    for report, age in ((newest, max_age), (full, max_full_age)):
        if report.checked_at > now or (age is not None and now - report.checked_at > age):
            raise GateClosed(
                f"the newest {report.scope} registry check is of {report.checked_at:%Y-%m-%d %H:%M}, now is "
                f"{now:%Y-%m-%d %H:%M}: {_AGAIN}"
            )
    if root_at(connection, newest.tree_size) != newest.root:
        raise GateClosed(
            f"the seal log no longer begins with the {newest.tree_size} events that the newest registry check of "
            f"{newest.checked_at:%Y-%m-%d %H:%M} was about: run `throughline verify`"
        )
    day = not_covered(connection, newest.tree_size, reading)
    if day is not None:
        raise CheckOutgrown(
            f"the newest registry check of {newest.checked_at:%Y-%m-%d %H:%M} does not cover {reading.asset} of {day} "
            f"in experiment {reading.experiment[:12]}, which is not in the {newest.tree_size} events that it was "
            f"about: {_AGAIN}"
        )
    return newest
