"""Finding the columns that a description names among those that a file has.

Belongs here: by name, by position, the column without a name, and the sentence where one is not there.
"""

from __future__ import annotations

from collections.abc import Sequence

from throughline.errors import shown
from throughline.market.names import did_you_mean
from throughline.market.settings_table import Column

_SHOWN = 12


def column_text(column: Column) -> str:
    """Return how a message calls a column."""
    if isinstance(column, int):
        return f"column number {column}"
    return f"column {shown(column)}" if column else "column without a name"


def place_columns(requested: Sequence[Column], present: Sequence[str]) -> dict[Column, int] | str:
    """Return the position (from 0) of every requested column; or, as text, why one cannot be found.

    present: the names of the file's columns in order.
    """
    places: dict[Column, int] = {}
    for column in requested:
        if isinstance(column, int):
            if column > len(present):
                return f"has {len(present):,} columns, so there is no {column_text(column)}"
            places[column] = column - 1
            continue
        count = sum(1 for name in present if name == column)
        if count > 1:
            what = f"column {shown(column)}" if column else "a column without a name"
            return f"has {what} {count} times; name each column once, or give its position (1 is the first)"
        if count == 0:
            if not any(present):
                return f"has no {column_text(column)}, for none of its columns has a name"
            hint = did_you_mean(column, [name for name in present if len(name) < 100]) if column else ""
            return f"has no {column_text(column)}; its columns are {columns_text(present)}{hint}"
        places[column] = list(present).index(column)
    return places


def columns_text(present: Sequence[str]) -> str:
    """Return the names of a file's columns for a message: at most twelve, each cut."""
    text = ", ".join(shown(name, 40) for name in present[:_SHOWN])
    return text + (f" and {len(present) - _SHOWN:,} more" if len(present) > _SHOWN else "")


def is_number(text: str) -> bool:
    """Say whether a field of a line is a number, with a point or a comma for decimals."""
    try:
        float(text.strip().replace(",", "."))
    except ValueError:
        return False
    return True
