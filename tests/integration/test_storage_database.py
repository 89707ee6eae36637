"""Opening databases: embedded or by URL, roles, separate databases, migrations, healing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from tests.integration.declared_schema import create_declared
from throughline.errors import StorageError
from throughline.storage import database as module
from throughline.storage import migrations
from throughline.storage.cluster import ADMIN
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.ledger import register_experiment
from throughline.storage.locks import is_held, wait_until
from throughline.storage.roles import ROLES, Role, grant_rights

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL (of its superuser, to the database postgres) of a second server, as a stranger's PostgreSQL."""
    with open_database(tmp_path_factory.mktemp("other") / "home") as opened:
        yield make_url(opened.url()).set(username=ADMIN, database="postgres").render_as_string()


@pytest.fixture(scope="module")
def schemas(database: Database) -> tuple[dict[str, list[tuple[object, ...]]], ...]:
    """Return the schema that the migrations make, and the one that the catalogue declares."""
    engine = create_engine(database.url("declared"))
    with engine.begin() as connection:
        create_declared(connection)
    declared = schema_of(engine)
    engine.dispose()
    return schema_of(database.engine("owner")), declared


def run_sql(url: str, *statements: str) -> None:
    """Run statements outside any transaction."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize("role", ROLES)
def test_every_role_connects_as_itself_and_in_utc(database: Database, role: Role) -> None:
    with database.engine(role).connect() as connection:
        found = connection.execute(text("SELECT current_user, current_setting('TimeZone'), current_database()")).one()
    assert tuple(found) == (f"throughline_{role}", "UTC", "throughline")
    assert database.engine(role) is database.engine(role)
    assert database.engine(role).driver == "psycopg2"


def test_an_unknown_role_is_refused(database: Database) -> None:
    with pytest.raises(StorageError, match="no role 'root'"):
        database.engine("root")  # type: ignore[arg-type]


def test_dagster_has_a_database_of_its_own(database: Database) -> None:
    url = database.url("dagster")
    assert url.startswith("postgresql+psycopg2://")
    engine = create_engine(url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT current_database()")).scalar() == "dagster"
        connection.execute(text("CREATE TABLE mine (x int); DROP TABLE mine"))
        assert connection.execute(text("SELECT to_regclass('candidates')")).scalar() is None
    engine.dispose()
    stranger = create_engine(make_url(url).set(database="throughline"))
    with stranger.connect() as connection, pytest.raises(DBAPIError, match="permission denied"):
        connection.execute(text("SELECT * FROM candidates"))
    stranger.dispose()


OBJECTS = {
    "columns": "SELECT c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,"
    " a.attidentity, a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid),"
    " row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum)"
    " FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid"
    " LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)"
    " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0"
    " AND NOT a.attisdropped",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_catalog.pg_get_constraintdef(oid)"
    " FROM pg_catalog.pg_constraint WHERE connamespace = 'public'::regnamespace",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_catalog.pg_indexes WHERE schemaname = 'public'",
    "views": "SELECT viewname, definition FROM pg_catalog.pg_views WHERE schemaname = 'public'",
    "guards": "SELECT tgrelid::regclass::text, tgname, tgenabled, pg_catalog.pg_get_triggerdef(oid)"
    " FROM pg_catalog.pg_trigger WHERE NOT tgisinternal",
    "sequences": "SELECT sequencename, data_type::text FROM pg_catalog.pg_sequences WHERE schemaname = 'public'",
}
"""What a schema consists of -> a query that reads it in full."""


def schema_of(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """Return every object of the schema, Alembic's own table apart."""
    with engine.connect() as connection:
        found = {name: connection.execute(text(query)).all() for name, query in OBJECTS.items()}
    return {name: sorted(tuple(row) for row in rows if row[0] != "alembic_version") for name, rows in found.items()}


@pytest.mark.parametrize("name", OBJECTS)
def test_the_migrations_make_exactly_what_the_catalogue_declares(
    schemas: tuple[dict[str, list[tuple[object, ...]]], ...], name: str
) -> None:
    migrated, declared = schemas
    assert migrated[name]
    assert migrated[name] == declared[name]


def test_the_comparison_of_schemas_sees_a_column_that_differs(
    database: Database, schemas: tuple[dict[str, list[tuple[object, ...]]], ...]
) -> None:
    engine = create_engine(database.url("declared"))
    with engine.connect() as connection:
        connection.execute(text("ALTER TABLE outcomes ALTER exit_price DROP NOT NULL, ADD note text"))
        changed = {tuple(row) for row in connection.execute(text(OBJECTS["columns"]))}
        connection.rollback()
    engine.dispose()
    differing = {row[:2] for row in changed - set(schemas[0]["columns"])}
    assert differing == {("outcomes", "exit_price"), ("outcomes", "note")}


def test_the_newest_migration_is_the_one_that_the_code_names(database: Database) -> None:
    with database.engine("owner").connect() as connection:
        script = ScriptDirectory.from_config(migrations.config(connection))
    assert script.get_heads() == [migrations.head()]


