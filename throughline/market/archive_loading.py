"""Loading a described archive: all its files once, as cleaned plain columns.

Belongs here: from description and files to `Loaded`. Does not belong here: windows (`archive`), file formats
(`columns`), rules (`cleaning`, `references`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError, printable, shown
from throughline.identity import time_text_ms
from throughline.market.archive_actions import read_actions
from throughline.market.cleaning import RULE_NAMES, RULES, CleanBars, clean
from throughline.market.columns import read_rows
from throughline.market.description import ArchiveDescription, BarsDescription, ReferenceDescription
from throughline.market.layout import TableLayout
from throughline.market.names import alike, did_you_mean, look_key, some_names
from throughline.market.notes import clean_notes, not_closed_notes
from throughline.market.panel import DataNote, QuarantinedRow
from throughline.market.paths import DataFolders, find_files
from throughline.market.pieces import require_pieces
from throughline.market.quarantine import believed_to_eighteen_places, value_text
from throughline.market.references import Series, build_series, pair_key, value_faults
from throughline.market.rows import F64, I32, I64, RawBars
from throughline.market.settings_table import Column
from throughline.market.spacing import wrong_spacing
from throughline.market.tables import Table, read_table, require_different, require_known, require_no_copies


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


def load_archive(archive: ArchiveDescription, folders: DataFolders, now_ms: int | None = None) -> Loaded:
    """Read and clean everything the description names.

    Args:
        archive: the description.
        folders: where its files may lie.
        now_ms: the reader's clock (Unix ms); bars that close later are left out and noted. None = all bars have closed.

    Raises:
        ArchiveError: for files that cannot be used.
    """
    bars = archive.bars
    own = [item for item in archive.references if item.table is None]
    table, every = _read_bars(archive, folders, [name for item in own for name in (item.value, *item.positive)])
    names, rows_read = table.names, len(table.code)
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
    notes += clean_notes(verdict, names)
    quarantined = refused_bars(raw, verdict, names, bars.volume is not None)
    merged = dict(zip((name for item in own for name in (item.value, *item.positive)), verdict.bars.extra, strict=True))
    series: dict[str, Series] = {}
    for item in archive.references:
        if item.table is None:
            series[item.name], refused = _own_series(item, merged, raw, verdict, bars.interval_ms, bars.stamp, names)
        else:
            series[item.name], refused = _joined_series(archive, item, item.table, folders, names)
        quarantined.extend(refused)
    quarantined.sort(key=lambda row: (row.event_time, row.instrument.encode(), row.rule, row.detail))
    keep = np.flatnonzero(verdict.believed)
    if len(keep) == 0:
        raise _nothing_believed(table, raw, verdict, where, quarantined)
    for item in archive.references:
        _require_a_value(archive, item, series[item.name], raw.time[keep], bars.interval_ms)
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
        rows_read=rows_read,
        dropped=int(verdict.dropped.sum()),
        price_factor=factor if (factor != 1.0).any() else None,
        notes=tuple(notes),
        notes_time=np.array([note.time for note in notes], np.int64),
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
    prices = [name for name in (bars.close, bars.open, bars.high, bars.low) if name is not None]
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
        held = shown(bars.table.file) + (" (read with bars.only)" if bars.only else "")
        require_known([archive.benchmark], table, f"{where}: benchmark", held)
    require_pieces(table, {name: table.values[name] for name in prices})
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


def _own_series(
    item: ReferenceDescription,
    values: dict[Column, F64],
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
    others = [(str(name), values[name][rows]) for name in item.positive]
    value, source = values[item.value][rows], str(item.value)
    if item.priced_at == "open":
        value, source = value * (raw.close[rows] / raw.open[rows]), f"{source} x close / open"
    return _series(item, raw.code[rows], value, event, event + item.known.delay_ms, others, names, source)


def _joined_series(
    archive: ArchiveDescription,
    item: ReferenceDescription,
    layout: TableLayout,
    folders: DataFolders,
    names: tuple[str, ...],
) -> tuple[Series, list[QuarantinedRow]]:
    """Return a reference from a table of its own, its keys translated to instruments.

    Raises:
        ArchiveError: also where not one instrument finds its key in the table: a reference that joins nothing is a
            mistake in the description, which would otherwise show as a market without that quantity.
    """
    column = item.known.column
    table = read_table(layout, folders, [item.value, *item.positive], [] if column is None else [column])
    code, event, values = table.code, table.stamp, table.values
    available = event + item.known.delay_ms if column is None else table.times[column]
    place = {key: number for number, key in enumerate(table.names)}
    links = _links(item, folders, names)
    joined = [(number, place[links[name]]) for number, name in enumerate(names) if links.get(name) in place]
    if not joined:
        raise _joins_nothing(archive, item, layout, table, links, names)
    _require_one_spelling(archive, item, table, [table.names[key] for _, key in joined])
    _require_no_near_miss(archive, item, table, [key for key in links.values() if key not in place])
    order = np.argsort(code, kind="stable")
    bounds = np.searchsorted(code[order], np.arange(len(table.names) + 1))
    parts = [(number, order[bounds[key] : bounds[key + 1]]) for number, key in joined]
    rows = np.concatenate([some for _, some in parts])
    codes = np.concatenate([np.full(len(some), number, np.int32) for number, some in parts])
    others = [(str(name), values[name][rows]) for name in item.positive]
    source = f"{'path' if layout.instrument is None else layout.instrument}:{item.value}"
    return _series(item, codes, values[item.value][rows], event[rows], available[rows], others, names, source)


def _require_a_value(
    archive: ArchiveDescription, item: ReferenceDescription, series: Series, opens: I64, interval_ms: int
) -> None:
    """Refuse a reference of which no bar ever knows a value: nobody describes one on purpose."""
    where = f"{printable(str(archive.path))}: references.{item.name}"
    if len(series.key) == 0:
        raise ArchiveError(
            f"{where} has no value that can be used: every row of {shown(str(item.value))} that belongs to an "
            "instrument of the bars is empty, quarantined or counts as missing; mend value, or remove the reference"
        )
    first, last = int(opens.min()) + interval_ms, int(opens.max()) + interval_ms
    known = (series.available_at <= last) & (series.event_time + series.max_age_ms >= first)
    if not known.any():
        raise ArchiveError(
            f"{where} has no value within the time of the bars: they close from {_day(first)} to {_day(last)}, its "
            f"values are stamped {_day(int(series.event_time.min()))} to {_day(int(series.event_time.max()))}; mend "
            "the files, time_unit or max_age"
        )


def _day(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d}"


def _joins_nothing(
    archive: ArchiveDescription,
    item: ReferenceDescription,
    layout: TableLayout,
    table: Table,
    links: Mapping[str, str],
    names: tuple[str, ...],
) -> ArchiveError:
    where = f"{printable(str(archive.path))}: references.{item.name}"
    if item.mapping is None:
        return ArchiveError(
            f"{where} joins nothing: none of the names in {shown(layout.file)} ({some_names(table.names, 3)}) is an "
            f"instrument of the bars ({some_names(names, 3)}){did_you_mean(names[0], table.names)}; say with "
            f"[references.{item.name}.map] which belongs to which"
        )
    if not links:
        return ArchiveError(
            f"{where} joins nothing: its map {shown(item.mapping.file)} names no instrument of the bars "
            f"({some_names(names, 3)}) with a key; mend the map"
        )
    keys = tuple(dict.fromkeys(links.values()))
    return ArchiveError(
        f"{where} joins nothing: none of the keys in its map {shown(item.mapping.file)} ({some_names(keys, 3)}) is in "
        f"{shown(layout.file)} ({some_names(table.names, 3)}); mend the map"
    )


def _require_one_spelling(
    archive: ArchiveDescription, item: ReferenceDescription, table: Table, used: list[str]
) -> None:
    """Refuse a key that is joined and that another name of the table looks like: half of its values may stand there."""
    keys = {look_key(name) for name in used}
    both = alike([name for name in table.names if look_key(name) in keys])
    if both is not None:
        raise ArchiveError(
            f"{printable(str(archive.path))}: references.{item.name} joins {shown(both[0])}, and {shown(both[1])} "
            f"stands beside it in {shown(item.table.file if item.table else '')}; write one name for one instrument"
        )


def _require_no_near_miss(
    archive: ArchiveDescription, item: ReferenceDescription, table: Table, missing: list[str]
) -> None:
    """Refuse a key that the table holds in another spelling: its instrument would silently be without the quantity."""
    looks = {look_key(name): name for name in table.names}
    for key in missing:
        other = looks.get(look_key(key))
        if other is not None:
            file = shown(item.table.file if item.table else "")
            raise ArchiveError(
                f"{printable(str(archive.path))}: references.{item.name} finds no {shown(key)} in {file}, which holds "
                f"{shown(other)}: they differ in case, width or spaces alone; write one name for one instrument, or "
                f"join them with [references.{item.name}.map]"
            )


def _links(item: ReferenceDescription, folders: DataFolders, names: tuple[str, ...]) -> dict[str, str]:
    """Return instrument -> key, of the instruments of the bars. Raises ArchiveError where one is mapped twice."""
    if item.mapping is None:
        return {name: name for name in names}
    mapping = item.mapping
    found = find_files(folders, mapping.file)
    if len(found) > 1:
        files = f"{printable(str(found[0]))} and {printable(str(found[1]))}"
        raise ArchiveError(f"{files} are both the map of references.{item.name}; name one file")
    table = read_rows(found[0], mapping.source, [mapping.instrument, mapping.key])
    result: dict[str, str] = {}
    seen: set[str] = set()
    both = zip(table.texts(mapping.instrument), table.texts(mapping.key), strict=True)
    for row, (name, key) in enumerate(both):
        if name is None:
            raise table.fault(mapping.instrument, row, "is empty; name an instrument")
        if name in seen:
            raise table.fault(mapping.instrument, row, f"maps {shown(name)} twice; keep one row")
        seen.add(name)
        if key is not None:
            result[name] = key
    known = set(names)
    return {name: key for name, key in result.items() if name in known}


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
