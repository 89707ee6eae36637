"""The archive provider: a described set of files as market panels.

Belongs here: loading described tables once, cleaning them, cutting windows. Does not belong here: file formats
(`columns`), rules (`cleaning`, `references`). The whole archive is read and cleaned once per provider and kept as plain
columns (about 56 bytes a bar), because cleaning looks back without limit and a window must not change a value.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError
from throughline.identity import time_to_ms
from throughline.market.cleaning import F64, I32, I64, RULE_NAMES, CleanBars, RawBars, clean
from throughline.market.columns import Rows, find_files, read_rows
from throughline.market.description import (
    DAY_MS,
    ArchiveDescription,
    ReferenceDescription,
    TableLayout,
    load_description,
)
from throughline.market.panel import MarketPanel, QuarantinedRow, Reference, SourceDescription
from throughline.market.quarantine import believed_to_eighteen_places, value_text
from throughline.market.references import Series, build_series, pair_key, value_faults


@dataclass(frozen=True)
class Loaded:
    """A cleaned archive. Rows are the believed bars in order of time, then instrument; `key` is (code, time) in the
    order of `by_instrument`, for looking up the latest bar before a window.
    """

    instruments: tuple[str, ...]
    code: I32
    time: I64
    prices: tuple[F64, F64, F64, F64]
    volume: F64
    segment: I64
    key: I64
    key_segment: I64
    series: Mapping[str, Series]
    quarantined: tuple[QuarantinedRow, ...]
    quarantined_time: I64
    rows_read: int
    dropped: int


def open_archive(description: Path, data_dir: Path) -> ArchiveProvider:
    """Return the provider of a described archive. Raises SettingsError for a wrong description."""
    return ArchiveProvider(load_description(description), data_dir)


class ArchiveProvider:
    """Market data from described files (implements `MarketDataProvider`)."""

    def __init__(self, description: ArchiveDescription, data_dir: Path) -> None:
        self._archive = description
        self._data_dir = data_dir

    @cached_property
    def _loaded(self) -> Loaded:
        return load_archive(self._archive, self._data_dir)

    @property
    def archive(self) -> ArchiveDescription:
        """The parsed description."""
        return self._archive

    @property
    def bars(self) -> int:
        """Number of believed bars in the whole archive."""
        return len(self._loaded.time)

    @property
    def rows_read(self) -> int:
        """Number of bar rows in the files."""
        return self._loaded.rows_read

    @property
    def dropped(self) -> int:
        """Number of bar rows dropped because they repeat another row exactly."""
        return self._loaded.dropped

    @property
    def quarantine_counts(self) -> dict[str, int]:
        """Rows quarantined in the whole archive, by rule."""
        counts = Counter(row.rule for row in self._loaded.quarantined)
        return {rule: counts[rule] for rule in sorted(counts)}

    @cached_property
    def description(self) -> SourceDescription:
        """What this source is; reads the files, since first and last day are facts of the data."""
        loaded, archive = self._loaded, self._archive
        capabilities = {reference.name for reference in archive.references}
        if not archive.close_only:
            capabilities.add("ohlc")
        if archive.bars.volume:
            capabilities.add("volume")
        return SourceDescription(
            name=archive.name,
            source_hash=archive.source_hash,
            interval_ms=archive.bars.interval_ms,
            close_only=archive.close_only,
            capabilities=frozenset(capabilities),
            benchmark=archive.benchmark,
            survivors_only=archive.survivors_only,
            availability=archive.availability,
            assumptions=archive.assumptions,
            first_day=_day(int(loaded.time[0])),
            last_day=_day(int(loaded.time[-1])),
            attrition_per_48h=archive.attrition_per_48h,
        )

    def load(self, start: datetime, end: datetime) -> MarketPanel:
        """Return the bars that open in [start, end). See `MarketDataProvider.load`.

        Raises ArchiveError for a window that is not whole UTC days or that starts after the archive's last day.
        """
        first, last = window_ms(start, end)
        loaded, interval = self._loaded, self._archive.bars.interval_ms
        if first > loaded.time[-1]:
            raise ArchiveError(
                f"{self._archive.name}: the data ends on {_day(int(loaded.time[-1]))}, so nothing can be read from "
                f"{start.date()} on; give an earlier date or a longer file"
            )
        return cut_panel(loaded, first, last, interval, self._archive.close_only)


def window_ms(start: datetime, end: datetime) -> tuple[int, int]:
    """Return the window in Unix ms. Raises ArchiveError unless both are aware, whole UTC days, in order."""
    if start.tzinfo is None or end.tzinfo is None:
        raise ArchiveError(f"window {start} to {end}: times need a time zone; pass aware UTC datetimes")
    first, last = time_to_ms(start), time_to_ms(end)
    if first % DAY_MS or last % DAY_MS or first >= last:
        raise ArchiveError(f"window {start} to {end}: must be whole UTC days, the end after the start")
    return first, last


def cut_panel(loaded: Loaded, first: int, last: int, interval: int, close_only: bool) -> MarketPanel:
    """Return the dense panel of [first, last) (Unix ms)."""
    size = len(loaded.instruments)
    open_time = np.arange(first, last, interval, dtype=np.int64)
    low, high = np.searchsorted(loaded.time, [first, last])
    row = (loaded.time[low:high] - first) // interval
    column = loaded.code[low:high]

    def grid(values: F64) -> F64:
        result = np.full((len(open_time), size), np.nan)
        result[row, column] = values[low:high]
        return result

    close = grid(loaded.prices[3])
    opened, top, bottom = (close,) * 3 if close_only else (grid(price) for price in loaded.prices[:3])
    codes = np.arange(size, dtype=np.int32)
    segment = np.full((len(open_time), size), -1, np.int64)
    segment[row, column] = loaded.segment[low:high]
    place = np.searchsorted(loaded.key, pair_key(codes, np.full(size, first - 1, np.int64)), "right") - 1
    before = np.where(place >= 0, loaded.key_segment[np.maximum(place, 0)], -1)
    before[(place < 0) | (loaded.key[np.maximum(place, 0)] < pair_key(codes, np.zeros(size, np.int64)))] = -1
    segment[0] = np.maximum(segment[0], before)
    closes = open_time + interval
    references = {}
    for name, series in loaded.series.items():
        references[name] = Reference(*series.as_of(codes, closes), series.source)
    quarantined_low, quarantined_high = np.searchsorted(loaded.quarantined_time, [first, last])
    return MarketPanel(
        interval_ms=interval,
        open_time=open_time,
        instruments=loaded.instruments,
        open=opened,
        high=top,
        low=bottom,
        close=close,
        volume=grid(loaded.volume),
        segment_start=np.maximum.accumulate(segment, axis=0),
        references=references,
        quarantined=loaded.quarantined[quarantined_low:quarantined_high],
        close_only=close_only,
    )


def load_archive(archive: ArchiveDescription, data_dir: Path) -> Loaded:
    """Read and clean everything the description names. Raises ArchiveError."""
    bars = archive.bars
    own = [item for item in archive.references if item.table is None]
    columns = [bars.close, *(name for name in (bars.open, bars.high, bars.low, bars.volume) if name)]
    columns += [name for item in own for name in (item.value, *item.positive)]
    names, code, stamps, values = _read_table(bars.table, data_dir, columns)
    if bars.only:
        names, code, stamps, values = _select(archive, names, code, stamps, values)
    time = stamps if bars.stamp == "open" else stamps - bars.interval_ms
    order = np.argsort(pair_key(code, time), kind="stable")
    if (order[1:] < order[:-1]).any():
        code, time = code[order], time[order]
        values = {name: column[order] for name, column in values.items()}
    close = values[bars.close]
    volume = values[bars.volume] if bars.volume else np.full(len(close), np.nan)
    if bars.volume and bars.volume_unit == "base":
        with np.errstate(over="ignore", invalid="ignore"):
            volume = volume * close
    o, h, low = (close,) * 3 if bars.open is None else (values[str(n)] for n in (bars.open, bars.high, bars.low))
    extra = tuple(values[name] for item in own for name in (item.value, *item.positive))
    raw = RawBars(code, time, o, h, low, close, volume, extra)
    verdict = clean(raw, bars.interval_ms, archive.cleaning)
    quarantined = _refused_bars(raw, verdict, names, bars.volume is not None)
    series: dict[str, Series] = {}
    for item in archive.references:
        if item.table is None:
            series[item.name], refused = _own_series(item, values, raw, verdict, bars.interval_ms, bars.stamp, names)
        else:
            series[item.name], refused = _joined_series(item, item.table, data_dir, names)
        quarantined.extend(refused)
    keep = np.flatnonzero(verdict.believed)
    if len(keep) == 0:
        raise ArchiveError(f"{data_dir / bars.table.file}: no row passed the cleaning rules; first: {quarantined[0]}")
    quarantined.sort(key=lambda row: (row.event_time, row.instrument.encode(), row.rule, row.detail))
    by_time = keep[np.argsort(raw.time[keep], kind="stable")]
    tidy = [
        believed_to_eighteen_places(column[by_time]) for column in ((raw.close,) if o is close else (o, h, low, close))
    ]
    prices = (tidy[0],) * 4 if o is close else (tidy[0], tidy[1], tidy[2], tidy[3])
    return Loaded(
        instruments=names,
        code=raw.code[by_time],
        time=raw.time[by_time],
        prices=prices,
        volume=believed_to_eighteen_places(raw.volume[by_time]),
        segment=verdict.segment_start[by_time],
        key=pair_key(raw.code[keep], raw.time[keep]),
        key_segment=verdict.segment_start[keep],
        series=series,
        quarantined=tuple(quarantined),
        quarantined_time=np.array([row.event_time for row in quarantined], np.int64),
        rows_read=len(raw.time),
        dropped=int(verdict.dropped.sum()),
    )


def _read_table(
    layout: TableLayout, data_dir: Path, columns: list[str]
) -> tuple[tuple[str, ...], I32, I64, dict[str, F64]]:
    """Return (names, code per row, stamp per row in ms, numeric columns) of all files of a table."""
    parts: list[tuple[Rows, tuple[str, ...], I32]] = []
    wanted = [*columns, layout.time, *([layout.instrument] if layout.instrument else [])]
    for path in find_files(data_dir, layout.file):
        rows = read_rows(path, layout.format, wanted, layout.delimiter, layout.nulls)
        if layout.instrument:
            found = rows.names(layout.instrument)
            parts.append((rows, found.names, found.codes))
        else:
            parts.append((rows, (path.stem,), np.zeros(len(rows), np.int32)))
    names = tuple(sorted({name for _, some, _ in parts for name in some}, key=lambda name: name.encode()))
    place = {name: number for number, name in enumerate(names)}
    code = [np.array([place[name] for name in some], np.int32)[codes] for _, some, codes in parts]
    stamps = [rows.times(layout.time, layout.time_unit, layout.time_zone) for rows, _, _ in parts]
    values = {name: _joined([rows.numbers(name) for rows, _, _ in parts]) for name in dict.fromkeys(columns)}
    return names, np.concatenate(code), np.concatenate(stamps), values


def _joined(parts: list[F64]) -> F64:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _select(
    archive: ArchiveDescription, names: tuple[str, ...], code: I32, stamps: I64, values: dict[str, F64]
) -> tuple[tuple[str, ...], I32, I64, dict[str, F64]]:
    for name in archive.bars.only:
        if name not in names:
            raise ArchiveError(
                f"{archive.path}: bars.only names {name!r}, which {archive.bars.table.file} does not hold"
            )
    chosen = tuple(name for name in names if name in archive.bars.only)
    place = np.full(len(names), -1, np.int32)
    place[[names.index(name) for name in chosen]] = np.arange(len(chosen))
    rows = place[code] >= 0
    return chosen, place[code][rows], stamps[rows], {name: column[rows] for name, column in values.items()}


def _refused_bars(raw: RawBars, verdict: CleanBars, names: tuple[str, ...], has_volume: bool) -> list[QuarantinedRow]:
    columns = [("close", raw.close)]
    if raw.open is not raw.close:
        columns = [("open", raw.open), ("high", raw.high), ("low", raw.low), ("close", raw.close)]
    if has_volume:
        columns.append(("volume", raw.volume))
    result = []
    for row in np.flatnonzero(verdict.rule >= 0).tolist():
        detail = " ".join(f"{name}={value_text(float(column[row]))}" for name, column in columns)
        result.append(QuarantinedRow(names[raw.code[row]], int(raw.time[row]), RULE_NAMES[verdict.rule[row]], detail))
    return result


def _own_series(
    item: ReferenceDescription,
    values: dict[str, F64],
    raw: RawBars,
    verdict: CleanBars,
    interval: int,
    stamp: str,
    names: tuple[str, ...],
) -> tuple[Series, list[QuarantinedRow]]:
    """Return a reference that is a column of the bars' rows: values of refused bars are refused with them."""
    rows = np.flatnonzero(verdict.believed)
    stamps = raw.time[rows] if stamp == "open" else raw.time[rows] + interval
    event = stamps if item.known.base == "stamp" else raw.time[rows] + interval
    others = [(name, values[name][rows]) for name in item.positive]
    value = values[item.value][rows]
    return _series(item, raw.code[rows], value, event, event + item.known.delay_ms, others, names, item.value)


