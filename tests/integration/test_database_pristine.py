"""The snapshot that ships with the code is what the migrations make; without it one is made that says the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from throughline.integrity.database import check_database, pristine, shipped
from throughline.integrity.database.pristine import read_expected
from throughline.integrity.database.shipped import decode, encode, read_shipped
from throughline.storage.beside import TEMPORARY, pristine_database
from throughline.storage.database import Database, open_database


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_database(tmp_path_factory.mktemp("pristine") / "home") as opened:
        yield opened


def test_the_shipped_snapshot_is_what_the_migrations_make(database: Database) -> None:
    """Where this fails, run `python scripts/pristine.py` and commit the file."""
    with (
        database.engine("auditor").connect() as connection,
        pristine_database(connection, roles=True) as fresh,
    ):
        expected = read_expected(fresh)
        server = fresh.connection.driver_connection.get_parameter_status("server_version")  # type: ignore[union-attr]
        assert expected.built_in is not None
        text = encode(expected.snapshot, expected.built_in, server, expected.fixed_below)
        content = read_shipped(18)
        assert content is not None
        assert content["migrations"] == shipped.migrations_digest()
        snapshot, digests = decode(content)
        assert snapshot == expected.snapshot
        assert (content["server"], dict(digests)) == (server, dict(expected.built_in))
        assert text == (pristine_file()).read_text(encoding="utf-8")
        names = "SELECT count(*) FROM pg_database WHERE starts_with(datname, %s)"
        assert connection.exec_driver_sql(names, (TEMPORARY,)).scalar() == 1  # this one, until the block ends
    with database.engine("auditor").connect() as connection:
        assert connection.exec_driver_sql(names, (TEMPORARY,)).scalar() == 0


def pristine_file():  # type: ignore[no-untyped-def]
    from importlib import resources

    return resources.files("throughline.integrity.database") / shipped.FOLDER / shipped.file_name(18)


def test_without_a_shipped_snapshot_the_database_is_compared_with_one_made_now(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pristine, "read_shipped", lambda _: None)
    monkeypatch.setattr(pristine, "_KNOWN", {})
    with database.engine("auditor").connect() as connection:
        check = check_database(connection)
    assert (check.findings, check.compared) == ([], True)
