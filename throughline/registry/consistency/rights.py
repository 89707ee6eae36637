"""Who may do what, against what `storage.roles` grants: owners, grants, powers, memberships, settings.

Belongs here: naming each right that is there and should not be, or the other way round. On the embedded server nobody
else has any business, so strangers are named; on a database that others use too, only what touches ours is.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

from throughline.findings import Finding
from throughline.registry.consistency.objects import FUNCTION, SCHEMA, grant_changed, relations
from throughline.storage.cluster import ADMIN
from throughline.storage.roles import ROLES, role_name

_READ = frozenset(("SELECT",))
_WRITER = {
    "append_only": frozenset(("SELECT", "INSERT")),
    "mutable": frozenset(("SELECT", "INSERT", "UPDATE", "DELETE")),
    "view": _READ,
    "sequence": frozenset[str](),
}
_NAMES = [role_name(role) for role in ROLES]
_POWERS = ("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS")


def check_rights(connection: Connection) -> list[Finding]:
    """Return what is not as `storage.roles` grants it."""
    embedded = connection.execute(text("SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10")).scalar() == ADMIN
    return [
        *_owners(connection),
        *_grants(connection),
        *_schema(connection),
        *_defaults(connection),
        *_roles(connection),
        *_members(connection, embedded),
        *_settings(connection),
        *(_strangers(connection) if embedded else ()),
    ]


def _owners(connection: Connection) -> Iterator[Finding]:
    owner = role_name("owner")
    statement = text(
        "SELECT relname, pg_catalog.pg_get_userbyid(relowner) FROM pg_catalog.pg_class"
        " WHERE oid IN (SELECT pg_catalog.to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name) ORDER BY 1"
    )
    for name, actual in connection.execute(statement, {"names": list(relations())}):
        if actual != owner:
            yield grant_changed("owner", name, f"belongs to {actual}", owner, actual)
    function = text("SELECT pg_catalog.pg_get_userbyid(proowner) FROM pg_catalog.pg_proc WHERE proname = :name")
    for actual in connection.execute(function, {"name": FUNCTION}).scalars():
        if actual != owner:
            yield grant_changed("owner", FUNCTION, f"belongs to {actual}", owner, actual)


def _grants(connection: Connection) -> Iterator[Finding]:
    owner = role_name("owner")
    sorts = relations()
    statement = text(
        "SELECT c.relname, CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,"
        " a.privilege_type, a.is_grantable, s.columns FROM pg_catalog.pg_class c CROSS JOIN LATERAL ("
        "  SELECT c.relacl AS acl, CAST(NULL AS text) AS columns WHERE c.relacl IS NOT NULL"
        "  UNION ALL SELECT attacl, attname::text FROM pg_catalog.pg_attribute"
        "  WHERE attrelid = c.oid AND attacl IS NOT NULL AND NOT attisdropped) AS s"
        " CROSS JOIN LATERAL pg_catalog.aclexplode(s.acl) AS a"
        " WHERE c.oid IN (SELECT pg_catalog.to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name)"
    )
    held: dict[tuple[str, str], set[str]] = {}
    for name, grantee, right, grantable, column in connection.execute(statement, {"names": list(sorts)}):
        if grantee == owner:
            continue
        wide = right if column is None else f"{right} ({column})"
        held.setdefault((name, grantee), set()).add(wide + (" with grant option" if grantable else ""))
    for name, sort in sorts.items():
        for role in ("writer", "reader", "auditor"):
            expected = _WRITER[sort] if role == "writer" or sort == "sequence" else _READ
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
    return grant_changed("grant", f"{name}.{grantee}", problem, *told)


def unreadable(connection: Connection) -> list[Finding]:
    """Return a finding for each relation that whoever asks may not read: the check would end there."""
    names = [name for name, sort in relations().items() if sort != "sequence"]
    statement = text(
        "SELECT name, current_user FROM unnest(CAST(:names AS text[])) AS name"
        " WHERE pg_catalog.to_regclass(name) IS NOT NULL"
        " AND NOT pg_catalog.has_table_privilege(pg_catalog.to_regclass(name), 'SELECT') ORDER BY 1"
    )
    return [
        grant_changed(
            "grant",
            f"{name}.{user}",
            f"{user} may not SELECT, so nothing that reads it is checked",
            "SELECT",
            "nothing",
        )
        for name, user in connection.execute(statement, {"names": names})
    ]


def _schema(connection: Connection) -> Iterator[Finding]:
    """Nobody but the owner makes anything in our schema or database: what is made there could stand before ours."""
    statement = text(
        "SELECT n.nspname, n.owner,"
        " CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END"
        " FROM (SELECT nspname, pg_catalog.pg_get_userbyid(nspowner) AS owner, nspacl AS acl"
        "   FROM pg_catalog.pg_namespace WHERE nspname = :schema"
        "  UNION ALL SELECT datname, pg_catalog.pg_get_userbyid(datdba), datacl"
        "   FROM pg_catalog.pg_database WHERE datname = current_database()) AS n"
        " CROSS JOIN LATERAL pg_catalog.aclexplode(n.acl) AS a WHERE a.privilege_type = 'CREATE' ORDER BY 1, 3"
    )
    powerful = _powerful(connection)
    for name, owner, grantee in connection.execute(statement, {"schema": SCHEMA}):
        if grantee not in (owner, *powerful):
            problem = f"{grantee} may CREATE, other than the migrations grant"
            yield grant_changed("grant", f"{name}.{grantee}", problem, "nothing", "CREATE")
    owned = text("SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = :schema")
    for owner in connection.execute(owned, {"schema": SCHEMA}).scalars():
        if owner not in powerful:
            yield grant_changed(
                "grant", f"{SCHEMA}.{owner}", f"the schema belongs to {owner}", role_name("owner"), owner
            )


def _powerful(connection: Connection) -> frozenset[str]:
    """Return who may make things anyway: the owner, the database's owner and superusers."""
    statement = text(
        "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper AND rolname <> ALL(:names) UNION"
        " SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = current_database()"
    )
    found = connection.execute(statement, {"names": _NAMES}).scalars()
    return frozenset((*found, "pg_database_owner", role_name("owner")))


