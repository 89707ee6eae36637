"""Reading a TOML file: every way in which it can be unreadable is one sentence that names the file and the line.

Belongs here: the file and its syntax. Does not belong here: what the keys mean (`configuration`, `market.description`).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from throughline.errors import SettingsError, printable, shown

_LARGEST = 1_000_000
"""Bytes of a settings file: larger ones are data by mistake."""
_PLACE = re.compile(r"at line (\d+), column (\d+)")


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Return the parsed file.

    Args:
        path: the file.
        what: what it is in words ("configuration file"), for the message.

    Returns:
        The document as plain dictionaries.

    Raises:
        SettingsError: it is missing, is no file, is larger than 1 MB, not UTF-8, nested too deeply or not TOML.
    """
    name = printable(str(path))
    try:
        if path.is_fifo() and not str(path).startswith(("/dev/fd/", "/proc/")):  # a shell's <(...) lies there
            raise SettingsError(f"{name}: is a named pipe, which may never end; give the path of a TOML file")
        with path.open("rb") as handle:
            data = handle.read(_LARGEST + 1)
    except FileNotFoundError:
        raise SettingsError(f"{name}: there is no such {what}; give the path of a TOML file") from None
    except IsADirectoryError:
        raise SettingsError(f"{name}: is a folder and no {what}; give the path of a TOML file") from None
    except PermissionError:
        raise SettingsError(f"{name}: may not be read; give yourself the right to read it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not a file name"
        raise SettingsError(f"{name}: cannot be opened as {what} ({reason}); give the path of a TOML file") from None
    if len(data) > _LARGEST:
        raise SettingsError(f"{name}: is larger than 1 MB, so it is no {what}; give the path of a TOML file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{name}: not valid TOML: line {line} is not UTF-8; save the file as UTF-8") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name}: not valid TOML{_syntax(str(error), text)}") from None
    except RecursionError:
        raise SettingsError(f"{name}: not valid TOML: it is nested too deeply; write plain tables") from None
    except ValueError:  # int() of more than 4,300 digits
        raise SettingsError(f"{name}: not valid TOML: it holds a number of thousands of digits") from None


def _syntax(message: str, text: str) -> str:
    """Return where the syntax is wrong, in our words and with the line itself."""
    fault = "cannot be understood"
    if any(word in message for word in ("overwrite", "twice", "Duplicate")):
        fault = "names a key or a table a second time"
    place = _PLACE.search(message)
    lines = text.splitlines()
    if place is None or int(place[1]) > len(lines):
        return f": the last line {fault}; close every bracket and quote, and name each key once"
    return f": line {place[1]}, column {place[2]} {fault}: {shown(lines[int(place[1]) - 1].strip())}"
