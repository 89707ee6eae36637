"""Loading a described archive: all its files once, as cleaned plain columns.

Belongs here: from description and files to `Loaded`. Does not belong here: windows (`archive`), file formats
(`columns`), rules on bars (`cleaning`), quantities beside the bars (`reference_loading`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from throughline.errors import ArchiveError, printable, shown
from throughline.identity import time_text_ms
from throughline.market.archive_actions import read_actions
from throughline.market.cleaning import RULE_NAMES, RULES, CleanBars, clean
from throughline.market.description import ArchiveDescription, BarsDescription
from throughline.market.doubts import nothing_believed_doubts, punctuation_doubts
from throughline.market.mixed_bars import require_one_kind_of_bar
from throughline.market.notes import clean_notes, not_closed_notes
from throughline.market.panel import DataNote, QuarantinedRow
from throughline.market.paths import INSTRUMENT, DataFolders
from throughline.market.pieces import require_pieces, require_whole_series
from throughline.market.quarantine import believed_to_eighteen_places, value_text
from throughline.market.reference_loading import joined_series, own_series, require_a_value
from throughline.market.references import Series, pair_key
from throughline.market.rows import F64, I32, I64, RawBars
from throughline.market.same_series import equal_series
from throughline.market.settings_table import Column
from throughline.market.spacing import wrong_spacing
from throughline.market.tables import (
    Table,
    read_table,
    require_different,
    require_different_places,
    require_known,
    require_no_copies,
)


@dataclass(frozen=True)
class Loaded:
    """A cleaned archive. Rows are the believed bars in order of time, then instrument; `key` is (code, time) in the
    order of `by_instrument`, for looking up the latest bar before a window. price_factor: as in `MarketPanel`, None
    where no bar has one. notes: in order of time. doubts: sentences on instruments that may be one.
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
    doubts: tuple[str, ...] = ()


def load_archive(archive: ArchiveDescription, folders: DataFolders, now_ms: int | None = None) -> Loaded:
    """Read and clean everything the description names.

    Args:
        archive: the description.
        folders: where its files may lie.
        now_ms: the reader's clock (Unix ms); bars that close later are left out and noted. None = all bars have closed.

    Raises:
        ArchiveError: for files that cannot be used.
    """
    import pyarrow as pa

    bars = archive.bars
    own = [item for item in archive.references if item.table is None]
    table, every = _read_bars(archive, folders, [name for item in own for name in (item.value, *item.positive)])
    names, rows_read = table.names, len(table.code)
    amounts = (bars.close, bars.open, bars.high, bars.low, bars.volume)
    doubts = punctuation_doubts(names)
    doubts += equal_series(table, [table.values[name] for name in amounts if name is not None])
    where = printable(str(folders.main / bars.table.file))
    time = bar_opens(table.stamp, bars)
    order = np.argsort(pair_key(table.code, time), kind="stable")
    if (order[1:] < order[:-1]).any():
        table, time = table.select(order), time[order]
    table, time, notes = _closed_by(table, time, bars.interval_ms, now_ms, where)
    code, values = table.code, table.values
    close = values[bars.close]
    volume = np.full(len(close), np.nan) if bars.volume is None else values[bars.volume]
    if bars.volume is not None and bars.volume_unit == "base":
        with np.errstate(over="ignore", invalid="ignore"):
            volume = volume * close
    o, h, low = (close,) * 3 if bars.open is None else (values[_given(n)] for n in (bars.open, bars.high, bars.low))
    extra = tuple(values[name] for item in own for name in (item.value, *item.positive))
    raw = RawBars(code, time, o, h, low, close, volume, extra)
    numbers = dict.fromkeys(every, -1) | {name: number for number, name in enumerate(names)}
    actions = read_actions(archive.actions, folders, numbers, bars.interval_ms)
    verdict = clean(raw, bars.interval_ms, archive.cleaning, actions)
    _require_spacing(raw, verdict, names, bars.interval_ms, where)
    require_one_kind_of_bar(table, raw, verdict, bars.interval_ms)
    notes += clean_notes(verdict, names)
    quarantined = refused_bars(raw, verdict, names, bars.volume is not None)
    merged = dict(zip((name for item in own for name in (item.value, *item.positive)), verdict.bars.extra, strict=True))
    series: dict[str, Series] = {}
    for item in archive.references:
        if item.table is None:
            series[item.name], refused = own_series(item, merged, raw, verdict, bars.interval_ms, bars.stamp, names)
        else:
            series[item.name], refused = joined_series(archive, item, item.table, folders, names)
        quarantined.extend(refused)
    quarantined.sort(key=lambda row: (row.event_time, row.instrument.encode(), row.rule, row.detail))
    keep = np.flatnonzero(verdict.believed)
    if len(keep) == 0:
        raise _nothing_believed(table, raw, verdict, where, quarantined)
    doubts += nothing_believed_doubts(names, code, verdict)
    for item in archive.references:
        require_a_value(archive, item, series[item.name], raw.time[keep], bars.interval_ms)
    by_time = keep[np.argsort(raw.time[keep], kind="stable")]
    believed = verdict.bars
    grids = (believed.open, believed.high, believed.low, believed.close)
    tidy = [believed_to_eighteen_places(column[by_time]) for column in (grids[3:] if believed.close_only else grids)]
    prices = (tidy[0],) * 4 if believed.close_only else (tidy[0], tidy[1], tidy[2], tidy[3])
    factor = verdict.factor[by_time]
    pa.default_memory_pool().release_unused()  # of the files as read: 50 MB of 440,000 rows
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
        rows_read=rows_read,
        dropped=int(verdict.dropped.sum()),
        price_factor=factor if (factor != 1.0).any() else None,
        notes=tuple(notes),
        notes_time=np.array([note.time for note in notes], np.int64),
        doubts=doubts,
    )


