"""Writing the ledger: whole partitions by COPY, single records, and the refusal of anything that would change.

Belongs here: the transaction of a partition (rows, verdicts and seal, or nothing) and the comparison with what is
recorded. Does not belong here: what the rows say (tracking, flow), permissions (roles). It is the door of the ledger:
the shapes (records) and the questions (queries) can be had from here too.

Writing the same again does nothing. Something else under the same name raises LedgerConflict, which says what differs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import psycopg2
from psycopg2 import errorcodes
from psycopg2.extras import execute_values
from sqlalchemy import Connection, Engine, Table

from throughline.errors import LedgerConflict, StorageError
from throughline.storage.copy import copy_tuples
from throughline.storage.queries import (
    advisory_lock,
    get_active,
    read_all_seals,
    read_by_candidate,
    read_experiment,
    read_experiments,
    read_rows,
    read_seals,
    read_verdicts,
    record_artifact,
    record_tombstone,
    register_experiment,
    sealed_days,
    set_active,
)
from throughline.storage.records import (
    ActiveExperiment,
    GateVerdict,
    LedgerRow,
    PartitionWrite,
    Seal,
    StoredExperiment,
    StoredVerdict,
    failures_text,
)
from throughline.storage.row_log import LOCK_LOG, LOG_LOCK, list_rows
from throughline.storage.tables import LEDGER, artifacts, gate_verdicts, ledger_table, projection

__all__ = [
    "ActiveExperiment",
    "GateVerdict",
    "LedgerRow",
    "PartitionWrite",
    "Seal",
    "StoredExperiment",
    "StoredVerdict",
    "advisory_lock",
    "append_record",
    "get_active",
    "read_all_seals",
    "read_by_candidate",
    "read_experiment",
    "read_experiments",
    "read_rows",
    "read_seals",
    "read_verdicts",
    "record_artifact",
    "record_tombstone",
    "register_experiment",
    "sealed_days",
    "set_active",
    "write_partition",
    "write_partitions",
]

_WRITTEN = ("uuid", "experiment", "partition", "content_hash", "body", "supersedes", "run_id")
_NAMED = 20
"""At most so many rows are named in a message."""

_SEAL = (
    "INSERT INTO partition_seals (experiment, asset, partition, root, leaves, status, blocked_by, artifact, details,"
    " run_id) VALUES %s ON CONFLICT DO NOTHING RETURNING asset, partition, experiment"
)
_ARTIFACT = (
    "INSERT INTO artifacts (hash, kind, media_type, bytes, location) VALUES %s ON CONFLICT DO NOTHING RETURNING hash"
)
_VERDICT = (
    "INSERT INTO gate_verdicts (experiment, asset, partition, seal, suite, suite_hash, passed, failures) VALUES %s"
)
_NEW_VERDICT = f"{_VERDICT} ON CONFLICT DO NOTHING RETURNING experiment, asset, partition, seal, suite_hash"
_LOGGED_SEAL = "SELECT 1 FROM seal_events WHERE kind = 'seal' AND experiment = %s AND asset = %s AND partition = %s"


def write_partition(engine: Engine, write: PartitionWrite) -> bool:
    """Write one partition in one transaction; return False where the very same is already sealed.

    Raises LedgerConflict where another root or status is sealed, or where a row exists with another hash: it names
    table, uuid and both hashes of the first such row, the rows that are new and those a re-run no longer gives.
    """
    return write_partitions(engine, [write])[0]


def write_partitions(engine: Engine, writes: Sequence[PartitionWrite], per_transaction: int = 1) -> list[bool]:
    """Write many partitions in order; return, for each, whether it was new.

    `per_transaction` whole partitions share a transaction: a killed run leaves the groups before it whole and nothing
    of the others. Raises as `write_partition` does; groups before the failing one stay written.
    """
    result: list[bool] = []
    raw = engine.raw_connection()
    try:
        for start in range(0, len(writes), max(1, per_transaction)):
            group = writes[start : start + max(1, per_transaction)]
            for write in group:
                _check(write)
            result.extend(_write_group(raw, group))
    finally:
        raw.close()
    return result


def append_record(connection: Connection, table: Table | str, row: LedgerRow) -> bool:
    """Write one record in the connection's transaction; return False where the very same exists.

    A row with `supersedes` is a correction: a new entry that names the record it replaces. Raises LedgerConflict where
    the uuid exists with another hash, or where its candidate (or the superseded record) already has an entry.
    """
    target = ledger_table(table) if isinstance(table, str) else table
    if not connection.in_transaction():
        connection.begin()
    cursor = connection.connection.cursor()
    try:
        cursor.execute("SAVEPOINT append_record")
        try:
            fresh = _without_known(cursor, target, [row])
            _copy(cursor, target, fresh)
        except psycopg2.Error as error:
            cursor.execute("ROLLBACK TO SAVEPOINT append_record")
            raise _explained(error, target.name) from error
        cursor.execute("RELEASE SAVEPOINT append_record")
        return bool(fresh)
    finally:
        cursor.close()


def _check(write: PartitionWrite) -> None:
    for name, rows in write.rows.items():
        ledger_table(name)
        for row in rows:
            if row.experiment != write.experiment or row.partition != write.partition:
                raise ValueError(
                    f"{name} {row.uuid} belongs to {row.experiment} {row.partition}, "
                    f"not to the partition {write.experiment} {write.partition} that is written"
                )


def _write_group(raw: Any, group: Sequence[PartitionWrite]) -> list[bool]:
    cursor = raw.cursor()
    table = "partition_seals"
    try:
        for attempt in ("copy", "compare"):
            try:
                if any(write.artifact is not None for write in group):
                    cursor.execute(LOCK_LOG, (LOG_LOCK,))  # before the first row: see row_log.lock_log
                fresh = _insert_seals(cursor, group)
                new = [write for write in group if (write.asset, write.partition, write.experiment) in fresh]
                for target in LEDGER:
                    table = target.name
                    rows = [row for write in new for row in write.rows.get(table, ())]
                    if rows and attempt == "compare":
                        rows = _without_known(cursor, target, rows)
                    _copy(cursor, target, rows)
                _insert_artifacts(cursor, new)
                table = "gate_verdicts"
                _insert_verdicts(cursor, new)
                known = [write for write in group if (write.asset, write.partition, write.experiment) not in fresh]
                for write in known:
                    _compare_sealed(cursor, write)
                raw.commit()
                return [write not in known for write in group] if known else [True] * len(group)
            except psycopg2.errors.UniqueViolation:
                raw.rollback()
                if attempt == "compare":
                    raise
        raise AssertionError("unreachable")
    except psycopg2.Error as error:
        raw.rollback()
        raise _explained(error, table) from error
    except BaseException:
        raw.rollback()
        raise
    finally:
        cursor.close()


def _insert_seals(cursor: Any, group: Sequence[PartitionWrite]) -> set[tuple[str, date, str]]:
    """Insert the seals; return the keys that were new. Another writer of the same partition is waited for."""
    values = [
        (
            write.experiment,
            write.asset,
            write.partition,
            write.root,
            write.leaves,
            write.status,
            write.blocked_by,
            write.artifact.hash if write.artifact else None,
            write.details,
            write.run_id,
        )
        for write in group
    ]
    return set(execute_values(cursor, _SEAL, values, page_size=len(values), fetch=True))


def _insert_artifacts(cursor: Any, writes: Iterable[PartitionWrite]) -> None:
    refs = [write.artifact for write in writes if write.artifact is not None]
    values = [(ref.hash, ref.kind, ref.media_type, ref.bytes, ref.location) for ref in refs]
    if values:
        list_rows(cursor, artifacts, execute_values(cursor, _ARTIFACT, values, page_size=500, fetch=True))


def _insert_verdicts(cursor: Any, writes: Iterable[PartitionWrite]) -> None:
    values = [row for write in writes for row in _verdict_rows(write)]
    if values:
        execute_values(cursor, _VERDICT, values, page_size=500)


def _add_verdicts(cursor: Any, write: PartitionWrite) -> None:
    """Add verdicts of suites that are new to a partition that is sealed; list them where its seal is logged already.

    Where it is not, the event of the seal will name them.
    """
    if not write.verdicts:
        return
    cursor.execute(LOCK_LOG, (LOG_LOCK,))
    new = execute_values(cursor, _NEW_VERDICT, _verdict_rows(write), page_size=500, fetch=True)
    partition = (write.experiment, write.asset, write.partition)
    cursor.execute(_LOGGED_SEAL, partition)
    if cursor.fetchone() is not None:
        list_rows(cursor, gate_verdicts, new, partition)


def _verdict_rows(write: PartitionWrite) -> list[tuple[Any, ...]]:
    return [
        (
            write.experiment,
            write.asset,
            write.partition,
            verdict.seal,
            verdict.suite,
            verdict.suite_hash,
            verdict.passed,
            failures_text(verdict.failures),
        )
        for verdict in write.verdicts
    ]


def _copy(cursor: Any, table: Table, rows: Sequence[LedgerRow]) -> None:
    if not rows:
        return
    names = projection(table)
    for row in rows:
        if row.columns.keys() != set(names):
            odd = sorted(set(names) ^ row.columns.keys())
            raise ValueError(f"{table.name} {row.uuid}: column {odd[0]} is missing or unknown")
    values = [[getattr(row, name) for name in _WRITTEN] + [row.columns[name] for name in names] for row in rows]
    copy_tuples(cursor, table, _WRITTEN + names, values)


def _without_known(cursor: Any, table: Table, rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    """Return the rows whose uuid is not recorded; raise LedgerConflict where it is with another hash."""
    cursor.execute(
        f"SELECT uuid::text, content_hash FROM {table.name} WHERE uuid = ANY(%s::uuid[])",
        ([str(row.uuid) for row in rows],),
    )
    known = dict(cursor.fetchall())
    for row in rows:
        recorded = known.get(str(row.uuid))
        if recorded not in (None, row.content_hash):
            raise LedgerConflict(_other_hash(table.name, row.uuid, recorded, row.content_hash))
    return [row for row in rows if str(row.uuid) not in known]


def _compare_sealed(cursor: Any, write: PartitionWrite) -> None:
    """Raise LedgerConflict unless `write` says what is sealed; add verdicts of suites that are new."""
    key = (write.experiment, write.asset, write.partition)
    cursor.execute(
        "SELECT root, leaves, status FROM partition_seals WHERE experiment = %s AND asset = %s AND partition = %s", key
    )
    root, leaves, status = cursor.fetchone()
    if (root, status) == (write.root, write.status):
        _add_verdicts(cursor, write)
        _compare_verdicts(cursor, write)
        return
    where = f"{write.asset} {write.partition} of experiment {write.experiment}"
    text = f"{where} is {status} with seal {root} ({leaves} rows)"
    text += f", this run gives {write.status} {write.root} ({write.leaves} rows)"
    raise LedgerConflict("; ".join([text, *_differences(cursor, write)]) + ". Nothing was written.")


def _differences(cursor: Any, write: PartitionWrite) -> list[str]:
    differences: list[str] = []
    for name, rows in write.rows.items():
        cursor.execute(
            f"SELECT uuid::text, content_hash FROM {name} WHERE experiment = %s AND partition = %s ORDER BY uuid",
            (write.experiment, write.partition),
        )
        recorded = dict(cursor.fetchall())
        given = {str(row.uuid): row.content_hash for row in rows}
        changed = sorted(key for key in given if key in recorded and recorded[key] != given[key])
        if changed:
            first = changed[0]
            differences.append(
                _other_hash(name, first, recorded[first], given[first]) + _more(len(changed) - 1, "changed")
            )
        for word, keys in (
            ("new", sorted(given.keys() - recorded.keys())),
            ("no longer given", sorted(recorded.keys() - given.keys())),
        ):
            if keys:
                differences.append(f"{name} {word}: {', '.join(keys[:_NAMED])}{_more(len(keys) - _NAMED, word)}")
    return differences


def _compare_verdicts(cursor: Any, write: PartitionWrite) -> None:
    if not write.verdicts:
        return
    cursor.execute(
        "SELECT seal, suite_hash, passed FROM gate_verdicts WHERE experiment = %s AND asset = %s AND partition = %s",
        (write.experiment, write.asset, write.partition),
    )
    recorded = {(seal, suite): passed for seal, suite, passed in cursor.fetchall()}
    for verdict in write.verdicts:
        if recorded[verdict.seal, verdict.suite_hash] != verdict.passed:
            before, now = ("failed", "passed") if verdict.passed else ("passed", "failed")
            raise LedgerConflict(
                f"gate_verdicts {write.asset} {write.partition} of experiment {write.experiment}: "
                f"{verdict.suite} ({verdict.suite_hash}) {before} for this very seal and {now} now."
            )


def _other_hash(table: str, key: uuid.UUID | str, recorded: str | None, given: str) -> str:
    return f"{table} {key} is recorded with hash {recorded}, this run gives {given}"


def _more(count: int, word: str) -> str:
    return f" and {count} more {word}" if count > 0 else ""


def _explained(error: psycopg2.Error, table: str) -> Exception:
    """Return the error a person should see for what PostgreSQL refused."""
    diagnosis = error.diag
    detail = (diagnosis.message_detail or diagnosis.message_primary or str(error)).strip().rstrip(".")
    name = diagnosis.table_name or table
    if error.pgcode == errorcodes.UNIQUE_VIOLATION:
        return LedgerConflict(f"{name}: another record stands there already ({detail}). Nothing was written.")
    if error.pgcode == errorcodes.FOREIGN_KEY_VIOLATION:
        return StorageError(f"{name}: a link of the chain is missing ({detail}): write the parent first.")
    return StorageError(f"{name}: the database refused the write ({detail}).")
