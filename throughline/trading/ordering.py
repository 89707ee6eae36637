"""Compiled: where each entry fills, and in which order entries are served. Imports numba; load it lazily.

Belongs here: searching and sorting by integers and comparisons, no prices. Does not belong here: fills (kernel).
"""

from __future__ import annotations

import numpy as np

from throughline.trading.compiling import compiled
from throughline.trading.kernel.layout import LONG_AGO, NEVER, TAKEN
from throughline.trading.types import DISPOSITIONS, F64, I8, I64

EXPIRED, GATE_CLOSED, WAITING = (DISPOSITIONS.index(name) for name in ("expired", "gate_closed", "waiting"))


@compiled
def _first_at_or_after(times: I64, low: int, high: int, instant: int, interval: int) -> int:
    """First row in [low, high) with times[row] >= instant, else high; rows are at least one interval apart."""
    if low >= high or times[low] >= instant:
        return low
    guess = min(low + (instant - times[low] + interval - 1) // interval, high)  # never too early, exact without gaps
    step = 1
    while guess - step > low and times[guess - step] >= instant:
        guess -= step
        step *= 2
    low = max(low, guess - step)
    while low < guess:
        middle = (low + guess) >> 1
        if times[middle] < instant:
            low = middle + 1
        else:
            guess = middle
    return low


@compiled
def find_rows(starts: I64, ends: I64, open_time: I64, which: I64, instants: I64, interval: int, rows: I64) -> None:
    """Fill rows[m] with the first row of instrument which[m] before its end that opens at or after instants[m]."""
    for m in range(len(which)):
        k = which[m]
        rows[m] = _first_at_or_after(open_time, starts[k], ends[k], instants[m], interval)


@compiled
def _before(time: I64, score: F64, group: I64, rank: I64, second: I64, a: int, b: int) -> bool:
    if time[a] != time[b]:
        return bool(time[a] < time[b])
    if score[a] != score[b]:
        return bool(score[a] > score[b])
    if rank[group[a]] != rank[group[b]]:
        return bool(rank[group[a]] < rank[group[b]])
    if second[a] != second[b]:
        return bool(second[a] < second[b])
    return a < b


@compiled
def _merge_sort(
    order: I64, spare: I64, lo: int, hi: int, time: I64, score: F64, group: I64, rank: I64, second: I64
) -> None:
    """Sort order[lo:hi] by `_before`: insertion sort of runs of 16, then bottom-up merges."""
    for start in range(lo, hi, 16):
        for i in range(start + 1, min(start + 16, hi)):
            item = order[i]
            j = i - 1
            while j >= start and _before(time, score, group, rank, second, item, order[j]):
                order[j + 1] = order[j]
                j -= 1
            order[j + 1] = item
    width = 16
    while width < hi - lo:
        for left in range(lo, hi, 2 * width):
            middle, right = min(left + width, hi), min(left + 2 * width, hi)
            a, b = left, middle
            for k in range(left, right):
                if b >= right or (a < middle and _before(time, score, group, rank, second, order[a], order[b])):
                    spare[k] = order[a]
                    a += 1
                else:
                    spare[k] = order[b]
                    b += 1
            for k in range(left, right):
                order[k] = spare[k]
        width *= 2


@compiled
def sort_by_time(order: I64, time: I64, score: F64, group: I64, rank: I64, second: I64, interval: int) -> None:
    """Sort the numbers in `order` by time, highest score, rank of the group, second time, number.

    A counting sort over intervals of time, then a merge sort inside each; only the latter where times are sparse.
    """
    n = len(order)
    if n < 2:
        return
    first, last = NEVER, LONG_AGO
    for m in range(n):
        first, last = min(first, time[order[m]]), max(last, time[order[m]])
    spare = np.empty(n, np.int64)
    buckets = (last - first) // interval + 1
    if buckets > 4 * n + 65536:
        _merge_sort(order, spare, 0, n, time, score, group, rank, second)
        return
    place = np.zeros(buckets + 1, np.int64)
    for m in range(n):
        place[(time[order[m]] - first) // interval + 1] += 1
    for bucket in range(buckets):
        place[bucket + 1] += place[bucket]
    for m in range(n):
        bucket = (time[order[m]] - first) // interval
        spare[place[bucket]] = order[m]
        place[bucket] += 1
    order[:] = spare
    start = 0
    for bucket in range(buckets):
        if place[bucket] - start > 1:
            _merge_sort(order, spare, start, place[bucket], time, score, group, rank, second)
        start = place[bucket]


@compiled
def by_group(order: I64, group: I64, groups: int) -> I64:
    """Return the numbers in `order` sorted by group, the order within each group kept."""
    place = np.zeros(groups + 1, np.int64)
    for m in range(len(order)):
        place[group[order[m]] + 1] += 1
    for k in range(groups):
        place[k + 1] += place[k]
    result = np.empty(len(order), np.int64)
    for m in range(len(order)):
        k = group[order[m]]
        result[place[k]] = order[m]
        place[k] += 1
    return result


@compiled
def find_fill_bars(
    starts: I64,
    stops: I64,
    open_time: I64,
    volume: F64,
    reserve: F64,
    bar_segment: I64,
    instrument: I64,
    decision_time: I64,
    segment: I64,
    interval: int,
    until: int,
    contiguous: bool,
    blocked: bool,
    fill_bar: I64,
    fill_time: I64,
    disposition: I8,
) -> bool:
    """Find the bar on which every entry fills; the same for every path.

    Writes fill_bar and fill_time (-1: none) and disposition: `taken` where there is a fill bar, else `waiting` (decided
    at or after `until`, or, without `contiguous`, no bar yet), `gate_closed` (blocked) or `expired` (no bar opens at
    the decision instant, or it has no volume, a drained pool, or another segment). Returns whether the entries stand
    by instrument, and those of an instrument that have a fill bar by its time, no two alike.
    """
    in_order = True
    last_instrument, last_time = -1, LONG_AGO
    for i in range(len(fill_bar)):
        k, instant = instrument[i], decision_time[i]
        fill_bar[i] = fill_time[i] = -1
        disposition[i] = EXPIRED
        if k != last_instrument:
            in_order = in_order and k > last_instrument
            last_instrument, last_time = k, LONG_AGO
        if instant >= until:
            disposition[i] = WAITING
            continue
        if blocked:
            disposition[i] = GATE_CLOSED
            continue
        row = _first_at_or_after(open_time, starts[k], stops[k], instant, interval)
        if row == stops[k]:
            if not contiguous:
                disposition[i] = WAITING
            continue
        if contiguous and open_time[row] != instant:
            continue
        if (volume.size > 0 and volume[row] == 0.0) or (reserve.size > 0 and reserve[row] == 0.0):
            continue
        if bar_segment.size > 0 and segment.size > 0 and bar_segment[row] != segment[i]:
            continue
        fill_bar[i], fill_time[i], disposition[i] = row, open_time[row], TAKEN
        in_order = in_order and fill_time[i] > last_time
        last_time = fill_time[i]
    return in_order
