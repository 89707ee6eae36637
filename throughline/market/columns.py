"""The columns of one file as plain arrays of numbers, times and names, with errors that name file, row and column.

Belongs here: what a column's type and texts mean as numbers and names; times are in `stamps`. Does not belong here:
file formats (`csv_file`, `json_file`, `arrow_file`), what a column means for the market. Rows are numbered from 1
without the header. pyarrow is imported when a file is read, never before.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError, printable, shown
from throughline.market.header import column_text
from throughline.market.layout import FileLayout
from throughline.market.names import name_fault
from throughline.market.settings_table import Column

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Names:
    """A text column: `codes` (int32, one per row) into `names` (sorted by UTF-8 bytes)."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The requested columns of one file, still as pyarrow arrays.

    file: its name in messages. count: number of rows. present: the names of all its columns, requested or not.
    """

    file: str
    layout: FileLayout
    arrays: Mapping[Column, Any]
    count: int
    present: tuple[str, ...]

    def __len__(self) -> int:
        return self.count

    def has(self, column: Column) -> bool:
        """Say whether the column was read."""
        return column in self.arrays

    def array(self, column: Column) -> Any:
        """Return a column; texts of every kind (dictionary, large, view) as plain texts."""
        import pyarrow as pa

        values = self.arrays[column]
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
            values = values.cast(pa.string())
        return values

    def names(self, column: Column) -> Names:
        """Return a column of names. Raises ArchiveError for a text that is no name (`names`) or another type."""
        import pyarrow as pa

        values = self.array(column)
        if pa.types.is_integer(values.type):
            values = values.cast(pa.string())
        if not pa.types.is_string(values.type):
            raise self.fail(f"{column_text(column)} holds {kind_text(values.type)}; names must be text")
        if values.null_count:
            raise self.fault(column, first_true(values.is_null()), "is empty; every row needs a name")
        encoded = values.dictionary_encode()
        texts = encoded.dictionary.to_pylist()
        codes = plain(encoded.indices.cast(pa.int32()), np.dtype(np.int32))
        for number, text in enumerate(texts):
            fault = name_fault(text)
            if fault is not None:
                raise self.fault(column, int(np.flatnonzero(codes == number)[0]), fault)
        texts = [unicodedata.normalize("NFC", text) for text in texts]
        ordered = sorted(set(texts), key=lambda text: text.encode())
        place = {text: number for number, text in enumerate(ordered)}
        return Names(np.array([place[text] for text in texts], np.int32)[codes], tuple(ordered))

    def texts(self, column: Column) -> list[str | None]:
        """Return a small text column as a list, empty and missing values as None."""
        import pyarrow as pa

        values = self.array(column)
        if not (pa.types.is_string(values.type) or pa.types.is_integer(values.type) or pa.types.is_null(values.type)):
            raise self.fail(f"{column_text(column)} holds {kind_text(values.type)}; it must hold text")
        return [text or None for text in values.cast(pa.string()).to_pylist()]

    def numbers(self, column: Column) -> F64:
        """Return a numeric column as float64, missing as NaN. Raises ArchiveError naming the first text in it."""
        import pyarrow as pa

        values = self.array(column)
        kind = values.type
        if pa.types.is_string(kind):
            values = self._numbers_of_texts(column, values)
        elif pa.types.is_null(kind):
            return np.full(len(values), np.nan)
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise self.fail(f"{column_text(column)} holds {kind_text(kind)}, not numbers; name a numeric column")
        values = values.cast(pa.float64(), safe=False)
        result = plain(values, np.dtype(np.float64))
        if values.null_count:
            bits = np.unpackbits(np.frombuffer(values.buffers()[0], np.uint8), bitorder="little")
            result[bits[values.offset : values.offset + len(values)] == 0] = np.nan
        return result

    def _numbers_of_texts(self, column: Column, texts: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        layout = self.layout
        if (layout.decimal, layout.thousands) == (".", None):
            try:
                return texts.cast(pa.float64())
            except pa.ArrowInvalid:
                pass
        tidy = trimmed(texts)
        if layout.nulls:  # a "no value" with spaces around it, which the reader of the file does not know
            none = pc.is_in(tidy, value_set=pa.array([text.strip() for text in layout.nulls], pa.string()))
            tidy = pc.if_else(none, pa.scalar(None, pa.string()), tidy)
        pattern, marks = number_pattern(layout.decimal, layout.thousands)
        wrong = pc.fill_null(pc.invert(pc.match_substring_regex(tidy, pattern)), False)
        row = first_true(wrong)
        if row >= 0:
            text = texts[row].as_py()
            words = f"({shown(text)}) is not a plain number ({marks})"
            if layout.format == "csv" and not any(char.isdigit() for char in text):
                words += f'; if it means "no value", write nulls = [{shown(text.strip())}]'
            raise self.fault(column, row, words)
        if layout.thousands is not None:
            tidy = pc.replace_substring(tidy, layout.thousands, "")
        if layout.decimal != ".":
            tidy = pc.replace_substring(tidy, layout.decimal, ".")
        return tidy.cast(pa.float64())

    def fault(self, column: Column, row: int, message: str) -> ArchiveError:
        """Return (not raise) an error that names the file, the row (from 0 here, from 1 in the text) and the column."""
        again = ""
        if self._repeats_the_header(column, row):
            again = "; the header line stands here once more, as in files that were joined: remove it"
        return ArchiveError(f"{self.file}: row {row + 1}, {column_text(column)} {message}{again}")

    def _repeats_the_header(self, column: Column, row: int) -> bool:
        name = self.present[column - 1] if isinstance(column, int) else column
        value = self.arrays[column][row].as_py() if column in self.arrays and row < self.count else None
        return bool(name) and isinstance(value, str) and value.strip() == name

    def fail(self, message: str) -> ArchiveError:
        """Return (not raise) an error that names the file."""
        return ArchiveError(f"{self.file}: {message}")


def read_rows(path: Path, layout: FileLayout, columns: Sequence[Column]) -> Rows:
    """Read the named columns of one file. Raises ArchiveError if it is missing, damaged, empty or lacks a column."""
    requested = list(dict.fromkeys(columns))
    if layout.format == "csv":
        from throughline.market.csv_file import read_csv

        arrays, present = read_csv(path, layout, requested)
    elif layout.format == "json":
        from throughline.market.json_file import read_json

        arrays, present = read_json(path, layout, requested)
    else:
        from throughline.market.arrow_file import read_arrow

        arrays, present = read_arrow(path, layout.format, requested)
    return Rows(printable(str(path)), layout, arrays, len(next(iter(arrays.values()))), present)


def number_pattern(decimal: str, thousands: str | None) -> tuple[str, str]:
    """Return (regular expression of a number as files write it, the marks in words)."""
    point = re.escape(decimal)
    digits = r"[0-9]+"
    words = f"{'a point' if decimal == '.' else 'a comma'} for decimals, "
    if thousands is None:
        words = "no thousands separators, " + words
    else:
        digits = rf"(?:[0-9]{{1,3}}(?:{re.escape(thousands)}[0-9]{{3}})+|[0-9]+)"
        words += f"{shown(thousands)} between thousands, "
    power = r"[eE][+-]?[0-9]+"
    special = r"[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
    return rf"^[+-]?(?:{digits}(?:{point}[0-9]*)?(?:{power})?|{point}[0-9]+(?:{power})?|{special})$", words[:-2]


def trimmed(texts: Any) -> Any:
    """Return texts without spaces around them; what is blank becomes missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    tidy = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(tidy, ""), pa.scalar(None, pa.string()), tidy)


