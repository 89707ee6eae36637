"""Reading JSON: a list of lists (freqtrade, exchanges' klines) or a list of objects, as columns.

Belongs here: the form of the document. Does not belong here: numbers and times (`columns`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from throughline.errors import ArchiveError, printable, shown
from throughline.market.header import column_text, place_columns
from throughline.market.layout import FileLayout
from throughline.market.settings_table import Column
from throughline.market.unpacking import format_hint, looks_like, read_bytes


def read_json(
    path: Path, layout: FileLayout, requested: Sequence[Column]
) -> tuple[Mapping[Column, Any], tuple[str, ...]]:
    """Return (column -> pyarrow array, names of all columns). Raises ArchiveError naming file and row."""
    rows = _document(path)
    if isinstance(rows[0], list):
        names, cells = _from_lists(path, layout, rows)
    else:
        names, cells = _from_objects(path, layout, rows)
    places = place_columns(requested, names)
    if isinstance(places, str):
        bare = isinstance(rows[0], list) and not layout.columns
        raise _fail(path, "its rows are lists; name their values in order with columns = [...]" if bare else places)
    return {column: _array(path, column, [row[place] for row in cells]) for column, place in places.items()}, names


def _document(path: Path) -> list[Any]:
    data = read_bytes(path)
    try:
        rows = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_once)
    except UnicodeDecodeError:
        hint = format_hint(data[:512]) if looks_like(data[:512]) != "JSON" else ""
        raise _fail(path, f"cannot be read as JSON: it is not UTF-8{hint}; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise _fail(
            path,
            f"cannot be read as JSON: line {error.lineno:,}, column {error.colno:,} breaks its syntax"
            + _syntax_hint(data, error),
        ) from None
    except RecursionError:
        raise _fail(path, "cannot be read as JSON: it is nested too deeply to be a table") from None
    except ValueError as error:
        reason = str(error) if isinstance(error, _TwiceError) else "it holds a number of thousands of digits"
        raise _fail(path, f"cannot be read as JSON: {reason}") from None
    if not isinstance(rows, list) or (rows and not isinstance(rows[0], list | dict)):
        raise _fail(path, "is JSON, but no list of rows; each row is a list or an object, all in one list")
    if not rows:
        raise _fail(path, "has no rows; remove it from the archive or fill it")
    return rows


def _syntax_hint(data: bytes, error: json.JSONDecodeError) -> str:
    """Return what a file that is no JSON looks like: JSON lines, another format, or nothing known."""
    if error.msg == "Extra data" and error.lineno > 1 and error.doc[: error.pos].rstrip().endswith(("}", "]")):
        return "; it looks like JSON lines (one object or list a line): put all of them into one list"
    if looks_like(data[:512]) == "JSON":
        return ""
    return format_hint(data[:512]) or "; it does not begin with [ or {, so it is of another format"


class _TwiceError(ValueError):
    """A key stands twice in one object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _TwiceError(f"an object names {shown(twice)} twice")
    return result


def _from_lists(path: Path, layout: FileLayout, rows: list[Any]) -> tuple[tuple[str, ...], list[list[Any]]]:
    width = len(rows[0])
    names = layout.columns or tuple(f"number {place}" for place in range(1, width + 1))
    if len(names) != width:
        raise _fail(path, f"row 1 has {width:,} values, but columns names {len(names)}; name every column in order")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, list) or len(row) != width:
            raise _fail(path, f"row {number:,} is not a list of {width:,} values as the first row is")
    return names, rows


def _from_objects(path: Path, layout: FileLayout, rows: list[Any]) -> tuple[tuple[str, ...], list[list[Any]]]:
    if layout.columns:
        raise _fail(path, "has rows that name their columns themselves; remove columns from the description")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise _fail(path, f"row {number:,} is not an object as the first row is")
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    return names, [[row.get(name) for name in names] for row in rows]


def _array(path: Path, column: Column, values: list[Any]) -> Any:
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if not kinds <= {int, float} and not kinds <= {str}:
        raise _mixed(path, column, values)
    if kinds <= {str}:
        try:
            return pa.array(values, pa.string())
        except UnicodeEncodeError:
            row = next(row for row, value in enumerate(values) if value is not None and _half_a_character(value))
            raise _fail(
                path,
                f"row {row + 1:,}, {column_text(column)} ({shown(values[row])}) holds half a character (U+D800 to "
                "U+DFFF alone), which is no text; mend it",
            ) from None
    try:
        return pa.array(values, pa.int64() if kinds == {int} else pa.float64())
    except (OverflowError, pa.ArrowException):
        return _floats(path, column, values)


def _floats(path: Path, column: Column, values: list[Any]) -> Any:
    """Return numbers of which some whole ones do not fit 64 bits (amounts in a token's smallest unit)."""
    import pyarrow as pa

    result: list[float | None] = []
    for number, value in enumerate(values, start=1):
        try:
            result.append(None if value is None else float(value))
        except OverflowError:
            raise _fail(path, f"row {number:,}, {column_text(column)} ({shown(value)}) is too large") from None
    return pa.array(result, pa.float64())


def _half_a_character(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


_KINDS = {str: "a text", int: "a number", float: "a number", bool: "true or false", list: "a list", dict: "an object"}


def _mixed(path: Path, column: Column, values: list[Any]) -> ArchiveError:
    """Return the error for the first value that is neither a number nor a text, or not of the kind of those before."""
    first: str | None = None
    for number, value in enumerate(values, start=1):
        if value is None:
            continue
        kind = _KINDS[type(value)]
        where = f"row {number:,}, {column_text(column)} ({shown(value)}) is {kind}"
        if kind not in ("a text", "a number"):
            return _fail(path, f"{where}; a column holds numbers or texts")
        first = first or kind
        if kind != first:
            return _fail(path, f"{where}, and the rows before it hold {first}; write all of them in one way")
    raise AssertionError("called for values of two kinds")


def _fail(path: Path, message: str) -> ArchiveError:
    return ArchiveError(f"{printable(str(path))}: {message}")
