"""What belongs to the whole server: roles, memberships, databases, and settings of roles and databases.

Belongs here: holding them against what `storage.database` makes. They are not compared with a pristine database, which
has the same ones. On the embedded server every other one is named; on a configured server those that reach ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, text

from throughline.findings import Finding, FindingKind
from throughline.integrity.database.catalogs import FIRST_NORMAL_OID
from throughline.integrity.database.rights import granted
from throughline.integrity.database.wording import GRANT, REMOVE
from throughline.storage.beside import TEMPORARY
from throughline.storage.cluster import ADMIN
from throughline.storage.database import APPLICATION
from throughline.storage.roles import NEIGHBOURS, ROLES, role_name

_OURS = tuple(role_name(role) for role in ROLES)
_POWERS = {
    "rolsuper": "SUPERUSER",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}
_ORDINARY: dict[str, Any] = {
    **dict.fromkeys(_POWERS, False),
    "rolinherit": True,
    "rolcanlogin": True,
    "rolconnlimit": -1,
    "rolvaliduntil": None,
}
_BUILT_IN_MEMBERS = frozenset(
    (
        ("pg_read_all_settings", "pg_monitor"),
        ("pg_read_all_stats", "pg_monitor"),
        ("pg_stat_scan_tables", "pg_monitor"),
    )
)
"""Memberships that `initdb` makes (system_functions.sql)."""
_DATABASE: dict[str, Any] = {
    "encoding": 6,
    "datlocprovider": "c",
    "datistemplate": False,
    "datallowconn": True,
    "dathasloginevt": False,
    "datconnlimit": -1,
    "dattablespace": 1663,
    "datcollate": "C",
    "datctype": "C",
    "datlocale": None,
    "daticurules": None,
}
_WEAKENING = frozenset(
    (
        "allow_system_table_mods",
        "default_transaction_read_only",
        "dynamic_library_path",
        "ignore_checksum_failure",
        "ignore_system_indexes",
        "local_preload_libraries",
        "role",
        "row_security",
        "search_path",
        "session_preload_libraries",
        "session_replication_role",
        "synchronous_commit",
        "zero_damaged_pages",
    )
)
"""Settings by which a session of a configured server reads, enforces or keeps less than it should."""


def check_server_objects(connection: Connection, *, embedded: bool) -> Iterator[Finding]:
    """Yield what is not as `storage.database` makes it.

    Args:
        connection: to the application's database, of any role, in a transaction.
        embedded: whether the server is the home's own.
    """
    yield from _roles(connection, embedded)
    yield from _members(connection, embedded)
    yield from _databases(connection, embedded)
    yield from _settings(connection, embedded)


def _roles(connection: Connection, embedded: bool) -> Iterator[Finding]:
    rows = connection.execute(text("SELECT * FROM pg_catalog.pg_roles")).mappings()
    by_name = {str(row["rolname"]): dict(row) for row in rows}
    for name in sorted({*_OURS} - by_name.keys()):
        yield _finding("role", name, "does not exist", name, "none")
    neighbours = {role_name(database) for database in NEIGHBOURS}
    for name, role in sorted(by_name.items()):
        known = name in _OURS or (embedded and name in neighbours)
        if known:
            expected = dict(_ORDINARY)
        elif embedded and role["oid"] == 10 and name == ADMIN:
            expected = _ORDINARY | dict.fromkeys(_POWERS, True)
        elif embedded and role["oid"] < FIRST_NORMAL_OID and role["oid"] != 10:
            expected = _ORDINARY | {"rolcanlogin": False}
        elif embedded:
            yield _stranger(name, role)
            continue
        else:
            continue
        names = expected.keys() if embedded else _POWERS.keys()
        yield from _attributes(name, {key: (expected[key], role[key]) for key in names if role[key] != expected[key]})


def _stranger(name: str, role: Mapping[str, Any]) -> Finding:
    powers = [word for key, word in _POWERS.items() if role[key]]
    if role["rolcanlogin"]:
        powers.append("LOGIN")
    what = f", and has the powers {', '.join(powers)}" if powers else ""
    problem = f"is a role of the home's own server that nothing of ours makes{what}"
    return _finding("role", name, problem, "none", ", ".join(powers) or "a role", repair=REMOVE)


def _attributes(name: str, changed: Mapping[str, tuple[Any, Any]]) -> Iterator[Finding]:
    given = [_POWERS[key] for key, (_, actual) in changed.items() if key in _POWERS and actual]
    others = {key: change for key, change in changed.items() if not (key in _POWERS and change[1])}
    if given:
        yield _finding("role", name, f"has the powers {', '.join(given)}", "none", ", ".join(given))
    if others:
        expected = ", ".join(f"{key} {value}" for key, (value, _) in others.items())
        actual = ", ".join(f"{key} {value}" for key, (_, value) in others.items())
        yield _finding("role", name, f"has other attributes: {actual}", expected, actual)


def _members(connection: Connection, embedded: bool) -> Iterator[Finding]:
    """Our roles are no members of others; on the embedded server nobody is a member of ours either."""
    statement = text(
        "SELECT g.rolname, m.rolname FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid = a.roleid"
        " JOIN pg_catalog.pg_roles m ON m.oid = a.member ORDER BY 1, 2"
    )
    for group, member in connection.execute(statement):
        if (group, member) in _BUILT_IN_MEMBERS or not (embedded or member in _OURS):
            continue
        problem = f"{member} may act as {group}"
        yield _finding("role", f"{group}.{member}", problem, "no membership", f"member of {group}")


def _databases(connection: Connection, embedded: bool) -> Iterator[Finding]:
    rows = connection.execute(
        text(
            "SELECT d.*, pg_catalog.pg_get_userbyid(d.datdba) AS owner, current_database() AS own,"
            " CAST(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba)) AS text[]) AS rights"
            " FROM pg_catalog.pg_database d ORDER BY d.datname"
        )
    ).mappings()
    owners = {APPLICATION: role_name("owner"), **{name: role_name(name) for name in NEIGHBOURS}}
    by_initdb = {"postgres": {}, "template1": {"datistemplate": True},
                 "template0": {"datistemplate": True, "datallowconn": False}}  # fmt: skip
    for row in map(dict, rows):
        name = str(row["datname"])
        if not embedded:
            if name == row["own"]:
                yield from _creators(connection, name, row)
            continue
        if name.startswith(TEMPORARY):  # a check of another process makes it, or was killed
            continue
        if name not in owners and name not in by_initdb:
            yield _finding("database", name, "nothing of ours makes this database", "none", "present", repair=REMOVE)
            continue
        expected = {**_DATABASE, **by_initdb.get(name, {})}
        owner = owners.get(name, ADMIN)
        if row["owner"] != owner:
            yield _finding("owner", name, f"belongs to {row['owner']}", owner, row["owner"])
        for key, value in expected.items():
            if key in row and row[key] != value:
                yield _finding("database", name, f"has another {key}", value, row[key], "setting_changed")
        if name in owners:
            yield from _database_rights(name, row)


def _database_rights(name: str, row: Mapping[str, Any]) -> Iterator[Finding]:
    usual = {"PUBLIC": "CONNECT, TEMPORARY"}
    rights = dict(granted(row["rights"], row["owner"]))
    for grantee in sorted(usual.keys() | rights.keys()):
        expected, actual = usual.get(grantee, "nothing"), rights.get(grantee, "nothing")
        if expected != actual:
            problem = f"{grantee} may {actual} instead of {expected}, other than we grant"
            yield _finding("grant", f"{name}.{grantee}", problem, expected, actual)


def _creators(connection: Connection, name: str, row: Mapping[str, Any]) -> Iterator[Finding]:
    """On a configured server, nobody but its owners makes a schema that could stand before ours."""
    powerful = {row["owner"], role_name("owner")}
    powerful |= set(connection.execute(text("SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper")).scalars())
    for grantee, rights in granted(row["rights"], row["owner"]):
        if "CREATE" in rights and (grantee not in powerful or grantee in _OURS[1:]):
            problem = f"{grantee} may CREATE, other than we grant"
            yield _finding("grant", f"{name}.{grantee}", problem, "nothing", rights)


def _settings(connection: Connection, embedded: bool) -> Iterator[Finding]:
    """No session of ours begins with a setting that somebody else chose."""
    statement = text(
        "SELECT coalesce(d.datname, ''), coalesce(r.rolname, ''), s.setconfig FROM pg_catalog.pg_db_role_setting s"
        " LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase"
        " LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole"
        " WHERE :embedded OR s.setdatabase = 0 OR d.datname = current_database() ORDER BY 1, 2"
    )
    for database, role, settings in connection.execute(statement, {"embedded": embedded}):
        where = " in ".join(part for part in (role or "every role", f"database {database}" if database else "") if part)
        for setting in settings:
            name, _, value = setting.partition("=")
            if not embedded and role not in _OURS and (role or name not in _WEAKENING):
                continue
            problem = f"sessions of {where} begin with {name} = {value}"
            row = ".".join(part for part in (database, role) if part) or "all"
            yield _finding("setting", f"{row}.{name}", problem, "no setting", value, "setting_changed",
                           f"reset it with ALTER {'ROLE' if role else 'DATABASE'} ... RESET {name}")  # fmt: skip


def _finding(
    table: str,
    row: str,
    problem: str,
    expected: object,
    actual: object,
    kind: FindingKind = "grant_changed",
    repair: str = GRANT,
) -> Finding:
    return Finding(table, row, problem, kind, str(expected), str(actual), repair)
