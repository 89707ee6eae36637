"""Cleaning: which rows of a bar table are believed, which are not and why, and where an instrument segment ends.

Belongs here: row rules, each with a name and a reason, and the causal pass that believes or refuses prints and cuts
segments. Everything is a pure function of rows at or before the row judged: removing or changing the future changes
nothing (property-tested). Does not belong here: files, windows, panels.

Dropped: a row equal to another in every column (said twice, it is still one fact). Quarantined: everything in `RULES`;
the row stays visible with its rule and what it said, and its bar counts as missing. Downward moves are never
quarantined, since that would hide real losses. The rules and their order are DESIGN section 2 and issue 2, section 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.identity import decimal_text

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
Mask = NDArray[np.bool_]

HOUR_MS = 3_600_000
LARGEST = 1e20
"""Amounts from here on do not fit NUMERIC(38,18)."""

RULES: Mapping[str, str] = {
    "misaligned_time": "the bar does not open on the interval's grid",
    "conflicting_duplicate": "two rows of one instrument and time differ, so neither is believed",
    "missing_price": "a price is missing or not a number",
    "infinite_price": "a price is infinite",
    "non_positive_price": "a price is zero or negative",
    "tiny_price": "a price is below the smallest that can be recorded faithfully",
    "huge_price": "a price does not fit NUMERIC(38,18)",
    "high_below_low": "the high is below the low",
    "open_outside_range": "the open lies outside the bar's low and high",
    "close_outside_range": "the close lies outside the bar's low and high",
    "negative_volume": "the volume is negative",
    "huge_volume": "the volume is infinite or does not fit NUMERIC(38,18)",
    "stale_price": "the price has not moved for many bars without known volume, so nobody could trade at it",
    "jump_up": "the high is ten times the close before it or more: not believed; later bars show what it was",
}
"""Rule name -> reason, in the order in which rules are tried. Thresholds are in `CleaningRules`."""


@dataclass(frozen=True)
class CleaningRules:
    """Thresholds. Prices in USD, factors are ratios, times in ms, `stale_bars` a number of bars."""

    smallest_price: float = 1e-15
    jump_up_factor: float = 10.0
    segment_jump_factor: float = 5.0
    segment_gap_ms: int = 24 * HOUR_MS
    stale_bars: int = 24

    def identity(self) -> dict[str, Any]:
        """Return the thresholds as a canonical body."""
        return {
            "jump_up_factor": decimal_text(self.jump_up_factor),
            "segment_gap_ms": self.segment_gap_ms,
            "segment_jump_factor": decimal_text(self.segment_jump_factor),
            "smallest_price": decimal_text(self.smallest_price),
            "stale_bars": self.stale_bars,
        }


@dataclass(frozen=True)
class RawBars:
    """Rows as read, sorted by (code, time), ties in any order. All arrays have one length.

    code: instrument number; time: bar open, Unix ms; prices and volume (quote, USD; NaN = unknown) as read. With closes
    only the four price arrays are one and the same. `extra`: further columns of the rows, compared for duplicates.
    """

    code: I32
    time: I64
    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    extra: tuple[F64, ...] = ()


@dataclass(frozen=True)
class CleanBars:
    """What cleaning decided about each raw row.

    believed: bool; segment_start: for believed rows the open (ms) of the first bar of their segment, else -1;
    rule: int8, index into RULES, -1 = none; dropped: bool, exact repeats.
    """

    believed: Mask
    segment_start: I64
    rule: NDArray[np.int8]
    dropped: Mask


RULE_NAMES = tuple(RULES)
_CODE = {name: number for number, name in enumerate(RULE_NAMES)}


def clean(raw: RawBars, interval_ms: int, rules: CleaningRules) -> CleanBars:
    """Judge every row. Pure; O(rows), with a plain loop only over instruments that hold a suspected bad print."""
    count = len(raw.time)
    rule = np.full(count, -1, np.int8)
    dropped, conflicting = duplicates(raw)
    with np.errstate(invalid="ignore", over="ignore"):
        _apply(rule, "misaligned_time", raw.time % interval_ms != 0)
        _apply(rule, "conflicting_duplicate", conflicting)
        for name, mask in price_faults(raw, rules):
            _apply(rule, name, mask)
    rule[dropped] = -1
    rows = np.flatnonzero((rule == -1) & ~dropped)
    stale = stale_rows(raw, rows, rules.stale_bars)
    rule[rows[stale]] = _CODE["stale_price"]
    rows = rows[~stale]
    jump, start = believe(raw, rows, interval_ms, rules)
    rule[rows[jump]] = _CODE["jump_up"]
    believed = np.zeros(count, np.bool_)
    believed[rows[~jump]] = True
    segment = np.full(count, -1, np.int64)
    segment[rows[~jump]] = start[~jump]
    return CleanBars(believed, segment, rule, dropped)


def _apply(rule: NDArray[np.int8], name: str, mask: Mask) -> None:
    rule[mask & (rule == -1)] = _CODE[name]


def duplicates(raw: RawBars) -> tuple[Mask, Mask]:
    """Return (rows dropped as exact repeats, rows quarantined because rows of one instrument and time differ)."""
    count = len(raw.time)
    dropped, conflicting = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    if count == 0:
        return dropped, conflicting
    again = np.zeros(count, np.bool_)
    again[1:] = (raw.code[1:] == raw.code[:-1]) & (raw.time[1:] == raw.time[:-1])
    if not again.any():
        return dropped, conflicting
    first = np.maximum.accumulate(np.where(again, 0, np.arange(count)))  # the first row of each row's group
    rows = np.flatnonzero(again)
    heads = first[rows]
    differs = np.zeros(len(rows), np.bool_)
    for column in (raw.open, raw.high, raw.low, raw.close, raw.volume, *raw.extra):
        left, right = column[rows], column[heads]
        differs |= ~((left == right) | (np.isnan(left) & np.isnan(right)))
    bad = np.zeros(count, np.bool_)
    bad[heads[differs]] = True
    conflicting = bad[first]
    dropped = again & ~conflicting
    return dropped, conflicting


def price_faults(raw: RawBars, rules: CleaningRules) -> list[tuple[str, Mask]]:
    """Return (rule, rows) for every rule that looks at one row alone."""
    o, h, low, c, v = raw.open, raw.high, raw.low, raw.close, raw.volume
    prices = (c,) if o is c else (o, h, low, c)

    def any_price(test: Any) -> Mask:
        result: Mask = test(prices[0])
        for price in prices[1:]:
            result = result | test(price)
        return result

    faults: list[tuple[str, Mask]] = [
        ("missing_price", any_price(np.isnan)),
        ("infinite_price", any_price(np.isinf)),
        ("non_positive_price", any_price(lambda price: price <= 0)),
        ("tiny_price", any_price(lambda price: price < rules.smallest_price)),
        ("huge_price", any_price(lambda price: price >= LARGEST)),
    ]
    if o is not c:
        faults.append(("high_below_low", h < low))
        faults.append(("open_outside_range", (o < low) | (o > h)))
        faults.append(("close_outside_range", (c < low) | (c > h)))
    faults.append(("negative_volume", v < 0))
    faults.append(("huge_volume", v >= LARGEST))
    return faults


def stale_rows(raw: RawBars, rows: NDArray[np.intp], stale_bars: int) -> Mask:
    """Say which of `rows` are stale: the last `stale_bars` bars of the instrument, this one included, have one and the
    same close, high = low, and zero or unknown volume. Earlier rows of the run stay believed (causal).
    """
    if len(rows) == 0:
        return np.zeros(0, np.bool_)
    close, volume, code = raw.close[rows], raw.volume[rows], raw.code[rows]
    quiet = (volume == 0) | np.isnan(volume)
    if raw.high is not raw.low:
        quiet &= raw.high[rows] == raw.low[rows]
    same = np.zeros(len(rows), np.bool_)
    same[1:] = quiet[1:] & quiet[:-1] & (close[1:] == close[:-1]) & (code[1:] == code[:-1])
    number = np.arange(len(rows))
    run = number - np.maximum.accumulate(np.where(same, 0, number)) + 1
    return np.asarray(same & (run >= stale_bars))


def believe(raw: RawBars, rows: NDArray[np.intp], interval_ms: int, rules: CleaningRules) -> tuple[Mask, I64]:
    """Return (rows refused as `jump_up`, segment start of each row; -1 where refused).

    A row that opens exactly where the last believed one closed and whose high is at least `jump_up_factor` times that
    close is refused. Across any gap (missing or refused bars in between) an open or close of at least
    `segment_jump_factor` times the last believed close, or at most one part in `segment_jump_factor`, starts a new
    segment; so does a gap of `segment_gap_ms` or more.
    """
    count = len(rows)
    refused = np.zeros(count, np.bool_)
    if count == 0:
        return refused, np.zeros(0, np.int64)
    code, time = raw.code[rows], raw.time[rows]
    o, h, c = raw.open[rows], raw.high[rows], raw.close[rows]
    fresh = np.ones(count, np.bool_)
    fresh[1:] = code[1:] != code[:-1]
    before = np.empty(count)
    before[0] = c[0]
    before[1:] = c[:-1]
    gap = np.zeros(count, np.int64)
    gap[1:] = time[1:] - time[:-1] - interval_ms
    factor = rules.segment_jump_factor
    up, down = before * factor, before / factor
    jumped = (o >= up) | (c >= up) | (o <= down) | (c <= down)
    starts = fresh | (gap >= rules.segment_gap_ms) | ((gap > 0) & jumped)
    suspected = ~fresh & (gap == 0) & (h >= rules.jump_up_factor * before)
    first_row = np.flatnonzero(fresh)
    last_row = np.append(first_row[1:], count)
    for instrument in np.unique(np.searchsorted(first_row, np.flatnonzero(suspected), "right") - 1):
        low, high = int(first_row[instrument]), int(last_row[instrument])
        refused[low:high], starts[low:high] = _believe_slowly(
            time[low:high], o[low:high], h[low:high], c[low:high], interval_ms, rules
        )
    head = np.maximum.accumulate(np.where(starts, np.arange(count), 0))
    segment = time[head]
    segment[refused] = -1
    return refused, segment


def _believe_slowly(
    time: I64, o: F64, h: F64, c: F64, interval_ms: int, rules: CleaningRules
) -> tuple[list[bool], list[bool]]:
    """Do what `believe` says row by row, for one instrument: where a print is refused, the next row is compared with
    the last believed one, which only a loop can know.
    """
    refused, starts = [False] * len(time), [False] * len(time)
    starts[0] = True
    columns = zip(time.tolist(), o.tolist(), h.tolist(), c.tolist(), strict=True)
    last_time, _, _, last = next(columns)
    factor = rules.segment_jump_factor
    for number, (at, opened, high, closed) in enumerate(columns, start=1):
        gap = at - last_time - interval_ms
        if gap == 0:
            if high >= rules.jump_up_factor * last:
                refused[number] = True
                continue
        else:
            up, down = last * factor, last / factor
            jumped = opened >= up or closed >= up or opened <= down or closed <= down
            starts[number] = gap >= rules.segment_gap_ms or jumped
        last_time, last = at, closed
    return refused, starts
