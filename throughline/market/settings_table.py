"""Reading a TOML table strictly: every key typed, no key unknown, every error naming file and key.

Belongs here: the checks. Does not belong here: what the keys mean (`description`).
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from throughline.errors import SettingsError, printable, shown

_DURATION = re.compile(r"^([0-9]{1,12})\s*(ms|s|m|h|d)$")
LONGEST_MS = 36_525 * 86_400_000
"""The longest duration that a key may name: a hundred years."""
Column = str | int
"""A column by its name, or by its position from 1. The empty name is the one column whose header is empty."""

_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def duration_ms(text: str) -> int | None:
    """Return a duration such as ``"36h"``, ``"15m"`` or ``"1d"`` in milliseconds, None if it is not one."""
    match = _DURATION.match(text.strip())
    return int(match[1]) * _UNIT_MS[match[2]] if match else None


class SettingsTable:
    """One TOML table being read. Call the typed getters, then `finish` to refuse what nobody asked for."""

    def __init__(self, values: Mapping[str, Any], file: Path, where: str = "") -> None:
        self._values = values
        self._file = file
        self._where = where
        self._known: set[str] = set()

    def fail(self, key: str, message: str) -> SettingsError:
        """Return (not raise) an error that names the file and the key."""
        name = f"{self._where}.{key}" if self._where and key else self._where or key
        return SettingsError(f"{printable(str(self._file))}: {printable(name[:200])} {message}")

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
            raise self.fail(key, f"must be a text that is not empty, not {shown(value)}")
        return self._printable(key, value, 1_000, "\t")

    def _printable(self, key: str, value: str, longest: int, allowed: str) -> str:
        """Refuse what a terminal could obey or hide: such a text would be printed by reports and errors."""
        if len(value) > longest:
            raise self.fail(key, f"is longer than {longest:,} characters: {shown(value)}")
        for char in value:
            if not (char.isprintable() or char in allowed or unicodedata.category(char) == "Zs"):
                raise self.fail(key, f"holds U+{ord(char):04X}, which cannot be printed: {shown(value)}")
        return value

    def optional_column(self, key: str) -> Column | None:
        """Return a column: its name, "" for the one without a name, or its position from 1; None where not given."""
        if not self.has(key):
            return None
        value = self._values[key]
        if isinstance(value, int) and not isinstance(value, bool):
            if not 1 <= value <= 100_000:
                raise self.fail(key, f"is {shown(value)}; a column's position counts from 1")
            return value
        return "" if value == "" else self.optional_text(key)

    def column(self, key: str) -> Column:
        """Return a column that must be there."""
        value = self.optional_column(key)
        if value is None:
            raise self.fail(key, "is missing; give the column's name, or its position from 1")
        return value

    def columns(self, key: str) -> tuple[Column, ...]:
        """Return a list of columns, each by name or position; empty where it is not given."""
        if not self.has(key):
            return ()
        value = self._values[key]
        if not isinstance(value, list):
            raise self.fail(key, f"must be a list of columns, not {shown(value)}")
        return tuple(SettingsTable({key: item}, self._file, self._where).column(key) for item in value)

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
            raise self.fail(key, f"is {shown(value)}; it must be one of {', '.join(choices)}")
        return value

    def character(self, key: str, default: str) -> str:
        """Return a single character (a tab counts as one)."""
        if not self.has(key):
            return default
        value = self._values[key]
        if not isinstance(value, str) or len(value) != 1:
            raise self.fail(key, f"must be one character, not {shown(value)}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        if not self.has(key):
            return default
        value = self._values[key]
        if not isinstance(value, bool):
            raise self.fail(key, f"must be true or false, not {shown(value)}")
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        """Return a finite number in [low, high]."""
        if not self.has(key):
            return default
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise self.fail(key, f"must be a number, not {shown(value)}")
        if not low <= value <= high:
            raise self.fail(key, f"is {shown(value)}; it must lie between {low:g} and {high:g}")
        return float(value)

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """Return an integer in [low, high]."""
        if not self.has(key):
            return default
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fail(key, f"must be a whole number, not {shown(value)}")
        if not low <= value <= high:
            raise self.fail(key, f"is {shown(value)}; it must lie between {low} and {high}")
        return value

    def duration(self, key: str, default_ms: int | None = None) -> int:
        """Return a duration in milliseconds; written as a number and one of ms, s, m, h, d."""
        value = self.optional_text(key)
        if value is None:
            if default_ms is None:
                raise self.fail(key, 'is missing; write a duration such as "1h"')
            return default_ms
        result = duration_ms(value)
        if result is not None and result > LONGEST_MS:
            raise self.fail(key, f"is {shown(value)}; a hundred years is the longest")
        if result is None or result <= 0:
            raise self.fail(key, f'is {shown(value)}; write a positive duration such as "1h", "15m" or "1d"')
        return result

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts, empty where it is not given."""
        if not self.has(key):
            return ()
        value = self._values[key]
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            word = "a list with an entry that is empty or no text" if isinstance(value, list) else shown(value)
            raise self.fail(key, f"must be a list of texts that are not empty, not {word}")
        return tuple(self._printable(key, item, 10_000, "\t\n") for item in value)

    def table(self, key: str) -> SettingsTable | None:
        """Return a sub-table, or None where it is not given."""
        if not self.has(key):
            return None
        value = self._values[key]
        if not isinstance(value, Mapping):
            raise self.fail(key, f"must be a table ([{printable(key)}]), not {shown(value)}")
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
                near = difflib.get_close_matches(key[:100], sorted(self._known), 1, 0.5)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(sorted(self._known))}"
                raise self.fail(key, f"is not a known key, so nothing would read it{hint}")


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False
