"""The system catalogues of a PostgreSQL server: which there are, their columns, keys and references.

Belongs here: the shape of the catalogues, asked from the server, so that a catalogue or a column of a later version
is read without a change here, and the few columns that say nothing about an object. Does not belong here: their rows
(`snapshot`).

Sources: `pg_get_catalog_foreign_keys()` names the catalogue that each OID column points to
(https://www.postgresql.org/docs/current/functions-info.html), the catalogues' own unique indexes give natural keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

FIRST_NORMAL_OID = 16384
"""Objects with a smaller OID were made by `initdb` (access/transam.h)."""

NOT_COMPARED = frozenset(
    (
        "pg_depend",  # what falls with what: decides nothing that is read, written or refused
        "pg_shdepend",
        "pg_description",  # comments
        "pg_shdescription",
        "pg_init_privs",  # what an extension granted, for pg_dump
        "pg_statistic",  # the planner's statistics, and values only a superuser may read
        "pg_statistic_ext_data",
        "pg_largeobject",  # contents; the objects are in pg_largeobject_metadata
        "pg_authid",  # roles, memberships, databases and their settings are the server's: see `server_objects`
        "pg_auth_members",
        "pg_database",
        "pg_db_role_setting",
    )
)
"""Catalogues whose rows are no objects of a database."""

_NO_PROPERTY: Mapping[str, frozenset[str]] = {
    "pg_class": frozenset(
        (
            "relfilenode",  # the file, which REINDEX and VACUUM FULL change
            "relpages",  # counts of the last ANALYZE or VACUUM
            "reltuples",
            "relallvisible",
            "relallfrozen",
            "relfrozenxid",
            "relminmxid",
            "relnatts",  # counts dropped columns too, which a restored dump does not have
            "reltoastrelid",  # named after the table's OID; the toast table is an object of its own
        )
    ),
    "pg_index": frozenset(("indcheckxmin",)),  # set where the table had updates while the index was made
    "pg_attribute": frozenset(
        (
            "attnum",  # replaced by the position among the columns that are left
            "attcacheoff",
            "attstattarget",  # how much ANALYZE samples
            "atthasmissing",  # values of rows older than the column; rows are compared by their hashes
            "attmissingval",
        )
    ),
}
_READABLE = "pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')"
_CATALOGS = f"""
SELECT c.relname, c.relisshared,
       array_agg(CAST(a.attname AS text) ORDER BY a.attnum) FILTER (WHERE {_READABLE}),
       array_agg(pg_catalog.format_type(a.atttypid, -1) ORDER BY a.attnum) FILTER (WHERE {_READABLE})
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 11 AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND c.oid < {FIRST_NORMAL_OID}
GROUP BY 1, 2 ORDER BY 1
"""
_KEYS = """
SELECT c.relname, array(
    SELECT CAST(a.attname AS text) FROM unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY AS k(number, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY k.place)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 11 AND c.relkind = 'r' AND i.indisunique ORDER BY 1, i.indexrelid
"""
_REFERENCES = """
SELECT CAST(f.relname AS text), k.fkcols, CAST(p.relname AS text), k.is_array
FROM pg_catalog.pg_get_catalog_foreign_keys() AS k
JOIN pg_catalog.pg_class f ON f.oid = k.fktable JOIN pg_catalog.pg_class p ON p.oid = k.pktable
"""


@dataclass(frozen=True)
class Catalog:
    """One system catalogue.

    Attributes:
        name: such as ``pg_class``.
        shared: whether it is the server's, not the database's.
        columns: name to type of every column that whoever asks may read.
        key: a natural key, without OIDs of its own rows; empty where there is none.
        references: column to the catalogue that its OIDs point to.
        attributes: columns with numbers of columns, to the column with the OID of their relation.

    Example:
        >>> catalogs = read_catalogs(cursor)
        >>> catalogs["pg_trigger"].key
        ('tgrelid', 'tgname')
    """

    name: str
    shared: bool
    columns: Mapping[str, str]
    key: tuple[str, ...]
    references: Mapping[str, str]
    attributes: Mapping[str, str]

    @cached_property
    def translated(self) -> frozenset[str]:
        """Columns and definitions that hold OIDs or numbers of columns."""
        trees = {name for name, kind in self.columns.items() if kind == "pg_node_tree"}
        return frozenset({*self.references, *self.attributes, *trees, "relname", "tgname", "definition"})

    @property
    def properties(self) -> Sequence[str]:
        """Columns that say something about an object: all but its OID, its ACL and what maintenance changes."""
        ignored = _NO_PROPERTY.get(self.name, frozenset())
        return [name for name in self.columns if name != "oid" and name not in ignored]

    @property
    def anchor(self) -> str:
        """The column whose OID tells whether `initdb` made a row."""
        if "oid" in self.columns:
            return "oid"
        return next((name for name in (*self.key, *self.references) if name in self.columns), next(iter(self.columns)))


def read_catalogs(cursor: Any) -> Mapping[str, Catalog]:
    """Return the catalogues of the server by name, `NOT_COMPARED` left out.

    Args:
        cursor: of psycopg2, of any role.

    Returns:
        Name to catalogue, of those of which the role may read any column.
    """
    cursor.execute(_KEYS)
    keys: dict[str, list[tuple[str, ...]]] = {}
    for name, columns in cursor.fetchall():
        keys.setdefault(name, []).append(tuple(columns))
    cursor.execute(_REFERENCES)
    references: dict[str, dict[str, str]] = {}
    attributes: dict[str, dict[str, str]] = {}
    for name, columns, target, _ in cursor.fetchall():
        if len(columns) == 1:
            references.setdefault(name, {})[columns[0]] = target
        else:
            attributes.setdefault(name, {})[columns[1]] = columns[0]
    cursor.execute(_CATALOGS)
    return {
        name: Catalog(
            name,
            shared,
            dict(zip(columns, types, strict=True)),
            _natural_key(dict(zip(columns, types, strict=True)), keys.get(name, [])),
            references.get(name, {}),
            attributes.get(name, {}),
        )
        for name, shared, columns, types in cursor.fetchall()
        if name not in NOT_COMPARED and columns
    }


def _natural_key(columns: Mapping[str, str], keys: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the shortest unique key without the row's own OID, with a name in it where one has."""
    usable = [key for key in keys if "oid" not in key and set(key) <= columns.keys()]
    named = [key for key in usable if any(columns[column] in ("name", "text") for column in key)]
    return min(named or usable, key=len, default=())
