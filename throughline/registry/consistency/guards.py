"""The database's own guards against what the migrations make: triggers, views, tables that are none.

Belongs here: naming the object that was changed, added or taken away, and looking at the right ones. Does not belong
here: putting it back; constraints and rights are files of their own.

Who rules the server can change all of it, look and put it back; then the seal log tells. But a guard that stands open
says that somebody opened it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module

from sqlalchemy import Connection, text

from throughline.findings import Finding
from throughline.registry.consistency.columns import foreign_columns, unusable_columns
from throughline.registry.consistency.constraints import bare, check_constraints
from throughline.registry.consistency.objects import FUNCTION, SCHEMA, relations, trigger_changed
from throughline.registry.consistency.rights import check_rights, unreadable
from throughline.storage.roles import ROLES, role_name
from throughline.storage.tables import APPEND_ONLY, LEDGER, metadata, view_name

_STATEMENT = 2 | 8 | 16 | 32  # BEFORE, DELETE, UPDATE, TRUNCATE; for each statement


def look_at_ours(connection: Connection) -> None:
    """Name the schema of the migrations for the rest of the transaction: nothing may stand before its tables."""
    found = connection.execute(text("SELECT pg_catalog.to_regclass(:name)"), {"name": f"{SCHEMA}.experiments"})
    if found.scalar() is not None:
        connection.execute(text(f"SET LOCAL search_path = {SCHEMA}, pg_temp"))


def check_readable(connection: Connection) -> list[Finding]:
    """Return a finding for each table or view that is not there, of other columns, or that whoever asks may not read.

    Where there is one, nothing else can be asked: the first question to such a table would end the transaction. For the
    rest of the transaction, tables are those of our schema (`look_at_ours`).
    """
    look_at_ours(connection)
    statement = text(
        "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE pg_catalog.to_regclass(name) IS NULL ORDER BY 1"
    )
    names = sorted({*metadata.tables, *(name for name, sort in relations().items() if sort != "sequence")})
    problem = "is missing: nothing that reads it can be checked"
    gone = connection.execute(statement, {"names": names}).scalars()
    findings = [trigger_changed("table", name, problem, "present", "none") for name in gone]
    return findings + unreadable(connection) + list(unusable_columns(connection))


def check_guards(connection: Connection, enforces_roles: bool) -> list[Finding]:
    """Return what is not as the migrations make it.

    enforces_roles: whether sessions take roles (`Database.enforces_roles`); without them there are no grants and owners
    to hold anything against, and only triggers, views and constraints are checked.
    """
    findings = [
        *_triggers(connection),
        *_function(connection),
        *_tables(connection),
        *_views(connection),
        *_shadows(connection),
        *check_constraints(connection),
        *foreign_columns(connection),
    ]
    return [*findings, *check_rights(connection)] if enforces_roles else findings


def _shadows(connection: Connection) -> Iterator[Finding]:
    """A schema named like a role comes before ours for that role's sessions."""
    statement = text(
        "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = ANY(:names)"
        " AND n.nspname IN (SELECT unnest(CAST(:roles AS text[])) UNION SELECT session_user) ORDER BY 1, 2"
    )
    told = {"names": sorted(relations()), "roles": [role_name(role) for role in ROLES]}
    for schema, name in connection.execute(statement, told):
        problem = f"stands before {SCHEMA}.{name} for sessions of {schema}"
        yield trigger_changed("table", f"{schema}.{name}", problem, "none", "a relation")


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
                yield trigger_changed("trigger", where, "a foreign key is not enforced", "enabled", "disabled")
            continue
        if guards.get(name) != table:
            yield trigger_changed("trigger", where, "no migration makes this trigger", "none", function)
            continue
        seen.add(name)
        if enabled != "A":
            word = {"D": "disabled", "O": "enabled", "R": "replica only"}.get(enabled, enabled)
            problem = "does not always fire: it must be enabled ALWAYS"
            yield trigger_changed("trigger", where, problem, "enabled always", word)
        if (function, kind, conditional) != (FUNCTION, _STATEMENT, False):
            problem = "fires another function, or at another time"
            expected = f"{FUNCTION} before update, delete or truncate, per statement"
            yield trigger_changed("trigger", where, problem, expected, f"{function}, type {kind}")
    for name in sorted(guards.keys() - seen):
        problem = "is missing: nothing refuses a change of this table"
        yield trigger_changed("trigger", f"{guards[name]}.{name}", problem, "enabled always", "none")


def _function(connection: Connection) -> Iterator[Finding]:
    statement = text(
        "SELECT p.prosrc, l.lanname, p.prosecdef, p.proconfig FROM pg_catalog.pg_proc p"
        " JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE p.proname = :name"
    )
    rows = connection.execute(statement, {"name": FUNCTION}).all()
    if len(rows) != 1:
        yield trigger_changed("function", FUNCTION, "there must be exactly one", 1, len(rows))
    for source, language, definer, settings in rows:
        if (source, language, definer, settings) != (_refusal(), "plpgsql", False, None):
            problem = "is not the function that the migrations make"
            yield trigger_changed("function", FUNCTION, problem, _refusal().strip(), source.strip())


def _tables(connection: Connection) -> Iterator[Finding]:
    """What could show a reader other rows than there are: rules, policies, tables that are none."""
    statement = text(
        "SELECT c.relname, c.relkind, c.relrowsecurity, c.relhassubclass,"
        " (SELECT string_agg(r.rulename, ', ') FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid)"
        " FROM pg_catalog.pg_class c WHERE c.oid = ANY(CAST(:tables AS regclass[])) ORDER BY 1"
    )
    for name, kind, secured, inherited, rules in connection.execute(statement, {"tables": list(metadata.tables)}):
        if kind != "r":
            yield trigger_changed("table", name, "is no plain table", "r", kind)
        if secured:
            yield trigger_changed("table", name, "hides rows by a policy", "no row security", "row security")
        if inherited:
            yield trigger_changed("table", name, "has tables that inherit from it", "none", "some")
        if rules:
            yield trigger_changed("rule", f"{name}.{rules}", "no migration makes this rule", "none", rules)


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
        if bare(actual) != bare(expected):
            problem = "shows other rows or columns than the migrations' view"
            yield trigger_changed("view", name, problem, expected, actual)
