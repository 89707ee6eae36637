"""A row as COPY writes it, held against its body without reading the body as JSON: quick where nothing is wrong.

Belongs here: the shape of a registry's bodies as one pattern, the text forms that PostgreSQL gives to its columns, and
the chain UUID of a body by the shortest way. Does not belong here: saying what is wrong. What is here only ever says
"this row certainly holds"; a row for which it cannot say so is read again, typed, and examined by
`throughline.tracking.checking`. So a shape that nobody thought of costs time and never gives a wrong answer; tests hold
both ways against each other.

Why a pattern: JSON into objects and back to values takes most of a check's time. A pattern is made from the first body
of each shape (its keys and kinds of values), so it follows the bodies that there are. It reads plain text only (ASCII
without escapes), where a string ends at the next quote, and flat values, so that it can be read in one way alone.
Sessions are in UTC with ISO dates (`reading.prepared` sees to it).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import ARRAY, DateTime, Numeric, Text, Uuid

from throughline.catalogue import catalogue
from throughline.identity import SCHEMA_VERSION
from throughline.registries import NULL, Fields, places
from throughline.storage.tables import ledger_table, projection
from throughline.tracking.versions import VERSION, missing_fields, version_problem

COMMON = ("body", "uuid", "experiment", "partition", "content_hash", "supersedes")
"""The columns before the projection, in the order in which they are read."""
BODY, UUID, EXPERIMENT, PARTITION, HASH, SUPERSEDES = range(len(COMMON))

_SHAPES = 8
"""At most so many patterns a registry: bodies of ever new shapes are examined the exact way."""
_EPOCH_1970 = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_CHAIN_UUID = b"chain-uuid\0001\0"
_STRING = '"[^"]*+"'
_SCALAR = f"(?:null|true|false|-?[0-9]++|{_STRING})"
_LIST = rf"\[(?:{_SCALAR}(?:,{_SCALAR})*+)?\]"
_OBJECT = rf"\{{(?:{_STRING}:{_SCALAR}(?:,{_STRING}:{_SCALAR})*+)?\}}"
_ANY = f"(?:{_SCALAR}|{_LIST}|{_OBJECT})"
_TEXT = '(?:null|"([^"]*+)")'
_TEXTS = r'(\[(?:"[^"\[\]{},]++"(?:,"[^"\[\]{},]++")*+)?\])'
# Canonical decimals of at most ten digits, six of them behind the point: what `vector_text` writes for everything below
# 10,000. Larger numbers are right too, but take the long way.
_NUMBER = r'(?:null|"(0|-?(?:0\.[0-9]{0,5}[1-9]|[1-9][0-9]{0,3}(?:\.[0-9]{0,5}[1-9])?))")'
_REFERENCE = ("hash", "uuid")
_NOTHING = "(?!)"

def time_column(text: str) -> str:
    """Return how COPY writes the instant that a body tells as `text` (``2024-03-02T10:00:00.000000Z``)."""
    if text.endswith(".000000Z"):
        return f"{text[:10]} {text[11:19]}+00"
    return f"{text[:10]} {text[11:26].rstrip('0')}+00"


def money_text(column: str) -> str:
    """Return the canonical text of a NUMERIC as COPY writes it: no trailing zeros, no point after the last digit."""
    return column.rstrip("0").rstrip(".") if "." in column else column


class Forms:
    """The rows of one registry, for the time of a check: the shapes that were met are kept.

    columns: what to read after `COMMON`. paths: where the values of `Fields` stand in a body; `at` gives their places.
    """

    def __init__(self, table: str) -> None:
        source, kind = ledger_table(table), catalogue().records[table]
        self.table = table
        self.columns = projection(source)
        paths = kind.paths
        self.at = places(table)
        self.paths = tuple(self.at)
        at_column = {name: len(COMMON) + place for place, name in enumerate(self.columns)}
        direct = [name for name in self.columns if isinstance(source.c[name].type, Text | Uuid)]
        own = [self.at[path] for path in ("experiment", "partition", *(paths[name] for name in direct))]
        self._own: Callable[[Any], Any] = itemgetter(*own)
        self._theirs: Callable[[Any], Any] = itemgetter(EXPERIMENT, PARTITION, *(at_column[name] for name in direct))
        self._others = [
            (_FORMS[type(source.c[name].type)], self.at[paths[name]], at_column[name])
            for name in self.columns
            if name not in direct
        ]
        self._prefix = f"{kind.kind}\0{SCHEMA_VERSION}\0".encode("ascii")
        self._kind = kind.kind
        self._time = self.at[kind.event_time]
        self._parent = None if kind.parent is None else self.at[f"{kind.parent}.uuid"]
        self._key = [self.at[name] for name in kind.natural_key]
        self._shapes: list[tuple[re.Pattern[str], Callable[[Any], Fields]]] = []

    def body_hash(self, data: bytes) -> str:
        """Return the content hash of a stored body, as `records.body_hash` gives it."""
        return hashlib.sha256(self._prefix + data).hexdigest()

    def fields(self, row: Sequence[str]) -> Fields | None:
        """Return what the body of a row says at `paths` if the row certainly holds in itself, else None.

        row: the fields of one line of COPY: `COMMON`, then `columns`.
        """
        text = row[BODY]
        if not text.isascii() or "\\" in text or row[SUPERSEDES] != NULL:
            return None
        if self.body_hash(text.encode("ascii")) != row[HASH]:
            return None
        fields = self._read(text)
        if fields is None or self._own(fields) != self._theirs(row):
            return None
        for holds, place, column in self._others:
            value = fields[place]
            if value == NULL:
                if row[column] != NULL:
                    return None
            elif not holds(value, row[column]):
                return None
        return fields if self._chain_uuid(fields) == row[UUID] else None

    def _read(self, text: str) -> Fields | None:
        for pattern, order in self._shapes:
            found = pattern.fullmatch(text)
            if found is not None:
                return order(found.groups(NULL))
        if len(self._shapes) < _SHAPES:
            shape = self._shape(text)
            found = None if shape is None else shape[0].fullmatch(text)
            if shape is not None and found is not None:
                self._shapes.append(shape)
                return shape[1](found.groups(NULL))
        return None

    def _shape(self, text: str) -> tuple[re.Pattern[str], Callable[[Any], Fields]] | None:
        """Return the pattern of bodies like this one, and what puts its groups into the order of `paths`."""
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(body, dict) or list(body) != sorted(body) or body.get("supersedes"):
            return None
        if version_problem(self.table, body) or missing_fields(self.table, body):
            return None
        groups: list[str] = []
        parts = [f'"{re.escape(key)}":{self._part(key, value, groups)}' for key, value in body.items()]
        if not set(self.paths) <= set(groups) or len(set(groups)) != len(groups):
            return None
        order: Callable[[Any], Fields] = itemgetter(*(groups.index(path) for path in self.paths))
        return re.compile(r"\{" + ",".join(parts) + r"\}"), order

    def _part(self, key: str, value: Any, groups: list[str]) -> str:
        """Return the pattern of a value, adding the paths that it captures to `groups`."""
        if key == VERSION:
            return re.escape(str(value))  # another version is another shape
        inner = {path.partition(".")[2] for path in self.paths if path.startswith(f"{key}.")}
        if inner:
            names = tuple(value) if isinstance(value, dict) else _REFERENCE
            if set(names) not in (inner, set(_REFERENCE)):
                return _NOTHING  # what is hashed or linked has these keys and no others
            parts = []
            for name in names:
                if name in inner:
                    groups.append(f"{key}.{name}")
                form = (_NUMBER if key == "values" else _TEXT) if name in inner else _SCALAR
                parts.append(f'"{re.escape(name)}":{form}')
            whole = r"\{" + ",".join(parts) + r"\}"
            return f"(?:null|{whole})" if set(names) == set(_REFERENCE) else whole
        if key in self.at:
            groups.append(key)
            return _TEXTS if isinstance(value, list) else _TEXT
        return _ANY

    def _chain_uuid(self, fields: Fields) -> str:
        """Return the text of `records.expected_uuid` for a body whose event time and parent equal their columns."""
        time = fields[self._time]
        parent = NULL if self._parent is None else fields[self._parent]
        key = '","'.join([fields[place] for place in self._key])
        seed = (
            f'{{"event_time":"{time}","experiment":"{fields[0]}","kind":"{self._kind}","natural_key":["{key}"],'
            f'"parent":{"null" if parent == NULL else chr(34) + parent + chr(34)}}}'
        )
        digest = hashlib.sha256(_CHAIN_UUID + seed.encode("ascii")).hexdigest()
        since = datetime.fromisoformat(time) - _EPOCH_1970
        milliseconds = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
        # 48 bits of time, version 8, 12 bits of the digest; variant 10, 62 more bits of it
        low = f"{int(digest[3:19], 16) >> 2 | 1 << 63:016x}"
        high = f"{milliseconds:012x}"
        return f"{high[:8]}-{high[8:]}-8{digest[:3]}-{low[:4]}-{low[4:]}"


def _same_time(value: str, column: str) -> bool:
    return len(value) == 27 and value[10] == "T" and value[26] == "Z" and time_column(value) == column


def _same_number(value: str, column: str) -> bool:
    return (value == column or value == money_text(column)) and value != "NaN"  # which equals nothing


def _same_texts(value: str, column: str) -> bool:
    """Where the array's text has no quotes: then none of its elements needs any, nor is one missing."""
    return "NULL" not in column.upper() and column == "{" + value[1:-1].replace('"', "") + "}"


_FORMS: Mapping[type, Callable[[str, str], bool]] = {
    DateTime: _same_time,
    Numeric: _same_number,
    ARRAY: _same_texts,
}


def registry_forms() -> dict[str, Forms]:
    """Return the forms of every registry, for one check."""
    return {table: Forms(table) for table in catalogue().registries}
