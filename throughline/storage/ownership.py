"""Whose files a home consists of, and what to do where the server or this process cannot use them.

Belongs here: the checks before a server starts, and the sentence for an error of the operating system. Does not belong
here: changing an owner or a mode, which only the owner of the files may decide.

A home is copied, restored from a backup, or used once with sudo, and then some of its files belong to somebody else.
PostgreSQL would refuse such a folder with a sentence about itself, or start and fail at the first query that meets a
foreign file.
"""

from __future__ import annotations

import errno
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from throughline.errors import StorageError

_ANOTHER = "or choose another --home"


def user_name(uid: int) -> str:
    """Return the name of a user of this machine, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@contextmanager
def explained(home: Path) -> Iterator[None]:
    """Turn an error of the operating system about a file of `home` into a StorageError with the remedy."""
    try:
        yield
    except OSError as error:
        raise StorageError(explanation(error, home)) from None


def explanation(error: OSError, home: Path) -> str:
    """Return one sentence that says why a file of `home` cannot be used, and what to do."""
    path = Path(os.fsdecode(error.filename)) if error.filename is not None else home
    if error.errno == errno.EROFS:
        return f"The home {home} is on a file system that is mounted read-only: mount it writable, {_ANOTHER}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"No space is left for the home {home}: make room, {_ANOTHER}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return _denied(_first_denied(path), home)
    return f"{path} cannot be used ({error.strerror or type(error).__name__}): repair it, {_ANOTHER}."


def explanation_of_output(text: str, home: Path) -> str | None:
    """Return the sentence for what a program wrote before it failed; None where that says nothing about the disk."""
    known = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    known_error = next((number for number in known if os.strerror(number) in text), None)
    return None if known_error is None else explanation(OSError(known_error, os.strerror(known_error)), home)


def _first_denied(path: Path) -> Path:
    """Return the topmost part of `path` that this process may not use as it needs to."""
    for part in [*reversed(path.parents), path]:
        try:
            status = part.lstat()
        except FileNotFoundError:
            return part.parent  # a file was to be made there
        except OSError:
            break
        if not os.access(part, os.X_OK if stat.S_ISDIR(status.st_mode) else os.R_OK | os.W_OK):
            return part
    return path


def _denied(path: Path, home: Path) -> str:
    owner, mine = path.stat().st_uid, os.geteuid()
    if owner == mine:
        return (
            f"{path} does not let its own user read and write (mode {path.stat().st_mode & 0o777:04o}): "
            f"run `chmod -R u+rwX {shlex.quote(str(home))}`, {_ANOTHER}."
        )
    return (
        f"{path} belongs to the user {user_name(owner)}, and this process runs as {user_name(mine)}: run it as "
        f"{user_name(owner)}, give the home away with `sudo chown -R {user_name(mine)} {shlex.quote(str(home))}`, "
        f"{_ANOTHER}."
    )


def check_files(folder: Path, home: Path) -> None:
    """Raise StorageError where this process cannot use a file beside the data directory: locks, log, record."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and not os.access(path, os.R_OK | os.W_OK):
            with explained(home):
                path.open("r+b").close()


def check_data(data: Path, uid: int) -> None:
    """Raise StorageError where the data directory is not, as a whole, the server user's own.

    Args:
        data: the data directory; it exists.
        uid: the user that the server runs as.
    """
    quoted, name = shlex.quote(str(data)), user_name(uid)
    give = f"`{'' if os.geteuid() == 0 else 'sudo '}chown -R {name} {quoted}`"
    top = data.stat()
    if top.st_uid != uid:
        copied = ", as after a copy that root made" if top.st_uid == 0 else ""
        raise StorageError(
            f"The database in {data} belongs to the user {user_name(top.st_uid)}{copied}, and its server runs as "
            f"{name}: give it to {name} with {give}, {_ANOTHER}."
        )
    if top.st_mode & 0o777 not in (0o700, 0o750):
        raise StorageError(
            f"The folder {data} has mode {top.st_mode & 0o777:04o}, and PostgreSQL refuses a database that others may "
            f"read or write: run `chmod 0700 {quoted}`, {_ANOTHER}."
        )
    foreign: list[Path] = []
    closed: list[Path] = []
    for path in _below(data):
        status = path.lstat()
        needed = 0o700 if stat.S_ISDIR(status.st_mode) else 0o600
        if status.st_uid != uid:
            foreign.append(path)
        elif not stat.S_ISLNK(status.st_mode) and status.st_mode & needed != needed:
            closed.append(path)
    if foreign:
        owner = user_name(foreign[0].lstat().st_uid)
        raise StorageError(
            f"The database in {data} has {len(foreign):,} file(s) that do not belong to {name}, whom its server runs "
            f"as ({foreign[0].relative_to(data)} belongs to {owner}): give them back with {give}, {_ANOTHER}."
        )
    if closed:
        raise StorageError(
            f"The database in {data} has {len(closed):,} file(s) that its own user may not read and write (the first "
            f"is {closed[0].relative_to(data)}): run `chmod -R u+rwX {quoted}`, {_ANOTHER}."
        )


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        yield from (Path(place) / name for name in (*folders, *names))