def _joined_series(
    item: ReferenceDescription, layout: TableLayout, data_dir: Path, names: tuple[str, ...]
) -> tuple[Series, list[QuarantinedRow]]:
    """Return a reference from a table of its own, its keys translated to instruments."""
    files = find_files(data_dir, layout.file)
    wanted = [item.value, *item.positive]
    keys, code, event, values = _read_table(layout, data_dir, wanted)
    available = event + item.known.delay_ms
    if item.known.column:
        parts = [read_rows(path, layout.format, [item.known.column], layout.delimiter, layout.nulls) for path in files]
        available = np.concatenate([p.times(item.known.column, layout.time_unit, layout.time_zone) for p in parts])
    place = {key: number for number, key in enumerate(keys)}
    links = _links(item, data_dir, names)
    order = np.argsort(code, kind="stable")
    bounds = np.searchsorted(code[order], np.arange(len(keys) + 1))
    rows_of = []
    codes_of = []
    for number, name in enumerate(names):
        key = links.get(name)
        if key in place:
            rows = order[bounds[place[key]] : bounds[place[key] + 1]]
            rows_of.append(rows)
            codes_of.append(np.full(len(rows), number, np.int32))
    rows = np.concatenate(rows_of) if rows_of else np.zeros(0, np.intp)
    codes = np.concatenate(codes_of) if codes_of else np.zeros(0, np.int32)
    others = [(name, values[name][rows]) for name in item.positive]
    source = f"{layout.instrument or 'file name'}:{item.value}"
    return _series(item, codes, values[item.value][rows], event[rows], available[rows], others, names, source)


