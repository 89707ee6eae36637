"""Damage that ends a question to the database: which object, and which of its pages.

Belongs here: telling damage from other failures, naming the object, and asking on after it. Does not belong here: what
is asked (check, verification), and the sentence for failures that are no damage (cli.failures).

A damaged page, index or file ends the query that reads it and the transaction with it. So a check asks within a
savepoint, and only where a question failed are all tables read, page by page where one cannot be read whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg2
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from throughline.findings import Finding
from throughline.integrity.database.naming import SCHEMA
from throughline.storage.tables import metadata

T = TypeVar("T")

_DAMAGE = ("XX000", "XX001", "XX002", "58P01", "58030", "22021", "42703", "42P01", "42804", "42883")
"""Codes of PostgreSQL for damaged or missing files, pages and indexes, and for objects that are not as we made them."""
_FILE = re.compile(r"\b(?:base|pg_tblspc/\S+)/\d+/(\d+)")
_BLOCK = re.compile(r"\bblocks? (\d+)")
_QUOTED = re.compile(r'"([a-z_0-9]+)"')
_RESTORE = "restore the home from a backup; do not write to it before"
_REBUILD = "rebuild it with REINDEX as the database's superuser, then verify again"
RANGES = 20
"""At most so many ranges of pages of one table are listed."""


def attempt(
    connection: Connection, ask: Callable[[], T], findings: list[Finding], known: Collection[str] = ()
) -> T | None:
    """Return what `ask` returns; where damage ends it, add a finding on the damaged object and return None.

    Args:
        connection: in a transaction, which goes on from where it was before `ask`.
        ask: asks the database through `connection`.
        findings: gets the finding, unless the damage is of a known object.
        known: names of tables that have a finding already, by which an error that names nothing is explained.

    Raises:
        Whatever `ask` raises that is no damage.
    """
    point = connection.begin_nested()
    try:
        told = ask()
    except Exception as error:
        with suppress(DBAPIError):  # of a connection that is gone
            point.rollback()
        if not is_damage(error):
            raise
        found = _of_error(connection, error)
        if found.table == "database" and known:
            return None
        if found.table not in known and (found.table, found.row) not in {(item.table, item.row) for item in findings}:
            findings.append(found)
        return None
    point.commit()
    return told


def is_damage(error: BaseException) -> bool:
    """Return whether an error of the database says that one of its objects is damaged, missing or another one."""
    return getattr(_origin(error), "pgcode", None) in _DAMAGE


def diagnose(connection: Connection) -> list[Finding]:
    """Read every table whole, and return a finding for each range of pages that cannot be read.

    Where all tables can be read there is none: the damage is then in an index, which the error itself names.
    """
    findings: list[Finding] = []
    for name in sorted(metadata.tables):
        error = _read(connection, name, None)
        if error is None:
            continue
        size = text(
            "SELECT pg_catalog.pg_relation_size(pg_catalog.to_regclass(:name)) / current_setting('block_size')::int"
        )
        blocks = int(connection.execute(size, {"name": name}).scalar() or 0)
        ranges = _merged(_damaged(connection, name, 0, blocks))
        if not ranges:
            findings.append(_of_error(connection, error, name))
        for first, last in ranges[:RANGES]:
            row = f"block {first}" if first == last else f"blocks {first} to {last}"
            reason = _first_line(_read(connection, name, (first, last + 1)) or error)
            problem = f"cannot be read, and so none of the rows in it: {reason}"
            findings.append(Finding(name, row, problem, "unreadable", repair=_RESTORE))
        if len(ranges) > RANGES:
            problem = f"{len(ranges) - RANGES} more ranges of blocks cannot be read"
            findings.append(Finding(name, "further blocks", problem, "unreadable", repair=_RESTORE))
    return findings


def located(connection: Connection, findings: Iterable[Finding]) -> list[Finding]:
    """Return findings of `attempt` with the pages of each damaged table instead of the first that a question met."""
    pages = diagnose(connection)
    tables = {item.table for item in pages}
    return [*pages, *(item for item in findings if item.table not in tables)]


def damaged_tables(findings: Iterable[Finding]) -> frozenset[str]:
    """Return the tables that findings say are missing, shut, damaged or of other columns."""
    names = {item.table for item in findings} | {item.row.partition(".")[0] for item in findings}
    return frozenset(names & metadata.tables.keys())


def _damaged(connection: Connection, table: str, first: int, end: int) -> list[tuple[int, int]]:
    """Return the blocks of [first, end) that cannot be read as (first, last), halving what cannot be read whole."""
    if first >= end or _read(connection, table, (first, end)) is None:
        return []
    if end - first == 1:
        return [(first, first)]
    middle = (first + end) // 2
    return _damaged(connection, table, first, middle) + _damaged(connection, table, middle, end)


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in ranges:
        if merged and merged[-1][1] + 1 == first:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def _read(connection: Connection, table: str, blocks: tuple[int, int] | None) -> BaseException | None:
    """Read every value of a table, or of its blocks [first, end); return the damage that ended it, None without."""
    where = "" if blocks is None else f" WHERE t.ctid >= '({blocks[0]},0)' AND t.ctid < '({blocks[1]},0)'"
    point = connection.begin_nested()
    try:
        # As text, so that values that lie in the table's overflow file are read too. Not through an index.
        connection.exec_driver_sql("SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off")
        connection.exec_driver_sql(f"SELECT sum(length(t::text)) FROM {table} AS t{where}").scalar()
    except (DBAPIError, psycopg2.Error) as error:
        point.rollback()
        if not is_damage(error):
            raise
        return error
    point.rollback()  # and with it the settings
    return None


def _of_error(connection: Connection, error: BaseException, table: str | None = None) -> Finding:
    """Return a finding on the object that an error names. table: the one that was read, where that is known."""
    reason = _first_line(error)
    file, block, quoted = _FILE.search(reason), _BLOCK.search(reason), _QUOTED.search(reason)
    found = _relation(connection, "pg_catalog.pg_relation_filenode(c.oid)", int(file[1])) if file else None
    if found is None and quoted is not None:
        found = _relation(connection, "c.relname", quoted[1])
    name, relation, kind = found or (None, None, None)
    where = f"block {block[1]}" if block is not None else "file" if file is not None else "an object"
    if kind == "i":
        return Finding(
            "index", f"{name}.{relation}", f"{where} cannot be read: {reason}", "unreadable", repair=_REBUILD
        )
    problem = f"cannot be read: {reason}"
    return Finding(table or name or "database", where, problem, "unreadable", repair=_RESTORE)


def _relation(connection: Connection, what: str, value: int | str) -> tuple[str, str, str] | None:
    """Return (table, name, kind) of the table or index of ours whose `what` is `value`, None where none is."""
    query = text(
        "SELECT coalesce(t.relname, c.relname), c.relname, c.relkind FROM pg_catalog.pg_class c"
        " LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid"
        f" WHERE {what} = :value AND c.relnamespace = CAST(:schema AS regnamespace)"
    )
    row = connection.execute(query, {"value": value, "schema": SCHEMA}).first()
    return None if row is None else (str(row[0]), str(row[1]), str(row[2]))


def _origin(error: BaseException) -> Any:
    return getattr(error, "orig", None) or error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(_origin(error)).splitlines() if line.strip()]
    return lines[0].rstrip(".:") if lines else "the database gave no reason"