def kind_text(kind: Any) -> str:
    """Return a type of Parquet, Feather or JSON as a person calls it."""
    import pyarrow as pa

    checks: tuple[tuple[Callable[[Any], bool], str], ...] = (
        (pa.types.is_boolean, "booleans"),
        (pa.types.is_integer, "whole numbers"),
        (pa.types.is_floating, "numbers"),
        (pa.types.is_decimal, "numbers"),
        (pa.types.is_timestamp, "times"),
        (pa.types.is_date, "dates"),
        (pa.types.is_time, "times of day"),
        (pa.types.is_duration, "durations"),
        (pa.types.is_string, "texts"),
        (pa.types.is_null, "no values"),
        (pa.types.is_nested, "lists or structures"),
    )
    return next((words for check, words in checks if check(kind)), "binary data")


def first_true(mask: Any) -> int:
    """Return the place of the first true value of a pyarrow mask, -1 without any."""
    return int(mask.index(True).as_py())


def first_failure(values: Any, convert: Callable[[Any], Any]) -> int:
    """Return the place of the first value that `convert` (of a pyarrow array) refuses; some value must be refused."""
    import pyarrow as pa

    low, high = 0, len(values)  # convert(values[:low]) works, convert(values[:high]) does not
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert(values.slice(low, middle - low))
            low = middle
        except pa.ArrowException:
            high = middle
    return low


def as_int(values: Any) -> I64:
    """Return an array of whole numbers or times as int64."""
    import pyarrow as pa

    return plain(values.cast(pa.int64()), np.dtype(np.int64))


def plain(values: Any, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return a pyarrow array as numpy, off its buffer (nulls hold anything); its own way imports pandas (0.5 s)."""
    if len(values) == 0:
        return np.zeros(0, kind)
    return np.frombuffer(values.buffers()[1], kind)[values.offset : values.offset + len(values)].copy()
