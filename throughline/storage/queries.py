"""Reading the ledger, and the few rows that are not records: experiments, which one is active, locks.

Belongs here: questions that stages, commands and checks ask, with answers in one deterministic order. Does not belong
here: writing partitions (ledger).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Select, Table, func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from throughline.errors import LedgerConflict, StorageError, UnknownRecord
from throughline.storage import tables
from throughline.storage.artifacts import ArtifactRef
from throughline.storage.records import (
    ActiveExperiment,
    LedgerRow,
    Seal,
    StoredExperiment,
    StoredVerdict,
)
from throughline.storage.row_log import insert_listed
from throughline.storage.tables import (
    active_experiments,
    experiment_inputs,
    experiments,
    gate_verdicts,
    partition_seals,
)

_AT_ONCE = 1_000


def read_rows(
    connection: Connection,
    table: Table | str,
    experiment: str,
    first_day: date | None = None,
    last_day: date | None = None,
    *,
    current: bool = False,
) -> list[LedgerRow]:
    """Return the records of partitions `first_day` to `last_day` (both included), ordered by the bytes of their uuid.

    None leaves that end open. With `current`, superseded records are left out. Values come back as given.
    """
    source = tables.ledger_table(table) if isinstance(table, str) else table
    names = tables.projection(source)
    statement = select(source).where(source.c.experiment == experiment).order_by(source.c.uuid)
    if first_day is not None:
        statement = statement.where(source.c.partition >= first_day)
    if last_day is not None:
        statement = statement.where(source.c.partition <= last_day)
    if current:
        later = source.alias("later")
        statement = statement.where(~select(1).where(later.c.supersedes == source.c.uuid).exists())
    return [as_row(row, names) for row in connection.execute(statement).mappings()]


def rows_by_day(
    connection: Connection, table: Table | str, experiment: str, days: Sequence[date]
) -> Iterator[tuple[date, list[LedgerRow]]]:
    """Yield each of `days` (ascending, unbroken) with its records, ordered by uuid; one day is in memory at a time.

    Keep the connection's transaction open meanwhile. Other statements may run on it between two days.
    """
    source = tables.ledger_table(table) if isinstance(table, str) else table
    names = tables.projection(source)
    statement = (
        select(source)
        .where(source.c.experiment == experiment, source.c.partition.between(days[0], days[-1]))
        .order_by(source.c.partition, source.c.uuid)
        .execution_options(yield_per=_AT_ONCE)
    )
    with connection.execute(statement) as result:
        groups = groupby(result.mappings(), key=lambda row: row["partition"])
        following = next(groups, None)
        for day in days:
            rows: list[LedgerRow] = []
            if following is not None and following[0] == day:
                rows = [as_row(row, names) for row in following[1]]
                following = next(groups, None)
            yield day, rows


def read_references(
    connection: Connection, table: Table | str, experiment: str, first_day: date, last_day: date
) -> dict[uuid.UUID, dict[str, str]]:
    """Return candidate -> {uuid, hash} of the record of `table` that hangs on it, without the records themselves."""
    source = tables.ledger_table(table) if isinstance(table, str) else table
    c = source.c
    statement = (
        select(c.candidate_uuid, c.uuid, c.content_hash)
        .where(c.experiment == experiment, c.partition.between(first_day, last_day), c.supersedes.is_(None))
        .order_by(c.uuid)
    )
    return {
        candidate: {"hash": content_hash, "uuid": str(key)}
        for candidate, key, content_hash in connection.execute(statement)
    }


def read_by_candidate(connection: Connection, table: Table | str, candidate: uuid.UUID) -> LedgerRow:
    """Return the latest record that hangs on `candidate` in `table`. Raises UnknownRecord where there is none."""
    source = tables.ledger_table(table) if isinstance(table, str) else table
    later = source.alias("later")
    statement = select(source).where(
        source.c.candidate_uuid == candidate, ~select(1).where(later.c.supersedes == source.c.uuid).exists()
    )
    row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise UnknownRecord(f"{source.name} holds no record of candidate {candidate}.")
    return as_row(row, tables.projection(source))


def read_named(connection: Connection, table: Table | str, uuids: Iterable[uuid.UUID]) -> dict[uuid.UUID, LedgerRow]:
    """Return the records with these uuids. Raises UnknownRecord naming the first that there is not."""
    source = tables.ledger_table(table) if isinstance(table, str) else table
    names = tables.projection(source)
    keys = sorted(set(uuids))
    statement = select(source).where(text("uuid = ANY(CAST(:keys AS uuid[]))"))
    records = connection.execute(statement, {"keys": [str(key) for key in keys]}).mappings()
    rows = {row.uuid: row for row in (as_row(record, names) for record in records)}
    for key in keys:
        if key not in rows:
            raise UnknownRecord(f"{source.name} holds no record {key}.")
    return rows


def read_of_candidates(
    connection: Connection, table: Table | str, candidates: Iterable[uuid.UUID]
) -> dict[uuid.UUID, LedgerRow]:
    """Return the first record of `table` on each of these candidates, by the candidate; corrections are left out."""
    source = tables.ledger_table(table) if isinstance(table, str) else table
    names = tables.projection(source)
    keys = sorted(set(candidates))
    statement = select(source).where(text("candidate_uuid = ANY(CAST(:keys AS uuid[]))"), source.c.supersedes.is_(None))
    records = connection.execute(statement, {"keys": [str(key) for key in keys]}).mappings()
    return {row.columns["candidate_uuid"]: row for row in (as_row(record, names) for record in records)}


def newest_trades(connection: Connection, experiment: str, limit: int) -> list[LedgerRow]:
    """Return the canonical trades that closed last, newest first; corrected ones are left out."""
    source = tables.canonical_trades
    later = source.alias("later")
    statement = (
        select(source)
        .where(source.c.experiment == experiment, ~select(1).where(later.c.supersedes == source.c.uuid).exists())
        .order_by(source.c.closed_at.desc(), source.c.uuid)
        .limit(limit)
    )
    names = tables.projection(source)
    return [as_row(row, names) for row in connection.execute(statement).mappings()]


def as_row(row: Mapping[Any, Any], names: Sequence[str]) -> LedgerRow:
    """Return the record that a result row of a ledger table holds. names: its projection columns."""
    return LedgerRow(
        uuid=row["uuid"],
        experiment=row["experiment"],
        partition=row["partition"],
        content_hash=row["content_hash"],
        body=row["body"],
        run_id=row["run_id"],
        columns={name: row[name] for name in names},
        supersedes=row["supersedes"],
    )


def sealed_days(connection: Connection, experiment: str, asset: str) -> list[date]:
    """Return the days of `asset` that have a seal (blocked ones too), ascending."""
    c = partition_seals.c
    statement = select(c.partition).where(c.experiment == experiment, c.asset == asset).order_by(c.partition)
    return list(connection.execute(statement).scalars())


def _ranged(
    table: Table, experiment: str, asset: str | None, first_day: date | None, last_day: date | None
) -> Select[Any]:
    statement = select(table).where(table.c.experiment == experiment)
    if asset is not None:
        statement = statement.where(table.c.asset == asset)
    if first_day is not None:
        statement = statement.where(table.c.partition >= first_day)
    if last_day is not None:
        statement = statement.where(table.c.partition <= last_day)
    return statement


def read_seals(
    connection: Connection, experiment: str, asset: str, first_day: date | None = None, last_day: date | None = None
) -> dict[date, Seal]:
    """Return the seals of one asset by day, ascending; days without one are absent."""
    statement = _ranged(partition_seals, experiment, asset, first_day, last_day).order_by(partition_seals.c.partition)
    return {row.partition: _seal(row) for row in connection.execute(statement)}


def read_all_seals(
    connection: Connection, experiment: str, first_day: date | None = None, last_day: date | None = None
) -> list[Seal]:
    """Return the seals of all assets of an experiment, ordered by asset (bytes) and day."""
    c = partition_seals.c
    statement = _ranged(partition_seals, experiment, None, first_day, last_day)
    return [_seal(row) for row in connection.execute(statement.order_by(c.asset.collate("C"), c.partition))]


def _seal(row: Any) -> Seal:
    return Seal(
        row.experiment,
        row.asset,
        row.partition,
        row.root,
        row.leaves,
        row.status,
        row.blocked_by,
        row.artifact,
        row.details,
        row.run_id,
    )


def read_verdicts(
    connection: Connection,
    experiment: str,
    asset: str | None = None,
    first_day: date | None = None,
    last_day: date | None = None,
) -> list[StoredVerdict]:
    """Return gate verdicts ordered by asset (bytes), day, seal and suite hash."""
    c = gate_verdicts.c
    statement = _ranged(gate_verdicts, experiment, asset, first_day, last_day)
    order = (c.asset.collate("C"), c.partition, c.seal.collate("C"), c.suite_hash.collate("C"))
    return [
        StoredVerdict(
            row.experiment,
            row.asset,
            row.partition,
            row.seal,
            row.suite,
            row.suite_hash,
            row.passed,
            row.failures,
        )
        for row in connection.execute(statement.order_by(*order))
    ]


def register_experiment(
    connection: Connection,
    experiment: str,
    mode: str,
    body: bytes,
    parent: str | None = None,
    data_revision: str | None = None,
) -> bool:
    """Record an experiment; return False where it is known. Raises LedgerConflict where it is known as another."""
    known = read_experiment(connection, experiment)
    values = {"id": experiment, "mode": mode, "body": body, "parent": parent, "data_revision": data_revision}
    if known is None and insert_listed(connection, experiments, [values]):
        return True
    known = known or read_experiment(connection, experiment)
    given = StoredExperiment(experiment, mode, body, parent, data_revision)
    if known != given:
        odd = next(name for name in values if getattr(known, name) != getattr(given, name))
        raise LedgerConflict(f"experiments {experiment} is recorded with another {odd}. Nothing was written.")
    return False


def read_experiment(connection: Connection, experiment: str) -> StoredExperiment | None:
    """Return an experiment, None where it is not recorded."""
    return next(iter(_experiments(connection, select(experiments).where(experiments.c.id == experiment))), None)


def read_experiments(connection: Connection) -> list[StoredExperiment]:
    """Return all experiments in the order they were first recorded."""
    order = (experiments.c.created_at, experiments.c.id.collate("C"))
    return _experiments(connection, select(experiments).order_by(*order))


def _experiments(connection: Connection, statement: Select[Any]) -> list[StoredExperiment]:
    return [
        StoredExperiment(row.id, row.mode, row.body, row.parent, row.data_revision)
        for row in connection.execute(statement)
    ]


def remember_inputs(connection: Connection, experiment: str, inputs: Mapping[str, Any]) -> None:
    """Keep what `experiment` was set up from (JSON values: paths and the like), in place of what was kept before."""
    values = {"inputs": json.dumps(dict(inputs), sort_keys=True, ensure_ascii=False), "set_at": func.now()}
    statement = upsert(experiment_inputs).values(experiment=experiment, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["experiment"], set_=values))


def read_inputs(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return what each experiment was set up from, by experiment, the one that was run last first."""
    statement = select(experiment_inputs).order_by(
        experiment_inputs.c.set_at.desc(), experiment_inputs.c.experiment.collate("C")
    )
    return {row.experiment: json.loads(row.inputs) for row in connection.execute(statement)}


