"""Reading a home for verification: streamed, in partitions' order, everything as it is stored."""

from __future__ import annotations

import json
import uuid as uuid_module
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, func, select, text

from throughline.storage import tables
from throughline.storage.tables import ledger_table

BATCH = 2_000
"""Rows read at once; memory is bounded by this and by one partition."""


def stream(connection: Connection, table: str, experiment: str) -> Iterator[list[Mapping[str, Any]]]:
    """Yield the rows of an experiment in batches, ordered by partition and UUID.

    The first batch is asked for directly. What follows it comes through a server-side cursor, which costs four
    statements more.
    """
    source = ledger_table(table)
    statement = select(source).where(source.c.experiment == experiment).order_by(source.c.partition, source.c.uuid)
    first = connection.execute(statement.limit(BATCH)).mappings().all()
    if first:
        yield list(first)  # type: ignore[arg-type]
    if len(first) < BATCH:
        return
    rest = statement.offset(BATCH).execution_options(stream_results=True, yield_per=BATCH)
    for batch in connection.execute(rest).mappings().partitions():
        yield list(batch)  # type: ignore[arg-type]


def parents(
    connection: Connection, table: str, wanted: Sequence[uuid_module.UUID], with_body: bool = False
) -> dict[uuid_module.UUID, Mapping[str, Any]]:
    """Return uuid -> (content_hash, experiment, partition, candidate_uuid where there is one, body where asked for)."""
    source = ledger_table(table)
    columns = [source.c.uuid, source.c.content_hash, source.c.experiment, source.c.partition]
    if "candidate_uuid" in source.c:
        columns.append(source.c.candidate_uuid)
    if with_body:
        columns.append(source.c.body)
    found: dict[uuid_module.UUID, Mapping[str, Any]] = {}
    unique = sorted(set(wanted))
    for start in range(0, len(unique), BATCH):
        keys = [str(item) for item in unique[start : start + BATCH]]
        statement = select(*columns).where(text("uuid = ANY(CAST(:keys AS uuid[]))")).params(keys=keys)
        names = [column.name for column in columns]  # `dict` of SQLAlchemy's own mapping takes four times as long
        found |= {row[0]: dict(zip(names, row, strict=True)) for row in connection.execute(statement)}
    return found


def seals(connection: Connection, experiment: str) -> list[Mapping[str, Any]]:
    """Return the partition seals of an experiment by asset and day, `details` and `blocked_by` read from JSON."""
    c = tables.partition_seals.c
    statement = (
        select(tables.partition_seals).where(c.experiment == experiment).order_by(c.asset.collate("C"), c.partition)
    )
    return [
        dict(row) | {"details": _json(row["details"]), "blocked_by": _json(row["blocked_by"])}
        for row in connection.execute(statement).mappings()
    ]


def verdicts(connection: Connection, experiment: str) -> list[Mapping[str, Any]]:
    """Return the gate verdicts of an experiment, `failures` read from JSON (None where that is not possible)."""
    c = tables.gate_verdicts.c
    statement = select(tables.gate_verdicts).where(c.experiment == experiment)
    statement = statement.order_by(c.asset.collate("C"), c.partition, c.seal.collate("C"), c.suite_hash.collate("C"))
    return [dict(row) | {"failures": _json(row["failures"])} for row in connection.execute(statement).mappings()]


def unknown_experiments(connection: Connection) -> list[tuple[str, str]]:
    """Return (table, experiment) of rows whose experiment is not recorded (a foreign key was taken away)."""
    asked = (*tables.LEDGER, tables.partition_seals, tables.gate_verdicts)
    # One statement for all tables: in a small home the way to the server costs more than the rows.
    parts = [
        f"SELECT DISTINCT {place}, experiment FROM {table.name} WHERE experiment NOT IN (SELECT id FROM experiments)"
        for place, table in enumerate(asked)
    ]
    rows = connection.execute(text(" UNION ALL ".join(parts)))
    return [(asked[place].name, str(experiment)) for place, experiment in sorted(tuple(row) for row in rows)]


def candidates_without_one(
    connection: Connection, experiment: str, table: str, asset: str
) -> list[tuple[uuid_module.UUID, date, int]]:
    """Return (candidate, day, count) of candidates of sealed days of `asset` that do not have exactly one in `table`.

    Corrections are not counted: neither corrected candidates nor records that supersede another. Days on which the
    asset is blocked have none and are left out.
    """
    heads, child = tables.candidates, ledger_table(table)
    sealed = tables.partition_seals
    days = select(sealed.c.partition).where(
        sealed.c.experiment == experiment, sealed.c.asset == asset, sealed.c.status == "sealed"
    )
    count = func.count(child.c.uuid)
    statement = (
        select(heads.c.uuid, heads.c.partition, count)
        .select_from(heads.outerjoin(child, (child.c.candidate_uuid == heads.c.uuid) & child.c.supersedes.is_(None)))
        .where(heads.c.experiment == experiment, heads.c.supersedes.is_(None), heads.c.partition.in_(days))
        .group_by(heads.c.uuid, heads.c.partition)
        .having(count != 1)
        .order_by(heads.c.uuid)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(statement)]


def taken_without_execution(connection: Connection, experiment: str) -> list[tuple[uuid_module.UUID, str, int]]:
    """Return (candidate, disposition, executions) where `taken` and having an execution do not go together."""
    told, done = tables.dispositions, tables.executions
    count = func.count(done.c.uuid)
    statement = (
        select(told.c.candidate_uuid, told.c.disposition, count)
        .select_from(
            told.outerjoin(done, (done.c.candidate_uuid == told.c.candidate_uuid) & done.c.supersedes.is_(None))
        )
        .where(told.c.experiment == experiment, told.c.supersedes.is_(None))
        .group_by(told.c.candidate_uuid, told.c.disposition)
        .having(((told.c.disposition == "taken") & (count != 1)) | ((told.c.disposition != "taken") & (count != 0)))
        .order_by(told.c.candidate_uuid)
    )
    return [(row[0], row[1], row[2]) for row in connection.execute(statement)]


def _json(value: str | None) -> Any:
    if value is None:
        return None
    try:
        return json.loads(value)
    except ValueError:
        return None
