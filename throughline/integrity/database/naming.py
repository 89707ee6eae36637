"""What a row of a system catalogue is called: kinds and names that are the same in every database.

Belongs here: names instead of OIDs, in keys, in properties and in the trees that PostgreSQL keeps of expressions.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from throughline.integrity.database.catalogs import FIRST_NORMAL_OID, Catalog
from throughline.integrity.database.reading import Row

Key = tuple[str, str]
"""Kind and name of an object."""
SCHEMA = "public"
"""Where the migrations create everything; names of other schemas are written."""

_RELATIONS = {
    "r": "table",
    "p": "partitioned table",
    "i": "index",
    "I": "index",
    "S": "sequence",
    "v": "view",
    "m": "materialized view",
    "c": "composite type",
    "f": "foreign table",
    "t": "toast table",
}
_KINDS = {
    "pg_attribute": "column",
    "pg_attrdef": "column",
    "pg_inherits": "inheritance",
    "pg_largeobject_metadata": "large object",
    "pg_namespace": "schema",
    "pg_proc": "function",
    "pg_rewrite": "rule",
}
_FOREIGN_KEY = {
    "1644": "check on insert",
    "1645": "check on update",
    "1646": "cascade on delete",
    "1647": "cascade on update",
    "1648": "restrict on delete",
    "1649": "restrict on update",
    "1650": "set null on delete",
    "1651": "set null on update",
    "1652": "set default on delete",
    "1653": "set default on update",
    "1654": "no action on delete",
    "1655": "no action on update",
}
"""Functions of a foreign key's own triggers, by their fixed OIDs (pg_proc.dat)."""
_PARENTS: Mapping[str, Sequence[tuple[str, str]]] = {
    "pg_amop": (("amopfamily", "pg_opfamily"),),
    "pg_amproc": (("amprocfamily", "pg_opfamily"),),
    "pg_attribute": (("attrelid", "pg_class"),),
    "pg_class": (
        ("index of", "pg_class"),
        ("toast of", "pg_class"),
        ("owned by", "pg_class"),
        ("relnamespace", "pg_namespace"),
    ),
    "pg_constraint": (("conrelid", "pg_class"), ("contypid", "pg_type")),
    "pg_enum": (("enumtypid", "pg_type"),),
    "pg_inherits": (("inhrelid", "pg_class"),),
    "pg_policy": (("polrelid", "pg_class"),),
    "pg_opclass": (("opcfamily", "pg_opfamily"),),
    "pg_proc": (("pronamespace", "pg_namespace"),),
    "pg_publication_namespace": (("pnpubid", "pg_publication"),),
    "pg_publication_rel": (("prpubid", "pg_publication"),),
    "pg_rewrite": (("ev_class", "pg_class"),),
    "pg_ts_config_map": (("mapcfg", "pg_ts_config"),),
    "pg_statistic_ext": (("stxrelid", "pg_class"),),
    "pg_trigger": (("tgconstraint", "pg_constraint"), ("tgrelid", "pg_class")),
    "pg_type": (("typrelid", "pg_class"), ("typelem", "pg_type"), ("typnamespace", "pg_namespace")),
}
_PLACES = re.compile(r" :(?:location|stmt_location|stmt_len|list_start|list_end) -?\d+")
_NUMBER = re.compile(r"(?<![\d.])\d{5,}(?![\d.])")
_TOAST = re.compile(r"\bpg_toast_(\d+)")


