"""Rows of the system catalogues as text, with the definitions that PostgreSQL writes of them.

Belongs here: which rows are read and how. Does not belong here: what they are called (`naming`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

from throughline.integrity.database.catalogs import FIRST_NORMAL_OID, Catalog

PUBLIC_OID = 2200
"""OID of the schema public in every database (pg_namespace.dat)."""

_DEFINITIONS: Mapping[str, Mapping[str, str]] = {
    "pg_attribute": {
        "type": "format_type(t.atttypid, t.atttypmod)",
        "position": "row_number() OVER (PARTITION BY t.attrelid ORDER BY t.attnum)",
    },
    "pg_attrdef": {"default": "pg_get_expr(t.adbin, t.adrelid)"},
    "pg_cast": {"signature": "CAST(CAST(t.castsource AS regtype) AS text) || ' as ' || CAST(t.casttarget AS regtype)"},
    "pg_constraint": {"definition": "pg_get_constraintdef(t.oid)"},
    "pg_index": {"definition": "pg_get_indexdef(t.indexrelid)"},
    "pg_operator": {"signature": "CAST(t.oid AS regoperator)"},
    "pg_policy": {
        "using": "pg_get_expr(t.polqual, t.polrelid)",
        "with check": "pg_get_expr(t.polwithcheck, t.polrelid)",
    },
    "pg_proc": {
        "arguments": "pg_get_function_identity_arguments(t.oid)",
        "definition": "CASE WHEN t.prokind <> 'a' THEN pg_get_functiondef(t.oid) END",
    },
    "pg_rewrite": {"definition": "pg_get_ruledef(t.oid)"},
    "pg_statistic_ext": {"definition": "pg_get_statisticsobjdef(t.oid)"},
    "pg_trigger": {"definition": "CASE WHEN NOT t.tgisinternal THEN pg_get_triggerdef(t.oid) END"},
}
_LINKS: Mapping[str, Mapping[str, str]] = {
    "pg_class": {
        "index of": "(SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = t.oid)",
        "toast of": "(SELECT m.oid FROM pg_class m WHERE t.relkind = 't' AND m.reltoastrelid = t.oid)",
        "owned by": (
            "(SELECT format('%s %s %s', d.refobjid, d.refobjsubid, d.deptype) FROM pg_depend d WHERE t.relkind = 'S'"
            " AND d.classid = 1259 AND d.objid = t.oid AND d.refclassid = 1259 AND d.deptype IN ('a', 'i') LIMIT 1)"
        ),
    },
}
_INFORMATION = "(SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'information_schema')"
_BY_INITDB: Mapping[str, str] = {
    "pg_attribute": f"(SELECT c.relnamespace FROM pg_class c WHERE c.oid = t.attrelid) IN ({_INFORMATION}, 99)",
    "pg_class": f"t.relnamespace IN ({_INFORMATION}, 99)",
    "pg_collation": "true",
    "pg_constraint": f"t.connamespace = {_INFORMATION}",
    "pg_index": "true",
    "pg_namespace": f"t.oid = {_INFORMATION}",
    "pg_proc": f"t.pronamespace = {_INFORMATION}",
    "pg_rewrite": f"(SELECT c.relnamespace FROM pg_class c WHERE c.oid = t.ev_class) = {_INFORMATION}",
    "pg_ts_config": "true",
    "pg_ts_config_map": "true",
    "pg_ts_dict": "true",
    "pg_type": f"t.typnamespace = {_INFORMATION}",
}
"""Rows that `initdb` makes after those with fixed OIDs, by a condition on rows below `FIRST_NORMAL_OID`. Nothing of
ours reads them, and their OIDs and their number follow from the locales of the machine."""
_DEFAULT_RIGHTS: Mapping[str, tuple[str, str]] = {
    "pg_class": ("CAST(CASE t.relkind WHEN 'S' THEN 's' ELSE 'r' END AS \"char\")", "t.relowner"),
    "pg_language": ("'l'", "t.lanowner"),
    "pg_namespace": ("'n'", "t.nspowner"),
    "pg_proc": ("'f'", "t.proowner"),
    "pg_tablespace": ("'t'", "t.spcowner"),
}
"""Type letter and owner for `acldefault`: what NULL means."""


@dataclass(frozen=True)
class Row:
    """A row of a catalogue.

    Attributes:
        oid: its own OID as text, '' where the catalogue has none.
        values: column or definition to text, None for NULL. OIDs are numbers.
        links: OIDs that place the row, and are no properties of it.
        rights: text forms of its aclitems, None where it has no rights of its own.
    """

    oid: str
    values: Mapping[str, str | None]
    links: Mapping[str, str]
    rights: Sequence[str] | None = None


def read_rows(cursor: Any, catalog: Catalog, fixed_below: int) -> list[Row]:
    """Return the rows of a catalogue that `initdb` did not make with a fixed OID.

    Args:
        cursor: of psycopg2, in a transaction whose search path is pg_catalog.
        catalog: which one.
        fixed_below: as for `snapshot.read_snapshot`.

    Returns:
        The rows; without definitions where the catalogue is too damaged for PostgreSQL to write them.
    """
    properties = [*catalog.properties, *(["attnum"] if catalog.name == "pg_attribute" else [])]
    rights = next((name for name in properties if catalog.columns[name] == "aclitem[]"), None)
    plain = [name for name in properties if name != rights]
    oid = "t.oid" if "oid" in catalog.columns else "''"
    links = _LINKS.get(catalog.name, {})
    always = [*(_value(catalog, name) for name in plain), _rights(catalog, rights), oid, *links.values()]
    definitions = _DEFINITIONS.get(catalog.name, {})
    source = f"FROM pg_catalog.{catalog.name} AS t WHERE ({_condition(catalog, fixed_below)})"

    def select(expressions: Sequence[str], only: str = "") -> list[tuple[str | None, ...]]:
        cursor.execute(f"SELECT {', '.join(f'CAST({item} AS text)' for item in expressions)} {source}{only}")
        return list(cursor.fetchall())

    def defined(only: str) -> list[tuple[str | None, ...]] | None:
        cursor.execute("SAVEPOINT definitions")
        try:
            records = select([*always, *definitions.values()], only)
        except psycopg2.Error:  # a row that something is missing for, which is named by that alone
            cursor.execute("ROLLBACK TO SAVEPOINT definitions")
            records = None
        cursor.execute("RELEASE SAVEPOINT definitions")
        return records

    records = defined("")
    if records is None:
        records = []
        for row in select([*always, "t.ctid"]):
            whole = defined(f" AND t.ctid = '{row[-1]}'")
            records += whole or [(*row[:-1], *(None for _ in definitions))]
    count = len(plain)
    rows = []
    for values in records:
        acl, own, rest = values[count], values[count + 1], values[count + 2 :]
        named = dict(zip((*plain, *definitions), (*values[:count], *rest[len(links) :]), strict=True))
        placed = {name: value for name, value in zip(links, rest, strict=False) if value is not None}
        rows.append(Row(own or "", named, placed, None if acl is None else json.loads(acl)))
    return rows


def _value(catalog: Catalog, column: str) -> str:
    return f"CAST(t.{column} AS oid)" if catalog.columns[column] == "regproc" else f"t.{column}"


def _rights(catalog: Catalog, column: str | None) -> str:
    if column is None:
        return "NULL"
    kept = f"t.{column}"
    if catalog.name in _DEFAULT_RIGHTS:
        kept = "coalesce({}, acldefault({}, {}))".format(kept, *_DEFAULT_RIGHTS[catalog.name])
    return f"to_json(CAST({kept} AS text[]))"


def _condition(catalog: Catalog, fixed_below: int) -> str:
    anchor = catalog.anchor
    conditions = []
    if catalog.columns[anchor] in ("oid", "regproc"):
        oid = f"CAST(t.{anchor} AS oid)"
        conditions.append(f"{oid} >= {fixed_below}")
        if catalog.name in _BY_INITDB:
            conditions.append(f"NOT ({oid} < {FIRST_NORMAL_OID} AND {_BY_INITDB[catalog.name]})")
    if catalog.name == "pg_attribute":
        conditions += ["t.attnum > 0", "NOT t.attisdropped"]
        conditions.append("(SELECT c.relkind FROM pg_class c WHERE c.oid = t.attrelid) NOT IN ('i', 'I', 't')")
    if catalog.name == "pg_subscription":
        conditions.append("t.subdbid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())")
    chosen = " AND ".join(conditions) or "true"
    return f"(({chosen}) OR t.oid = {PUBLIC_OID})" if catalog.name == "pg_namespace" else chosen
