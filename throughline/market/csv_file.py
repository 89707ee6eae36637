"""Reading a CSV: the requested columns as text arrays, with errors that name the row.

Belongs here: encodings, header lines, delimiters, ragged rows. Does not belong here: numbers and times (`columns`).
pyarrow reads; where it fails, the file is read once more, slowly, to say which row is at fault and why.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from throughline.errors import ArchiveError, printable, shown
from throughline.market.header import is_number, place_columns
from throughline.market.layout import FileLayout
from throughline.market.settings_table import Column
from throughline.market.unpacking import format_hint, looks_like, read_bytes

_LOOK_AHEAD = 20
_MOST_COLUMNS = 100_000
_TEXTS = ("JSON", "a web page or XML")
_LONG_OR_OPEN = "holds a quote that is not closed, or a field of more than 131,072 characters"
_NO_HEADER = (
    "no header line, for the first line looks like data: name its columns in order with columns = [...] in the "
    "description"
)


def read_csv(
    path: Path, layout: FileLayout, requested: Sequence[Column]
) -> tuple[Mapping[Column, Any], tuple[str, ...]]:
    """Return (column -> pyarrow text array, names of all columns). Raises ArchiveError naming file and row."""
    data = _utf8(path, layout, read_bytes(path))
    names, lines = _header(path, layout, data, requested)
    places = place_columns(requested, names)
    if isinstance(places, str):
        if looks_like(data[:512]) in _TEXTS:
            raise _fail(path, "cannot be read as CSV" + format_hint(data[:512]))
        raise _fail(path, places + _header_hint(layout, data, requested, names))
    if not layout.columns and any(isinstance(name, int) and is_number(names[name - 1]) for name in requested):
        raise _fail(path, f"has {_NO_HEADER}")
    return _parse(path, layout, data, names, lines, places), names


def _parse(
    path: Path, layout: FileLayout, data: bytes, names: Sequence[str], lines: int, places: Mapping[Column, int]
) -> dict[Column, Any]:
    import pyarrow as pa
    import pyarrow.csv as pacsv

    keys = [str(number) for number in range(len(names))]
    needed = list(dict.fromkeys(str(place) for place in places.values()))
    try:
        table = pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(column_names=keys, skip_rows=lines, block_size=_block(data)),
            parse_options=pacsv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=b'"' in data),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(needed, pa.string()),
                include_columns=needed,
                strings_can_be_null=True,
                null_values=["", *layout.nulls],
            ),
        )
    except pa.ArrowException:
        if not any(number > lines for number, _ in _lines(layout, data)):
            raise _no_rows(path) from None
        raise _fail(path, _row_fault(layout, data, lines, len(names))) from None
    if table.num_rows == 0:
        raise _no_rows(path)
    if b'"' in data:
        _require_no_swallowed_rows(path, layout, data, lines, len(names), table.num_rows)
    return {column: _one(table.column(str(place))) for column, place in places.items()}


def _no_rows(path: Path) -> ArchiveError:
    return _fail(path, "has no rows; remove it from the archive or fill it")


def _require_no_swallowed_rows(path: Path, layout: FileLayout, data: bytes, lines: int, width: int, rows: int) -> None:
    """Refuse a quoted field of several lines of which one is a whole row.

    A quote that is opened by mistake in a column that nobody reads ends at the next one, rows further down, and the
    rows between them would be missing without a word.
    """
    if rows >= data.count(b"\n") - lines:  # no row has more than one line
        return
    before, row = lines, 0
    try:
        for number, fields in _lines(layout, data):
            if number <= lines:
                continue
            row += 1
            if number > before + 1 and any(_holds_a_row(field, layout.delimiter, width) for field in fields):
                raise _fail(
                    path,
                    f"cannot be read as CSV: row {row:,} holds a quote that is closed further down (line {number:,}), "
                    "with whole rows between the two; close it, or double the quotes that belong to a text",
                )
            before = number
    except csv.Error:
        return  # a field too long for the slow reader: it is no row


def _holds_a_row(field: str, delimiter: str, width: int) -> bool:
    """Say whether a field of several lines holds a line of `width` fields, or the end of one and the start of the next,
    with a number among them."""
    first, *others = field.split("\n")
    if not others:
        return False
    whole = any(_looks_like_a_row(line, delimiter, width) for line in others)
    return whole or _looks_like_a_row(first + others[-1], delimiter, width)


def _looks_like_a_row(line: str, delimiter: str, width: int) -> bool:
    return line.count(delimiter) >= width - 1 and any(is_number(piece) for piece in line.split(delimiter))


def _one(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _block(data: bytes) -> int:
    """Return a block size that every row fits into; a megabyte is pyarrow's own."""
    longest, start = 1 << 20, 0
    if len(data) > longest:
        for line in io.BytesIO(data):
            start = max(start, len(line))
    return max(longest, 2 * start)


def _utf8(path: Path, layout: FileLayout, data: bytes) -> bytes:
    """Return the text as UTF-8 without a byte order mark. Raises ArchiveError where it is something else."""
    kind = looks_like(data[:512])
    if layout.encoding != "utf-8":
        # UTF-16 without a mark: the zero stands first in a text of big-endian ASCII characters.
        bare = layout.encoding == "utf-16" and data[:1] == b"\0"
        try:
            data = data.decode("utf-16-be" if bare else layout.encoding).encode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise _fail(path, f"line {line:,} is not {layout.encoding}; mend encoding in the description") from None
    elif kind == "UTF-16 text":
        raise _fail(path, 'cannot be read as CSV: it is UTF-16 and not UTF-8; write encoding = "utf-16"')
    elif kind not in (None, *_TEXTS):
        raise _fail(path, f"cannot be read as CSV{format_hint(data[:512])}")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data or data.isspace():
        raise _fail(path, "is empty; a CSV needs a header line and rows")
    place = data.find(b"\0")
    if place >= 0:
        line = data.count(b"\n", 0, place) + 1
        raise _fail(path, f"line {line:,} holds a NUL character, so it is no text; is the file damaged?")
    return data