def _links(item: ReferenceDescription, data_dir: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return instrument -> key. Raises ArchiveError where an instrument is mapped twice."""
    if item.mapping is None:
        return {name: name for name in names}
    mapping = item.mapping
    (path,) = find_files(data_dir, mapping.file)[:1]
    table = read_rows(path, mapping.format, [mapping.instrument, mapping.key], mapping.delimiter)
    result: dict[str, str] = {}
    seen: set[str] = set()
    both = zip(table.texts(mapping.instrument), table.texts(mapping.key), strict=True)
    for row, (name, key) in enumerate(both, start=1):
        if name is None:
            raise ArchiveError(f"{path}: row {row}, column {mapping.instrument!r} is empty; name an instrument")
        if name in seen:
            raise ArchiveError(f"{path}: row {row}, column {mapping.instrument!r} maps {name!r} twice; keep one row")
        seen.add(name)
        if key is not None:
            result[name] = key
    return result


def _series(
    item: ReferenceDescription,
    code: NDArray[np.int32],
    value: F64,
    event: I64,
    available: I64,
    others: list[tuple[str, F64]],
    names: tuple[str, ...],
    source: str,
) -> tuple[Series, list[QuarantinedRow]]:
    missing = np.isnan(value)
    if item.zero_means_missing:
        missing |= value == 0
    good = ~missing
    refused: list[QuarantinedRow] = []

    def refuse(rows: NDArray[np.intp], rule: str) -> None:
        for row in rows.tolist():
            detail = f"{item.name}={value_text(float(value[row]))}"
            detail += "".join(f" {name}={value_text(float(other[row]))}" for name, other in others)
            refused.append(QuarantinedRow(names[code[row]], int(event[row]), rule, detail))

    for rule, mask in value_faults(item.name, value, item.may_be_negative, others):
        refuse(np.flatnonzero(mask & good), rule)
        good &= ~mask
    early = available < event
    refuse(np.flatnonzero(early & good), f"{item.name}_known_before_its_event")
    rows = np.flatnonzero(good & ~early)
    tidy = believed_to_eighteen_places(value[rows])
    series, conflicts = build_series(code[rows], tidy, event[rows], available[rows], item.max_age_ms, source)
    refuse(rows[conflicts], f"conflicting_{item.name}")
    return series, refused


def _day(milliseconds: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)).date()
