"""Times of a file as Unix milliseconds (UTC): Unix times of every unit, ISO texts, dates, texts of a described form.

Belongs here: what a stamp says. Does not belong here: whether it is a bar's open or close (`archive_loading`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.errors import shown
from throughline.market.columns import I64, Rows, as_int, first_failure, first_true, kind_text, trimmed
from throughline.market.header import column_text
from throughline.market.layout import TableLayout
from throughline.market.settings_table import Column

EARLIEST_MS = 946_684_800_000
"""2000-01-01: no market this package is for is older."""
LATEST_MS = 4_102_444_800_000
"""2100-01-01."""

_UNITS = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
_LENGTH_OF_A_DATE = 10
_DIGITS = {"Y": 4, "j": 3, "m": 2, "d": 2, "y": 2, "H": 2, "I": 2, "M": 2, "S": 2}
_SIDE_BY_SIDE = re.compile(r"%[YjmdyHIMS]%[YjmdyHIMSf]")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_stamps(rows: Rows, column: Column, layout: TableLayout) -> I64:
    """Return a time column as Unix ms (UTC).

    With time_unit "unix" each value's unit follows from its size: the seconds, milliseconds, microseconds and
    nanoseconds of 2000 to 2100 are four ranges of numbers that do not overlap.

    Raises:
        ArchiveError: naming row and value, for a missing, naive, ambiguous or impossible time.
    """
    import pyarrow as pa

    unit, zone = layout.time_unit, layout.time_zone
    values = rows.array(column)
    if pa.types.is_string(values.type):
        values = trimmed(values)
    if values.null_count:
        raise rows.fault(column, first_true(values.is_null()), "has no time; every row needs one")
    kind = values.type
    if unit in _UNITS or unit == "unix":
        result = _unix(rows, column, _whole(rows, column, values, unit), unit)
    elif pa.types.is_string(kind):
        result = _form(rows, column, values, layout) if unit == "format" else _texts(rows, column, values, layout)
    elif pa.types.is_date(kind) and unit == "date":
        result = _in_zone(rows, column, values.cast(pa.date32()).cast(pa.timestamp("ms")), zone or "UTC")
    elif pa.types.is_timestamp(kind) and unit != "format":
        if kind.tz is None and zone is None and unit == "iso":
            raise rows.fail(f"{column_text(column)} holds times without a time zone; say which in time_zone")
        stamps = values.cast(pa.timestamp("ms", kind.tz), safe=False)
        result = _in_zone(rows, column, stamps, zone or "UTC") if kind.tz is None else as_int(stamps)
    else:
        hint = " (Unix times have a unit: s, ms, us, ns or unix)" if pa.types.is_integer(kind) else ""
        raise rows.fail(f'{column_text(column)} holds {kind_text(kind)}, no times of time_unit = "{unit}"{hint}')
    bad = np.flatnonzero((result < EARLIEST_MS) | (result >= LATEST_MS))
    if len(bad):
        row = int(bad[0])
        raise rows.fault(
            column,
            row,
            f"({shown(values[row].as_py())}) is not between 2000 and 2100 when read as "
            f'time_unit = "{unit}"; mend the unit',
        )
    return result


def _whole(rows: Rows, column: Column, values: Any, unit: str) -> Any:
    """Return Unix times as int64. Whole numbers written as 1325317920.0 (pandas, beside missing rows) are taken."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_string(kind):
        try:
            return values.cast(pa.int64())
        except pa.ArrowInvalid:
            values = pc.replace_substring_regex(values, r"^([+-]?\d+)\.0*$", r"\1")
        try:
            return values.cast(pa.int64())
        except pa.ArrowInvalid:
            row = first_failure(values, lambda part: part.cast(pa.int64()))
            raise rows.fault(
                column, row, f'({shown(values[row].as_py())}) is not a whole number, as time_unit = "{unit}" needs'
            ) from None
    if pa.types.is_floating(kind):
        try:
            return values.cast(pa.int64())
        except pa.ArrowInvalid:
            row = first_failure(values, lambda part: part.cast(pa.int64()))
            value = values[row].as_py()
            fault = "must be whole Unix times, not a fraction of one"
            if abs(value) >= 2**63:
                fault = "is too large for a time; mend the unit"
            raise rows.fault(column, row, f"({shown(value)}) {fault}") from None
    if not pa.types.is_integer(kind):
        hint = '; write time_unit = "iso"' if pa.types.is_timestamp(kind) else ""
        words = f'{column_text(column)} holds {kind_text(kind)}; time_unit = "{unit}" needs whole numbers{hint}'
        raise rows.fail(words)
    try:
        return values.cast(pa.int64())
    except pa.ArrowInvalid:
        row = first_failure(values, lambda part: part.cast(pa.int64()))
        raise rows.fault(column, row, f"({shown(values[row].as_py())}) is beyond any time; mend the unit") from None


