"""Segments: where one unbroken stretch of an instrument's history ends, and prints that are refused as `jump_up`.

Belongs here: the causal pass over the bars of an instrument. Windows and positions never
cross the end of a segment. Does not belong here: rules about one row (`cleaning`).

A segment ends

- at a gap of `segment_gap_ms` or more;
- where the first price of a bar is a doubtful jump (`jumps`) from the last believed close, whether the two bars follow
  each other or a shorter gap lies between them (a fall after the open is a loss that somebody made);
- where a bar after a shorter gap has a high of `jump_up_factor` times the last close (a bar that follows directly is
  refused instead, since the next one shows what it was);
- where the archive names a corporate action that does not fit the prices (`corporate_actions`).

The last three are *doubtful jumps*: likely a split, a re-denomination or a bad print. They are listed with their ratio.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from throughline.market.jumps import is_doubtful, is_doubtful_step
from throughline.market.rows import F64, I64, CleaningRules, Mask, RawBars


def believe(
    raw: RawBars, rows: NDArray[np.intp], interval_ms: int, rules: CleaningRules, doubted: Mask
) -> tuple[Mask, I64, F64]:
    """Judge the bars of each instrument in order of time.

    A row that opens exactly where the last believed one closed and whose high is at least `jump_up_factor` times that
    close is refused.

    Args:
        raw: the rows.
        rows: those of them that broke no rule, ordered by (code, time), one per bar.
        interval_ms: length of a bar.
        rules: thresholds.
        doubted: which of `rows` begin a segment whatever the thresholds say of their first price.

    Returns:
        Which of `rows` are refused; the start of each one's segment (Unix ms, -1 where refused); and, where a segment
        begins at a doubtful jump, the open divided by the last believed close (else NaN).
    """
    count = len(rows)
    refused = np.zeros(count, np.bool_)
    jump = np.full(count, np.nan)
    if count == 0:
        return refused, np.zeros(0, np.int64), jump
    code, time = raw.code[rows], raw.time[rows]
    o, h, c = raw.open[rows], raw.high[rows], raw.close[rows]
    fresh = np.ones(count, np.bool_)
    fresh[1:] = code[1:] != code[:-1]
    before = np.empty(count)
    before[0] = c[0]
    before[1:] = c[:-1]
    gap = np.zeros(count, np.int64)
    gap[1:] = time[1:] - time[:-1] - interval_ms
    risen = h >= rules.jump_up_factor * before
    jumped = is_doubtful(before, o, rules.doubtful_jump) | (risen & (gap > 0)) | doubted
    doubtful = ~fresh & (gap < rules.segment_gap_ms) & jumped
    starts = fresh | (gap >= rules.segment_gap_ms) | doubtful
    jump[doubtful] = o[doubtful] / before[doubtful]
    suspected = ~fresh & (gap == 0) & risen
    first_row = np.flatnonzero(fresh)
    last_row = np.append(first_row[1:], count)
    for instrument in np.unique(np.searchsorted(first_row, np.flatnonzero(suspected), "right") - 1):
        low, high = int(first_row[instrument]), int(last_row[instrument])
        refused[low:high], starts[low:high], jump[low:high] = _believe_slowly(
            time[low:high], o[low:high], h[low:high], c[low:high], interval_ms, rules, doubted[low:high]
        )
    head = np.maximum.accumulate(np.where(starts, np.arange(count), 0))
    segment = time[head]
    segment[refused] = -1
    return refused, segment, jump


def _believe_slowly(
    time: I64, o: F64, h: F64, c: F64, interval_ms: int, rules: CleaningRules, doubted: Mask
) -> tuple[list[bool], list[bool], list[float]]:
    """Do what `believe` says row by row, for one instrument: where a print is refused, the next row is compared with
    the last believed one, which only a loop can know.
    """
    refused, starts, jump = [False] * len(time), [False] * len(time), [float("nan")] * len(time)
    starts[0] = True
    columns = zip(time.tolist(), o.tolist(), h.tolist(), c.tolist(), strict=True)
    last_time, _, _, last = next(columns)
    for number, (at, opened, high, closed) in enumerate(columns, start=1):
        gap = at - last_time - interval_ms
        risen = high >= rules.jump_up_factor * last
        if gap == 0 and risen:
            refused[number] = True
            continue
        jumped = is_doubtful_step(last, opened, rules.doubtful_jump) or risen
        doubtful = gap < rules.segment_gap_ms and (jumped or bool(doubted[number]))
        starts[number] = doubtful or gap >= rules.segment_gap_ms
        if doubtful:
            jump[number] = opened / last
        last_time, last = at, closed
    return refused, starts, jump


LIKELY_RATIOS = (2, 3, 4, 5, 8, 10, 20, 25, 50, 100, 500, 1_000, 10_000, 100_000, 1_000_000)
"""Ratios of splits and re-denominations that are named where a jump is within a tenth of one."""


def likely_ratio(jump: float) -> str | None:
    """Return what a jump looks like: "10:1" (ten old units became one, the price is tenfold), "1:10", or None."""
    size = jump if jump >= 1 else 1 / jump
    for ratio in (Fraction(3, 2), *map(Fraction, LIKELY_RATIOS)):
        if abs(size / float(ratio) - 1) <= 0.1:
            many, few = ratio.numerator, ratio.denominator
            return f"{many}:{few}" if jump >= 1 else f"{few}:{many}"
    return None