def _defaults(connection: Connection) -> Iterator[Finding]:
    """No rights are given in advance on tables that are made later."""
    statement = text(
        "SELECT DISTINCT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(a.grantee) END,"
        " a.privilege_type FROM pg_catalog.pg_default_acl d CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) AS a"
        " WHERE d.defaclobjtype IN ('r', 'S') AND a.grantee <> d.defaclrole AND d.defaclnamespace IN"
        " (0, (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :schema)) ORDER BY 1, 2"
    )
    for grantee, right in connection.execute(statement, {"schema": SCHEMA}):
        problem = f"{grantee} gets {right} on every table that is made"
        yield grant_changed("grant", f"default privileges.{grantee}", problem, "nothing", right)


def _roles(connection: Connection) -> Iterator[Finding]:
    """Our roles have no powers of their own."""
    statement = text(
        "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_catalog.pg_roles"
        " WHERE rolname = ANY(:names) ORDER BY 1"
    )
    found = set()
    for name, *flags in connection.execute(statement, {"names": _NAMES}):
        found.add(name)
        given = [power for power, flag in zip(_POWERS, flags, strict=True) if flag]
        if given:
            yield grant_changed("role", name, f"has the powers {', '.join(given)}", "none", ", ".join(given))
    for name in sorted(set(_NAMES) - found):
        yield grant_changed("role", name, "does not exist", name, "none")


def _members(connection: Connection, embedded: bool) -> Iterator[Finding]:
    """Our roles are no members of others; on the embedded server nobody is a member of ours either."""
    statement = text(
        "SELECT g.rolname, m.rolname FROM pg_catalog.pg_auth_members a JOIN pg_catalog.pg_roles g ON g.oid = a.roleid"
        " JOIN pg_catalog.pg_roles m ON m.oid = a.member WHERE m.rolname = ANY(:names)"
        " OR (:embedded AND g.rolname = ANY(:names)) ORDER BY 1, 2"
    )
    for group, member in connection.execute(statement, {"names": _NAMES, "embedded": embedded}):
        problem = f"{member} may act as {group}"
        yield grant_changed("role", f"{group}.{member}", problem, "no membership", f"member of {group}")


def _settings(connection: Connection) -> Iterator[Finding]:
    """No session of ours begins with a setting that somebody else chose."""
    statement = text(
        "SELECT r.rolname, pg_catalog.array_to_string(s.setconfig, ', ') FROM pg_catalog.pg_db_role_setting s"
        " JOIN pg_catalog.pg_roles r ON r.oid = s.setrole WHERE r.rolname = ANY(:names) ORDER BY 1, 2"
    )
    for name, settings in connection.execute(statement, {"names": _NAMES}):
        yield grant_changed("role", name, f"begins its sessions with {settings}", "no settings", settings)


def _strangers(connection: Connection) -> Iterator[Finding]:
    statement = text("SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper AND oid <> 10 AND rolname <> ALL(:names)")
    for name in connection.execute(statement, {"names": _NAMES}).scalars():
        yield grant_changed("role", name, "is a superuser of the home's own server", "none", "SUPERUSER")
