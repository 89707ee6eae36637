"""On a configured server its owner chooses; what weakens or reaches our objects is named all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from tests.integration.home_copies import open_copy
from throughline.integrity.database import check_database, pristine
from throughline.storage.cluster import ADMIN
from throughline.storage.database import open_database


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a superuser to a database of another home's server, as a stranger's PostgreSQL."""
    with open_copy(tmp_path_factory.mktemp("other") / "home") as opened:
        url = make_url(opened.url()).set(username=ADMIN, database="shop").render_as_string()
        open_database(tmp_path_factory.mktemp("unused"), url).close()
        yield url


@pytest.fixture
def session(shop: str) -> Iterator[Connection]:
    """A session as `verify` has one: of the URL's user, in the role of the auditor; rolled back."""
    engine = create_engine(shop, connect_args={"options": "-c role=throughline_auditor"}, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def named_after(session: Connection, *statements: str) -> set[tuple[str, str]]:
    session.execute(text("SET LOCAL ROLE NONE"))
    for statement in statements:
        session.execute(text(statement))
    session.execute(text("SET LOCAL ROLE throughline_auditor"))
    return {(item.table, item.row) for item in check_database(session).findings}


CHOSEN = [
    "CREATE TABLE orders (id int); CREATE VIEW all_orders AS SELECT * FROM orders; GRANT ALL ON orders TO PUBLIC",
    "CREATE SCHEMA sales; CREATE FUNCTION sales.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE accountant LOGIN SUPERUSER",
    "ALTER DATABASE shop SET statement_timeout = '5min'",
    "GRANT CONNECT ON DATABASE shop TO throughline_reader",
    "CREATE EXTENSION pg_trgm",
]


@pytest.mark.parametrize("statement", CHOSEN)
def test_what_an_owner_of_the_server_may_choose_is_no_finding(session: Connection, statement: str) -> None:
    assert named_after(session, statement) == set()


WEAKENED = [
    ("ALTER DATABASE shop SET session_replication_role = replica", ("setting", "shop.session_replication_role")),
    ("ALTER ROLE ALL SET synchronous_commit = off", ("setting", "all.synchronous_commit")),
    ("ALTER TABLE outcomes DISABLE TRIGGER outcomes_append_only", ("trigger", "outcomes.outcomes_append_only")),
    ("CREATE RULE quiet AS ON INSERT TO outcomes DO INSTEAD NOTHING", ("rule", "outcomes.quiet")),
    ("GRANT UPDATE ON outcomes TO PUBLIC", ("grant", "outcomes.PUBLIC")),
    ("GRANT CREATE ON SCHEMA public TO PUBLIC", ("grant", "public.PUBLIC")),
    ("ALTER ROLE throughline_writer SUPERUSER", ("role", "throughline_writer")),
    ("GRANT throughline_owner TO throughline_writer", ("role", "throughline_owner.throughline_writer")),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        ("function", "f"),
    ),
    (
        "GRANT SET ON PARAMETER session_replication_role TO throughline_writer",
        ("grant", "session_replication_role.throughline_writer"),
    ),
]


@pytest.mark.parametrize(("statement", "name"), WEAKENED)
def test_what_weakens_ours_is_named(session: Connection, statement: str, name: tuple[str, str]) -> None:
    assert named_after(session, statement) == {name}


def test_where_no_database_may_be_created_the_shipped_snapshot_of_another_version_serves(
    session: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = pristine._shipped
    monkeypatch.setattr(pristine, "_KNOWN", {})
    monkeypatch.setattr(pristine, "_shipped", lambda major, server: None if server else shipped(major, server))
    monkeypatch.setattr(pristine, "_made", lambda *_: None)
    assert named_after(session) == set()
    assert named_after(session, "DROP TRIGGER outcomes_append_only ON outcomes") == {
        ("trigger", "outcomes.outcomes_append_only")
    }
