"""Bulk insert by COPY.

Belongs here: turning Python values into PostgreSQL's text COPY format, exactly (numerics as decimal text, bytes as
hex, instants with their offset). Does not belong here: which rows, and in which transaction.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    Uuid,
)

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\v": "\\v"})


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is not text")
    if "\0" in value:
        raise ValueError("the text holds a NUL, which PostgreSQL cannot store")
    return value.translate(_ESCAPES)


def _numeric(value: Any) -> str:
    number = value if isinstance(value, Decimal) else Decimal(value) if isinstance(value, int | str) else None
    if number is None or not number.is_finite():
        raise TypeError(f"{value!r} is not an exact finite number: pass a Decimal, an int or decimal text")
    return format(number, "f")


def _instant(value: Any) -> str:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"{value!r} is not an aware datetime")
    return value.isoformat()


def _date(value: Any) -> str:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError(f"{value!r} is not a date")
    return value.isoformat()


def _uuid(value: Any) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(value))


def _integer(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not an integer")
    return str(value)


def _boolean(value: Any) -> str:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return "t" if value else "f"


def _texts(value: Any) -> str:
    if isinstance(value, str):
        raise TypeError("one text where a list of texts is due")
    escaped = (item.replace("\\", "\\\\").replace('"', '\\"') for item in value)
    return "{" + ",".join(f'"{_text(item)}"' for item in escaped) + "}"


def _bytes(value: Any) -> str:
    return "\\\\x" + bytes(value).hex()


_ENCODERS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (ARRAY, _texts),
    (Uuid, _uuid),
    (LargeBinary, _bytes),
    (Boolean, _boolean),
    (DateTime, _instant),
    (Date, _date),
    (BigInteger, _integer),
    (Integer, _integer),
    (Numeric, _numeric),
    (Text, _text),
)


def _encoder(table: Table, name: str) -> Callable[[Any], str]:
    kind = table.columns[name].type
    return next(encode for known, encode in _ENCODERS if isinstance(kind, known))


def encode_rows(table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return the COPY text of `rows`, each a sequence of values in the order of `columns`.

    Raises ValueError naming table, row and column for a value that the column cannot hold exactly.
    """
    encoders = [_encoder(table, name) for name in columns]
    lines = []
    for number, row in enumerate(rows):
        fields = []
        for name, encode, value in zip(columns, encoders, row, strict=True):
            try:
                fields.append("\\N" if value is None else encode(value))
            except (TypeError, ValueError, ArithmeticError) as error:
                raise ValueError(f"{table.name}, row {number}, column {name}: {error}") from error
        lines.append("\t".join(fields))
    return "\n".join(lines) + "\n" if lines else ""


def copy_tuples(cursor: Any, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """COPY `rows` into `table` through a psycopg2 `cursor`, inside its transaction; return how many."""
    if not rows:
        return 0
    names = ", ".join(f'"{name}"' for name in columns)
    stream = io.BytesIO(encode_rows(table, columns, rows).encode("utf-8"))
    cursor.copy_expert(f"COPY {table.name} ({names}) FROM STDIN", stream)
    return len(rows)
