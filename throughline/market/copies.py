"""Names of second copies: what browsers and file managers call a file whose name is taken already.

Belongs here: the marks, and which name is a copy of which. Does not belong here: which files are read (`paths`,
`tables`), and whether files of one instrument fit together (`pieces`).

``AAA (1).csv`` beside ``AAA.csv`` is the second download of one file far more often than it is another coin. Where the
path names the instrument, the two would be two instruments with one history, each bought and counted.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from throughline.errors import ArchiveError, shown

_COPY = r"(?:copy|kopie|copie|copia)"
_ENDING = re.compile(
    r"(?:"
    r" ?\(\d{1,3}\)"  # Chrome, Edge, Firefox, Windows Explorer, Dolphin: AAA (1), AAA(1)
    r"|[- ]\d{1,2}"  # Safari: AAA-1; Finder: AAA 2
    rf"|(?: -)? {_COPY}(?: \(?\d{{1,3}}\)?)?"  # Finder, VS Code: AAA copy 2; Windows Explorer: AAA - Copy (2)
    rf"|-{_COPY}\d*"  # JupyterLab: AAA-Copy1
    rf"| \((?:another |\d{{1,3}}(?:st|nd|rd|th) )?{_COPY}(?: \d{{1,3}})?\)"  # Nautilus, Thunar: AAA (3rd copy)
    r")$",
    re.IGNORECASE,
)
_BEGINNING = re.compile(r"^(?:copy of|kopie von|copie de|copia de|copia di) ", re.IGNORECASE)  # Google Drive


def original_of(name: str, names: Collection[str]) -> str | None:
    """Return the one of `names` that `name` is a copy of by the marks on it, however many; None where it is none."""
    rest = name
    while True:
        shorter = _ENDING.sub("", rest) if _ENDING.search(rest) else _BEGINNING.sub("", rest)
        if shorter == rest or not shorter:
            return None
        if shorter in names:
            return shorter
        rest = shorter


def copies_error(original: str, copy: str, files: tuple[str, str], remedy: str) -> ArchiveError:
    """Return the error for two instruments of which one is named like a copy of the other.

    Args:
        original: the name without the mark.
        copy: the name with it.
        files: the file of each, as messages name them.
        remedy: how to say that both are real.
    """
    return ArchiveError(
        f"{files[0]} and {files[1]} give the instruments {shown(original)} and {shown(copy)}, but {shown(copy)} is "
        f"what a browser or file manager calls a second copy of {shown(original)}; delete one of the two files, or, if "
        f"they are two instruments, {remedy}"
    )
