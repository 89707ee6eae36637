"""Every object of the database, changed in every way: each is named, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from tests.integration.database_tampers import Objects, Tamper, batches
from tests.integration.home_copies import open_copy
from throughline.findings import Finding
from throughline.integrity.database import check_database
from throughline.integrity.database.builtins import check_builtins
from throughline.integrity.database.check import compare_objects
from throughline.integrity.database.pristine import Expected, expected_database
from throughline.integrity.database.server_objects import check_server_objects
from throughline.storage.beside import connect_as_admin
from throughline.storage.roles import ROLES, role_name


@pytest.fixture(scope="module")
def superuser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A superuser's connection to an empty home; what it does is rolled back."""
    with open_copy(tmp_path_factory.mktemp("tampers") / "home") as database:
        with database.engine("auditor").connect() as connection:
            raw = connect_as_admin(connection)
        raw.autocommit = False
        engine = create_engine("postgresql+psycopg2://", creator=lambda: raw, poolclass=NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("SET allow_system_table_mods = on")
            connection.commit()
            yield connection
        engine.dispose()


@pytest.fixture(scope="module")
def expected(superuser: Connection) -> Expected:
    found = expected_database(superuser, roles=True)
    assert found is not None
    assert found.built_in is not None
    return found


def names_of(findings: list[Finding]) -> set[tuple[str, str]]:
    assert all(item.repair and item.expected and item.found for item in findings)
    return {(item.table, item.row) for item in findings}


def wrong(connection: Connection, expected: Expected, batch: list[Tamper]) -> list[str]:
    """Return what was not named, or named without having been touched."""
    try:
        connection.exec_driver_sql("SET LOCAL search_path = public, pg_catalog")
        for item in batch:
            for statement in item.statements:
                connection.exec_driver_sql(statement)
        named = names_of(list(compare_objects(connection, expected, embedded=True, roles=True)))
    finally:
        connection.rollback()
    kinds = ", ".join(sorted({item.kind for item in batch}))
    named = {name for name in named if name[0] != "replication origin"}  # a subscription's, named by its OID
    missed = [f"{kinds}: not named: {name}" for item in batch for name in sorted(item.named - named)]
    allowed = frozenset[tuple[str, str]]().union(*(item.named | item.besides for item in batch))
    return missed + [f"{kinds}: named, but not touched: {name}" for name in sorted(named - allowed)]


@pytest.mark.slow
def test_every_tamper_of_every_object_is_named_and_nothing_else(superuser: Connection, expected: Expected) -> None:
    count: Counter[str] = Counter()
    problems = []
    for batch in batches(Objects(expected.snapshot)):
        problems += wrong(superuser, expected, batch)
        count.update(item.kind for item in batch)
    assert problems == []
    assert sum(count.values()) > 6000
    assert len(count) > 120


def test_a_tamper_that_is_not_named_fails_the_test_above(superuser: Connection, expected: Expected) -> None:
    blind = Tamper("blind", ("SELECT 1",), frozenset({("trigger", "outcomes.outcomes_append_only")}))
    assert len(wrong(superuser, expected, [blind])) == 1
    loud = Tamper("loud", ("CREATE SCHEMA other",), frozenset())
    assert len(wrong(superuser, expected, [loud])) == 1


NO_GROUPS = (
    "CREATE OR REPLACE VIEW pg_catalog.pg_group AS"
    " SELECT rolname AS groname, oid AS grosysid, '{}'::oid[] AS grolist FROM pg_authid"
)
BUILT_IN = [
    ("UPDATE pg_proc SET prosrc = 'random' WHERE proname = 'now'", {"pg_proc.now"}),
    ("UPDATE pg_proc SET provolatile = 'i' WHERE proname = 'clock_timestamp'", {"pg_proc.clock_timestamp"}),
    ("UPDATE pg_operator SET oprcode = 'textne'::regproc WHERE oid = 98", {"pg_operator.=.text.text"}),
    ("UPDATE pg_type SET typinput = 'textin'::regproc WHERE typname = 'uuid'", {"pg_type.uuid"}),
    ("UPDATE pg_cast SET castcontext = 'i' WHERE castsource = 20 AND casttarget = 23", {"pg_cast.bigint.integer"}),
    ("UPDATE pg_class SET relhasindex = false WHERE relname = 'pg_proc'", {"pg_class.pg_proc"}),
    ("UPDATE pg_index SET indisready = false WHERE indexrelid = 2690", {"pg_index.pg_proc_oid_index"}),
    (NO_GROUPS, {"pg_rewrite.pg_group._RETURN"}),
    ("GRANT EXECUTE ON FUNCTION pg_read_file(text) TO PUBLIC", {"pg_proc rights.pg_read_file"}),
    ("GRANT SELECT ON pg_authid TO throughline_reader", {"pg_class rights.pg_authid"}),
    ("DELETE FROM pg_cast WHERE castsource = 25 AND casttarget = 1043", {"pg_cast"}),
    ("INSERT INTO pg_cast SELECT 11999, 25, 2950, 0, 'i', 'i'", {"pg_cast.text.uuid"}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "named"), BUILT_IN, ids=[change[:50] for change, _ in BUILT_IN])
def test_a_changed_object_of_the_server_itself_is_named(
    superuser: Connection, expected: Expected, change: str, named: set[str]
) -> None:
    assert expected.built_in is not None
    try:
        superuser.exec_driver_sql(change)
        findings = list(check_builtins(superuser, expected.fixed_below, expected.built_in, rights=True))
    finally:
        superuser.rollback()
    assert names_of(findings) == {("built-in", name) for name in named}


def server_tampers() -> Iterator[tuple[str, set[tuple[str, str]]]]:
    for role in map(role_name, ROLES):
        for power in ("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS", "NOINHERIT", "NOLOGIN"):
            yield f"ALTER ROLE {role} {power}", {("role", role)}
        yield f"ALTER ROLE {role} CONNECTION LIMIT 0", {("role", role)}
        yield f"ALTER ROLE {role} VALID UNTIL '2020-01-01'", {("role", role)}
        yield f"GRANT pg_write_all_data TO {role}", {("role", f"pg_write_all_data.{role}")}
        yield (
            f"ALTER ROLE {role} SET session_replication_role = replica",
            {("setting", f"{role}.session_replication_role")},
        )
        yield (
            f"ALTER ROLE {role} IN DATABASE throughline SET search_path = x",
            {("setting", f"throughline.{role}.search_path")},
        )
        if role != role_name("owner"):
            yield f"GRANT CREATE ON DATABASE throughline TO {role}", {("grant", f"throughline.{role}")}
    yield "GRANT throughline_owner TO throughline_writer", {("role", "throughline_owner.throughline_writer")}
    yield "CREATE ROLE stranger", {("role", "stranger")}
    yield "CREATE ROLE stranger LOGIN CREATEROLE REPLICATION BYPASSRLS", {("role", "stranger")}
    yield (
        "CREATE ROLE stranger LOGIN IN ROLE pg_write_all_data, pg_execute_server_program",
        {("role", "stranger"), ("role", "pg_write_all_data.stranger"), ("role", "pg_execute_server_program.stranger")},
    )
    yield "UPDATE pg_authid SET rolcanlogin = true WHERE rolname = 'pg_monitor'", {("role", "pg_monitor")}
    yield (
        "ALTER ROLE throughline_reader RENAME TO reader_of_old",
        {("role", "throughline_reader"), ("role", "reader_of_old")},
    )
    for setting in ("session_replication_role = replica", "synchronous_commit = off", "row_security = off"):
        name = setting.partition(" ")[0]
        yield f"ALTER DATABASE throughline SET {setting}", {("setting", f"throughline.{name}")}
        yield f"ALTER ROLE ALL SET {setting}", {("setting", f"all.{name}")}
    yield "ALTER DATABASE throughline OWNER TO throughline_writer", {("owner", "throughline")}
    yield "ALTER DATABASE throughline CONNECTION LIMIT 5", {("database", "throughline")}
    yield "ALTER DATABASE template0 ALLOW_CONNECTIONS true", {("database", "template0")}


@pytest.mark.parametrize(("change", "named"), list(server_tampers()))
def test_a_changed_role_database_or_setting_is_named(
    superuser: Connection, change: str, named: set[tuple[str, str]]
) -> None:
    try:
        superuser.exec_driver_sql(change)
        assert names_of(list(check_server_objects(superuser, embedded=True))) == named
    finally:
        superuser.rollback()


def test_a_sequence_that_was_set_back_and_a_made_up_revision_are_named(superuser: Connection) -> None:
    try:
        superuser.exec_driver_sql(
            "INSERT INTO public.registry_quarantine (table_name, row_uuid, action, reason, finding)"
            " VALUES ('outcomes', gen_random_uuid(), 'quarantine', 'x', '{}')"
        )
        assert check_database(superuser).findings == []
        superuser.exec_driver_sql("ALTER SEQUENCE public.registry_quarantine_seq_seq RESTART")
        superuser.exec_driver_sql("UPDATE public.alembic_version SET version_num = 'ffff'")
        assert names_of(list(check_database(superuser).findings)) == {
            ("sequence", "registry_quarantine_seq_seq"),
            ("table", "alembic_version"),
        }
    finally:
        superuser.rollback()
