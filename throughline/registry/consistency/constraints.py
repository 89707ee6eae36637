"""The rules of the tables, against those of the metadata that the migrations are tested against.

Belongs here: primary keys, foreign keys, checks, unique indexes and missing values, each by its definition. Does not
belong here: triggers (guards) and rights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from sqlalchemy import (
    CheckConstraint,
    Connection,
    Constraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    text,
)

from throughline.findings import Finding
from throughline.registry.consistency.objects import SCHEMA, trigger_changed
from throughline.storage.tables import metadata

Key = tuple[str, str]


def check_constraints(connection: Connection) -> Iterator[Finding]:
    """Yield what is missing, not enforced or says something else than the metadata; rules beyond it are no matter."""
    expected = _expected()
    statement = text(
        "SELECT c.relname, r.conname, pg_catalog.pg_get_constraintdef(r.oid), r.convalidated"
        " FROM pg_catalog.pg_constraint r JOIN pg_catalog.pg_class c ON c.oid = r.conrelid"
        " WHERE r.conrelid = ANY(CAST(:tables AS regclass[])) AND r.contype IN ('p', 'f', 'c', 'u')"
        " UNION ALL SELECT c.relname, i.relname, pg_catalog.pg_get_indexdef(x.indexrelid), x.indisvalid"
        " FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid"
        " JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid"
        " WHERE x.indrelid = ANY(CAST(:tables AS regclass[])) AND x.indisunique AND NOT x.indisprimary"
    )
    rows = connection.execute(statement, {"tables": list(metadata.tables)})
    found = {(row[0], row[1]): (row[2], row[3]) for row in rows}
    for key in sorted(expected):
        definition, valid = found.get(key, ("none", False))
        if not valid or bare(definition) != bare(expected[key]):
            word = "is missing" if key not in found else "says something else" if valid else "is not enforced"
            problem = f"{word}: rows that it would refuse can be written"
            yield trigger_changed("constraint", ".".join(key), problem, expected[key], definition)
    yield from _optional(connection)


def _optional(connection: Connection) -> Iterator[Finding]:
    statement = text(
        "SELECT c.relname, a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
        " WHERE a.attrelid = ANY(CAST(:tables AS regclass[])) AND a.attnum > 0 AND NOT a.attisdropped"
        " AND NOT a.attnotnull ORDER BY 1, 2"
    )
    for table, column in connection.execute(statement, {"tables": list(metadata.tables)}):
        known = metadata.tables[table].columns.get(column)
        if known is not None and not known.nullable:
            problem = "may be missing, which the migrations forbid"
            yield trigger_changed("constraint", f"{table}.{column}", problem, "NOT NULL", "optional")


@cache
def _expected() -> Mapping[Key, str]:
    """Return (table, name) -> definition of every rule that the metadata has."""
    return dict(_definitions())


def _definitions() -> Iterator[tuple[Key, str]]:
    for table in metadata.tables.values():
        for constraint in table.constraints:
            definition = _definition(constraint)
            if definition is not None:
                yield (table.name, str(constraint.name)), definition
        for index in table.indexes:
            if index.unique:
                yield (table.name, str(index.name)), _index(table.name, index)


def _definition(constraint: Constraint) -> str | None:
    if isinstance(constraint, PrimaryKeyConstraint):
        return f"PRIMARY KEY ({', '.join(column.name for column in constraint.columns)})"
    if isinstance(constraint, ForeignKeyConstraint):
        own = ", ".join(column.name for column in constraint.columns)
        targets = ", ".join(element.column.name for element in constraint.elements)
        return f"FOREIGN KEY ({own}) REFERENCES {constraint.referred_table.name}({targets})"
    if isinstance(constraint, CheckConstraint):
        return f"CHECK ({constraint.sqltext})"
    return None


def _index(table: str, index: Index) -> str:
    columns = ", ".join(column.name for column in index.columns)
    where = index.dialect_options["postgresql"]["where"]
    condition = "" if where is None else f" WHERE ({where})"
    return f"CREATE UNIQUE INDEX {index.name} ON {table} USING btree ({columns}){condition}"


def bare(definition: str) -> str:
    """Return a definition without what versions of PostgreSQL write differently: blanks, brackets, schema, casts."""
    plain = definition.replace("::text", "").replace(f"{SCHEMA}.", "").replace("record.", "")
    return re.sub(r"[\s()\"]", "", plain)