def test_migrations_go_from_empty_to_head_and_back_and_again(database: Database) -> None:
    address = make_url(database.url("migrated"))
    engine = create_engine(address)

    def names() -> set[str]:
        with engine.connect() as connection:
            found = connection.execute(
                text(
                    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
                    " UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                )
            )
            return set(found.scalars())

    assert names() == set()
    assert migrations.upgrade(engine)
    full = names()
    assert not migrations.upgrade(engine)
    migrations.downgrade(engine)
    assert names() == {"alembic_version"}
    assert migrations.upgrade(engine)
    assert names() == full
    engine.dispose()


def test_a_database_at_head_is_ready_in_milliseconds(database: Database) -> None:
    engine = database.engine("owner")
    migrations.upgrade(engine)
    started = time.perf_counter()
    for _ in range(10):
        assert not migrations.upgrade(engine)
    assert (time.perf_counter() - started) / 10 < 0.02


def test_a_killed_server_is_back_for_the_next_connection(tmp_path: Path) -> None:
    with open_database(tmp_path / "home") as opened:
        engine = opened.engine("writer")
        with engine.begin() as connection:
            register_experiment(connection, "e" * 64, "demo", b"{}")
        assert opened._server is not None
        os.kill(opened._server.pid, signal.SIGKILL)
        lock = tmp_path / "home" / "database" / "running.lock"
        assert wait_until(lambda: not is_held(lock), 10)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT id FROM experiments")).scalar() == "e" * 64


def test_first_openings_that_race_all_succeed(tmp_path: Path) -> None:
    code = (
        "import sys; from throughline.storage.database import open_database\n"
        "with open_database(sys.argv[1]) as d: d.url('dagster'); d.engine('reader').connect().close()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "home")]
    racing = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": PATHS}) for _ in range(4)]
    assert [process.wait(60) for process in racing] == [0, 0, 0, 0]


def test_opening_does_not_import_what_is_heavy() -> None:
    code = "import sys, throughline.storage.database, throughline.storage.ledger\n"
    code += "print([m for m in ('alembic', 'pandas', 'fsspec') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_a_url_of_a_superuser_gets_databases_and_roles(other_server: str, tmp_path: Path) -> None:
    plain = make_url(other_server).set(drivername="postgresql", database="shop").render_as_string()
    for _ in range(2):
        with open_database(Home(tmp_path / "unused"), plain) as opened:
            assert not opened.embedded
            assert opened.enforces_roles
            with opened.engine("writer").begin() as connection:
                assert connection.execute(text("SELECT current_user")).scalar() == "throughline_writer"
                register_experiment(connection, "e" * 64, "demo", b"{}")
                with pytest.raises(DBAPIError, match="permission denied"), connection.begin_nested():
                    connection.execute(text("DELETE FROM experiments"))
            assert make_url(opened.url("dagster")).database == "shop_dagster"
            engine = create_engine(opened.url())
            with engine.connect() as connection:
                assert connection.execute(text("SELECT current_database(), current_user")).one() == (
                    "shop",
                    "throughline_writer",
                )
            engine.dispose()
    assert not (tmp_path / "unused" / "database").exists()


def test_a_url_whose_user_may_create_no_roles_is_still_refused_changes(other_server: str, tmp_path: Path) -> None:
    run_sql(other_server, "CREATE ROLE plain LOGIN", "CREATE DATABASE plain OWNER plain")
    url = make_url(other_server).set(username="plain", database="plain").render_as_string()
    with open_database(tmp_path / "unused", url) as opened:
        assert not opened.enforces_roles
        with opened.engine("writer").begin() as connection:
            register_experiment(connection, "e" * 64, "demo", b"{}")
            with pytest.raises(DBAPIError, match="records are never changed"), connection.begin_nested():
                connection.execute(text("DELETE FROM experiments"))
        with pytest.raises(
            StorageError, match=r"database plain_dagster does not exist .*CREATE DATABASE plain_dagster"
        ):
            opened.url("dagster")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://user@host/x", "names mysql: only postgresql:// is supported"),
        ("not a url", "cannot be read"),
        (
            "postgresql://user:secret@127.0.0.1:9/x",
            r"at postgresql://user:\*\*\*@127.0.0.1:9/x cannot be reached",
        ),
    ],
)
def test_a_url_that_cannot_be_used_is_told_in_one_sentence(tmp_path: Path, url: str, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence) as caught:
        open_database(tmp_path / "unused", url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_old_server_is_refused(other_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OLDEST", 990_000)
    with pytest.raises(StorageError, match="is version 18: version 99 or newer is needed"):
        open_database(tmp_path / "unused", make_url(other_server).set(database="old").render_as_string())


def test_grants_can_be_repeated(database: Database) -> None:
    with database.engine("owner").begin() as connection:
        grant_rights(connection)
