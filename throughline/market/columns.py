"""Reading the columns of a user's Parquet or CSV table into plain arrays, with errors that name file, row and column.

Belongs here: file formats, number and time parsing. Does not belong here: what a column means for the market.
Rows are numbered from 1 without the header. pyarrow is imported when a file is read, never before.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]

_UNIX_UNITS = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
_EARLIEST_MS = 946_684_800_000  # 2000-01-01: no market this package is for is older
_LATEST_MS = 4_102_444_800_000  # 2100-01-01


@dataclass(frozen=True)
class Names:
    """A text column: `codes` (int32, one per row) into `names` (sorted by UTF-8 bytes)."""

    codes: NDArray[np.int32]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """The wanted columns of one file, still as pyarrow arrays. `file` is the name used in messages."""

    file: str
    table: Any

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def _column(self, name: str) -> Any:
        column = self.table.column(name)
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

    def names(self, column: str) -> Names:
        """Return a text column. Raises ArchiveError for a missing or empty value or another type."""
        import pyarrow as pa

        values = self._column(column)
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        if pa.types.is_integer(values.type):
            values = values.cast(pa.string())
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            raise ArchiveError(f"{self.file}: column {column!r} holds {values.type}; names must be text")
        if values.null_count:
            raise self._fail(column, _first(values.is_null()), "is empty; every row needs a name")
        encoded = values.dictionary_encode()
        texts = [unicodedata.normalize("NFC", text) for text in encoded.dictionary.to_pylist()]
        codes = _plain(encoded.indices.cast(pa.int32()), np.dtype(np.int32))
        if "" in texts:
            raise self._fail(
                column, int(np.flatnonzero(codes == texts.index(""))[0]), "is empty; every row needs a name"
            )
        ordered = sorted(set(texts), key=lambda text: text.encode())
        place = {text: number for number, text in enumerate(ordered)}
        return Names(np.array([place[text] for text in texts], np.int32)[codes], tuple(ordered))

    def texts(self, column: str) -> list[str | None]:
        """Return a small text column as a list, empty and missing values as None."""
        import pyarrow as pa

        values = self._column(column)
        try:
            return [text or None for text in values.cast(pa.string()).to_pylist()]
        except pa.ArrowInvalid as error:
            raise ArchiveError(f"{self.file}: column {column!r} cannot be read as text: {error}") from None

    def numbers(self, column: str) -> F64:
        """Return a numeric column as float64, missing as NaN. Raises ArchiveError naming the first text in it."""
        import pyarrow as pa

        values = self._column(column)
        kind = values.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            try:
                values = values.cast(pa.float64())
            except pa.ArrowInvalid:
                raise self._bad_number(column, values.to_pylist()) from None
        elif pa.types.is_null(kind):
            return np.full(len(values), np.nan)
        elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise ArchiveError(f"{self.file}: column {column!r} holds {kind}, not numbers; name a numeric column")
        values = values.cast(pa.float64(), safe=False)
        result = _plain(values, np.dtype(np.float64))
        if values.null_count:
            bits = np.unpackbits(np.frombuffer(values.buffers()[0], np.uint8), bitorder="little")
            result[bits[values.offset : values.offset + len(values)] == 0] = np.nan
        return result

    def times(self, column: str, unit: str, zone: str | None) -> I64:
        """Return a time column as Unix ms (UTC). Raises ArchiveError for gaps, naive texts and impossible times."""
        import pyarrow as pa

        values = self._column(column)
        if values.null_count:
            raise self._fail(column, _first(values.is_null()), "has no time; every row needs one")
        kind = values.type
        if unit in _UNIX_UNITS:
            result = self._unix(column, values, unit)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            result = self._from_text(column, values, unit, zone)
        elif pa.types.is_date(kind) and unit == "date":
            result = self._in_zone(column, values.cast(pa.date32()).cast(pa.timestamp("ms")), zone or "UTC")
        elif pa.types.is_timestamp(kind):
            if kind.tz is None and zone is None and unit == "iso":
                raise ArchiveError(
                    f"{self.file}: column {column!r} holds times without a time zone; say which in time_zone"
                )
            plain = values.cast(pa.timestamp("ms", kind.tz), safe=False)
            result = self._in_zone(column, plain, zone or "UTC") if kind.tz is None else _as_int(plain)
        else:
            raise ArchiveError(f'{self.file}: column {column!r} holds {kind}, which is no time of time_unit = "{unit}"')
        bad = np.flatnonzero((result < _EARLIEST_MS) | (result >= _LATEST_MS))
        if len(bad):
            row = int(bad[0])
            raise self._fail(
                column,
                row,
                f'({values[row]}) is not between 2000 and 2100 when read as time_unit = "{unit}"; mend the unit',
            )
        return result

    def _unix(self, column: str, values: Any, unit: str) -> I64:
        import pyarrow as pa

        kind = values.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            try:
                values = values.cast(pa.int64())
            except pa.ArrowInvalid:
                raise self._bad_number(column, values.to_pylist(), whole=True) from None
        elif pa.types.is_floating(kind):
            try:
                values = values.cast(pa.int64())
            except pa.ArrowInvalid as error:
                raise ArchiveError(f"{self.file}: column {column!r} must hold whole Unix times: {error}") from None
        elif not pa.types.is_integer(kind):
            raise ArchiveError(f'{self.file}: column {column!r} holds {kind}; time_unit = "{unit}" needs whole numbers')
        times, (factor, divisor) = _as_int(values), _UNIX_UNITS[unit]
        limit = 2**62 // factor
        if ((times > limit) | (times < -limit)).any():
            row = int(np.flatnonzero((times > limit) | (times < -limit))[0])
            raise self._fail(column, row, f'({times[row]}) is beyond any time of time_unit = "{unit}"; mend the unit')
        return times * factor // divisor

    def _from_text(self, column: str, values: Any, unit: str, zone: str | None) -> I64:
        import pyarrow as pa

        zoned = pa.timestamp("ms", "UTC")
        try:
            if unit == "date":
                return self._in_zone(column, values.cast(pa.date32()).cast(pa.timestamp("ms")), zone or "UTC")
            if zone is None:
                return _as_int(values.cast(zoned))
            return self._in_zone(column, values.cast(pa.timestamp("ms")), zone)
        except pa.ArrowInvalid:
            pass
        wanted = pa.date32() if unit == "date" else zoned if zone is None else pa.timestamp("ms")
        hint = {True: "a date such as 2021-05-19"}.get(
            unit == "date",
            "a time with its zone (2021-05-19T08:00:00Z); name time_zone in the description if it has none"
            if zone is None
            else "a time without zone (2021-05-19 08:00:00), since the description names time_zone",
        )
        for row, text in enumerate(values.to_pylist()):
            try:
                pa.scalar(text).cast(wanted)
            except pa.ArrowInvalid:
                return self._raise(self._fail(column, row, f"({text!r}) must be {hint}"))
        raise ArchiveError(f"{self.file}: column {column!r} cannot be read as times")

    @staticmethod
    def _raise(error: ArchiveError) -> I64:
        raise error

    def _in_zone(self, column: str, values: Any, zone: str) -> I64:
        import pyarrow as pa
        import pyarrow.compute as pc

        if zone == "UTC":
            return _as_int(values)
        try:
            return _as_int(pc.assume_timezone(values, zone, ambiguous="raise", nonexistent="raise"))
        except pa.ArrowInvalid as error:
            raise ArchiveError(
                f"{self.file}: column {column!r} has a time that {zone} passes twice or never "
                f"({' '.join(str(error).split())}); use UTC stamps"
            ) from None

    def _bad_number(self, column: str, texts: Sequence[str | None], whole: bool = False) -> ArchiveError:
        for row, text in enumerate(texts):
            try:
                if text is not None and not _plain_number(text, whole):
                    raise ValueError
            except ValueError:
                what = "a whole number" if whole else "a plain number (no thousands separators, a point for decimals)"
                return self._fail(column, row, f"({text!r}) is not {what}")
        return ArchiveError(f"{self.file}: column {column!r} cannot be read as numbers")

    def _fail(self, column: str, row: int, message: str) -> ArchiveError:
        return ArchiveError(f"{self.file}: row {row + 1}, column {column!r} {message}")


def _plain_number(text: str, whole: bool) -> bool:
    """Say whether a text is a number as files write it. Raises ValueError too if it is none at all."""
    if whole and not -(2**63) <= int(text) < 2**63:
        return False
    float(text)
    return text == text.strip() and "_" not in text


def _first(mask: Any) -> int:
    return int(mask.index(True).as_py())


def _as_int(values: Any) -> I64:
    import pyarrow as pa

    return _plain(values.cast(pa.int64()), np.dtype(np.int64))


def _plain(values: Any, kind: np.dtype[Any]) -> NDArray[Any]:
    """Return a pyarrow array as numpy, off its buffer (nulls hold anything); its own way imports pandas (0.5 s)."""
    if len(values) == 0:
        return np.zeros(0, kind)
    return np.frombuffer(values.buffers()[1], kind)[values.offset : values.offset + len(values)].copy()


def find_files(data_dir: Path, pattern: str) -> list[Path]:
    """Return the files that a relative path or glob names, in order of name. Raises ArchiveError if there is none."""
    if not data_dir.is_dir():
        raise ArchiveError(f"{data_dir}: no such folder; give the folder that holds the data with --data")
    if any(mark in pattern for mark in "*?["):
        files = sorted(path for path in data_dir.glob(pattern) if path.is_file())
    else:
        files = [path for path in [data_dir / pattern] if path.is_file()]
    if not files:
        raise ArchiveError(f"{data_dir / pattern}: no such file; check --data and the path in the description")
    return files


def read_rows(path: Path, form: str, columns: Sequence[str], delimiter: str = ",", nulls: Sequence[str] = ()) -> Rows:
    """Read the named columns of one file. Raises ArchiveError if it is missing, damaged, empty or lacks a column."""
    import pyarrow as pa

    if not path.is_file():
        raise ArchiveError(f"{path}: no such file; check --data and the path in the description")
    wanted = list(dict.fromkeys(columns))
    try:
        table = _read_parquet(path, wanted) if form == "parquet" else _read_csv(path, wanted, delimiter, nulls)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        name = "Parquet" if form == "parquet" else f"CSV (UTF-8, delimiter {delimiter!r})"
        reason = " ".join(str(error).split())
        raise ArchiveError(f"{path}: cannot be read as {name}: {reason}") from None
    if table.num_rows == 0:
        raise ArchiveError(f"{path}: has no rows; remove it from the archive or fill it")
    return Rows(str(path), table)


def _missing(path: Path, columns: Sequence[str], present: Sequence[str]) -> None:
    for column in columns:
        if column not in present:
            hint = "; is the delimiter right?" if len(present) == 1 else ""
            raise ArchiveError(
                f"{path}: has no column {column!r}; its columns are {', '.join(map(repr, present))}{hint}"
            )


def _read_parquet(path: Path, columns: list[str]) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        _missing(path, columns, file.schema_arrow.names)
        return file.read(columns=columns, use_threads=True)


def _read_csv(path: Path, columns: list[str], delimiter: str, nulls: Sequence[str]) -> Any:
    import csv

    import pyarrow as pa
    import pyarrow.csv as pacsv

    with path.open(encoding="utf-8-sig", newline="") as handle:
        header = next(csv.reader(handle, delimiter=delimiter), [])
    if not header:
        raise ArchiveError(f"{path}: is empty; a CSV needs a header line and rows")
    _missing(path, columns, header)
    for column in columns:
        if header.count(column) > 1:
            raise ArchiveError(f"{path}: has column {column!r} {header.count(column)} times; name each column once")
    return pacsv.read_csv(
        path,
        parse_options=pacsv.ParseOptions(delimiter=delimiter),
        convert_options=pacsv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            include_columns=columns,
            strings_can_be_null=True,
            null_values=["", *nulls],
        ),
    )
