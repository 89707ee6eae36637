"""Tampers of a database's own objects, generated from the snapshot of a pristine one: each object, each way.

Belongs here: what is done, and what must be named for it. Tampers of one batch touch different objects, so one
comparison names them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from throughline.integrity.database.naming import Key
from throughline.integrity.database.snapshot import Snapshot

Name = tuple[str, str]
"""Kind and name, as in a finding."""
REFUSE = "throughline_refuse_change"
NOTHING = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"


@dataclass(frozen=True)
class Tamper:
    """One change: its class, its statements, what must be named, and what may be besides."""

    kind: str
    statements: tuple[str, ...]
    named: frozenset[Name]
    besides: frozenset[Name] = frozenset()


def tamper(kind: str, named: Name | set[Name], *statements: str, besides: set[Name] | None = None) -> Tamper:
    """Return a tamper of which one name, or each of several, must be named."""
    return Tamper(kind, statements, frozenset({named} if isinstance(named, tuple) else named), frozenset(besides or ()))


@dataclass(frozen=True)
class Objects:
    """The objects of a pristine database, by what is done to them."""

    snapshot: Snapshot

    def names(self, kind: str) -> list[str]:
        """Return the names of a kind."""
        return sorted(name for found, name in self.snapshot.objects if found == kind)

    @property
    def tables(self) -> list[str]:
        """The tables that the migrations make, but for Alembic's own."""
        return [name for name in self.names("table") if name != "alembic_version"]

    def of(self, key: Key) -> dict[str, str]:
        """Return the properties of an object, '' for NULL."""
        return {name: value or "" for name, value in self.snapshot.objects[key].items()}

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table in their order."""
        found = [name for name in self.names("column") if name.rpartition(".")[0] == table]
        found.sort(key=lambda name: int(self.of(("column", name))["position"]))
        return [name.rpartition(".")[2] for name in found]

    def guards(self) -> Iterator[tuple[str, str]]:
        """Yield the append-only triggers as (table, name)."""
        for name in self.names("trigger"):
            if name.endswith("_append_only"):
                table, _, trigger = name.rpartition(".")
                yield table, trigger

    def constraints(self, types: str) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Yield (table, name, properties) of the constraints of some types (c, f, n, p)."""
        for name in self.names("constraint"):
            properties = self.of(("constraint", name))
            table, _, own = name.rpartition(".")
            if properties["contype"] in types and table in self.tables:
                yield table, own, properties

    def indexes(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Yield (table, name, properties) of the indexes that no constraint stands on."""
        for name in self.names("index"):
            table, _, own = name.rpartition(".")
            if table in self.tables and ("constraint", name) not in self.snapshot.objects:
                yield table, own, self.of(("index", name))

    def key_triggers(self) -> Iterator[tuple[str, str, str]]:
        """Yield (name in a finding, constraint, function's OID) of the foreign keys' own triggers."""
        for name in self.names("trigger"):
            properties = self.of(("trigger", name))
            if properties["tgisinternal"] == "true":
                yield name, properties["tgconstraint"], properties["tgfoid"]


def batches(objects: Objects) -> Iterator[list[Tamper]]:
    """Yield all tampers in groups whose members do not touch each other's objects."""
    groups = (_triggers, _key_triggers, _tables, _columns, _constraints, _indexes, _views, _grants, _sequences)
    for group in (*groups, _foreign_objects):
        yield from group(objects)
    yield from ([item] for item in _singles(objects))


def _triggers(objects: Objects) -> Iterator[list[Tamper]]:
    guards = list(objects.guards())
    when = "BEFORE UPDATE OR DELETE OR TRUNCATE"
    ways = {
        "disable": ("ALTER TABLE {table} DISABLE TRIGGER {name}",),
        "not as a replica": ("ALTER TABLE {table} ENABLE TRIGGER {name}",),
        "replica only": ("ALTER TABLE {table} ENABLE REPLICA TRIGGER {name}",),
        "drop": ("DROP TRIGGER {name} ON {table}",),
        "delete from the catalogue": (
            "DELETE FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND tgname = '{name}'",
        ),
        "disable in the catalogue": ("UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = '{name}'",),
        "other event in the catalogue": ("UPDATE pg_trigger SET tgtype = tgtype & ~16::int2 WHERE tgname = '{name}'",),
        "no-op of the same name": ("{drop}", f"CREATE TRIGGER {{name}} {when} {{each}} nothing()", "{always}"),
        "under a condition": (
            "{drop}",
            f"CREATE TRIGGER {{name}} {when} ON {{table}} FOR EACH STATEMENT WHEN (false) {{call}}",
            "{always}",
        ),
        "of one column": (
            "{drop}",
            "CREATE TRIGGER {name} BEFORE UPDATE OF {column} OR DELETE OR TRUNCATE {each} {refuse}()",
            "{always}",
        ),
        "after": ("{drop}", "CREATE TRIGGER {name} AFTER UPDATE OR DELETE OR TRUNCATE {each} {refuse}()", "{always}"),
        "not on delete": ("{drop}", "CREATE TRIGGER {name} BEFORE UPDATE OR TRUNCATE {each} {refuse}()", "{always}"),
        "per row": (
            "{drop}",
            "CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {call}",
            "{always}",
        ),
        "with an argument": ("{drop}", f"CREATE TRIGGER {{name}} {when} {{each}} {{refuse}}('x')", "{always}"),
    }
    for way, statements in ways.items():
        batch = []
        for table, name in guards:
            words = {
                "table": table,
                "name": name,
                "column": objects.columns(table)[-1],
                "refuse": REFUSE,
                "drop": f"DROP TRIGGER {name} ON {table}",
                "always": f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}",
                "each": f"ON {table} FOR EACH STATEMENT EXECUTE FUNCTION",
                "call": f"EXECUTE FUNCTION {REFUSE}()",
            }
            made = tuple(statement.format(**words) for statement in statements)
            batch.append(tamper(f"trigger: {way}", ("trigger", f"{table}.{name}"), *made))
        if "no-op" in way:
            batch.insert(0, tamper("function: foreign", ("function", "nothing"), NOTHING))
        yield batch
    yield [
        tamper(
            "trigger: renamed",
            {("trigger", f"{table}.{name}"), ("trigger", f"{table}.other")},
            f"ALTER TRIGGER {name} ON {table} RENAME TO other",
        )
        for table, name in guards
    ]
    yield [
        tamper("function: foreign", ("function", "nothing"), NOTHING),
        *(
            tamper(
                "trigger: foreign",
                ("trigger", f"{table}.added"),
                f"CREATE TRIGGER added BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION nothing()",
            )
            for table in objects.tables
        ),
    ]


def _key_triggers(objects: Objects) -> Iterator[list[Tamper]]:
    for way, statement in (
        ("delete", "DELETE FROM pg_trigger WHERE {where}"),
        ("disable", "UPDATE pg_trigger SET tgenabled = 'D' WHERE {where}"),
        ("no-op", "UPDATE pg_trigger SET tgfoid = 'suppress_redundant_updates_trigger'::regproc WHERE {where}"),
    ):
        batch = []
        for name, constraint, function in objects.key_triggers():
            table, _, own = constraint.rpartition(".")
            where = (
                f"tgfoid = {function} AND tgconstraint = (SELECT oid FROM pg_constraint WHERE conname = '{own}'"
                f" AND conrelid = '{table}'::regclass)"
            )
            changed = {("trigger", name)}
            if way == "no-op":  # it is called by its function
                changed.add(("trigger", f"{constraint} (1291)"))
            batch.append(tamper(f"foreign key's trigger: {way}", changed, statement.format(where=where)))
        if way == "no-op":  # two of one key would get one name
            yield [item for item in batch if any("check on insert" in name for _, name in item.named)]
        else:
            yield batch


def _tables(objects: Objects) -> Iterator[list[Tamper]]:
    for way, statement in {
        "row security": "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        "forced row security": "ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        "replica identity": "ALTER TABLE {table} REPLICA IDENTITY FULL",
        "options": "ALTER TABLE {table} SET (autovacuum_enabled = false)",
        "unlogged": "UPDATE pg_class SET relpersistence = 'u' WHERE oid = '{table}'::regclass",
        "no triggers": "UPDATE pg_class SET relhastriggers = false WHERE oid = '{table}'::regclass",
        "no indexes": "UPDATE pg_class SET relhasindex = false WHERE oid = '{table}'::regclass",
        "fewer checks": "UPDATE pg_class SET relchecks = relchecks + 1 WHERE oid = '{table}'::regclass",
        "another storage": "UPDATE pg_class SET relam = 0 WHERE oid = '{table}'::regclass",
        "another kind": "UPDATE pg_class SET relispopulated = false WHERE oid = '{table}'::regclass",
    }.items():
        yield [
            tamper(f"table: {way}", ("table", table), statement.format(table=table))
            for table in objects.tables
            if way != "no triggers" or objects.of(("table", table))["relhastriggers"] == "true"
        ]
    tables = objects.tables
    yield [
        tamper("rule: foreign", ("rule", f"{t}.quiet"), f"CREATE RULE quiet AS ON UPDATE TO {t} DO INSTEAD NOTHING")
        for t in tables
    ]
    yield [
        tamper("policy: foreign", ("policy", f"{t}.all"), f'CREATE POLICY "all" ON {t} USING (true)') for t in tables
    ]
    yield [
        tamper("inherits", {("table", t), ("table", f"of_{t}")}, f"CREATE TABLE of_{t} () INHERITS ({t})")
        for t in tables
    ]
    yield [
        tamper("owner", ("owner", t), f"ALTER TABLE {t} OWNER TO throughline_reader", besides=_grants_on(objects, t))
        for t in tables
    ]
    yield [
        tamper("column: foreign", ("column", f"{t}.note"), f"ALTER TABLE {t} ADD COLUMN note text DEFAULT 'x'")
        for t in tables
    ]
    yield [
        tamper(
            "column: generated",
            ("column", f"{t}.twice"),
            f"ALTER TABLE {t} ADD COLUMN twice text GENERATED ALWAYS AS ('x') STORED",
        )
        for t in tables
    ]
    yield [
        tamper("index: foreign", ("index", f"{t}.more"), f"CREATE INDEX more ON {t} ({objects.columns(t)[0]})")
        for t in tables[:1]
    ]
    yield [
        tamper("statistics: foreign", ("statistic ext", f"of_{t}"), f"CREATE STATISTICS of_{t} ON {a}, {b} FROM {t}")
        for t in tables
        for a, b, *_ in [[*objects.columns(t), ""]]
        if b
    ]
    yield [
        tamper("constraint: foreign", ("constraint", f"{t}.more"), f"ALTER TABLE {t} ADD CONSTRAINT more CHECK (true)")
        for t in tables
    ]
    views = objects.names("view")
    dropped = []
    for table in tables:
        keys = _pointing(objects, table)
        view = {("view", f"current_{table}")} & {("view", name) for name in views}
        dropped.append(tamper("table: dropped", {("table", table)} | keys | view, f"DROP TABLE {table} CASCADE"))
    yield from _apart(dropped)
    yield [
        tamper(
            "table: a view in its place",
            ("table", t),
            f"ALTER TABLE {t} RENAME TO of_{t}",
            f"CREATE VIEW {t} AS SELECT * FROM of_{t} WHERE false",
            besides=_anything_of(objects, t) | {("table", f"of_{t}"), ("type", f"of_{t}")},
        )
        for t in tables
        if f"current_{t}" in views
    ]


def _grants_on(objects: Objects, table: str) -> set[Name]:
    return {("grant", name) for name in objects.names("grant") if name.rpartition(".")[0] == table}


def _pointing(objects: Objects, table: str) -> set[Name]:
    """The foreign keys of other tables that point to a table."""
    return {
        ("constraint", f"{t}.{name}")
        for t, name, it in objects.constraints("f")
        if it["confrelid"] == table and t != table
    }


def _apart(tampers: list[Tamper]) -> Iterator[list[Tamper]]:
    """Yield tampers that touch one object only together, and the others one by one."""
    yield [item for item in tampers if len(item.named) == 1]
    yield from ([item] for item in tampers if len(item.named) > 1)


def _anything_of(objects: Objects, table: str) -> set[Name]:
    """Everything that has a table's name in its own or depends on it."""
    near = {(kind, name) for kind, name in objects.snapshot.objects if name.partition(".")[0] == table}
    return near | _pointing(objects, table) | {("view", f"current_{table}")}


def _columns(objects: Objects) -> Iterator[list[Tamper]]:
    viewed = {name.removeprefix("current_") for name in objects.names("view")}
    every = [(table, column) for table in objects.tables for column in objects.columns(table)]
    yield [
        tamper("column: renamed", ("column", f"{t}.{c}"), f'ALTER TABLE {t} RENAME COLUMN "{c}" TO x_{place}')
        for place, (t, c) in enumerate(every)
    ]
    yield [tamper("column: default", ("column", f"{t}.{c}"), _default(objects, t, c)) for t, c in every]
    yield [tamper("column: null", ("column", f"{t}.{c}"), _null(objects, t, c)) for t, c in every]
    for way, change in {
        "storage": "attstorage = CASE attstorage WHEN 'm' THEN 'e' ELSE 'm' END",
        "compression": "attcompression = 'l'",
        "length": "atttypmod = 77",
        "dropped": "attisdropped = true",
        "identity": "attidentity = CASE attidentity WHEN 'a' THEN 'd' ELSE 'a' END",
        "generated": "attgenerated = 's'",
    }.items():
        at = every if way != "dropped" else [(t, objects.columns(t)[-1]) for t in objects.tables]
        yield [
            tamper(
                f"column: {way} in the catalogue",
                ("column", f"{t}.{c}"),
                f"UPDATE pg_attribute SET {change} WHERE attrelid = '{t}'::regclass AND attname = '{c}'",
                besides=_left_of(objects, t, c) if way == "dropped" else None,
            )
            for t, c in at
        ]
    yield [
        tamper("column: options", ("column", f"{t}.{c}"), f'ALTER TABLE {t} ALTER "{c}" SET (n_distinct = 5)')
        for t, c in every
    ]
    yield [
        tamper(
            "column: right",
            ("grant", f"{t}.throughline_reader"),
            f'GRANT UPDATE ("{c}") ON {t} TO throughline_reader',
        )
        for t, c in every
    ]
    yield [
        tamper(
            "column: type",
            ("column", f"{t}.{c}"),
            f'ALTER TABLE {t} ALTER "{c}" TYPE varchar(4000)',
            besides=_of_column(objects, t, c),
        )
        for t, c in every
        if objects.of(("column", f"{t}.{c}"))["type"] == "text" and t not in viewed and not _in_key(objects, t, c)
    ]
    yield [
        tamper(
            "column: dropped",
            ("column", f"{table}.{last}"),
            f'ALTER TABLE {table} DROP COLUMN "{last}" CASCADE',
            besides=_of_column(objects, table, last) | {("view", f"current_{table}")},
        )
        for table in objects.tables
        for last in objects.columns(table)[-1:]
    ]


_VALUES = {
    "bigint": "1",
    "boolean": "true",
    "bytea": "''::bytea",
    "date": "'2020-01-01'",
    "integer": "1",
    "numeric": "1",
    "text": "'x'",
    "text[]": "'{}'::text[]",
    "timestamp with time zone": "'2020-01-01'",
    "uuid": "gen_random_uuid()",
}


def _default(objects: Objects, table: str, column: str) -> str:
    before = objects.of(("column", f"{table}.{column}"))
    if before["attidentity"]:
        return f'ALTER TABLE {table} ALTER "{column}" SET GENERATED BY DEFAULT'
    if before.get("default"):
        return f"ALTER TABLE {table} ALTER \"{column}\" SET DEFAULT '2020-01-01'"
    return f'ALTER TABLE {table} ALTER "{column}" SET DEFAULT {_VALUES[before["type"].partition("(")[0]]}'


def _null(objects: Objects, table: str, column: str) -> str:
    required = objects.of(("column", f"{table}.{column}"))["attnotnull"] == "true"
    return (
        f"UPDATE pg_attribute SET attnotnull = {not required} WHERE attrelid = '{table}'::regclass"
        f" AND attname = '{column}'"
    )


def _left_of(objects: Objects, table: str, column: str) -> set[Name]:
    """What is left of a column that only the catalogue calls dropped: its default, by its number, and its view."""
    numbers = {("column", f"{table}.{number}") for number in range(1, 40)}
    return _of_column(objects, table, column) | numbers | {("view", f"current_{table}")}


def _in_key(objects: Objects, table: str, column: str) -> bool:
    return any(column in it["conkey"].split(", ") for t, _, it in objects.constraints("fp") if t == table) or any(
        it["confrelid"] == table and column in it["confkey"].split(", ") for _, _, it in objects.constraints("f")
    )


def _of_column(objects: Objects, table: str, column: str) -> set[Name]:
    """What falls with a column or changes with its type."""
    found: set[Name] = set()
    for t, name, it in objects.constraints("cfpn"):
        if (t == table and column in it["conkey"].split(", ")) or (
            it["confrelid"] == table and column in it["confkey"].split(", ")
        ):
            found.add(("constraint", f"{t}.{name}"))
    for t, name, it in objects.indexes():
        if t == table and (column in it["indkey"].split(", ") or column in it["definition"]):
            found |= {("index", f"{t}.{name}"), ("constraint", f"{t}.{name}")}
    return found


def _constraints(objects: Objects) -> Iterator[list[Tamper]]:
    checks, keys = list(objects.constraints("c")), list(objects.constraints("f"))
    yield [_constraint("check: dropped", t, n, f"ALTER TABLE {t} DROP CONSTRAINT {n}") for t, n, _ in checks]
    yield [_constraint("foreign key: dropped", t, n, f"ALTER TABLE {t} DROP CONSTRAINT {n}") for t, n, _ in keys]
    for way, new in {
        "check: no-op": "CHECK (true)",
        "check: weaker": "CHECK (content_hash <> '')",
        "check: not for the rows there are": "CHECK (content_hash ~ '^[0-9a-f]{64}$') NOT VALID",
        "check: not enforced": "CHECK (content_hash ~ '^[0-9a-f]{64}$') NOT ENFORCED",
    }.items():
        yield [
            _constraint(way, t, n, f"ALTER TABLE {t} DROP CONSTRAINT {n}", f"ALTER TABLE {t} ADD CONSTRAINT {n} {new}")
            for t, n, _ in checks
        ]
    for way, more in {
        "foreign key: cascades": "ON DELETE CASCADE",
        "foreign key: deferred": "DEFERRABLE INITIALLY DEFERRED",
        "foreign key: not for the rows there are": "NOT VALID",
        "foreign key: not enforced": "NOT ENFORCED",
    }.items():
        yield [
            _constraint(
                way,
                t,
                n,
                f"ALTER TABLE {t} DROP CONSTRAINT {n}",
                f"ALTER TABLE {t} ADD CONSTRAINT {n} FOREIGN KEY ({it['conkey']}) REFERENCES {it['confrelid']} {more}",
            )
            for t, n, it in keys
        ]
    yield [
        _constraint(
            "constraint: unvalidated in the catalogue",
            t,
            n,
            _in_catalogue("pg_constraint", t, n, "convalidated = false"),
        )
        for t, n, _ in [*checks, *keys]
    ]
    yield [
        tamper(
            "constraint: renamed",
            {("constraint", f"{t}.{n}"), ("constraint", f"{t}.other_{place}")},
            f"ALTER TABLE {t} RENAME CONSTRAINT {n} TO other_{place}",
        )
        for place, (t, n, _) in enumerate([*checks, *keys])
    ]
    yield from _apart(
        [
            tamper(
                "primary key: dropped",
                {
                    ("constraint", f"{t}.{n}"),
                    *(("constraint", f"{o}.{k}") for o, k, it in keys if it["confrelid"] == t),
                },
                f"ALTER TABLE {t} DROP CONSTRAINT {n} CASCADE",
            )
            for t, n, _ in objects.constraints("p")
        ]
    )


def _constraint(kind: str, table: str, name: str, *statements: str) -> Tamper:
    return tamper(kind, ("constraint", f"{table}.{name}"), *statements)


def _in_catalogue(catalog: str, table: str, name: str, change: str) -> str:
    return f"UPDATE {catalog} SET {change} WHERE conrelid = '{table}'::regclass AND conname = '{name}'"


def _indexes(objects: Objects) -> Iterator[list[Tamper]]:
    found = list(objects.indexes())

    def name_of(table: str, name: str, properties: dict[str, str]) -> Name:
        return ("constraint" if properties["indisunique"] == "true" else "index", f"{table}.{name}")

    yield [tamper("index: dropped", name_of(t, n, it), f"DROP INDEX {n}") for t, n, it in found]
    for flag in ("indisvalid", "indisready", "indislive", "indimmediate"):
        change = f"UPDATE pg_index SET {flag} = false WHERE indexrelid = "
        yield [tamper(f"index: {flag}", name_of(t, n, it), f"{change}'{n}'::regclass") for t, n, it in found]
    yield [
        tamper(
            "index: other columns",
            name_of(t, n, it),
            f"DROP INDEX {n}",
            f"CREATE {'UNIQUE ' if it['indisunique'] == 'true' else ''}INDEX {n} ON {t} ({objects.columns(t)[-1]})",
        )
        for t, n, it in found
    ]
    yield [
        tamper(
            "index: of no rows",
            name_of(t, n, it),
            f"DROP INDEX {n}",
            f"{it['definition'].partition(' WHERE ')[0]} WHERE false",
        )
        for t, n, it in found
        if it["indpred"]
    ]
    yield [
        tamper(
            "primary key's index",
            ("constraint", f"{t}.{n}"),
            f"UPDATE pg_index SET indisready = false WHERE indexrelid = '{n}'::regclass",
        )
        for t, n, _ in objects.constraints("p")
    ]


def _views(objects: Objects) -> Iterator[list[Tamper]]:
    views = objects.names("view")
    for way, statement in {
        "no rows": "CREATE OR REPLACE VIEW {v} AS SELECT * FROM {t} WHERE false",
        "all corrections": "CREATE OR REPLACE VIEW {v} AS SELECT * FROM {t}",
        "with a barrier": "ALTER VIEW {v} SET (security_barrier = true)",
        "dropped": "DROP VIEW {v}",
        "disabled rule": 'ALTER TABLE {v} DISABLE RULE "_RETURN"',
    }.items():
        if way == "disabled rule":
            statement = "UPDATE pg_rewrite SET ev_enabled = 'D' WHERE ev_class = '{v}'::regclass"
        yield [tamper(f"view: {way}", ("view", v), statement.format(v=v, t=v.removeprefix("current_"))) for v in views]
    yield [
        tamper(
            "view: of a table with a like name",
            {("view", v), ("table", f"({v.removeprefix('current_')}")},
            f'CREATE TABLE "({v.removeprefix("current_")}" (LIKE {v.removeprefix("current_")})',
            f'CREATE OR REPLACE VIEW {v} AS SELECT * FROM "({v.removeprefix("current_")}" AS record WHERE NOT EXISTS'
            f" (SELECT 1 FROM {v.removeprefix('current_')} AS later WHERE later.supersedes = record.uuid)",
        )
        for v in views
    ]
    yield [
        tamper("rule of a view", ("rule", f"{v}.quiet"), f"CREATE RULE quiet AS ON INSERT TO {v} DO INSTEAD NOTHING")
        for v in views
    ]
    yield [tamper("view: owner", ("owner", v), f"ALTER VIEW {v} OWNER TO throughline_reader",
                  besides=_grants_on(objects, v)) for v in views]  # fmt: skip
    yield [
        tamper("view: renamed", {("view", v), ("view", f"of_{v}")}, f"ALTER VIEW {v} RENAME TO of_{v}") for v in views
    ]


def _grants(objects: Objects) -> Iterator[list[Tamper]]:
    relations = [*objects.tables, *objects.names("view"), "alembic_version"]
    roles = ("throughline_writer", "throughline_reader", "throughline_auditor")
    at = [(name, role) for name in relations for role in (*roles, "PUBLIC")]
    for right in ("TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"):
        yield [
            tamper(f"right: {right}", ("grant", f"{name}.{role}"), f"GRANT {right} ON {name} TO {role}")
            for name, role in at
        ]
    ours = [(name, role) for name in relations for role in roles]
    yield [
        tamper("right: passed on", ("grant", f"{n}.{role}"), f"GRANT SELECT ON {n} TO {role} WITH GRANT OPTION")
        for n, role in ours
    ]
    yield [
        tamper("right: taken", ("grant", f"{name}.{role}"), f"REVOKE SELECT ON {name} FROM {role}")
        for name, role in ours
    ]
    yield [
        tamper("sequence: right", ("grant", f"{s}.throughline_writer"), f"GRANT UPDATE ON {s} TO throughline_writer")
        for s in objects.names("sequence")
    ]


def _singles(objects: Objects) -> Iterator[Tamper]:
    """Yield tampers that touch what there is one of."""
    function = ("function", REFUSE)
    body = "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    yield tamper("function: no-op", function, f"CREATE OR REPLACE FUNCTION {REFUSE}() {body}")
    for change in (
        "SECURITY DEFINER",
        "STRICT",
        "IMMUTABLE",
        "LEAKPROOF",
        "PARALLEL SAFE",
        "COST 1",
        "SET search_path = elsewhere",
        "SET session_replication_role = replica",
    ):
        yield tamper(f"function: {change}", function, f"ALTER FUNCTION {REFUSE}() {change}")
    yield tamper("function: in the catalogue", function,
                 f"UPDATE pg_proc SET prosrc = 'BEGIN RETURN NULL; END' WHERE proname = '{REFUSE}'")  # fmt: skip
    yield tamper("function: owner", ("owner", REFUSE), f"ALTER FUNCTION {REFUSE}() OWNER TO throughline_reader",
                 besides={("grant", f"{REFUSE}.PUBLIC")})  # fmt: skip
    yield tamper("function: right", ("grant", f"{REFUSE}.PUBLIC"), f"REVOKE EXECUTE ON FUNCTION {REFUSE}() FROM PUBLIC")
    yield tamper("function: overloaded", ("function", f"{REFUSE}(integer)"),
                 f"CREATE FUNCTION {REFUSE}(integer) RETURNS integer LANGUAGE sql AS 'SELECT 1'")  # fmt: skip
    yield tamper("schema: owner", ("owner", "public"), "ALTER SCHEMA public OWNER TO throughline_writer")
    yield tamper("schema: right", ("grant", "public.PUBLIC"), "GRANT CREATE ON SCHEMA public TO PUBLIC")
    yield tamper("schema: foreign", ("schema", "other"), "CREATE SCHEMA other", "CREATE TABLE other.outcomes (id int)")
    yield tamper(
        "schema: before ours",
        {("schema", "throughline_auditor"), ("table", "throughline_auditor.outcomes")},
        "CREATE SCHEMA throughline_auditor",
        "CREATE TABLE throughline_auditor.outcomes (LIKE public.outcomes)",
    )
    yield from _event_triggers()


def _sequences(objects: Objects) -> Iterator[list[Tamper]]:
    sequences = objects.names("sequence")
    for change in ("INCREMENT 7", "CYCLE", "CACHE 9", "MAXVALUE 999999", "START 5"):
        yield [tamper(f"sequence: {change}", ("sequence", s), f"ALTER SEQUENCE {s} {change}") for s in sequences]
    tables = {s: s.removesuffix("_seq_seq") for s in sequences}
    yield [
        tamper("identity: by default", ("column", f"{t}.seq"), f"ALTER TABLE {t} ALTER seq SET GENERATED BY DEFAULT")
        for t in tables.values()
    ]
    yield [
        tamper(
            "identity: dropped", {("column", f"{t}.seq"), ("sequence", s)}, f"ALTER TABLE {t} ALTER seq DROP IDENTITY"
        )
        for s, t in tables.items()
    ]


def _event_triggers() -> Iterator[Tamper]:
    for event in ("login", "ddl_command_end", "sql_drop"):
        yield tamper("foreign event trigger", {("event trigger", "t"), ("function", "f")},
                     "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
                     f"CREATE EVENT TRIGGER t ON {event} EXECUTE FUNCTION f()")  # fmt: skip


def _foreign_objects(_: Objects) -> Iterator[list[Tamper]]:
    yield list(_new_objects())
    yield list(_new_actors())


def _new_objects() -> Iterator[Tamper]:
    for place, (kind, *statements) in enumerate(
        (
            ("table", "CREATE TABLE {} (id int)"),
            ("table", "CREATE UNLOGGED TABLE {} (id int)"),
            ("partitioned table", "CREATE TABLE {} (id int) PARTITION BY LIST (id)"),
            ("view", "CREATE VIEW {} AS SELECT 1 AS id"),
            ("materialized view", "CREATE MATERIALIZED VIEW {} AS SELECT 1 AS id"),
            ("sequence", "CREATE SEQUENCE {}"),
            ("composite type", "CREATE TYPE {} AS (id int)"),
            ("type", "CREATE TYPE {} AS ENUM ('a')"),
            ("type", "CREATE DOMAIN {} AS text"),
            ("type", "CREATE TYPE {} AS RANGE (SUBTYPE = text)"),
            ("collation", "CREATE COLLATION {} FROM \"C\""),
            ("ts dict", "CREATE TEXT SEARCH DICTIONARY {} (TEMPLATE = simple)"),
            ("ts config", "CREATE TEXT SEARCH CONFIGURATION {} (COPY = simple)"),
            ("opfamily", "CREATE OPERATOR FAMILY {} USING btree"),
            ("am", "CREATE ACCESS METHOD {} TYPE INDEX HANDLER bthandler"),
            ("publication", "CREATE PUBLICATION {} FOR ALL TABLES"),
            ("subscription", "CREATE SUBSCRIPTION {} CONNECTION 'host=x' PUBLICATION p WITH (connect = false)"),
            ("foreign data wrapper", "CREATE FOREIGN DATA WRAPPER {}"),
            ("foreign server", "CREATE FOREIGN DATA WRAPPER w", "CREATE SERVER {} FOREIGN DATA WRAPPER w"),
            ("conversion", "CREATE CONVERSION {} FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8"),
            ("language", "CREATE LANGUAGE {} HANDLER plpgsql_call_handler"),
            ("extension", "CREATE EXTENSION {0} SCHEMA pg_catalog"),
        )
    ):  # fmt: skip
        name = f"object_{place}"
        if kind == "extension":
            name = "pg_trgm"
        named = {"collation": f"{name}.-1", "opfamily": f"403.{name}", "subscription": f"{{database}}.{name}"}
        besides = {("foreign data wrapper", "w")} if kind == "foreign server" else set()
        written = [statement.format(name) for statement in statements]
        yield tamper(f"foreign {kind}", (kind, named.get(kind, name)), *written, besides=besides)
    yield tamper("foreign large object", {("large object", "777777")}, "SELECT lo_create(777777)")


def _new_actors() -> Iterator[Tamper]:
    yield tamper("foreign definer", ("function", "f(text)"),
                 "CREATE FUNCTION f(text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; END' SECURITY DEFINER",
                 "GRANT EXECUTE ON FUNCTION f(text) TO throughline_writer")  # fmt: skip
    yield tamper("foreign operator", {("operator", "public.~~~~(text,text)")},
                 "CREATE OPERATOR ~~~~ (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)")  # fmt: skip
    yield tamper("foreign cast", {("cast", "text as uuid")}, "CREATE CAST (text AS uuid) WITH INOUT AS IMPLICIT")
    yield tamper(
        "foreign aggregate", {("function", "a(bigint)")}, "CREATE AGGREGATE a(bigint) (SFUNC = int8pl, STYPE = bigint)"
    )
    yield tamper("foreign privileges", {("grant", "default privileges.throughline_writer")},
                 "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT UPDATE ON TABLES TO throughline_writer")  # fmt: skip
    yield tamper("foreign privileges of functions", {("grant", "default privileges.throughline_reader")},
                 "ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO throughline_reader",
                 besides={("grant", "default privileges.PUBLIC")})  # fmt: skip
    yield tamper("right to set", {("grant", "session_replication_role.throughline_writer")},
                 "GRANT SET ON PARAMETER session_replication_role TO throughline_writer")  # fmt: skip
    yield tamper("language: handler", {("language", "plpgsql")},
                 "UPDATE pg_language SET lanplcallfoid = 2299 WHERE lanname = 'plpgsql'")  # fmt: skip
    yield tamper("language: right", {("grant", "plpgsql.PUBLIC")}, "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
