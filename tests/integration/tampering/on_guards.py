"""Tampers of the database's own guards: triggers, constraints, rules, owners, grants, roles.

Each leaves the rows as they are: what is found is the open door.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.tampering.attacker import Attacker
from throughline.storage.roles import role_name
from throughline.storage.tables import APPEND_ONLY, LEDGER, MUTABLE, view_name

FUNCTION = "throughline_refuse_change"
_ROLES = tuple(role_name(role) for role in ("writer", "reader", "auditor"))
_KEY_TRIGGERS = {
    "RI_FKey_check_ins": "check on insert",
    "RI_FKey_check_upd": "check on update",
    "RI_FKey_noaction_del": "no action on delete",
    "RI_FKey_noaction_upd": "no action on update",
}
_WHEN = "BEFORE UPDATE OR DELETE OR TRUNCATE"


def grant_or_trigger(attacker: Attacker) -> None:
    """One guard changed, taken away or added."""
    attacker.random.choice(_TRIGGERS if attacker.random.random() < 0.5 else _GRANTS)(attacker)
    attacker.leave()


def _do(attacker: Attacker, kind: str, name: str, found: str, *statements: str) -> None:
    for statement in statements:
        attacker.note(statement)
        attacker.sql(statement.replace("%", "%%"))
    attacker.trace.primary[kind, name] = frozenset((found,))


def _table(attacker: Attacker) -> str:
    return attacker.random.choice(APPEND_ONLY).name


def _guard(attacker: Attacker, *statements: str) -> None:
    table = _table(attacker)
    name = f"{table}_append_only"
    told = [item.format(table=table, name=name, when=_WHEN, function=FUNCTION) for item in statements]
    _do(attacker, "trigger", f"{table}.{name}", "trigger_changed", *told)


def _weaker(attacker: Attacker) -> None:
    how = attacker.random.choice(("DISABLE", "ENABLE", "ENABLE REPLICA"))
    _guard(attacker, f"ALTER TABLE {{table}} {how} TRIGGER {{name}}")


def _dropped(attacker: Attacker) -> None:
    _guard(attacker, "DROP TRIGGER {name} ON {table}")


def _made_again(attacker: Attacker) -> None:
    """A trigger of the same name that fires at another time, on less, or something else."""
    start, end = "CREATE TRIGGER {name}", "EXECUTE FUNCTION {function}()"
    nothing = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    new = attacker.random.choice(
        (
            f"{start} AFTER UPDATE OR DELETE OR TRUNCATE ON {{table}} FOR EACH STATEMENT {end}",
            f"{start} BEFORE UPDATE OR TRUNCATE ON {{table}} FOR EACH STATEMENT {end}",
            f"{start} {{when}} ON {{table}} FOR EACH STATEMENT WHEN (false) {end}",
            f"{start} BEFORE UPDATE OR DELETE ON {{table}} FOR EACH ROW {end}",
            f"{nothing}; {start} {{when}} ON {{table}} FOR EACH STATEMENT EXECUTE FUNCTION nothing()",
        )
    )
    if nothing in new:
        attacker.trace.things.add(("function", "nothing"))
    _guard(attacker, "DROP TRIGGER {name} ON {table}", new, "ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def _renamed(attacker: Attacker) -> None:
    table = _table(attacker)
    name = f"{table}_append_only"
    attacker.trace.things.add(("trigger", f"{table}.other"))
    _do(attacker, "trigger", f"{table}.{name}", "trigger_changed", f"ALTER TRIGGER {name} ON {table} RENAME TO other")


def _added(attacker: Attacker) -> None:
    table = _table(attacker)
    make = "CREATE FUNCTION change_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    attacker.trace.things.add(("function", "change_it"))
    add = f"CREATE TRIGGER added BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION change_it()"
    _do(attacker, "trigger", f"{table}.added", "trigger_changed", make, add)


def _other_function(attacker: Attacker) -> None:
    change = attacker.random.choice(
        (
            f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            f"ALTER FUNCTION {FUNCTION}() SECURITY DEFINER",
            f"ALTER FUNCTION {FUNCTION}() SET search_path = elsewhere",
        )
    )
    _do(attacker, "function", FUNCTION, "trigger_changed", change)


def _rule(attacker: Attacker) -> None:
    table = _table(attacker)
    what = attacker.random.choice(("INSERT", "UPDATE", "DELETE"))
    make = f"CREATE RULE quiet AS ON {what} TO {table} DO INSTEAD NOTHING"
    _do(attacker, "rule", f"{table}.quiet", "trigger_changed", make)


def _hidden(attacker: Attacker) -> None:
    table = _table(attacker)
    attacker.trace.things.add(("policy", f"{table}.all_of_them"))
    policy = f"CREATE POLICY all_of_them ON {table} USING (true)"
    _do(attacker, "table", table, "trigger_changed", f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", policy)


def _inherited(attacker: Attacker) -> None:
    table = _table(attacker)
    attacker.trace.things.add(("table", "more_of_it"))
    _do(attacker, "table", table, "trigger_changed", f"CREATE TABLE more_of_it () INHERITS ({table})")


def _constraint_gone(attacker: Attacker) -> None:
    kind = attacker.random.choice("fcu")
    if kind == "u":
        table = attacker.random.choice(LEDGER).name
        name = f"uq_{table}_supersedes"
        statement = f"DROP INDEX {name}"
    else:
        query = (
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = %s AND"
            " connamespace = 'public'::regnamespace AND conname !~ 'alembic' ORDER BY 1, 2"
        )
        table, name = attacker.random.choice(attacker.sql(query, kind).all())
        statement = f"ALTER TABLE {table} DROP CONSTRAINT {name}"
    _do(attacker, "constraint", f"{table}.{name}", "trigger_changed", statement)


def _constraint_weaker(attacker: Attacker) -> None:
    """A check under the old name that was not held against the rows there are."""
    table = attacker.random.choice(LEDGER).name
    name = f"ck_{table}_content_hash"
    new = f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK (content_hash ~ '^[0-9a-f]{{64}}$') NOT VALID"
    _do(
        attacker, "constraint", f"{table}.{name}", "trigger_changed", f"ALTER TABLE {table} DROP CONSTRAINT {name}", new
    )


def _foreign_key_off(attacker: Attacker) -> None:
    query = (
        "SELECT t.tgrelid::regclass::text, t.tgname, c.conrelid::regclass || '.' || c.conname, p.proname"
        " FROM pg_trigger t JOIN pg_constraint c ON c.oid = t.tgconstraint JOIN pg_proc p ON p.oid = t.tgfoid"
        " WHERE t.tgisinternal AND c.connamespace = 'public'::regnamespace ORDER BY 1, 3, 4"
    )
    table, name, constraint, function = attacker.random.choice(attacker.sql(query).all())
    statement = f'ALTER TABLE {table} DISABLE TRIGGER "{name}"'
    _do(attacker, "trigger", f"{constraint} ({_KEY_TRIGGERS[function]})", "trigger_changed", statement)


def _view(attacker: Attacker) -> None:
    """A view that leaves rows out."""
    table = attacker.random.choice(LEDGER)
    name = view_name(table)
    made = f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM {table.name} WHERE false"
    _do(attacker, "view", name, "trigger_changed", made)


def _relation(attacker: Attacker) -> str:
    tables = [table.name for table in (*APPEND_ONLY, *MUTABLE)]
    return attacker.random.choice((*tables, *(view_name(table) for table in LEDGER)))


def _granted(attacker: Attacker) -> None:
    table = _table(attacker)
    role = attacker.random.choice((*_ROLES, "PUBLIC", "stranger"))
    rights = ("UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "ALL", "UPDATE (run_id)", "SELECT WITH GRANT")
    right = attacker.random.choice(rights)
    if right == "UPDATE (run_id)":
        table = attacker.random.choice(LEDGER).name
    if role == "stranger":
        attacker.sql("CREATE ROLE stranger LOGIN")
        attacker.trace.things.add(("role", "stranger"))
    option = " WITH GRANT OPTION" if right == "SELECT WITH GRANT" and role != "PUBLIC" else ""
    give = f"GRANT {right.removesuffix(' WITH GRANT')} ON {table} TO {role}{option}"
    _do(attacker, "grant", f"{table}.{role}", "grant_changed", give)


def _taken(attacker: Attacker) -> None:
    role = attacker.random.choice(_ROLES[:2])
    table = _relation(attacker)
    _do(attacker, "grant", f"{table}.{role}", "grant_changed", f"REVOKE SELECT ON {table} FROM {role}")


def _view_granted(attacker: Attacker) -> None:
    view = view_name(attacker.random.choice(LEDGER))
    role = attacker.random.choice((*_ROLES, "PUBLIC"))
    right = attacker.random.choice(("INSERT", "UPDATE", "DELETE"))
    _do(attacker, "grant", f"{view}.{role}", "grant_changed", f"GRANT {right} ON {view} TO {role}")


def _owner(attacker: Attacker) -> None:
    """The owner may change what it owns: nobody else may own a table, a view or the function."""
    role = attacker.random.choice(_ROLES)
    if attacker.random.random() < 0.2:
        _do(attacker, "owner", FUNCTION, "grant_changed", f"ALTER FUNCTION {FUNCTION}() OWNER TO {role}")
        return
    name = _relation(attacker)
    kind = "VIEW" if name.startswith("current_") else "TABLE"
    _do(attacker, "owner", name, "grant_changed", f"ALTER {kind} {name} OWNER TO {role}")
    attacker.trace.may |= {("grant", f"{name}.{item}") for item in (*_ROLES, role_name("owner"))}
    attacker.trace.may.add(("owner", f"{name}_seq_seq"))  # a table takes its identity's sequence along


def _power(attacker: Attacker) -> None:
    role = attacker.random.choice((*_ROLES, role_name("owner")))
    power = attacker.random.choice(("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"))
    _do(attacker, "role", role, "grant_changed", f"ALTER ROLE {role} {power}")


def _member(attacker: Attacker) -> None:
    member = attacker.random.choice(_ROLES)
    group = attacker.random.choice((role_name("owner"), "pg_write_all_data"))
    _do(attacker, "role", f"{group}.{member}", "grant_changed", f"GRANT {group} TO {member}")


_TRIGGERS: tuple[Callable[[Attacker], None], ...] = (
    _weaker,
    _weaker,
    _dropped,
    _made_again,
    _made_again,
    _renamed,
    _added,
    _other_function,
    _rule,
    _hidden,
    _inherited,
    _constraint_gone,
    _constraint_weaker,
    _foreign_key_off,
    _view,
)
_GRANTS: tuple[Callable[[Attacker], None], ...] = (
    _granted,
    _granted,
    _granted,
    _taken,
    _view_granted,
    _owner,
    _power,
    _member,
)
