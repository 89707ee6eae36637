"""Paths that a person typed, and files that a person asked for.

Belongs here: reading a path as a shell would have, and writing a file whole or not at all. Does not belong here: the
home's own files, and what is written.
"""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

from throughline.errors import SettingsError, printable, shown

_LONGEST = 300
"""Characters of a path that a message shows at most."""
_DIRECT = ("/dev/fd/", "/dev/stdout", "/dev/stderr", "/proc/")
"""Names of streams that are open already, whatever lies behind them. Not all of /dev: /dev/shm holds ordinary files."""


def user_path(text: str | os.PathLike[str], setting: str) -> Path:
    """Return the absolute path that a person typed, with ``~`` expanded and symbolic links kept.

    Args:
        text: the path as typed.
        setting: option or variable that it was given with, for the message.

    Raises:
        SettingsError: it is empty, is not UTF-8, or begins with the ``~name`` of nobody on this machine.
    """
    typed = os.fspath(text)
    if not typed.strip():
        raise SettingsError(f"{setting} is empty: give a path")
    try:
        typed.encode("utf-8")
    except UnicodeEncodeError:  # bytes that Python could not read as text, which records and the database hold
        raise SettingsError(f"{setting} {shown(typed, _LONGEST)} {_unreadable(typed)}") from None
    try:
        return Path(typed).expanduser().absolute()
    except RuntimeError:  # no such user, or no home folder of this one
        name = typed.split("/", 1)[0]
        raise SettingsError(
            f"{setting} begins with {shown(name)}, which is nobody's home folder here: write the whole path"
        ) from None


def _unreadable(typed: str) -> str:
    """Return why a path is no text here, and the remedy."""
    try:
        os.fsencode(typed).decode("utf-8")
    except UnicodeError:
        return "is not UTF-8: rename the file or folder"
    return "cannot be read in this locale, which is not UTF-8: set LC_ALL=C.UTF-8"


def resolved_path(text: str | os.PathLike[str], setting: str) -> Path:
    """Return `user_path` with symbolic links resolved. Raises SettingsError too where links lead round in a circle."""
    path = user_path(text, setting)
    try:
        return path.resolve()
    except (RuntimeError, OSError):  # Python 3.11 and 3.12 raise RuntimeError for a circle of links
        raise SettingsError(
            f"{setting} {shown(str(path), _LONGEST)} cannot be followed (a circle of symbolic links, or too long): "
            "give another path"
        ) from None


def write_file(text: str | os.PathLike[str], data: bytes, setting: str) -> Path:
    """Write a file that a person asked for, whole or not at all; return its path.

    A file that exists is replaced and keeps its mode; a symbolic link stays and the file behind it is replaced. A
    device, a pipe or a stream that is open already (/dev/stdout) is written to as it is, never replaced.

    Args:
        text: the path as typed.
        data: what the file is to hold.
        setting: option that the path was given with, for the message.

    Raises:
        SettingsError: it cannot be written; where it existed it is as it was before.
    """
    path = user_path(text, setting)
    try:
        write_whole(path, data)
    except OSError as error:
        reason = error.strerror or "it cannot be opened"
        raise SettingsError(
            f"{printable(str(path)[:_LONGEST])} cannot be written ({reason}): choose another file with {setting}"
        ) from None
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, as `write_file` says. Raises OSError; what existed is then as it was before."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = None
    special = str(path).startswith(_DIRECT) or (mode is not None and not stat.S_ISREG(mode))
    if special:
        with path.open("wb", buffering=0) as stream:
            left = memoryview(data)
            while left:
                left = left[stream.write(left) :]
        return
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{uuid.uuid4().hex[:12]}.part")
    try:
        with part.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            part.chmod(stat.S_IMODE(mode))
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