def _unix(rows: Rows, column: Column, values: Any, unit: str) -> I64:
    times = as_int(values)
    if unit != "unix":
        factor, divisor = _UNITS[unit]
        limit = 2**62 // factor
        wrong = (times > limit) | (times < -limit)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise rows.fault(column, row, f'({times[row]}) is beyond any time of time_unit = "{unit}"; mend the unit')
        return np.asarray(times * factor // divisor)
    result = np.full(len(times), -1, np.int64)
    for factor, divisor in _UNITS.values():
        low, high = EARLIEST_MS * divisor // factor, LATEST_MS * divisor // factor
        fits = (times >= low) & (times < high)
        result[fits] = times[fits] * factor // divisor
    wrong = result < 0
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise rows.fault(
            column, row, f"({times[row]}) is no time between 2000 and 2100 in seconds, milli-, micro- or nanoseconds"
        )
    return result


def _texts(rows: Rows, column: Column, values: Any, layout: TableLayout) -> I64:
    import pyarrow as pa
    import pyarrow.compute as pc

    unit, zone = layout.time_unit, layout.time_zone
    if layout.closes:
        row = first_true(pc.less_equal(pc.utf8_length(values), _LENGTH_OF_A_DATE))
        if row >= 0:
            raise rows.fault(
                column,
                row,
                f"({shown(values[row].as_py())}) is a date without a time of day, so it does not say when the bar "
                'closes; write stamp = "open" and time_unit = "date" where it is the day of the bar',
            )
    if unit == "date":
        arrow_type, hint = pa.date32(), "a date such as 2021-05-19"
    elif zone is None:
        arrow_type = pa.timestamp("ns", "UTC")
        hint = "a time with its zone (2021-05-19T08:00:00Z); name time_zone in the description if it has none"
    else:
        arrow_type = pa.timestamp("ns")
        hint = "a time without zone (2021-05-19 08:00:00), since the description names time_zone"
    try:
        stamps = values.cast(arrow_type)
    except pa.ArrowInvalid:
        row = first_failure(values, lambda part: part.cast(arrow_type))
        raise rows.fault(
            column, row, f"({shown(values[row].as_py())}) must be {hint}; another form is described by time_format"
        ) from None
    if unit != "date" and zone is None:
        return as_int(stamps) // 1_000_000
    return _in_zone(rows, column, stamps.cast(pa.timestamp("ms"), safe=False), zone or "UTC")


def _form(rows: Rows, column: Column, values: Any, layout: TableLayout) -> I64:
    """Return texts of the form `time_format` (Python's strptime), each different text read once."""
    import pyarrow as pa

    form = str(layout.time_format)
    encoded = values.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    codes = as_int(encoded.indices)
    stamps = np.zeros(len(texts), np.int64)
    whole = re.compile(_with_all_digits(form), re.DOTALL) if _SIDE_BY_SIDE.search(form) else None
    for number, text in enumerate(texts):
        try:
            moment = datetime.strptime(text, form)  # noqa: DTZ007
        except ValueError:
            row = int(np.flatnonzero(codes == number)[0])
            raise rows.fault(column, row, f"({shown(text)}) is not of the form time_format = {shown(form)}") from None
        if whole is not None and not whole.fullmatch(text):
            row = int(np.flatnonzero(codes == number)[0])
            raise rows.fault(
                column,
                row,
                f"({shown(text)}) leaves digits out, so time_format = {shown(form)} reads it in more than one way; "
                "write every number with all its digits",
            )
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        stamps[number] = (aware - _EPOCH) // timedelta(milliseconds=1)
    spread: NDArray[np.int64] = stamps[codes]
    if layout.time_zone in (None, "UTC"):
        return spread
    return _in_zone(rows, column, pa.array(spread).cast(pa.timestamp("ms")), str(layout.time_zone))


def _with_all_digits(form: str) -> str:
    """Return the regular expression of texts that write every number of `form` with all its digits.

    strptime takes 2024111 for ``%Y%m%d`` as 1 November, though it may be 11 January.
    """
    parts = re.split(r"%(.)", form)  # texts and letters of directives, in turn
    texts = [
        "".join(r"\s*" if piece.isspace() else re.escape(piece) for piece in re.split(r"(\s+)", text))
        for text in parts[::2]
    ]
    numbers = [rf"\d{{{_DIGITS[letter]}}}" if letter in _DIGITS else ".+?" for letter in parts[1::2]]
    return texts[0] + "".join(number + text for number, text in zip(numbers, texts[1:], strict=True))


def _in_zone(rows: Rows, column: Column, values: Any, zone: str) -> I64:
    import pyarrow as pa
    import pyarrow.compute as pc

    if zone == "UTC":
        return as_int(values)

    def convert(part: Any) -> Any:
        return pc.assume_timezone(part, zone, ambiguous="raise", nonexistent="raise")

    try:
        return as_int(convert(values))
    except pa.ArrowException:
        row = first_failure(values, convert)
        raise rows.fault(
            column, row, f"({shown(str(values[row].as_py()))}) is a time that {zone} passes twice or never; use UTC"
        ) from None
