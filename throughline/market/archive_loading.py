"""Loading a described archive: all its files once, as cleaned plain columns.

Belongs here: from description and files to `Loaded`. Does not belong here: windows (`archive`), file formats
(`columns`), rules (`cleaning`, `references`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError
from throughline.identity import time_text_ms
from throughline.market.archive_actions import read_actions
from throughline.market.cleaning import RULE_NAMES, RULES, CleanBars, clean
from throughline.market.columns import Rows, find_files, read_rows
from throughline.market.description import ArchiveDescription, ReferenceDescription, TableLayout
from throughline.market.notes import clean_notes, not_closed_notes
from throughline.market.panel import DataNote, QuarantinedRow
from throughline.market.quarantine import believed_to_eighteen_places, value_text
from throughline.market.references import Series, build_series, pair_key, value_faults
from throughline.market.rows import F64, I32, I64, RawBars
from throughline.market.spacing import wrong_spacing


@dataclass(frozen=True)
class Loaded:
    """A cleaned archive. Rows are the believed bars in order of time, then instrument; `key` is (code, time) in the
    order of `by_instrument`, for looking up the latest bar before a window. price_factor: as in `MarketPanel`, None
    where no bar has one. notes: in order of time.
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
    price_factor: F64 | None = None
    notes: tuple[DataNote, ...] = ()
    notes_time: I64 = field(default_factory=lambda: np.zeros(0, np.int64))


def load_archive(archive: ArchiveDescription, data_dir: Path, now_ms: int | None = None) -> Loaded:
    """Read and clean everything the description names.

    Args:
        archive: the description.
        data_dir: folder that its paths start from.
        now_ms: the reader's clock (Unix ms); bars that close later are left out and noted. None = all bars have closed.

    Raises:
        ArchiveError: for files that cannot be used.
    """
    bars = archive.bars
    own = [item for item in archive.references if item.table is None]
    columns = [bars.close, *(name for name in (bars.open, bars.high, bars.low, bars.volume) if name)]
    columns += [name for item in own for name in (item.value, *item.positive)]
    names, code, stamps, values = _read_table(bars.table, data_dir, columns)
    every = names
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
    where = str(data_dir / bars.table.file)
    raw, values, notes = _closed_by(raw, values, bars.interval_ms, now_ms, names, where)
    numbers = dict.fromkeys(every, -1) | {name: number for number, name in enumerate(names)}
    actions = read_actions(archive.actions, data_dir, numbers, bars.interval_ms)
    verdict = clean(raw, bars.interval_ms, archive.cleaning, actions)
    _require_spacing(raw, verdict, names, bars.interval_ms, where)
    notes += clean_notes(verdict, names)
    quarantined = refused_bars(raw, verdict, names, bars.volume is not None)
    merged = dict(zip((name for item in own for name in (item.value, *item.positive)), verdict.bars.extra, strict=True))
    series: dict[str, Series] = {}
    for item in archive.references:
        if item.table is None:
            series[item.name], refused = _own_series(item, merged, raw, verdict, bars.interval_ms, bars.stamp, names)
        else:
            series[item.name], refused = _joined_series(item, item.table, data_dir, names)
        quarantined.extend(refused)
    quarantined.sort(key=lambda row: (row.event_time, row.instrument.encode(), row.rule, row.detail))
    keep = np.flatnonzero(verdict.believed)
    if len(keep) == 0:
        raise ArchiveError(_nothing_believed(where, len(raw.time), quarantined))
    by_time = keep[np.argsort(raw.time[keep], kind="stable")]
    believed = verdict.bars
    grids = (believed.open, believed.high, believed.low, believed.close)
    tidy = [believed_to_eighteen_places(column[by_time]) for column in (grids[3:] if believed.close_only else grids)]
    prices = (tidy[0],) * 4 if believed.close_only else (tidy[0], tidy[1], tidy[2], tidy[3])
    factor = verdict.factor[by_time]
    notes.sort(key=lambda note: (note.time, note.instrument.encode(), note.kind))
    return Loaded(
        instruments=names,
        code=raw.code[by_time],
        time=raw.time[by_time],
        prices=prices,
        volume=believed_to_eighteen_places(believed.volume[by_time]),
        segment=verdict.segment_start[by_time],
        key=pair_key(raw.code[keep], raw.time[keep]),
        key_segment=verdict.segment_start[keep],
        series=series,
        quarantined=tuple(quarantined),
        quarantined_time=np.array([row.event_time for row in quarantined], np.int64),
        rows_read=len(code),
        dropped=int(verdict.dropped.sum()),
        price_factor=factor if (factor != 1.0).any() else None,
        notes=tuple(notes),
        notes_time=np.array([note.time for note in notes], np.int64),
    )


def _closed_by(
    raw: RawBars, values: dict[str, F64], interval_ms: int, now_ms: int | None, names: tuple[str, ...], where: str
) -> tuple[RawBars, dict[str, F64], list[DataNote]]:
    """Return the rows whose bars have closed by now, and notes on the others. Raises ArchiveError if none has."""
    if now_ms is None:
        return raw, values, []
    closed = raw.time + interval_ms <= now_ms
    if closed.all():
        return raw, values, []
    if not closed.any():
        raise ArchiveError(
            f"{where}: every bar closes after now ({time_text_ms(now_ms)}); check the time column, its unit and this "
            "machine's clock"
        )
    open_yet = np.flatnonzero(~closed)
    notes = not_closed_notes(raw.code[open_yet], raw.time[open_yet], names)
    close = raw.close[closed]
    prices = (close,) * 4 if raw.close_only else (raw.open[closed], raw.high[closed], raw.low[closed], close)
    extra = tuple(column[closed] for column in raw.extra)
    kept = RawBars(raw.code[closed], raw.time[closed], *prices, raw.volume[closed], extra)
    return kept, {name: column[closed] for name, column in values.items()}, notes


def _require_spacing(raw: RawBars, verdict: CleanBars, names: tuple[str, ...], interval_ms: int, where: str) -> None:
    """Raise ArchiveError where bars that say something stand another distance apart than described."""
    rows = np.flatnonzero(~verdict.absent & ~verdict.untraded & ~verdict.dropped)
    sentence = wrong_spacing(raw.code[rows], raw.time[rows], names, interval_ms)
    if sentence is not None:
        raise ArchiveError(f"{where}: {sentence}; mend bars.interval, or leave those instruments out with bars.only")


def _nothing_believed(where: str, rows: int, quarantined: list[QuarantinedRow]) -> str:
    if not quarantined:
        return f"{where}: none of its {rows} rows is a bar in which anybody traded; give a file with prices and volumes"
    first = quarantined[0]
    reason = RULES.get(first.rule, "its value is not believed")
    return (
        f"{where}: none of its {rows} rows is believed; the first one, {first.instrument} at "
        f"{time_text_ms(first.event_time)}, broke the rule {first.rule} ({reason}): {first.detail}"
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


def refused_bars(raw: RawBars, verdict: CleanBars, names: tuple[str, ...], has_volume: bool) -> list[QuarantinedRow]:
    """Return the rows that cleaning refused, with what they said."""
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
    own_row = item.table is None
    series, conflicts = build_series(
        code[rows], tidy, event[rows], available[rows], item.max_age_ms, source, own_row=own_row
    )
    refuse(rows[conflicts], f"conflicting_{item.name}")
    return series, refused
