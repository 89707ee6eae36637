"""Several rows of one bar: repeats, overlapping downloads, and rows that contradict each other.

Belongs here: which row is the bar. Rows equal in every column are one row. Of rows that differ, the one that contains
all others is the bar: the same open, a range that spans theirs, a volume not below theirs (a download that was made
while the bar ran, and one made later). Where none does, the rows are listed as `conflicting_duplicate` and the bar is
the smallest that contains them, so that a stop which any of the rows touches is touched. Its close and its volume are
the lowest of them. Where the opens differ as well (or, with closes only, the closes), nobody knows at which price an
order was filled: its open is the lowest and its volume zero, so nothing is bought or sold in it.

The result does not depend on the order of the rows (property-tested).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.market.rows import F64, Mask, RawBars


@dataclass(frozen=True)
class Merged:
    """bars: the rows, those that stand for conflicting ones changed. dropped: rows that repeat another or that another
    contains. conflicting: all rows of a bar that no row contains. spanning: the one of them that stands for the bar."""

    bars: RawBars
    dropped: Mask
    conflicting: Mask
    spanning: Mask


def merge_duplicates(raw: RawBars, among: Mask, sound: Mask) -> Merged:
    """Return one row per bar.

    Args:
        raw: rows ordered by (code, time).
        among: rows that can repeat each other.
        sound: rows that broke no rule; only these can contain, or conflict with, each other.

    Returns:
        The merged rows and what happened to each.
    """
    count = len(raw.time)
    dropped, conflicting, spanning = (np.zeros(count, np.bool_) for _ in range(3))
    rows = _of_shared_bars(raw, np.flatnonzero(among))
    if len(rows) == 0:
        return Merged(raw, dropped, conflicting, spanning)
    columns = [raw.close] if raw.close_only else [raw.open, raw.high, raw.low, raw.close]
    columns += [raw.volume, *raw.extra]
    values = [column[rows] for column in columns]
    keys: list[NDArray[Any]] = [*reversed(values), raw.time[rows], raw.code[rows]]
    order = np.lexsort(keys)
    rows = rows[order]
    repeat = np.zeros(len(rows), np.bool_)
    repeat[1:] = (raw.code[rows[1:]] == raw.code[rows[:-1]]) & (raw.time[rows[1:]] == raw.time[rows[:-1]])
    for column in columns:
        left, right = column[rows[1:]], column[rows[:-1]]
        repeat[1:] &= (left == right) | (np.isnan(left) & np.isnan(right))
    dropped[rows[repeat]] = True
    rows = rows[~repeat]
    rows = _of_shared_bars(raw, rows[sound[rows]])
    if len(rows) == 0:
        return Merged(raw, dropped, conflicting, spanning)

    heads = _heads(raw, rows)
    group = np.cumsum(heads) - 1
    first = np.flatnonzero(heads)
    opens, volume = raw.open[rows], raw.volume[rows]
    known = np.where(np.isnan(volume), -1.0, volume)
    top = np.maximum.reduceat(raw.high[rows], first)
    bottom = np.minimum.reduceat(raw.low[rows], first)
    one_open = np.maximum.reduceat(opens, first) == np.minimum.reduceat(opens, first)
    contains = one_open[group] & (raw.high[rows] == top[group]) & (raw.low[rows] == bottom[group])
    contains &= known == np.maximum.reduceat(known, first)[group]
    settled = np.add.reduceat(contains.astype(np.int64), first) == 1
    dropped[rows[settled[group] & ~contains]] = True

    conflicting[rows[~settled[group]]] = True
    stand = rows[first[~settled]]
    spanning[stand] = True
    close = np.minimum.reduceat(raw.close[rows], first)
    least = np.fmin.reduceat(volume, first)
    least = np.where(one_open, least, 0.0)
    bars = _spanning_bars(raw, stand, ~settled, (np.minimum.reduceat(opens, first), top, bottom, close, least))
    extra = []
    for column in raw.extra:
        values_of = column[rows]
        high, low = np.fmax.reduceat(values_of, first), np.fmin.reduceat(values_of, first)
        extra.append(_set(column, stand, np.where(high == low, high, np.nan)[~settled]))
    return Merged(replace(bars, extra=tuple(extra)), dropped, conflicting, spanning)


def _spanning_bars(
    raw: RawBars, stand: NDArray[np.intp], open_groups: Mask, parts: tuple[F64, F64, F64, F64, F64]
) -> RawBars:
    o, h, low, c, v = (part[open_groups] for part in parts)
    volume = _set(raw.volume, stand, v)
    if raw.close_only:
        close = _set(raw.close, stand, c)
        return replace(raw, open=close, high=close, low=close, close=close, volume=volume)
    return replace(
        raw,
        open=_set(raw.open, stand, o),
        high=_set(raw.high, stand, h),
        low=_set(raw.low, stand, low),
        close=_set(raw.close, stand, c),
        volume=volume,
    )


def _set(column: F64, rows: NDArray[np.intp], values: F64) -> F64:
    result = column.copy()
    result[rows] = values
    return result


def _heads(raw: RawBars, rows: NDArray[np.intp]) -> Mask:
    """Say which of `rows` (ordered by code and time) are the first of their bar."""
    head = np.ones(len(rows), np.bool_)
    head[1:] = (raw.code[rows[1:]] != raw.code[rows[:-1]]) | (raw.time[rows[1:]] != raw.time[rows[:-1]])
    return head


def _of_shared_bars(raw: RawBars, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return those of `rows` (ordered by code and time) whose bar has another row among them."""
    if len(rows) == 0:
        return rows
    head = _heads(raw, rows)
    alone = head.copy()
    alone[:-1] &= head[1:]
    return rows[~alone]
