"""The embedded server's life: first starts that race, stale pids, kills, odd paths, users and locales."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from throughline.errors import StorageError
from throughline.storage import cluster
from throughline.storage.home import Home
from throughline.storage.locks import is_held, open_lock, try_lock, wait_until
from throughline.storage.processes import birth_mark, is_postmaster
from throughline.storage.server import Running, Server

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])

CLIENT = """
import sys, time
from throughline.storage.home import Home
from throughline.storage.server import Server
server = Server(Home(sys.argv[1]))
server.acquire()
print(server.pid, flush=True)
if sys.argv[2] == "hold":
    time.sleep(120)
"""


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Home]:
    """Return a home of its own; whatever server is left in it is stopped afterwards."""
    made = Home(tmp_path / "home")
    yield made
    Server(made).stop_if_idle()
    assert wait_until(lambda: not running(made), 20)


def running(home: Home) -> bool:
    """Return whether any server process of `home` lives."""
    lock = home.path / "database" / "running.lock"
    return lock.exists() and is_held(lock)


def client(home: Home, what: str, **environment: str) -> subprocess.Popen[str]:
    """Start another process that takes a lease and then leaves or holds it."""
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(home.path), what],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PATHS, **environment},
    )


def told_pid(process: subprocess.Popen[str]) -> int:
    """Return the server's pid that a client prints."""
    assert process.stdout is not None
    return int(process.stdout.readline())


