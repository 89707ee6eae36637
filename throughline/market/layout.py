"""How one table of an archive is laid out: file, format, columns by name or position, numbers, times, the instrument.

Belongs here: these keys of a description, checked, and what of them is identity. Does not belong here: what the columns
mean for the market (`description`), reading (`tables`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from throughline.errors import shown
from throughline.market.paths import INSTRUMENT, ending_of, pattern_fault
from throughline.market.settings_table import Column, SettingsTable

TIME_UNITS = ("ms", "s", "us", "ns", "unix", "iso", "date")
FORMATS = ("csv", "parquet", "feather", "json")
ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252")
_ENDINGS = {
    "parquet": "parquet",
    "pq": "parquet",
    "feather": "feather",
    "arrow": "feather",
    "csv": "csv",
    "tsv": "csv",
    "txt": "csv",
    "zip": "csv",
    "json": "json",
}
_CSV_ONLY = ("delimiter", "nulls", "decimal", "thousands", "encoding", "skip_lines")
_HOURS = ("%H", "%I", "%c", "%X")
_SAMPLE = datetime(2021, 5, 19, 8, tzinfo=UTC)


@dataclass(frozen=True)
class FileLayout:
    """A file, or several of one kind.

    file: path or pattern (`paths`) relative to the data folder. format: one of FORMATS. Of a CSV: delimiter; nulls:
    texts that mean "no value"; decimal and thousands: marks in numbers; encoding; skip_lines: lines above the header.
    columns: the names of all columns in order where the file has no header line (CSV, JSON lists).
    """

    file: str
    format: str
    delimiter: str = ","
    nulls: tuple[str, ...] = ()
    decimal: str = "."
    thousands: str | None = None
    encoding: str = "utf-8"
    skip_lines: int = 0
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableLayout:
    """Where a table is and how its rows are named.

    instrument: the column (or the Hive partition of that name), None = the path names it. time_unit: one of TIME_UNITS,
    or "format" with time_format (strptime). time_zone: IANA name for stamps that carry none; None = stamps must carry
    one (ISO, formats) or are UTC by nature (Unix times, dates). closes: the times are closes of bars, so a date without
    a time of day is refused.
    """

    source: FileLayout
    instrument: Column | None
    time: Column
    time_unit: str
    time_zone: str | None
    time_format: str | None = None
    closes: bool = False

    @property
    def names_an_hour(self) -> bool:
        """Whether the form of the times, where one is given, holds an hour."""
        return self.time_format is None or any(mark in self.time_format for mark in _HOURS)

    @property
    def file(self) -> str:
        """The path or pattern of its files."""
        return self.source.file


def file_layout(table: SettingsTable, instrument_in_path: bool) -> FileLayout:
    """Read the keys of a file. Raises SettingsError naming file and key.

    instrument_in_path: whether ``{instrument}`` may stand in the path.
    """
    file = table.text("file")
    fault = pattern_fault(file)
    if fault is not None:
        raise table.fail("file", fault)
    if INSTRUMENT in file and not instrument_in_path:
        raise table.fail("file", f"holds {INSTRUMENT}, but a map is one file for all instruments")
    ending = ending_of(file)
    guess = _ENDINGS.get(ending)
    if guess is None and not table.has("format"):
        words = f"ends in {shown('.' + ending)}" if ending else "has no ending"
        raise table.fail("file", f"{words}, which does not tell its format; write format = one of {', '.join(FORMATS)}")
    form = table.choice("format", FORMATS, guess)
    if form != "csv":
        for key in _CSV_ONLY:
            if table.has(key):
                raise table.fail(key, f'is not read with format = "{form}"; remove it')
    columns = table.texts("columns")
    if columns and form not in ("csv", "json"):
        raise table.fail("columns", f'is not read with format = "{form}", which names its columns itself; remove it')
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise table.fail("columns", f"names {shown(twice)} twice; name each column once")
    decimal = table.choice("decimal", (".", ","), ".")
    thousands = table.character("thousands", "") or None
    if thousands is not None and (thousands == decimal or thousands.isalnum() or thousands in "+-"):
        raise table.fail("thousands", f"is {shown(thousands)}, which is no mark that can stand between thousands")
    return FileLayout(
        file=file,
        format=form,
        delimiter=_delimiter(table),
        nulls=table.texts("nulls"),
        decimal=decimal,
        thousands=thousands,
        encoding=table.choice("encoding", ENCODINGS, "utf-8"),
        skip_lines=table.whole("skip_lines", 0, 0, 10_000),
        columns=columns,
    )


def _delimiter(table: SettingsTable) -> str:
    mark = table.character("delimiter", ",")
    if not mark.isascii() or mark.isalnum() or mark in '"\r\n\0':
        raise table.fail(
            "delimiter",
            f"is {shown(mark)}, which cannot stand between fields; write one ASCII character that is no letter, digit, "
            "quote or line end",
        )
    return mark


def table_layout(table: SettingsTable) -> TableLayout:
    """Read the keys of a table with instruments and times. Raises SettingsError naming file and key."""
    source = file_layout(table, instrument_in_path=True)
    unit, form = _time_unit(table)
    zone = table.optional_text("time_zone")
    if zone is not None:
        if unit not in ("iso", "date", "format"):
            raise table.fail("time_zone", f'has no meaning with time_unit = "{unit}": Unix times are UTC')
        if form is not None and "%z" in form:
            raise table.fail("time_zone", "is not read where time_format holds %z; remove one of them")
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise table.fail(
                "time_zone", f'is {shown(zone)}, no known time zone; write "UTC" or an IANA name'
            ) from None
    elif form is not None and "%z" not in form:
        raise table.fail("time_zone", 'is missing: time_format holds no %z; write the zone of the stamps, often "UTC"')
    by_name = table.flag("instrument_from_file_name", False)
    instrument = table.optional_column("instrument")
    given = [by_name, instrument is not None, INSTRUMENT in source.file]
    if sum(given) != 1:
        word = "is missing" if not any(given) else "is said more than once"
        raise table.fail(
            "instrument",
            f'{word}: give the column (instrument = "coin"), or {INSTRUMENT} in the path of file, or '
            "instrument_from_file_name = true (one, not both)",
        )
    return TableLayout(
        source=source,
        instrument=instrument,
        time=table.column("time"),
        time_unit=unit,
        time_zone=zone,
        time_format=form,
    )


def _time_unit(table: SettingsTable) -> tuple[str, str | None]:
    form = table.optional_text("time_format")
    if form is None:
        return table.choice("time_unit", TIME_UNITS), None
    if table.has("time_unit"):
        raise table.fail("time_unit", "and time_format exclude each other; keep time_format for texts of your own form")
    try:
        again = datetime.strptime(_SAMPLE.strftime(form.replace("%z", "+0000")), form)  # noqa: DTZ007
    except (ValueError, re.error):
        raise table.fail(
            "time_format",
            f'is {shown(form)}, which cannot be read; write it as in Python, for example "%d.%m.%Y %H:%M"',
        ) from None
    if again.date() != _SAMPLE.date():
        raise table.fail("time_format", f"is {shown(form)}, which does not name year, month and day")
    fault = _ambiguous(form)
    if fault is not None:
        raise table.fail("time_format", f"is {shown(form)}: {fault}")
    return "format", form


def _ambiguous(form: str) -> str | None:
    """Return why texts of this form would be read as other times than they say, or None."""
    if "%I" in form and "%p" not in form:
        return "%I is an hour of twelve, which needs %p (AM or PM), or use %H"
    if "%p" in form and "%I" not in form:
        return "%p (AM or PM) counts only with %I, an hour of twelve; write %I for %H, or leave %p out"
    if "%Z" in form:
        return "%Z reads the name of a zone and ignores it; write the name as plain text, and time_zone beside it"
    return None


def layout_identity(layout: TableLayout | None) -> dict[str, Any] | None:
    """Return what of a layout decides the values that are read; None for None. Paths and file formats are not in it."""
    if layout is None:
        return None
    source = layout.source
    return {
        "columns": list(source.columns),
        "decimal": source.decimal,
        "instrument": layout.instrument,
        "nulls": sorted(source.nulls),
        "thousands": source.thousands,
        "time": layout.time,
        "time_format": layout.time_format,
        "time_unit": layout.time_unit,
        "time_zone": layout.time_zone,
    }
