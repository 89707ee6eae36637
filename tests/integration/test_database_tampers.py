"""Every object of the database, changed in every way: each is named, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from tests.integration.database_tampers import Objects, Tamper, batches
from tests.integration.home_copies import open_copy
from throughline.integrity.database.builtins import check_builtins
from throughline.integrity.database.check import check_database, compare_objects
from throughline.integrity.database.pristine import Expected, expected_database
from throughline.integrity.database.server_objects import check_server_objects
from throughline.storage.beside import connect_as_admin


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
    return found


def wrong(connection: Connection, expected: Expected, batch: list[Tamper]) -> list[str]:
    """Return what was not named, or named without having been touched."""
    try:
        connection.exec_driver_sql("SET LOCAL search_path = public, pg_catalog")
        for item in batch:
            for statement in item.statements:
                connection.exec_driver_sql(statement)
        findings = list(compare_objects(connection, expected, embedded=True, roles=True))
    finally:
        connection.rollback()
    assert all(item.repair and item.expected and item.found for item in findings)
    named = {(item.table, item.row) for item in findings}
    kinds = ", ".join(sorted({item.kind for item in batch}))
    missed = [f"{kinds}: not named: {name}" for item in batch for name in sorted(item.named - named)]
    allowed = frozenset[tuple[str, str]]().union(*(item.named | item.besides for item in batch))
    return missed + [f"{kinds}: named, but not touched: {name}" for name in sorted(named - allowed)]


def test_every_tamper_of_every_object_is_named_and_nothing_else(superuser: Connection, expected: Expected) -> None:
    count: Counter[str] = Counter()
    problems = []
    for batch in batches(Objects(expected.snapshot)):
        problems += wrong(superuser, expected, batch)
        count.update(item.kind for item in batch)
    assert problems == []
    assert sum(count.values()) > 4000
    assert len(count) > 100
