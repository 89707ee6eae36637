"""Temporal warp: how an instrument's path through its window bends against the reference's (dynamic time warping).

Belongs here: the banded alignment of two series and what is read from its path. Does not belong here: which reference
is frozen and under which version (the caller's record says that).

D(i, j) = |x_i - y_j| + min(D(i-1, j), D(i, j-1), D(i-1, j-1)) inside the band |i - j| <= band, both ends pinned
(Sakoe & Chiba 1978; ar5iv 1905.12893), on standardised returns. Plain Python over the band: 64 bars and band 8 are a
thousand cells.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from throughline.signals.window import F64

BAND = 8
"""Bars that the two clocks may be apart."""
SLOPE_SPAN = 16
"""Reference bars over which a local slope is measured."""

_MILLION = 1_000_000


@dataclass(frozen=True)
class Warp:
    """What the best alignment of an instrument (index i) with its reference (index j) says.

    distance: mean cost per step of the path, in standard deviations, >= 0 (0 = the same shape).
    time_scale: median local slope di/dj, in [max(0, 1 - 2 band / 16), 1 + 2 band / 16]; above 1 = slower than the
    reference (it takes more bars for the same shape). None for windows of 16 bars or fewer.
    lead: mean of j - i over the path, bars in [-band, band]; positive = the instrument is ahead of the reference,
    negative = it follows. A delay of k bars gives about -k (a little less: the ends are pinned).
    """

    distance: float
    time_scale: float | None
    lead: float


def standard_scores(x: F64) -> list[int] | None:
    """Return (x - mean) / standard deviation (n - 1) in whole millionths, or None below two values or without movement.

    Whole numbers, because paths of equal cost are common (sums of absolute differences often only change their order):
    in floating point the last bit of a logarithm would choose between them, and the path with it.
    """
    values: list[float] = x.tolist()
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    centred = [value - mean for value in values]
    deviation = math.sqrt(math.fsum(value * value for value in centred) / (len(values) - 1))
    if deviation <= 1e-12 * max(map(abs, values)):  # rounding, not movement; also 0 <= 0
        return None
    return [round(value / deviation * _MILLION) for value in centred]


def temporal_warp(x: F64, reference: F64, band: int = BAND) -> Warp | None:
    """Return the warp of the log returns `x` [n] against those of the reference [n].

    None where either has no movement. Raises ValueError for different lengths or a band below 0.
    """
    if len(x) != len(reference) or band < 0:
        raise ValueError(
            f"{len(x)} returns, {len(reference)} of the reference, band {band}: give equal lengths, band >= 0"
        )
    a, b = standard_scores(x), standard_scores(reference)
    if a is None or b is None:
        return None
    cost, path = _align(a, b, band)
    # for every reference bar the mean of the bars it is matched to
    matched: list[list[int]] = [[] for _ in b]
    for i, j in path:
        matched[j].append(i)
    at = [sum(rows) / len(rows) for rows in matched]
    slopes = [(at[j + SLOPE_SPAN] - at[j]) / SLOPE_SPAN for j in range(len(at) - SLOPE_SPAN)]
    return Warp(
        distance=cost / (_MILLION * len(path)),
        time_scale=statistics.median(slopes) if slopes else None,
        lead=sum(j - i for i, j in path) / len(path),
    )


def _align(a: list[int], b: list[int], band: int) -> tuple[int, list[tuple[int, int]]]:
    """Cost and cells of the cheapest path from (0, 0) to (n-1, n-1); among equals the diagonal step, then back in i."""
    n, width = len(a), 2 * band + 1
    never = 1 + 2 * n * (max(map(abs, a)) + max(map(abs, b)))  # more than any path costs
    # row i holds j = i - band .. i + band at places 1 .. width; one place more on either side is never reached
    rows: list[list[int]] = []
    above = [never] * (width + 2)
    above[band + 1] = 0  # the empty alignment, diagonally before (0, 0)
    for i, value in enumerate(a):
        row = [never] * (width + 2)
        left = never
        for place in range(max(0, band - i), min(width, n - i + band)):
            best = above[place + 1]  # (i-1, j-1) has the same place in its row
            up = above[place + 2]  # (i-1, j)
            if up < best:
                best = up
            if left < best:  # (i, j-1)
                best = left
            difference = value - b[i - band + place]
            left = best + (difference if difference >= 0 else -difference)
            row[place + 1] = left
        rows.append(row)
        above = row
    i, place = n - 1, band
    path = [(i, i)]
    while i > 0 or place != band:
        # row 0 has nothing above it: only steps back in j are left
        diagonal, up = (rows[i - 1][place + 1], rows[i - 1][place + 2]) if i > 0 else (never, never)
        best = min(diagonal, up, rows[i][place])
        if i > 0 and diagonal == best:
            i -= 1
        elif i > 0 and up == best:
            i, place = i - 1, place + 1
        else:
            place -= 1
        path.append((i, i - band + place))
    path.reverse()
    return rows[n - 1][band + 1], path