def ask(server: Server, question: str, database: str = "postgres") -> str:
    """Return the single text that `question` gives."""
    connection = psycopg2.connect(host=server.socket_folder, port=cluster.PORT, user=cluster.ADMIN, dbname=database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(question)
            return str(cursor.fetchone()[0])
    finally:
        connection.close()


def test_the_last_one_out_stops_the_server(fresh: Home) -> None:
    first, second = Server(fresh), Server(fresh)
    first.acquire()
    second.acquire()
    assert first.pid == second.pid
    first.release()
    assert running(fresh)
    assert ask(second, "SELECT 1") == "1"
    second.release()
    assert not running(fresh)
    second.release()
    with pytest.raises(StorageError, match="not open in this process"):
        _ = second.pid


def test_what_was_written_is_there_after_a_stop_and_a_start(fresh: Home) -> None:
    with Server(fresh) as server:
        connection = psycopg2.connect(
            host=server.socket_folder, port=cluster.PORT, user=cluster.ADMIN, dbname="postgres"
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        connection.close()
    with Server(fresh) as server:
        assert ask(server, "SELECT answer FROM kept") == "42"


def test_first_starts_that_race_share_one_server(fresh: Home) -> None:
    clients = [client(fresh, "hold") for _ in range(4)]
    try:
        assert len({told_pid(process) for process in clients}) == 1
    finally:
        for process in clients:
            process.kill()
            process.wait()
    assert wait_until(lambda: not running(fresh), 20)


def test_a_client_in_another_process_keeps_the_server_when_this_one_leaves(fresh: Home) -> None:
    with Server(fresh) as server:
        other = client(fresh, "hold")
        assert told_pid(other) == server.pid
    assert running(fresh)
    other.kill()
    other.wait()
    assert wait_until(lambda: not running(fresh), 20)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_client_that_was_the_last_leaves_no_server(fresh: Home, number: signal.Signals) -> None:
    alone = client(fresh, "hold")
    pid = told_pid(alone)
    alone.send_signal(number)
    alone.wait()
    assert wait_until(lambda: birth_mark(pid) is None and not running(fresh), 20)


def test_whoever_comes_between_the_last_death_and_the_stop_is_guarded_too(fresh: Home) -> None:
    first = client(fresh, "hold")
    told_pid(first)
    first.kill()
    second = client(fresh, "hold")
    told_pid(second)
    first.wait()
    time.sleep(1)
    assert running(fresh)
    second.kill()
    second.wait()
    assert wait_until(lambda: not running(fresh), 20)


def test_a_stopped_home_can_be_deleted_at_once_and_stays_deleted(fresh: Home) -> None:
    with Server(fresh):
        pass
    shutil.rmtree(fresh.path)
    time.sleep(0.6)
    assert not fresh.path.exists()


def test_a_client_that_just_ends_stops_the_server(fresh: Home) -> None:
    alone = client(fresh, "leave")
    pid = told_pid(alone)
    assert alone.wait() == 0
    assert birth_mark(pid) is None
    assert not running(fresh)


def test_a_killed_server_is_healed_by_the_next_acquire_of_the_same_process(fresh: Home) -> None:
    with Server(fresh) as server:
        before = server.pid
        os.kill(before, signal.SIGKILL)
        assert wait_until(lambda: birth_mark(before) is None, 10)
        server.acquire()
        assert server.pid != before
        assert ask(server, "SELECT 1") == "1"


def test_a_killed_server_with_a_busy_child_is_healed(fresh: Home) -> None:
    with Server(fresh) as server:
        busy = psycopg2.connect(
            host=server.socket_folder, port=cluster.PORT, user=cluster.ADMIN, dbname="postgres", async_=True
        )
        _settle(busy)
        busy.cursor().execute("SELECT pg_sleep(60)")
        time.sleep(0.1)
        before = server.pid
        os.kill(before, signal.SIGKILL)
        assert wait_until(lambda: birth_mark(before) is None, 10)
        server.acquire()
        assert ask(server, "SELECT 1") == "1"
        busy.close()


def _settle(connection: psycopg2.extensions.connection) -> None:
    while connection.poll() != psycopg2.extensions.POLL_OK:
        time.sleep(0.01)


def test_server_and_last_client_killed_together_are_healed_by_the_next_start(fresh: Home) -> None:
    alone = client(fresh, "hold")
    pid = told_pid(alone)
    os.kill(pid, signal.SIGKILL)
    alone.kill()
    alone.wait()
    # kill() only queues the signal; on a busy machine the server was still alive when the next start asked for it
    assert wait_until(lambda: birth_mark(pid) is None, 10)
    with Server(fresh) as server:
        assert server.pid != pid
        assert ask(server, "SELECT 1") == "1"


def test_a_stale_pid_that_belongs_to_another_process_is_neither_trusted_nor_killed(fresh: Home) -> None:
    with Server(fresh) as server:
        dead, folder = server.pid, server.socket_folder
        os.kill(dead, signal.SIGKILL)
        assert wait_until(lambda: not running(fresh), 10)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        database = fresh.path / "database"
        lines = (database / "data" / "postmaster.pid").read_text().splitlines()
        assert lines[0] == str(dead)
        (database / "data" / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        (Path(folder) / f".s.PGSQL.{cluster.PORT}.lock").write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        record = {"pid": stranger.pid, "birth": birth_mark(stranger.pid), "socket": folder}
        (database / "server.json").write_text(json.dumps(record))
        with Server(fresh) as server:
            assert server.pid not in (stranger.pid, dead)
            assert ask(server, "SELECT 1") == "1"
            # again while a server runs: the record of a stranger must not lead to its death at the end
            (database / "server.json").write_text(json.dumps(record))
        assert not running(fresh)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_another_life_of_the_same_pid_is_not_our_server(fresh: Home) -> None:
    with Server(fresh) as server:
        assert is_postmaster(server.pid, fresh.path / "database" / "data")
        assert not is_postmaster(server.pid, fresh.path)
        assert not is_postmaster(os.getpid(), fresh.path / "database" / "data")
        recorded = json.loads((fresh.path / "database" / "server.json").read_text())
        (fresh.path / "database" / "server.json").write_text(json.dumps(recorded | {"birth": "another"}))
        assert not server._is_ours(Running(**recorded | {"birth": "another"}))
        other = Server(fresh)
        assert other.acquire().birth == recorded["birth"]
        other.release()


def test_a_server_whose_record_was_lost_is_adopted(fresh: Home) -> None:
    with Server(fresh) as server:
        (fresh.path / "database" / "server.json").write_text("{half")
        other = Server(fresh)
        assert other.acquire().pid == server.pid
        other.release()
    assert not running(fresh)


def test_a_half_finished_initialisation_is_healed(fresh: Home) -> None:
    leftover = fresh.database / "init-0badcafe"
    (leftover / "base").mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")
    with Server(fresh) as server:
        assert ask(server, "SELECT 1") == "1"
    assert not leftover.exists()


def test_a_folder_that_is_no_database_is_not_touched(fresh: Home) -> None:
    (fresh.database / "data").mkdir()
    (fresh.database / "data" / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="is not a PostgreSQL data directory: move it away"):
        Server(fresh).acquire()
    assert (fresh.database / "data" / "mine.txt").read_text() == "mine"


def test_a_database_of_another_version_is_refused_in_one_sentence(fresh: Home) -> None:
    with Server(fresh):
        pass
    (fresh.path / "database" / "data" / "PG_VERSION").write_text("15\n")
    with pytest.raises(StorageError, match=r"written by PostgreSQL 15 but .* version 18"):
        Server(fresh).acquire()
    (fresh.path / "database" / "data" / "PG_VERSION").write_text("18\n")


def test_a_server_that_cannot_start_says_why(fresh: Home) -> None:
    with Server(fresh):
        pass
    (fresh.path / "database" / "data" / "global" / "pg_control").rename(fresh.path / "pg_control")
    with pytest.raises(StorageError, match=r"does not start: .*pg_control"):
        Server(fresh).acquire()
    (fresh.path / "pg_control").rename(fresh.path / "database" / "data" / "global" / "pg_control")
    with Server(fresh) as server:
        assert ask(server, "SELECT 1") == "1"


@pytest.mark.parametrize(
    "name", ["a home with 'quotes', commas and spaces %d \"x\" Ünï", "long/" + "x" * 120 + "/" + "y" * 120]
)
def test_any_path_can_be_a_home(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path / name)
    with Server(home) as server:
        assert ask(server, "SELECT current_setting('data_directory')") == str(home.path / "database" / "data")
        assert len(os.fsencode(server.socket_folder)) < 90
    assert not running(home)


def test_a_long_or_unusable_temporary_folder_is_passed_over(
    fresh: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("t" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with Server(fresh) as server:
        assert not server.socket_folder.startswith(str(deep))
        assert ask(server, "SELECT 1") == "1"


def test_a_socket_folder_that_belongs_to_someone_else_is_not_used(
    fresh: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    taken = cluster.socket_folder(fresh.path, fresh.database / "data")
    taken.chmod(0o777)
    try:
        with Server(fresh) as server:
            assert server.socket_folder != str(taken)
            assert ask(server, "SELECT 1") == "1"
        assert taken.stat().st_mode & 0o777 == 0o777
    finally:
        taken.rmdir()


def test_odd_locale_zone_and_postgres_variables_change_nothing(fresh: Home) -> None:
    odd = client(
        fresh, "hold", LC_ALL="tr_TR.UTF-8", LANG="tr_TR", TZ="Asia/Kathmandu", PGDATA="/nowhere", PGOPTIONS="-c x=y"
    )
    pid = told_pid(odd)
    with Server(fresh) as server:
        assert server.pid == pid
        assert ask(server, "SELECT current_setting('TimeZone')") == "UTC"
        assert ask(server, "SELECT current_setting('lc_messages')") == "C"
        assert ask(server, "SELECT current_setting('fsync') || current_setting('synchronous_commit')") == "onon"
        assert ask(server, "SELECT datcollate || pg_encoding_to_char(encoding) FROM pg_database LIMIT 1") == "CUTF8"
        assert ask(server, "SELECT lower('I')") == "i"
    odd.kill()
    odd.wait()


def test_no_tcp_port_is_opened_and_the_socket_is_closed_to_others(fresh: Home) -> None:
    with Server(fresh) as server:
        assert ask(server, "SELECT current_setting('listen_addresses')") == ""
        assert Path(server.socket_folder).stat().st_mode & 0o777 == 0o700
        assert (fresh.path / "database").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be refused by PostgreSQL")
def test_as_root_the_server_is_unprivileged_and_closed_parent_folders_stay_closed(tmp_path: Path) -> None:
    parent = tmp_path / "closed"
    parent.mkdir(mode=0o700)
    modes = {folder: folder.stat().st_mode for folder in (parent, *parent.parents)}
    with Server(Home(parent / "home")) as server:
        status = Path(f"/proc/{server.pid}/status").read_text()
        ids = next(line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
        assert "0" not in ids
        assert ask(server, "SELECT 1") == "1"
        capabilities = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
        assert capabilities in (1 << 1, 1 << 2)
    assert {folder: folder.stat().st_mode for folder in modes} == modes


def test_a_forked_child_neither_stops_nor_loses_the_server(fresh: Home) -> None:
    with Server(fresh) as server:
        child = os.fork()
        if child == 0:
            server.release()
            os._exit(0)
        os.waitpid(child, 0)
        assert ask(server, "SELECT 1") == "1"
    assert not running(fresh)


def test_a_home_that_is_deleted_under_its_server_does_not_keep_it_alive(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    server = Server(home)
    pid = server.acquire().pid
    shutil.rmtree(home.path, ignore_errors=True)
    server.release()
    assert wait_until(lambda: birth_mark(pid) is None, 10)


def test_a_home_that_is_deleted_and_made_again_has_a_server_that_stays(fresh: Home) -> None:
    with Server(fresh) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert wait_until(lambda: not running(fresh), 10)
        shutil.rmtree(fresh.path)
        server.acquire()
        time.sleep(1)
        assert ask(server, "SELECT 1") == "1"
    assert not running(fresh)


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    code = "import sys, time; from throughline.storage.locks import *; from pathlib import Path\n"
    code += "assert try_lock(open_lock(Path(sys.argv[1]))); print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": PATHS}
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    mine = open_lock(path)
    assert not try_lock(mine)
    holder.kill()
    holder.wait()
    assert try_lock(mine)
    os.close(mine)