class Names:
    """Names of the rows of one reading.

    Args:
        catalogs: the catalogues by name.
        rows: their rows.
        server: names of roles, databases, tablespaces and schemas, by catalogue and OID.
        members: catalogue and OID of what an object came with, by its own and how it depends on that (e: on an
            extension that brought it, i: internally).
    """

    def __init__(
        self,
        catalogs: Mapping[str, Catalog],
        rows: Mapping[str, Sequence[Row]],
        server: Mapping[Key, str],
        members: Mapping[tuple[str, str, str], Key],
    ) -> None:
        self._members = members
        self._catalogs = catalogs
        self._rows = {(name, row.oid): row for name, entries in rows.items() for row in entries if row.oid}
        self._names = dict(server)
        self._keys: dict[Key, Key] = {}
        self._columns = {
            (str(row.values["attrelid"]), str(row.values["attnum"])): str(row.values["attname"])
            for row in rows["pg_attribute"]
        }
        self._known = {oid: self.of(name, oid) for name, oid in self._rows if int(oid) >= FIRST_NORMAL_OID}

    def of(self, catalog: str, oid: str) -> str:
        """Return the name of what an OID points to; the OID itself where it is that of a fixed object."""
        if oid in ("0", ""):
            return "PUBLIC" if catalog == "pg_authid" else ""
        if (catalog, oid) not in self._names:
            self._names[catalog, oid] = oid  # an end to circles of damaged rows
            key = self._key_of(catalog, oid)
            if key is not None:
                self._names[catalog, oid] = key[1]
        return self._names[catalog, oid]

    def key(self, catalog: Catalog, row: Row) -> Key:
        """Return the object that a row describes, which may be one of another catalogue."""
        if len(catalog.key) == 1 and catalog.key[0] in catalog.references:  # pg_index, pg_sequence, pg_foreign_table
            target = self._key_of(catalog.references[catalog.key[0]], str(row.values[catalog.key[0]]))
            return target or self._own(catalog, row)
        return self._key_of(catalog.name, row.oid) or self._own(catalog, row)

    def parent(self, catalog: Catalog, row: Row) -> Key | None:
        """Return the object that a row's object falls with, None where there is none."""
        for way in ("e", "i"):
            above = self._members.get((catalog.name, row.oid, way))
            whole = None if above is None else self._key_of(*above)
            if way == "e" and whole is not None:
                return whole
        for link, name in _PARENTS.get(catalog.name, ()):
            if name == "pg_namespace" and whole is not None and catalog.name != "pg_class":
                break
            oid = str(row.links.get(link) or row.values.get(link) or "").partition(" ")[0]
            target = self._key_of(name, oid)
            if target is not None:
                return target
        return whole

    def value(self, catalog: Catalog, row: Row, column: str) -> str | None:
        """Return a property of a row, with names where the catalogue has OIDs or numbers of columns."""
        value = row.values[column]
        if value is None or (column == "tgname" and row.values["tgisinternal"] == "true"):  # that name ends in an OID
            return None
        if column in catalog.references:
            target = catalog.references[column]
            if value.isdigit():
                return self.of(target, value)
            return ", ".join(self.of(target, oid) for oid in re.findall(r"\d+", value))
        if column in catalog.attributes:
            relation = str(row.values[catalog.attributes[column]])
            numbers = re.findall(r"-?\d+", value)
            return ", ".join(self._columns.get((relation, number), number) for number in numbers)
        if catalog.columns.get(column) == "pg_node_tree":
            return self._tree(value)
        if column in ("relname", "definition"):
            return _TOAST.sub(lambda match: f"toast of {self.of('pg_class', match[1])}", value)
        return value

    def owned_by(self, row: Row) -> str | None:
        """Return the column that a sequence belongs to, and how (a: automatically, i: as its identity)."""
        if "owned by" not in row.links:
            return None
        relation, number, how = row.links["owned by"].split(" ")
        return f"{self.of('pg_class', relation)}.{self._columns.get((relation, number), number)} ({how})"

    def owner(self, catalog: Catalog, row: Row) -> str | None:
        """Return the role that owns a row's object; a column's is that of its table."""
        if catalog.name == "pg_attribute":
            table = self._rows.get(("pg_class", str(row.values["attrelid"])))
            return None if table is None else self.of("pg_authid", str(table.values["relowner"]))
        if catalog.name == "pg_parameter_acl":
            return self.of("pg_authid", "10")
        owners = [column for column, target in catalog.references.items() if target == "pg_authid"]
        return self.of("pg_authid", str(row.values[owners[0]])) if owners else None

    def _key_of(self, catalog: str, oid: str) -> Key | None:
        """Return the object with an OID of its own, None where it is a fixed one or there is none."""
        if (catalog, oid) not in self._keys:
            row = self._rows.get((catalog, oid))
            if row is None:
                return None
            self._keys[catalog, oid] = self._own(self._catalogs[catalog], row)
        return self._keys[catalog, oid]

    def _own(self, catalog: Catalog, row: Row) -> Key:
        name, values = catalog.name, row.values
        kind = _KINDS.get(name, name.removeprefix("pg_").replace("_", " "))
        if name == "pg_class":
            return self._relation(row)
        if name == "pg_attrdef":
            relation, number = str(values["adrelid"]), str(values["adnum"])
            return kind, f"{self.of('pg_class', relation)}.{self._columns.get((relation, number), number)}"
        if name == "pg_trigger" and values["tgisinternal"] == "true" and values["tgconstraint"] != "0":
            what = _FOREIGN_KEY.get(str(values["tgfoid"]), str(values["tgfoid"]))
            return kind, f"{self.of('pg_constraint', str(values['tgconstraint']))} ({what})"
        if name == "pg_rewrite" and values["rulename"] == "_RETURN":
            return "view", self.of("pg_class", str(values["ev_class"]))
        if name in ("pg_operator", "pg_cast") and values.get("signature"):
            return kind, str(values["signature"])
        if not catalog.key:
            return kind, row.oid or json.dumps(values, sort_keys=True)
        own = {column: values[column] or "" for column in catalog.key if column not in catalog.references}
        if name == "pg_proc":
            arguments = values.get("arguments") or values["proargtypes"]
            own = {"proname": f"{values['proname']}({arguments})" if arguments else str(values["proname"])}
        above = [
            self.of(catalog.references[column], oid)
            for column in catalog.key
            if column in catalog.references and (name, column) != ("pg_proc", "proargtypes")
            for oid in re.findall(r"\d+", values[column] or "")
        ]
        if name != "pg_namespace":
            above = [part for part in above if part not in ("", SCHEMA)]
        return kind, ".".join([*above, *own.values()])

    def _relation(self, row: Row) -> Key:
        kind = _RELATIONS.get(str(row.values["relkind"]), "relation")
        if "toast of" in row.links:
            return kind, f"toast of {self.of('pg_class', row.links['toast of'])}"
        if "index of" in row.links:
            table = self.of("pg_class", row.links["index of"])
            return kind, f"{table}.{'index' if table.startswith('toast of ') else row.values['relname']}"
        schema = self.of("pg_namespace", str(row.values["relnamespace"]))
        return kind, str(row.values["relname"]) if schema == SCHEMA else f"{schema}.{row.values['relname']}"

    def _tree(self, tree: str) -> str:
        """Return a hash of an expression as the server keeps it, without places in a text and with names for OIDs."""
        plain = _NUMBER.sub(lambda match: self._known.get(match[0], match[0]), _PLACES.sub("", tree))
        return f"tree {hashlib.sha256(plain.encode()).hexdigest()[:16]}"
