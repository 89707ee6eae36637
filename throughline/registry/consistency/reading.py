"""Reading the registries for a check: one snapshot, whole partitions in bounded batches, as COPY gives them.

Belongs here: SQL, and lines into fields. Hashes are never asked of the server: bodies come whole and are hashed here.
Does not belong here: judging.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import psycopg2
from sqlalchemy import Connection, select, text

from throughline.catalogue import LOG, catalogue
from throughline.registries import TRADES
from throughline.registry.consistency.forms import COMMON, Forms
from throughline.storage.tables import ledger_table

BATCH = 2_000
"""Trades read at once. With their two other rows they take some 40 MB while they are checked."""

Partition = tuple[str, date]
"""Experiment and day."""



@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole partitions (`days`) of one experiment that are checked together.

    trades: how many trades they hold at most. by_hand: the experiment's records are written by hand, so that no day of
    it is sealed. A day of more than `BATCH` trades is alone in its chunk and is read in `parts`.
    """

    experiment: str
    days: tuple[date, ...]
    trades: int
    by_hand: bool

    @property
    def parts(self) -> int:
        """In how many parts the rows are read."""
        return max(1, -(-self.trades // BATCH)) if len(self.days) == 1 else 1


@contextmanager
def prepared(connection: Connection) -> Iterator[None]:
    """Set what the text forms of columns stand on, and keep to plans that read a chunk by its index, for the while."""
    connection.execute(text("SET LOCAL TIME ZONE 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'"))
    # Right after a bulk load the planner knows nothing of the tables; a scan for every chunk would be a square.
    plans = {"enable_seqscan": "off", "jit": "off", "max_parallel_workers_per_gather": "0"}
    connection.execute(text("; ".join(f"SET LOCAL {name} = {value}" for name, value in plans.items())))
    yield
    connection.execute(text("; ".join(f"SET LOCAL {name} TO DEFAULT" for name in plans)))


def lines(connection: Connection, forms: Forms, chunk: Chunk, part: int = 0) -> Iterator[list[str]]:
    """Yield the rows of a chunk as fields of COPY's text: `COMMON`, then the table's projection; bodies as their text.

    Where a body of the chunk is no text at all, all of them come empty, which is a body that holds nowhere. part: of
    `chunk.parts`, by the last byte of the trade's UUID, so that all rows of a trade are in the same part.
    """
    raw: Any = connection.connection
    with raw.cursor() as cursor:
        where = "experiment = %s AND partition = ANY(%s)"
        values: list[Any] = [chunk.experiment, list(chunk.days)]
        if chunk.parts > 1:
            trade = "uuid" if forms.table == TRADES else "canonical_uuid"
            where += f" AND pg_catalog.get_byte(pg_catalog.uuid_send({trade}), 15) %% %s = %s"
            values += [chunk.parts, part]
        asked = cursor.mogrify(f"FROM {forms.table} WHERE {where}", values).decode("utf-8")
        columns = ", ".join(f'"{name}"' for name in (*COMMON[1:], *forms.columns))
        cursor.execute("SAVEPOINT reading")
        try:
            data = _copy(cursor, f"SELECT pg_catalog.convert_from(body, 'UTF8'), {columns} {asked}")
        except psycopg2.DataError:  # nobody wrote such a body through this package: what follows may take its time
            cursor.execute("ROLLBACK TO SAVEPOINT reading")
            data = _copy(cursor, f"SELECT '', {columns} {asked}")
        cursor.execute("RELEASE SAVEPOINT reading")
    for line in data.split("\n"):
        if line:
            yield line.split("\t")


def _copy(cursor: Any, statement: str) -> str:
    stream = io.BytesIO()
    cursor.copy_expert(f"COPY ({statement}) TO STDOUT", stream)
    return stream.getvalue().decode("utf-8")


def typed(connection: Connection, table: str, uuids: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield all rows with these UUIDs, typed, with all columns."""
    source = ledger_table(table)
    for start in range(0, len(uuids), BATCH):
        statement = select(source).where(text("uuid = ANY(CAST(:keys AS uuid[]))"))
        rows = connection.execute(statement, {"keys": list(uuids[start : start + BATCH])}).mappings()
        yield from (dict(row) for row in rows)


def experiments(connection: Connection) -> dict[str, str]:
    """Return id -> mode of every experiment that is recorded."""
    return {row[0]: row[1] for row in connection.execute(text("SELECT id, mode FROM experiments"))}


def counts(connection: Connection, only: Iterable[Partition] | None = None) -> dict[Partition, int]:
    """Return how many trades each partition holds at most: the rows of its fullest registry.

    A partition counts from its rows or its seals, so that one whose rows are all gone is there with 0. only: the
    partitions asked for; None = all.
    """
    result: dict[Partition, int] = {}
    asked, values = "", {}
    if only is not None:
        pairs = sorted(only)
        result = dict.fromkeys(pairs, 0)
        asked = " WHERE (experiment, partition) IN (SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:days AS date[])))"
        values = {"ids": [pair[0] for pair in pairs], "days": [pair[1] for pair in pairs]}
    for table in catalogue().registries:
        statement = text(f"SELECT experiment, partition, count(*) FROM {table}{asked} GROUP BY 1, 2")
        for experiment, day, count in connection.execute(statement, values):
            result[experiment, day] = max(result.get((experiment, day), 0), count)
    if only is None:
        sealed = text("SELECT DISTINCT experiment, partition FROM partition_seals WHERE asset = ANY(:assets)")
        for experiment, day in connection.execute(sealed, {"assets": [*catalogue().registries, LOG]}):
            result.setdefault((experiment, day), 0)
    return result


def chunks(partitions: Mapping[Partition, int], by_hand: frozenset[str]) -> list[Chunk]:
    """Return the partitions of each experiment in order, as many together as hold `BATCH` trades."""
    result: list[Chunk] = []
    days: list[date] = []
    before, trades = "", 0
    for experiment, day in [*sorted(partitions), ("", date.max)]:
        count = partitions.get((experiment, day), 0)
        if days and (experiment != before or trades + count > BATCH):
            result.append(Chunk(before, tuple(days), trades, before in by_hand))
            days, trades = [], 0
        before = experiment
        days.append(day)
        trades += count
    return result
