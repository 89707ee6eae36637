"""Loading the quantities beside the bars: columns of the bars' own rows, and tables that are joined to the instruments.

Belongs here: which instrument a value is of, refusals of joins that cannot be meant, and the rules on single values.
Does not belong here: the bars (`archive_loading`), looking a value up at an instant (`references`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from throughline.errors import ArchiveError, printable, shown
from throughline.market.cleaning import CleanBars
from throughline.market.columns import read_rows
from throughline.market.description import ArchiveDescription, ReferenceDescription
from throughline.market.layout import TableLayout
from throughline.market.names import alike, did_you_mean, look_key, some_names
from throughline.market.panel import QuarantinedRow
from throughline.market.paths import DataFolders, find_files
from throughline.market.quarantine import believed_to_eighteen_places, value_text
from throughline.market.references import Series, build_series, value_faults
from throughline.market.rows import F64, I64, RawBars
from throughline.market.settings_table import Column
from throughline.market.tables import Table, read_table


def own_series(
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


def joined_series(
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


def require_a_value(
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
    map_files = find_files(folders, mapping.file)
    if len(map_files) > 1:
        files = f"{printable(str(map_files[0]))} and {printable(str(map_files[1]))}"
        raise ArchiveError(f"{files} are both the map of references.{item.name}; name one file")
    table = read_rows(map_files[0], mapping.source, [mapping.instrument, mapping.key])
    result: dict[str, str] = {}
    seen: set[str] = set()
    known, looks = set(names), {look_key(name): name for name in names}
    both = zip(table.texts(mapping.instrument), table.texts(mapping.key), strict=True)
    for row, (name, key) in enumerate(both):
        if name is None:
            raise table.fault(mapping.instrument, row, "is empty; name an instrument")
        name = unicodedata.normalize("NFC", name)
        if name in seen:
            raise table.fault(mapping.instrument, row, f"maps {shown(name)} twice; keep one row")
        seen.add(name)
        if name not in known and look_key(name) in looks:
            words = f"({shown(name)}) is {shown(looks[look_key(name)])} in another case, width or with other spaces"
            raise table.fault(mapping.instrument, row, f"{words}; write it as the bars do")
        if key is not None:
            result[name] = unicodedata.normalize("NFC", key)
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
