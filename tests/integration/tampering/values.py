"""Another value of the same sort: for a cell, and for a leaf somewhere in a body."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any

Path = tuple[str | int, ...]
_NAMES = ("uuid", "hash")
KEPT = ("experiment", "partition", "supersedes")
"""Keys of a body that other classes of tampers change."""


def other_cell(value: Any, random: Random) -> Any:
    """Return another value that the same column can hold."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | Decimal):
        return value + random.choice((-1, 1, 7)) if value else value + 1
    if isinstance(value, datetime):
        return value + random.choice((-1, 1)) * timedelta(seconds=random.choice((1, 3600, 86_400)))
    if isinstance(value, date):
        return value + timedelta(days=random.choice((-1, 1, 40)))
    if isinstance(value, uuid.UUID):
        return str(uuid.UUID(int=random.getrandbits(128)))
    if isinstance(value, memoryview | bytes):
        return other_bytes(bytes(value), random)
    if isinstance(value, list):
        return value[1:] if value and random.random() < 0.5 else [*value, "x"]
    return other_text(str(value), random)


def other_bytes(data: bytes, random: Random) -> bytes:
    """Return the same with one bit flipped, cut off, or with something behind it."""
    how = random.randrange(3)
    if how == 0:
        place = random.randrange(len(data))
        return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]
    return data[: random.randrange(len(data))] if how == 1 else data + b" "


def other_text(text: str, random: Random) -> str:
    """Return another text of the same form: hash, time, number or word."""
    if len(text) == 64 and not set(text) - set("0123456789abcdef"):
        return text[:-1] + ("0" if text[-1] != "0" else "1")
    if len(text) == 27 and text.endswith("Z"):
        moved = datetime.fromisoformat(text) + timedelta(seconds=random.choice((-3600, -1, 1, 60)))
        return moved.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text + "x"
    return format(number + 1 if random.random() < 0.5 or not number else number * 2, "f")


def leaves(body: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of everything in a body that is no container, but for what names other records."""
    if isinstance(body, Mapping) and body and not (path and set(body) == set(_NAMES)):
        for key in sorted(body):
            if path or key not in KEPT:
                yield from leaves(body[key], (*path, key))
    elif isinstance(body, list) and body:
        for place, item in enumerate(body):
            yield from leaves(item, (*path, place))
    elif not isinstance(body, Mapping):
        yield path, body


def other_leaf(value: Any, random: Random) -> Any:
    """Return another value for a leaf of a body."""
    if value is None:
        return "1"
    if isinstance(value, list):
        return ["x"]
    if isinstance(value, bool | int):
        return other_cell(value, random)
    return other_text(str(value), random)


def put(body: Any, path: Path, value: Any) -> None:
    """Write `value` at `path`."""
    for part in path[:-1]:
        body = body[part]
    body[path[-1]] = value


def is_time(value: Any) -> bool:
    """Return whether a leaf is an instant."""
    return isinstance(value, str) and len(value) == 27 and value.endswith("Z")
