"""Settings written into the folder of a home's own server neither open nor weaken it, and `verify` names them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import text

from tests.integration.home_copies import open_copy
from throughline.cli import DirectWiring, run
from throughline.integrity.database import check_server
from throughline.storage.beside import connect_as_admin
from throughline.storage.database import Database, open_database

PORT = 58_631


@pytest.fixture
def home(tmp_path: Path) -> Path:
    open_copy(tmp_path / "home").close()
    return tmp_path / "home"


@pytest.fixture
def database(home: Path) -> Iterator[Database]:
    with open_database(home) as opened:
        yield opened


def give_to_server(data: Path) -> None:
    """Give every file to the server's user, as where the server runs as the attacker's own."""
    owner = data.stat()
    for path in data.iterdir():
        os.chown(path, owner.st_uid, owner.st_gid)


def attack(home: Path) -> None:
    """Write what ALTER SYSTEM writes, and a rule of access for everybody."""
    data = home / "database" / "data"
    trust = data / "trust.conf"
    trust.write_text("host all all 127.0.0.1/32 trust\nlocal all all trust\n")
    with (data / "postgresql.auto.conf").open("a") as file:
        file.write(
            f"listen_addresses = '127.0.0.1'\nport = {PORT}\nhba_file = '{trust}'\nfsync = off\n"
            "full_page_writes = off\n"
            "session_replication_role = replica\nsession_preload_libraries = 'evil'\nwork_mem = '1MB'\n"
        )
    (data / "postgresql.conf").write_text("listen_addresses = '*'\nfsync = off\n")
    (data / "pg_hba.conf").write_text("host all all 0.0.0.0/0 trust\n")
    give_to_server(data)


def test_what_lies_in_the_folder_at_a_start_has_no_effect_and_is_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attack(home)
    with open_database(home) as database, database.engine("auditor").connect() as connection:
        in_force = {
            name: connection.execute(text("SELECT current_setting(:name)"), {"name": name}).scalar()
            for name in (
                "listen_addresses",
                "port",
                "fsync",
                "full_page_writes",
                "session_replication_role",
                "work_mem",
            )
        }
        assert in_force == {
            "listen_addresses": "",
            "port": "5432",
            "fsync": "on",
            "full_page_writes": "on",
            "session_replication_role": "origin",
            "work_mem": "4MB",
        }
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", PORT), timeout=1):  # noqa: PT011
            pass
        capsys.readouterr()
        code = run(["verify", "--home", str(home), "--json"], DirectWiring())
        told = json.loads(capsys.readouterr().out)
    assert code == 1
    assert [(item["table"], Path(item["row"]).name.rpartition(".")[0]) for item in told["findings"]] == [
        ("file", "postgresql.auto.conf")
    ]
    assert "fsync = off" in told["findings"][0]["found"]
    (Path(told["findings"][0]["row"])).unlink()
    assert run(["verify", "--home", str(home)], DirectWiring()) == 0


def test_what_is_written_while_the_server_runs_is_named_and_the_command_line_wins(database: Database) -> None:
    assert check_server(database) == []
    with database.engine("auditor").connect() as connection:
        admin = connect_as_admin(connection)
    with admin.cursor() as cursor:
        for setting in (
            "fsync = off",
            "listen_addresses = '*'",
            "work_mem = '1MB'",
            "shared_preload_libraries = 'evil'",
        ):
            cursor.execute(f"ALTER SYSTEM SET {setting}")
        assert database.server is not None
        (database.server.data / "pg_hba.conf").write_text("local all all trust\n")
        cursor.execute("SELECT pg_reload_conf()")
        for _ in range(100):  # the postmaster reads the files in its own time
            with psycopg2.connect(admin.dsn) as later, later.cursor() as asked:
                asked.execute("SELECT current_setting('fsync'), current_setting('work_mem')")
                now = asked.fetchone()
            later.close()
            if now == ("on", "1MB"):
                break
        assert now == ("on", "1MB")
    admin.close()
    named = {(item.table, Path(item.row).name) for item in check_server(database)}
    assert named == {
        ("setting", "work_mem"),
        ("setting", "pg_hba.conf"),
        ("file", "pg_hba.conf"),
        ("file", "postgresql.auto.conf"),
    }


def test_a_signal_file_does_not_turn_the_server_into_a_standby(home: Path) -> None:
    (home / "database" / "data" / "standby.signal").touch()
    give_to_server(home / "database" / "data")
    with open_database(home) as database, database.engine("auditor").connect() as connection:
        assert connection.execute(text("SELECT pg_is_in_recovery()")).scalar() is False
        assert [Path(item.row).name for item in check_server(database)] == ["standby.signal.0"]


def test_a_revision_that_no_release_knows_is_one_sentence(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_database(home) as database, database.engine("owner").begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'ffff'"))
    capsys.readouterr()
    assert run(["verify", "--home", str(home)], DirectWiring()) == 1
    assert "made by migrations up to 'ffff', which this release does not know" in capsys.readouterr().err
