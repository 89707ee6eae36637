"""Reading a TOML table strictly: every key typed, no key unknown, every error naming file and key.

Belongs here: the checks. Does not belong here: what the keys mean (`description`).
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from throughline.errors import SettingsError

_DURATION = re.compile(r"^(\d+)\s*(ms|s|m|h|d)$")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text: str) -> int | None:
    """Return a duration such as ``"36h"``, ``"15m"`` or ``"1d"`` in milliseconds, None if it is not one."""
    match = _DURATION.match(text.strip())
    return int(match[1]) * _UNIT_MS[match[2]] if match else None


def read_toml(path: Path) -> dict[str, Any]:
    """Return the parsed TOML file. Raises SettingsError if it is missing, unreadable or not TOML."""
    try:
        with path.open("rb") as handle:
            return tomllib.load(handle)
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; give the path of an archive description (TOML)") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read as TOML: {error}") from None


class SettingsTable:
    """One TOML table being read. Call the typed getters, then `finish` to refuse what nobody asked for."""

    def __init__(self, values: Mapping[str, Any], file: Path, where: str = "") -> None:
        self._values = values
        self._file = file
        self._where = where
        self._known: set[str] = set()

    def fail(self, key: str, message: str) -> SettingsError:
        """Return (not raise) an error that names the file and the key."""
        name = f"{self._where}.{key}" if self._where else key
        return SettingsError(f"{self._file}: {name} {message}")

    def has(self, key: str) -> bool:
        """Say whether the key is given."""
        self._known.add(key)
        return key in self._values

    def optional_text(self, key: str) -> str | None:
        """Return a text, or None where it is not given."""
        if not self.has(key):
            return None
        value = self._values[key]
        if not isinstance(value, str) or not value.strip():
            raise self.fail(key, f"must be a text that is not empty, not {value!r}")
        return value

    def text(self, key: str) -> str:
        """Return a text that must be there."""
        value = self.optional_text(key)
        if value is None:
            raise self.fail(key, "is missing")
        return value

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """Return one of `choices`."""
        value = self.optional_text(key)
        if value is None:
            if default is None:
                raise self.fail(key, f"is missing; it is one of {', '.join(choices)}")
            return default
        if value not in choices:
            raise self.fail(key, f"is {value!r}; it must be one of {', '.join(choices)}")
        return value

    def character(self, key: str, default: str) -> str:
        """Return a single character (a tab counts as one)."""
        if not self.has(key):
            return default
        value = self._values[key]
        if not isinstance(value, str) or len(value) != 1:
            raise self.fail(key, f"must be one character, not {value!r}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        if not self.has(key):
            return default
        value = self._values[key]
        if not isinstance(value, bool):
            raise self.fail(key, f"must be true or false, not {value!r}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a finite number in [low, high]."""
        if not self.has(key):
            return default
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fail(key, f"must be a number, not {value!r}")
        if not low <= value <= high:
            raise self.fail(key, f"is {value}; it must lie between {low:g} and {high:g}")
        return float(value)

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """Return an integer in [low, high]."""
        if not self.has(key):
            return default
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fail(key, f"must be a whole number, not {value!r}")
        if not low <= value <= high:
            raise self.fail(key, f"is {value}; it must lie between {low} and {high}")
        return value

    def duration(self, key: str, default_ms: int | None = None) -> int:
        """Return a duration in milliseconds; written as a number and one of ms, s, m, h, d."""
        value = self.optional_text(key)
        if value is None:
            if default_ms is None:
                raise self.fail(key, 'is missing; write a duration such as "1h"')
            return default_ms
        result = duration_ms(value)
        if result is None or result <= 0:
            raise self.fail(key, f'is {value!r}; write a positive duration such as "1h", "15m" or "1d"')
        return result

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, empty where it is not given."""
        if not self.has(key):
            return ()
        value = self._values[key]
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.fail(key, f"must be a list of texts, not {value!r}")
        return tuple(value)

    def table(self, key: str) -> SettingsTable | None:
        """Return a sub-table, or None where it is not given."""
        if not self.has(key):
            return None
        value = self._values[key]
        if not isinstance(value, Mapping):
            raise self.fail(key, f"must be a table ([{key}]), not {value!r}")
        return SettingsTable(value, self._file, f"{self._where}.{key}" if self._where else key)

    def tables(self, key: str) -> dict[str, SettingsTable]:
        """Return the named sub-tables of a table, in order of name."""
        outer = self.table(key)
        if outer is None:
            return {}
        result = {}
        for name in sorted(outer._values):
            inner = outer.table(name)
            if inner is not None:
                result[name] = inner
        return result

    def finish(self) -> None:
        """Raise SettingsError if the table holds a key that no getter asked for."""
        for key in self._values:
            if key not in self._known:
                near = difflib.get_close_matches(key, sorted(self._known), 1, 0.5)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(sorted(self._known))}"
                raise self.fail(key, f"is not a known key{hint}")