def set_active(connection: Connection, mode: str, experiment: str, inputs: Mapping[str, Any]) -> None:
    """Make `experiment` the active one of `mode`, set up from `inputs` (JSON values: paths and the like)."""
    remember_inputs(connection, experiment, inputs)
    values = {"experiment": experiment, "set_at": func.now()}
    statement = upsert(active_experiments).values(mode=mode, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["mode"], set_=values))


def set_first_active(connection: Connection, mode: str, experiment: str) -> bool:
    """Make `experiment` the active one of `mode` where the mode has none yet; return whether it became that."""
    statement = upsert(active_experiments).values(mode=mode, experiment=experiment)
    inserted = connection.execute(statement.on_conflict_do_nothing().returning(active_experiments.c.mode))
    return inserted.scalar() is not None


def get_active(connection: Connection, mode: str) -> ActiveExperiment | None:
    """Return the active experiment of `mode`, None where none was set."""
    known = experiment_inputs.c
    c = active_experiments.c
    statement = (
        select(c.mode, c.experiment, known.inputs)
        .join_from(active_experiments, experiment_inputs, known.experiment == c.experiment, isouter=True)
        .where(c.mode == mode)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    return ActiveExperiment(row.mode, row.experiment, json.loads(row.inputs) if row.inputs else {})


def lock_key(experiment: str) -> int:
    """Return the advisory lock key of an experiment: 63 bits of the SHA-256 of its id."""
    return int.from_bytes(hashlib.sha256(b"throughline-experiment\0" + experiment.encode()).digest()[:8], "big") >> 1


@contextmanager
def advisory_lock(connection: Connection, experiment: str, *, wait: bool = True) -> Iterator[None]:
    """Hold the session lock of `experiment` on this connection; a lost connection frees it.

    With `wait` false, a lock that another session holds raises StorageError at once. Keep the connection for the
    lock's time; transactions may come and go on it.
    """
    key = {"key": lock_key(experiment)}
    alone = not connection.in_transaction()
    if wait:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
    elif not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one():
        raise StorageError(f"Another run works on experiment {experiment}: wait for it, or stop it.")
    if alone:
        connection.commit()
    try:
        yield
    finally:
        if not connection.invalidated:
            if alone and connection.in_transaction():
                connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
            if alone:
                connection.commit()


def record_artifact(connection: Connection, digest: str, kind: str, media_type: str, size: int, location: str) -> bool:
    """Record an artifact of the store; return False where its hash is known (the first entry stays)."""
    return record_artifacts(connection, [ArtifactRef(digest, kind, media_type, size, location)]) > 0


def record_artifacts(connection: Connection, refs: Iterable[ArtifactRef]) -> int:
    """Record artifacts of the store; return how many are new (the first entry of a hash stays)."""
    rows = {
        ref.hash: {
            "hash": ref.hash,
            "kind": ref.kind,
            "media_type": ref.media_type,
            "bytes": ref.bytes,
            "location": ref.location,
        }
        for ref in refs
    }
    return len(insert_listed(connection, tables.artifacts, list(rows.values())))


def record_tombstone(connection: Connection, digest: str, expired_at: Any, reason: str) -> None:
    """Record that the artifact `digest` was let go at `expired_at` (aware), and why. Nothing where that is known."""
    insert_listed(
        connection, tables.artifact_tombstones, [{"hash": digest, "expired_at": expired_at, "reason": reason}]
    )
