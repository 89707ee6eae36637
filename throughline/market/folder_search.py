"""Finding the files that a pattern names: every entry that fits is returned, or named in a refusal.

Belongs here: walking folders. `glob` leaves out what it may not read and what is no plain file, so a coin would be
missing from an archive without a word. Does not belong here: what a pattern may hold (`paths`).

A link to a file or folder is followed, except by ``**``, which would run in circles. Files that macOS puts beside
others on foreign disks (``._AAA.csv``) are no data and are left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from throughline.errors import ArchiveError, printable, shown

_MACOS = "._"


def matching_files(base: Path, pattern: str) -> list[Path]:
    """Return the plain files below `base` that a pattern (as in `fnmatch`, and ``**`` for folders) names, in order.

    Raises:
        ArchiveError: naming a folder that may not be read, a link that leads nowhere or in a circle, a named pipe,
            socket or device, or a link to a folder in the place of ``**``.
    """
    return sorted(set(_below(base, pattern.split("/"))))


def _below(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _below(folder, rest)
        for entry in _entries(folder):
            if entry.is_symlink() and entry.is_dir():
                raise ArchiveError(
                    f"{printable(entry.path)}: is a link to a folder, which '**' does not follow; write the folders "
                    "into file ('*/' for each), or remove the link"
                )
            if entry.is_dir(follow_symlinks=False):
                yield from _below(Path(entry.path), parts)
        return
    for entry in _entries(folder):
        if not fnmatchcase(entry.name, part):
            continue
        path = Path(entry.path)
        if rest:
            if _is_folder(entry):
                yield from _below(path, rest)
        elif not entry.name.startswith(_MACOS) and not _is_folder(entry):
            _require_plain_file(path)
            yield path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ArchiveError(f"{printable(str(folder))}: cannot be read ({error.strerror}); check its rights") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        raise ArchiveError(f"{printable(entry.path)}: cannot be read ({error.strerror}); check its rights") from None


def _require_plain_file(path: Path) -> None:
    fault = file_fault(path)
    if fault is not None:
        raise ArchiveError(
            f"{printable(str(path))}: {fault}; remove it, or name the files in the description one by one"
        )


def file_fault(path: Path) -> str | None:
    """Return why `path`, which is there, is no plain file: the middle of a sentence; None if it is one."""
    try:
        if path.is_file():
            return None
        if path.is_symlink() and not path.exists():
            return f"is a link to {shown(str(path.readlink()))}, where nothing is"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except RuntimeError:
        return "is a link that leads to itself"
    return "is no plain file (a named pipe, a socket or a device)"