def _encoding_fault(data: bytes) -> str | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return (
            f"cannot be read as CSV: line {line:,} holds the byte 0x{data[error.start]:02X}, which is not UTF-8; "
            'save the file as UTF-8, or write encoding = "latin-1" or "cp1252"'
        )
    return None


def _lines(layout: FileLayout, data: bytes, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the last line, fields) of every row below the skipped lines; empty lines are left out.

    Lines count from 1. Raises csv.Error and UnicodeDecodeError where a row cannot be read.
    """
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    for _ in range(layout.skip_lines):
        text.readline()
    reader = csv.reader(text, delimiter=layout.delimiter, strict=strict)
    for fields in reader:
        if fields:
            yield layout.skip_lines + reader.line_num, fields


def _header(path: Path, layout: FileLayout, data: bytes, requested: Sequence[Column]) -> tuple[tuple[str, ...], int]:
    """Return (names of the columns, lines above the first row)."""
    try:
        number, first = next(_lines(layout, data), (0, []))
    except UnicodeDecodeError:
        raise _fail(path, str(_encoding_fault(data))) from None
    except csv.Error:
        raise _fail(path, f"cannot be read as CSV: its first line {_LONG_OR_OPEN}{format_hint(data[:512])}") from None
    if not first:
        raise _fail(path, f"has no line below the {layout.skip_lines:,} skipped ones; mend skip_lines")
    if len(first) > _MOST_COLUMNS:
        raise _fail(path, f"has {len(first):,} columns, more than any table of bars; is the delimiter right?")
    if not layout.columns:
        return tuple(first), number
    if len(first) != len(layout.columns):
        raise _fail(
            path,
            f"row 1 has {len(first):,} fields, but columns names {len(layout.columns)}; name every column in order"
            + (format_hint(data[:512]) or _delimiter_hint(layout, data, len(layout.columns))),
        )
    # A line without any number cannot be a bar: with `columns` it is a header that some of the files have.
    has_header = not any(is_number(field) for field in first)
    if has_header:
        for place, name in enumerate(first):
            if name in layout.columns and layout.columns[place] != name:
                raise _fail(
                    path,
                    f"has the column {shown(name)} at position {place + 1} by its header line, but columns in the "
                    f"description names it at {layout.columns.index(name) + 1}; mend columns, or leave it out",
                )
    return layout.columns, number if has_header else layout.skip_lines


def _header_hint(layout: FileLayout, data: bytes, requested: Sequence[Column], names: Sequence[str]) -> str:
    """Return what is wrong with the first line, where that can be seen: the end of a sentence."""
    if layout.columns:
        return ""
    named = [column for column in requested if isinstance(column, str)]
    for mark in (",", ";", "\t", "|"):
        if mark != layout.delimiter and len(names) == 1 and mark in names[0]:
            parts = [part.strip('" ') for part in names[0].split(mark)]
            if set(named) & set(parts):
                word = "\\t" if mark == "\t" else mark
                return f'; is the delimiter right? The line looks like delimiter = "{word}"'
    try:
        below = list(islice(_lines(layout, data), 1, _LOOK_AHEAD))
    except (csv.Error, UnicodeDecodeError):
        below = []
    for number, fields in below:
        if set(named) <= set(fields):
            return f"; line {number} looks like the header: write skip_lines = {number - 1}"
    if any(is_number(name) for name in names):
        return f"; it has {_NO_HEADER}"
    return "; is the delimiter right?" if len(names) == 1 else ""


def _delimiter_hint(layout: FileLayout, data: bytes, count: int) -> str:
    line = data.split(b"\n", layout.skip_lines + 1)[layout.skip_lines].decode("utf-8", "replace")
    for mark in (",", ";", "\t", "|"):
        if mark != layout.delimiter and line.count(mark) + 1 == count:
            word = "\\t" if mark == "\t" else mark
            return f'; the line looks like delimiter = "{word}"'
    return ""


def _row_fault(layout: FileLayout, data: bytes, lines: int, width: int) -> str:
    """Return which row cannot be read and why (rows count from 1 without the header and empty lines)."""
    fault = _encoding_fault(data)
    if fault is not None:
        return fault
    row = 0
    try:
        for number, fields in _lines(layout, data, strict=True):
            if number <= lines:
                continue
            row += 1
            if len(fields) != width:
                return (
                    f"cannot be read as CSV: row {row:,} (line {number:,}) has {len(fields):,} fields, but the "
                    f"{'description names' if layout.columns else 'header has'} {width:,}: "
                    f"{shown(layout.delimiter.join(fields))}"
                )
    except csv.Error:
        return (
            f"cannot be read as CSV: row {row + 1:,} holds a quote that is not closed, text behind a closed one, or a "
            "field of more than 131,072 characters"
        )
    mark = shown(layout.delimiter)
    return f"cannot be read as CSV with delimiter {mark}: a quote is not closed, or rows differ in length"


def _fail(path: Path, message: str) -> ArchiveError:
    return ArchiveError(f"{printable(str(path))}: {message}")
