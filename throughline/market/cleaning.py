"""Cleaning: which rows of a bar table are believed, which are not and why.

Belongs here: row rules, each with a name and a reason, and the order in which they are tried. Everything is a pure
function of rows at or before the row judged: removing or changing the future changes nothing (property-tested). Does
not belong here: rows that say that nobody traded (`untraded`), rows that repeat a bar (`duplicates`), segments
(`segments`), corporate actions (`corporate_actions`), files, windows, panels.

A row ends in one of five ways. Believed: it is a bar. Absent: it says nothing, or that nobody traded; it counts as a
row that is not in the file. Dropped: it repeats another row, or that row contains it. Quarantined: it broke one of
`RULES`; it stays visible with its rule and what it said, and its bar counts as missing (with one exception:
`conflicting_duplicate`, see `duplicates`). Not closed yet: its bar closes after the reader's clock. A fall inside a bar
is never quarantined, since that would hide real losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.market.corporate_actions import Action, Unapplied, apply_actions
from throughline.market.duplicates import merge_duplicates
from throughline.market.rows import F64, I64, LARGEST, CleaningRules, Mask, RawBars
from throughline.market.segments import believe
from throughline.market.untraded import absent_rows, flat_without_volume, repeats_last_close, rows_of_zeros

RULES: Mapping[str, str] = {
    "misaligned_time": "the bar does not open on the interval's grid",
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
    "conflicting_duplicate": "rows of one bar differ and none contains the others: the bar spans all of them",
    "stale_price": "the close has not moved for many bars of unknown volume, so nobody could trade at it",
    "jump_up": "the high is ten times the close before it or more: not believed; later bars show what it was",
}
"""Rule name -> reason, in the order in which rules are tried. Thresholds are in `CleaningRules`."""


@dataclass(frozen=True)
class CleanBars:
    """What cleaning decided about each raw row. All arrays are as long as the rows.

    bars: the rows with the values that are believed (a row that stands for conflicting rows spans all of them; prices
    after a corporate action are in the units in which the instrument's history began). believed: bool. segment_start:
    for believed rows the open (Unix ms) of the first bar of their segment, else -1. rule: int8, index into RULES, -1 =
    none. dropped: bool, rows that repeat a row or that another row of the same bar contains. absent: bool, rows without
    any value. untraded: bool, rows that say that nobody traded. factor: what the prices of a row were multiplied with
    (1 = as read). jump: for the first row of a segment that begins less than the segment gap after the bar before it,
    its open divided by the close before it; else NaN. unapplied: corporate actions that were not applied, and why.
    """

    bars: RawBars
    believed: Mask
    segment_start: I64
    rule: NDArray[np.int8]
    dropped: Mask
    absent: Mask
    untraded: Mask
    factor: F64
    jump: F64
    unapplied: tuple[Unapplied, ...] = ()


RULE_NAMES = tuple(RULES)
_CODE = {name: number for number, name in enumerate(RULE_NAMES)}


def clean(raw: RawBars, interval_ms: int, rules: CleaningRules, actions: Sequence[Action] = ()) -> CleanBars:
    """Judge every row. Pure; O(rows), with a plain loop only over instruments that hold a suspected bad print.

    Args:
        raw: rows as read, ordered by (code, time), ties in any order.
        interval_ms: length of a bar.
        rules: thresholds.
        actions: corporate actions, at most one per instrument and time.

    Returns:
        The verdict on each row.
    """
    count = len(raw.time)
    rule = np.full(count, -1, np.int8)
    absent, zeros = absent_rows(raw), rows_of_zeros(raw)
    nothing = absent | zeros
    with np.errstate(invalid="ignore", over="ignore"):
        for name, mask in [("misaligned_time", raw.time % interval_ms != 0), *price_faults(raw, rules)]:
            rule[mask & (rule == -1) & ~nothing] = _CODE[name]
    untraded = zeros | ((rule == -1) & ~absent & flat_without_volume(raw))
    merged = merge_duplicates(raw, ~absent & ~untraded, rule == -1)
    bars = merged.bars
    rule[merged.dropped] = -1
    alive = (rule == -1) & ~absent & ~untraded & ~merged.dropped & ~merged.conflicting
    alive |= merged.spanning
    untraded |= alive & ~merged.spanning & repeats_last_close(bars, alive, ~nothing & ~merged.dropped)
    rows = np.flatnonzero(alive & ~untraded)
    if bars.close_only:
        stale = stale_rows(bars, rows, rules.stale_bars)
        rule[rows[stale]] = _CODE["stale_price"]
        rows = rows[~stale]
    scaled, factor, unapplied, doubted = apply_actions(bars, rows, interval_ms, rules, actions)
    refused, start, jump = believe(scaled, rows, interval_ms, rules, doubted)
    rule[merged.conflicting] = _CODE["conflicting_duplicate"]
    rule[rows[refused]] = _CODE["jump_up"]
    believed = np.zeros(count, np.bool_)
    believed[rows[~refused]] = True
    segment = np.full(count, -1, np.int64)
    segment[rows] = start
    jumps = np.full(count, np.nan)
    jumps[rows] = jump
    return CleanBars(scaled, believed, segment, rule, merged.dropped, absent, untraded, factor, jumps, tuple(unapplied))


def price_faults(raw: RawBars, rules: CleaningRules) -> list[tuple[str, Mask]]:
    """Return (rule, rows) for every rule that looks at one row alone."""
    o, h, low, c, v = raw.open, raw.high, raw.low, raw.close, raw.volume
    prices = (c,) if raw.close_only else (o, h, low, c)

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
    if not raw.close_only:
        faults.append(("high_below_low", h < low))
        faults.append(("open_outside_range", (o < low) | (o > h)))
        faults.append(("close_outside_range", (c < low) | (c > h)))
    faults.append(("negative_volume", v < 0))
    faults.append(("huge_volume", v >= LARGEST))
    return faults


def stale_rows(raw: RawBars, rows: NDArray[np.intp], stale_bars: int) -> Mask:
    """Say which of `rows` of close-only data are stale: the last `stale_bars` bars of the instrument, this one
    included, have one and the same close and zero or unknown volume. Earlier rows of the run stay believed (causal).

    A close that is repeated says nothing by itself: a price may stand still for hours in a market that trades. With
    open, high and low such rows are `untraded` from the first on.
    """
    if len(rows) == 0:
        return np.zeros(0, np.bool_)
    close, volume, code = raw.close[rows], raw.volume[rows], raw.code[rows]
    quiet = (volume == 0) | np.isnan(volume)
    same = np.zeros(len(rows), np.bool_)
    same[1:] = quiet[1:] & quiet[:-1] & (close[1:] == close[:-1]) & (code[1:] == code[:-1])
    number = np.arange(len(rows))
    run = number - np.maximum.accumulate(np.where(same, 0, number)) + 1
    return np.asarray(same & (run >= stale_bars))