def _closed_by(
    table: Table, opens: I64, interval_ms: int, now_ms: int | None, where: str
) -> tuple[Table, I64, list[DataNote]]:
    """Return the rows whose bars have closed by now with their opens, and notes on the others. Rows come sorted.

    Raises ArchiveError if none has closed.
    """
    if now_ms is None:
        return table, opens, []
    closed = opens + interval_ms <= now_ms
    if closed.all():
        return table, opens, []
    if not closed.any():
        raise ArchiveError(
            f"{where}: every bar closes after now ({time_text_ms(now_ms)}); check the time column, its unit and this "
            "machine's clock"
        )
    open_yet = np.flatnonzero(~closed)
    notes = not_closed_notes(table.code[open_yet], opens[open_yet], table.names)
    return table.select(np.flatnonzero(closed)), opens[closed], notes


def _require_spacing(raw: RawBars, verdict: CleanBars, names: tuple[str, ...], interval_ms: int, where: str) -> None:
    """Raise ArchiveError where bars that say something stand another distance apart than described."""
    rows = np.flatnonzero(~verdict.absent & ~verdict.untraded & ~verdict.dropped)
    sentence = wrong_spacing(raw.code[rows], raw.time[rows], names, interval_ms)
    if sentence is not None:
        raise ArchiveError(f"{where}: {sentence}; mend bars.interval, or leave those instruments out with bars.only")


def _given(column: Column | None) -> Column:
    assert column is not None
    return column


def _read_bars(archive: ArchiveDescription, folders: DataFolders, own: list[Column]) -> tuple[Table, tuple[str, ...]]:
    """Read the bars and refuse what makes it unclear which instrument a row is of.

    Returns:
        The rows of the instruments that are read, and the names of all that the files hold.
    """
    bars = archive.bars
    roles = [(role, getattr(bars, role)) for role in ("close", "open", "high", "low", "volume")]
    prices = [name for role, name in roles if name is not None and role != "volume"]
    volume = [] if bars.volume is None else [bars.volume]
    table = read_table(bars.table, folders, [*prices, *volume, *own])
    every = table.names
    where = printable(str(archive.path))
    if bars.only:
        require_known(bars.only, table, f"{where}: bars.only", shown(bars.table.file))
        table = table.only(bars.only)  # names written one by one are meant, whatever they look like
    else:
        require_no_copies(table)
    require_different(table)
    if archive.benchmark is not None:
        pattern = shown(bars.table.file) + (" (read with bars.only)" if bars.only else "")
        require_known([archive.benchmark], table, f"{where}: benchmark", pattern)
    require_different_places(table, [("instrument", bars.table.instrument), ("time", bars.table.time), *roles])
    require_pieces(table, {name: table.values[name] for name in prices})
    if bars.table.instrument is None and INSTRUMENT not in bars.table.file:
        opens = table.values[bars.close if bars.open is None else bars.open]
        require_whole_series(table, opens, table.values[bars.close], bars.interval_ms)
    return table, every


def bar_opens(stamps: I64, bars: BarsDescription) -> I64:
    """Return when each bar opens, Unix ms.

    A close stamped with the last millisecond or the last second of its bar (Binance's ``close_time`` 00:59:59.999,
    CoinMarketCap's ``timeClose``) is the close: no other bar of the grid can be meant.
    """
    if bars.stamp == "open":
        return stamps
    interval = bars.interval_ms
    last = np.where((stamps + 1) % interval == 0, stamps + 1, stamps)
    last = np.where((stamps + 1000) % interval == 0, stamps + 1000, last)
    return np.asarray(last - interval)


def _nothing_believed(
    table: Table, raw: RawBars, verdict: CleanBars, where: str, quarantined: list[QuarantinedRow]
) -> ArchiveError:
    """Return the error for an archive without one believed bar: its first refused row, what it said, and its rule."""
    count = len(raw.time)
    refused = np.flatnonzero(verdict.rule >= 0)
    if len(refused) == 0:
        return ArchiveError(
            f"{where}: none of its {count:,} rows is a bar in which anybody traded; give a file with prices and volumes"
        )
    row = int(refused[np.argmin(raw.time[refused])])
    name, rule = table.names[raw.code[row]], RULE_NAMES[verdict.rule[row]]
    detail = next(
        item.detail for item in quarantined if (item.instrument, item.event_time) == (name, int(raw.time[row]))
    )
    return ArchiveError(
        f"{table.place(row)}: none of the {count:,} rows is believed; this one, {shown(name)} stamped "
        f"{time_text_ms(int(table.stamp[row]))}, broke the rule {rule} ({RULES[rule]}): {detail}; mend the columns, "
        "the interval, or stamp in the description"
    )


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
