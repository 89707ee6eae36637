"""A home that was copied, restored or used by somebody else: one sentence with a remedy, and the remedy works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.closed_programs import mounted, only_root, open_folder
from throughline.errors import StorageError
from throughline.storage.home import Home
from throughline.storage.programs import ServerUser, reachable, wheel_programs
from throughline.storage.server import Server

ROOT = Path(__file__).resolve().parents[2]
OTHER = 65534


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A home whose server has run and stopped, in a folder that every user may enter."""
    with open_folder() as folder:
        made = Home(folder / "a home")
        with Server(made):
            pass
        yield made


def refused(home: Home) -> str:
    """Return why the server of `home` does not start."""
    with pytest.raises(StorageError) as error, Server(home):
        pass
    told = str(error.value)
    assert "Errno" not in told
    assert "FATAL" not in told
    return told


def remedy(told: str) -> list[str]:
    """Return the command that a refusal names."""
    found = re.search(r"`([^`]+)`", told)
    assert found, told
    return shlex.split(found[1].removeprefix("sudo "))


def data(home: Home) -> Path:
    return home.path / "database" / "data"


def given_to_root(home: Home) -> None:
    subprocess.run(["chown", "-R", "0:0", str(home.path)], check=True)


def one_file_given_away(home: Home) -> None:
    os.chown(data(home) / "global" / "pg_control", 0, 0)


def opened(home: Home) -> None:
    data(home).chmod(0o755)


def made_read_only(home: Home) -> None:
    subprocess.run(["chmod", "-R", "a-w", str(data(home) / "base")], check=True)


@only_root
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (given_to_root, r"belongs to the user root, as after a copy that root made, and its server runs as \w+"),
        (one_file_given_away, r"has 1 file\(s\) that do not belong to \w+.*global/pg_control belongs to root"),
        (opened, "has mode 0755, and PostgreSQL refuses a database that others may"),
        (made_read_only, r"file\(s\) that its own user may not read and write"),
    ],
)
def test_files_that_the_server_cannot_use_are_named_with_a_command_that_mends_them(
    home: Home, spoil: Callable[[Home], None], why: str
) -> None:
    spoil(home)
    told = refused(home)
    assert re.search(why, told), told
    subprocess.run(remedy(told), check=True)
    with Server(home) as server:
        assert server.pid


@only_root
@pytest.mark.parametrize(("options", "why"), [("remount,ro", "mounted read-only"), ("size=64k", "No space is left")])
def test_a_home_on_a_file_system_that_takes_no_files_says_so(home: Home, options: str, why: str) -> None:
    with mounted(home.path.parent / "mounted", "size=200m" if "remount" in options else options) as place:
        copied = Home(place / "home")
        if "remount" in options:
            shutil.copytree(home.path, copied.path)
            subprocess.run(["chown", "-R", f"--reference={data(home)}", str(data(copied))], check=True)
            subprocess.run(["mount", "-o", options, str(place)], check=True)
        else:
            copied.path.mkdir(mode=0o700)
            (place / "full").write_bytes(b"0" * (os.statvfs(place).f_bavail * os.statvfs(place).f_frsize - 4096))
        told = refused(copied)
    assert why in told
    assert str(copied.path) in told
    assert "choose another --home" in told


CLIENT = """
import sys
from throughline.errors import ThroughlineError
from throughline.storage.home import Home
from throughline.storage.programs import ServerUser, reachable, wheel_programs
from throughline.storage.launch import drop
from throughline.storage.server import Server
drop(int(sys.argv[2]), int(sys.argv[2]), True)  # lets it through to Python itself, which may lie in root's home
try:
    with Server(Home(sys.argv[1])) as server:
        print("runs")
except ThroughlineError as error:
    print(error)
"""


def as_other_user(home: Home) -> str:
    """Return what an unprivileged process says that opens `home`."""
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(home.path), str(OTHER)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if "CAP_DAC_READ_SEARCH" in done.stderr:
        pytest.skip("this root has no capability to hand on")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@only_root
def test_another_users_home_is_refused_with_its_owner_and_what_to_do(home: Home) -> None:
    modes = {path: path.stat().st_mode for path in (home.path, home.path / "database")}
    try:
        told = as_other_user(home)
        assert re.search(r"belongs to the user root, and this process runs as nobody: run it as root", told), told
        for path in modes:
            path.chmod(0o755)
        told = as_other_user(home)
        assert re.search(r"(server|leases).lock belongs to the user root, and this process runs as nobody", told), told
        assert remedy(told)[:3] == ["chown", "-R", "nobody"]
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@only_root
def test_a_home_that_was_used_once_with_sudo_can_be_given_back(home: Home) -> None:
    with open_folder() as folder:
        mine = Home(folder / "home")
        mine.create()
        os.chown(mine.path, OTHER, OTHER)
        with Server(mine):  # root's run leaves its own files in the home of another user
            pass
        told = as_other_user(mine)
        assert "belongs to the user root" in told, told
        subprocess.run(remedy(told), check=True)
        told = as_other_user(mine)
        # An ordinary user's environment is their own; that of this run may lie in a folder that is closed to them.
        closed = not reachable(wheel_programs(), ServerUser(OTHER, OTHER, "nobody"))
        assert told == "runs" or (closed and "could not locate my own executable path" in told), told


def test_a_file_that_its_own_user_may_not_write_is_named(tmp_path: Path) -> None:
    from throughline.storage.ownership import explanation

    home = tmp_path / "home"
    home.mkdir()
    told = explanation(PermissionError(13, "Permission denied", str(home / "file")), home)
    assert re.search(r"does not let its own user read and write \(mode 0\d+\): run `chmod -R u\+rwX ", told)
