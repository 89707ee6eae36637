"""Is every trade in the registries whole, linked both ways, what its chain gives, sealed, logged and anchored?

Belongs here: `check_registry`, which puts the parts together under one snapshot. Reads only.

What is compared, in both directions: body, hash, columns and UUID of every row; trade, soulprint and bucket entry;
what follows from a soulprint's values; trade and chain; outcomes and trades; rows and partition seals; the day's seals
and the log's seal; corrections; quarantine; the database's own objects; the log against key and anchor
(proof); artifacts against their hashes. Cost is linear in the rows, memory flat; with `since`, cost follows what was
logged since then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack

from sqlalchemy import Connection, Engine, text

from throughline.errors import StorageError
from throughline.findings import Finding, ordered
from throughline.integrity.database import DatabaseCheck, check_database
from throughline.integrity.database.damage import attempt, diagnose, located
from throughline.proof.anchor import Anchor
from throughline.proof.audit import AuditResult, audit
from throughline.proof.snapshot import anchored_snapshot
from throughline.proof.tree import Frontier
from throughline.registry.consistency.artifacts import check_artifacts
from throughline.registry.consistency.chunk import check_chunk
from throughline.registry.consistency.corrections import SET_ASIDE, check_corrections, quarantined
from throughline.registry.consistency.forms import registry_forms
from throughline.registry.consistency.news import news_since
from throughline.registry.consistency.pool import WORTH_IT, checking, export_snapshot
from throughline.registry.consistency.reading import Partition, chunks, counts, experiments, prepared
from throughline.registry.consistency.result import ConsistencyResult, Scope, Tally
from throughline.storage.artifacts import ArtifactStore
from throughline.tracking.checking import finding
from throughline.tracking.system import MODE

Progress = Callable[[str, int], None]
"""Called with what is checked and how many more of it were."""


def check_registry(
    engine: Engine,
    *,
    scope: Scope = "full",
    since: int | None = None,
    artifacts: ArtifactStore | None = None,
    anchor: Anchor | None = None,
    public_key: bytes | None = None,
    enforces_roles: bool = True,
    workers: int = 2,
    progress: Progress | None = None,
) -> ConsistencyResult:
    """Check the registries of a home in one snapshot.

    engine: may read everything (reader or auditor). scope: 'daily' checks what was logged from event `since` on
    (`report.vouched_size` says which an earlier report vouches for); without `since` there is nothing to stand on, and
    the check is full. artifacts: the home's store, None leaves them unread. anchor, public_key: what the seal log is
    held against; without an anchor the result says that it was not audited. enforces_roles: `Database.enforces_roles`.
    workers: processes that read, from some ten thousand trades on.
    """
    with ExitStack() as stack:
        pinned: Anchor | None = None
        if anchor is not None:
            connection, pinned = stack.enter_context(anchored_snapshot(engine, anchor))
        else:
            connection = stack.enter_context(engine.connect())
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(text("SET TRANSACTION READ ONLY"))
        return check_connection(
            connection,
            scope=scope,
            since=since,
            artifacts=artifacts,
            anchor=pinned,
            public_key=public_key,
            enforces_roles=enforces_roles,
            workers=workers,
            progress=progress,
        )


def check_connection(
    connection: Connection,
    *,
    scope: Scope = "full",
    since: int | None = None,
    artifacts: ArtifactStore | None = None,
    anchor: Anchor | None = None,
    public_key: bytes | None = None,
    enforces_roles: bool = True,
    workers: int = 1,
    progress: Progress | None = None,
    database: DatabaseCheck | None = None,
) -> ConsistencyResult:
    """Do what `check_registry` does on an open connection, in its transaction.

    connection, anchor: of one `proof.snapshot.anchored_snapshot`, where an anchor is given. database: what
    `check_database` returned in this transaction, None asks it.
    """
    started = time.perf_counter()
    report = progress or _silent
    since = since if scope == "daily" else None
    objects = database or check_database(connection, enforces_roles=enforces_roles)
    if objects.blocking:  # nothing else can be asked
        return _result(since, objects.findings, enforces_roles, started)
    damage: list[Finding] = []
    snapshot = export_snapshot(connection) if workers > 1 else ""  # before `attempt` sets its savepoint

    def everything() -> ConsistencyResult:
        return _everything(
            connection,
            scope,
            since,
            artifacts,
            anchor,
            public_key,
            objects.findings,
            enforces_roles,
            workers,
            snapshot,
            report,
            started,
        )

    try:
        result = attempt(connection, everything, damage)
    except StorageError:  # of a process that reads rows; damage is what ends one
        damage = diagnose(connection)
        if not damage:
            raise
        return _result(since, damage, enforces_roles, started)
    return result or _result(since, located(connection, damage), enforces_roles, started)


def _everything(
    connection: Connection,
    scope: Scope,
    since: int | None,
    artifacts: ArtifactStore | None,
    anchor: Anchor | None,
    public_key: bytes | None,
    objects: Sequence[Finding],
    enforces_roles: bool,
    workers: int,
    snapshot: str,
    report: Progress,
    started: float,
) -> ConsistencyResult:
    """Check everything of a home whose tables are all there."""
    news = None if since is None else news_since(connection, since)
    modes = experiments(connection)
    with prepared(connection):
        partitions = counts(connection, None if news is None else news.partitions)
    work = chunks(partitions, frozenset(key for key, mode in modes.items() if mode == MODE))
    tally = Tally()
    tally.add(_unknown(partitions, modes))
    # The audit is read by this process while the others read the rows.
    audited: AuditResult | None = None
    if workers > 1 and sum(partitions.values()) >= WORTH_IT:
        with checking(connection, snapshot, work, min(workers, len(work))) as answers:
            audited = _audit(connection, anchor, public_key, since, report)
            for told in answers:
                tally.merge(told)
                report("trades", told["trades"])
    else:
        audited = _audit(connection, anchor, public_key, since, report)
        forms = registry_forms()
        with prepared(connection):
            for chunk in work:
                part = check_chunk(connection, forms, chunk)
                tally.merge(part.as_json())
                report("trades", part.trades)
    tally.add(list(audited.findings) if audited is not None else [])
    tally.add(list(objects))
    tally.add(check_corrections(connection))
    if artifacts is not None:
        only = None if news is None else sorted(news.artifacts)
        tally.add(list(check_artifacts(connection, artifacts, only, report)))
    held, problems = quarantined(connection)
    tally.add(problems)
    aside = {item for item in tally.findings if item.kind in SET_ASIDE and (item.table, item.row) in held}
    size, root = (audited.tree_size, audited.root) if audited is not None else log_end(connection)
    return ConsistencyResult(
        scope="full" if since is None else "daily",
        since=since,
        findings=ordered([item for item in tally.findings if item not in aside]),
        set_aside=ordered(aside),
        rows=tally.rows,
        trades=tally.trades,
        partitions=len(partitions),
        tree_size=size,
        root=root,
        audit=None if audited is None else audited.as_json() | {"findings": len(audited.findings)},
        enforces_roles=enforces_roles,
        omitted=tally.omitted,
        seconds=time.perf_counter() - started,
    )


def log_end(connection: Connection) -> tuple[int, str]:
    """Return size and root of the seal log as the database tells them: the number of events, the newest head's root."""
    size = connection.execute(text("SELECT coalesce(max(seq) + 1, 0) FROM seal_events")).scalar_one()
    root = connection.execute(text("SELECT root FROM seal_heads ORDER BY tree_size DESC LIMIT 1")).scalar()
    return int(size), root or Frontier().root().hex()


def _audit(
    connection: Connection, anchor: Anchor | None, public_key: bytes | None, since: int | None, progress: Progress
) -> AuditResult | None:
    return None if anchor is None else audit(connection, anchor, public_key, progress, since)


def _unknown(partitions: Iterable[Partition], modes: Mapping[str, str]) -> list[Finding]:
    unknown = sorted({experiment for experiment, _ in partitions} - modes.keys())
    problem = "registry entries of an experiment that is not recorded"
    return [finding("experiments", name, "dangling_link", problem, name, "none") for name in unknown]


def _result(since: int | None, findings: Sequence[Finding], enforces_roles: bool, started: float) -> ConsistencyResult:
    return ConsistencyResult(
        scope="full" if since is None else "daily",
        since=since,
        findings=ordered(list(findings)),
        set_aside=(),
        rows=0,
        trades=0,
        partitions=0,
        tree_size=0,
        root="",
        audit=None,
        enforces_roles=enforces_roles,
        omitted=0,
        seconds=time.perf_counter() - started,
    )


def _silent(_: str, __: int) -> None:
    return
