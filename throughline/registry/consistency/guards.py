"""The database's own guards against what the migrations make: triggers, constraints, owners, grants.

Belongs here: naming the object that was changed, added or taken away. Does not belong here: putting it back.

Who rules the server can change all of it, look and put it back; then the seal log tells. But a guard that stands open
says that somebody opened it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module

from sqlalchemy import Connection, Constraint, text

from throughline.findings import Finding, FindingKind
from throughline.storage.roles import ROLES, role_name
from throughline.storage.tables import APPEND_ONLY, LEDGER, MUTABLE, metadata, view_name

FUNCTION = "throughline_refuse_change"
_STATEMENT = 2 | 8 | 16 | 32  # BEFORE, DELETE, UPDATE, TRUNCATE; for each statement
_READ = frozenset(("SELECT",))
_WRITE = frozenset(("SELECT", "INSERT"))
_CHANGE = frozenset(("SELECT", "INSERT", "UPDATE", "DELETE"))
_MIGRATE = "run the migrations' statement for it again as the owner, after finding out who changed it"
_GRANT = "take it back or give it again as `throughline.storage.roles.grant_rights` does"


def _found(
    kind: FindingKind, what: str, name: str, problem: str, expected: object = None, actual: object = None
) -> Finding:
    repair = _GRANT if kind == "grant_changed" else _MIGRATE
    told = [None if value is None else str(value) for value in (expected, actual)]
    return Finding(what, name, problem, kind, told[0], told[1], repair)


def check_tables(connection: Connection) -> list[Finding]:
    """Return a finding for each table or view that is not there at all."""
    names = list(metadata.tables) + list(_relations())
    statement = text(
        "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE pg_catalog.to_regclass(name) IS NULL"
    )
    gone = sorted(set(connection.execute(statement, {"names": names}).scalars()))
    problem = "is missing: nothing else can be checked"
    return [_found("trigger_changed", "table", name, problem, "present", "none") for name in gone]


def check_guards(connection: Connection, enforces_roles: bool) -> list[Finding]:
    """Return what is not as the migrations make it.

    enforces_roles: whether sessions take roles (`Database.enforces_roles`); without them there are no grants and owners
    to hold anything against, and only triggers and constraints are checked.
    """
    findings = [
        *_triggers(connection),
        *_function(connection),
        *_tables(connection),
        *_views(connection),
        *_constraints(connection),
    ]
    if enforces_roles:
        findings += [*_owners(connection), *_grants(connection), *_roles(connection)]
    return findings


@cache
def _refusal() -> str:
    """Return the body of the function that refuses changes, as the first migration makes it."""
    statement: str = import_module("throughline.storage.migrations.versions.0001_ledger").REFUSE
    return statement.split("$$")[1]


def _triggers(connection: Connection) -> Iterator[Finding]:
    rows = connection.execute(
        text(
            "SELECT c.relname, t.tgname, t.tgenabled, t.tgtype, t.tgisinternal, p.proname, t.tgqual IS NOT NULL"
            " FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid"
            " JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid"
            " WHERE c.oid = ANY(CAST(:tables AS regclass[])) ORDER BY 1, 2"
        ),
        {"tables": list(metadata.tables)},
    ).all()
    guards = {f"{table.name}_append_only": table.name for table in APPEND_ONLY}
    seen = set()
    for table, name, enabled, kind, internal, function, conditional in rows:
        where = f"{table}.{name}"
        if internal:
            if enabled == "D":
                yield _found(
                    "trigger_changed", "trigger", where, "a foreign key is not enforced", "enabled", "disabled"
                )
            continue
        if guards.get(name) != table:
            yield _found("trigger_changed", "trigger", where, "no migration makes this trigger", "none", function)
            continue
        seen.add(name)
        if enabled != "A":
            word = {"D": "disabled", "O": "enabled", "R": "replica only"}.get(enabled, enabled)
            problem = "does not always fire: it must be enabled ALWAYS"
            yield _found("trigger_changed", "trigger", where, problem, "enabled always", word)
        if (function, kind, conditional) != (FUNCTION, _STATEMENT, False):
            problem = "fires another function, or at another time"
            expected = f"{FUNCTION} before update, delete or truncate, per statement"
            yield _found("trigger_changed", "trigger", where, problem, expected, f"{function}, type {kind}")
    for name in sorted(guards.keys() - seen):
        problem = "is missing: nothing refuses a change of this table"
        yield _found("trigger_changed", "trigger", f"{guards[name]}.{name}", problem, "enabled always", "none")


def _function(connection: Connection) -> Iterator[Finding]:
    statement = text(
        "SELECT p.prosrc, l.lanname, p.prosecdef, p.proconfig FROM pg_catalog.pg_proc p"
        " JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE p.proname = :name"
    )
    rows = connection.execute(statement, {"name": FUNCTION}).all()
    if len(rows) != 1:
        yield _found("trigger_changed", "function", FUNCTION, "there must be exactly one", 1, len(rows))
    for source, language, definer, settings in rows:
        if (source, language, definer, settings) != (_refusal(), "plpgsql", False, None):
            problem = "is not the function that the migrations make"
            yield _found("trigger_changed", "function", FUNCTION, problem, _refusal().strip(), source.strip())


def _tables(connection: Connection) -> Iterator[Finding]:
    """What could show a reader other rows than there are: rules, policies, tables that are none."""
    statement = text(
        "SELECT c.relname, c.relkind, c.relrowsecurity, c.relhassubclass,"
        " (SELECT string_agg(r.rulename, ', ') FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid)"
        " FROM pg_catalog.pg_class c WHERE c.oid = ANY(CAST(:tables AS regclass[])) ORDER BY 1"
    )
    for name, kind, secured, inherited, rules in connection.execute(statement, {"tables": list(metadata.tables)}):
        if kind != "r":
            yield _found("trigger_changed", "table", name, "is no plain table", "r", kind)
        if secured:
            yield _found("trigger_changed", "table", name, "hides rows by a policy", "no row security", "row security")
        if inherited:
            yield _found("trigger_changed", "table", name, "has tables that inherit from it", "none", "some")
        if rules:
            yield _found("trigger_changed", "rule", f"{name}.{rules}", "no migration makes this rule", "none", rules)


def _views(connection: Connection) -> Iterator[Finding]:
    """The views of what is current show every column, and of every row that is not corrected."""
    tables = {view_name(table): table for table in LEDGER}
    statement = text(
        "SELECT name, pg_catalog.pg_get_viewdef(name::regclass) FROM unnest(CAST(:names AS text[])) AS name"
    )
    for name, actual in connection.execute(statement, {"names": sorted(tables)}):
        table = tables[name]
        columns = ",".join(column.name for column in table.columns)
        later = f"SELECT 1 FROM {table.name} later WHERE later.supersedes = uuid"
        expected = f"SELECT {columns} FROM {table.name} record WHERE NOT EXISTS {later};"
        if _bare(actual) != _bare(expected):
            problem = "shows other rows or columns than the migrations' view"
            yield _found("trigger_changed", "view", name, problem, expected, actual)


def _bare(query: str) -> str:
    """Return a query without blanks, brackets and the alias, which versions of PostgreSQL set differently."""
    return re.sub(r"[\s()\"]", "", query.replace("record.", ""))


def _constraints(connection: Connection) -> Iterator[Finding]:
    expected: dict[tuple[str, str], str] = {}
    for table in metadata.tables.values():
        for constraint in table.constraints:
            name = _name(constraint)
            if name:
                expected[table.name, name] = type(constraint).__name__
        expected |= {(table.name, str(index.name)): "Index" for index in table.indexes if index.unique}
    statement = text(
        "SELECT conrelid::regclass::text, conname, convalidated FROM pg_catalog.pg_constraint"
        " WHERE conrelid = ANY(CAST(:tables AS regclass[]))"
        " UNION ALL SELECT indrelid::regclass::text, indexrelid::regclass::text, indisvalid AND indisunique"
        " FROM pg_catalog.pg_index WHERE indrelid = ANY(CAST(:tables AS regclass[]))"
    )
    found: Mapping[tuple[str, str], bool] = {
        (row[0], row[1]): row[2] for row in connection.execute(statement, {"tables": list(metadata.tables)})
    }
    for key in sorted(expected):
        if not found.get(key, False):
            word = "is not valid" if key in found else "is missing"
            problem = f"{word}: rows that it would refuse can be written"
            yield _found(
                "trigger_changed", "constraint", ".".join(key), problem, expected[key], word.removeprefix("is ")
            )


def _name(constraint: Constraint) -> str | None:
    return None if constraint.name is None else str(constraint.name)


def _relations() -> dict[str, str]:
    """Return name -> 'append_only', 'mutable' or 'view' of everything that grants are given on."""
    names = {table.name: "append_only" for table in APPEND_ONLY} | {table.name: "mutable" for table in MUTABLE}
    return names | {view_name(table): "view" for table in LEDGER} | {"alembic_version": "view"}


def _owners(connection: Connection) -> Iterator[Finding]:
    owner = role_name("owner")
    statement = text(
        "SELECT relname, pg_catalog.pg_get_userbyid(relowner) FROM pg_catalog.pg_class"
        " WHERE oid = ANY(CAST(:names AS regclass[])) ORDER BY 1"
    )
    for name, actual in connection.execute(statement, {"names": list(_relations())}):
        if actual != owner:
            yield _found("grant_changed", "owner", name, f"belongs to {actual}", owner, actual)
    function = text("SELECT pg_catalog.pg_get_userbyid(proowner) FROM pg_catalog.pg_proc WHERE proname = :name")
    for actual in connection.execute(function, {"name": FUNCTION}).scalars():
        if actual != owner:
            yield _found("grant_changed", "owner", FUNCTION, f"belongs to {actual}", owner, actual)


def _grants(connection: Connection) -> Iterator[Finding]:
    owner = role_name("owner")
    rights = {"append_only": _WRITE, "mutable": _CHANGE, "view": _READ}
    relations = _relations()
    statement = text(
        "SELECT c.relname, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,"
        " a.privilege_type, a.is_grantable, s.columns FROM pg_catalog.pg_class c CROSS JOIN LATERAL ("
        "  SELECT c.relacl AS acl, CAST(NULL AS text) AS columns WHERE c.relacl IS NOT NULL"
        "  UNION ALL SELECT attacl, attname::text FROM pg_catalog.pg_attribute"
        "  WHERE attrelid = c.oid AND attacl IS NOT NULL AND NOT attisdropped) AS s"
        " CROSS JOIN LATERAL pg_catalog.aclexplode(s.acl) AS a"
        " WHERE c.oid = ANY(CAST(:names AS regclass[]))"
    )
    held: dict[tuple[str, str], set[str]] = {}
    for name, grantee, right, grantable, column in connection.execute(statement, {"names": list(relations)}):
        if grantee == owner:
            continue
        wide = right if column is None else f"{right} ({column})"
        held.setdefault((name, grantee), set()).add(wide + (" with grant option" if grantable else ""))
    for name, kind in relations.items():
        for role in ("writer", "reader", "auditor"):
            expected = rights[kind] if role == "writer" else _READ
            actual = held.pop((name, role_name(role)), set())
            if actual != expected:
                yield _grant_finding(name, role_name(role), expected, actual)
    for (name, grantee), actual in sorted(held.items()):
        yield _grant_finding(name, grantee, frozenset(), actual)


def _grant_finding(name: str, grantee: str, expected: frozenset[str], actual: set[str]) -> Finding:
    extra, lacks = sorted(actual - expected), sorted(expected - actual)
    words = [f"may {', '.join(extra)}"] if extra else []
    words += [f"may not {', '.join(lacks)}"] if lacks else []
    problem = f"{grantee} {' and '.join(words)}, other than the migrations grant"
    told = [", ".join(sorted(rights)) or "nothing" for rights in (expected, actual)]
    return _found("grant_changed", "grant", f"{name}.{grantee}", problem, *told)


def _roles(connection: Connection) -> Iterator[Finding]:
    """Our roles have no powers of their own and are no members of each other."""
    names = [role_name(role) for role in ROLES]
    statement = text(
        "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_catalog.pg_roles"
        " WHERE rolname = ANY(:names) ORDER BY 1"
    )
    powers = ("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS")
    found = set()
    for name, *flags in connection.execute(statement, {"names": names}):
        found.add(name)
        given = [power for power, flag in zip(powers, flags, strict=True) if flag]
        if given:
            problem = f"has the powers {', '.join(given)}"
            yield _found("grant_changed", "role", name, problem, "none", ", ".join(given))
    for name in sorted(set(names) - found):
        yield _found("grant_changed", "role", name, "does not exist", name, "none")
    members = text(
        "SELECT g.rolname, m.rolname FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid = a.roleid"
        " JOIN pg_catalog.pg_roles m ON m.oid = a.member WHERE m.rolname = ANY(:names) ORDER BY 1, 2"
    )
    for group, member in connection.execute(members, {"names": names}):
        problem = f"{member} may act as {group}"
        yield _found("grant_changed", "role", f"{group}.{member}", problem, "no membership", f"member of {group}")
