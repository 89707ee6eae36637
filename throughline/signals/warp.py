"""Temporal warp: how an instrument's path through its window bends against the reference's (dynamic time warping).

Belongs here: the banded alignment of two series and what is read from its path. Does not belong here: which reference
is frozen and under which version (that is in the caller's record).

D(i, j) = |x_i - y_j| + min(D(i-1, j), D(i, j-1), D(i-1, j-1)) inside the band |i - j| <= band, both ends pinned
(Sakoe & Chiba 1978; ar5iv 1905.12893), on standardised returns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughline.signals.window import F64

Scores = NDArray[np.int64]

BAND = 8
"""Bars that the two clocks may be apart."""
SLOPE_SPAN = 16
"""Reference bars over which a local slope is measured."""

_MILLION = 1_000_000


@dataclass(frozen=True)
class Warp:
    """What the best alignment of an instrument (index i) with its reference (index j) measures.

    distance: mean cost per step of the path, in standard deviations, >= 0 (0 = the same shape).
    time_scale: median local slope di/dj, in [max(0, 1 - 2 band / 16), 1 + 2 band / 16]; above 1 = slower than the
    reference (it takes more bars for the same shape). None for windows of 16 bars or fewer.
    lead: mean of j - i over the path, bars in [-band, band]; positive = the instrument is ahead of the reference,
    negative = it follows. A delay of k bars gives about -k (a little less: the ends are pinned).
    """

    distance: float
    time_scale: float | None
    lead: float


def standard_scores(x: F64) -> Scores | None:
    """Return (x - mean) / standard deviation (n - 1) in whole millionths, or None below two values or without movement.

    Whole numbers, because paths of equal cost are common (sums of absolute differences often only change their order):
    in floating point the last bit of a logarithm would choose between them, and the path with it.
    """
    if len(x) < 2:
        return None
    centred = x - math.fsum(x.tolist()) / len(x)
    deviation = math.sqrt(math.fsum((centred * centred).tolist()) / (len(x) - 1))
    if deviation <= 1e-12 * np.abs(x).max():  # rounding, not movement; also 0 <= 0
        return None
    return np.rint(centred / deviation * _MILLION).astype(np.int64)


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
    i, j = path[:, 0], path[:, 1]
    at = np.bincount(j, weights=i) / np.bincount(j)  # for every reference bar the mean of the bars it is matched to
    slopes = (at[SLOPE_SPAN:] - at[:-SLOPE_SPAN]) / SLOPE_SPAN
    return Warp(
        distance=cost / (_MILLION * len(path)),
        time_scale=float(np.median(slopes)) if len(slopes) else None,
        lead=int((j - i).sum()) / len(path),
    )


def _align(a: Scores, b: Scores, band: int) -> tuple[int, Scores]:
    """Return the cost and the cells [m, 2] of the cheapest path from (0, 0) to (n-1, n-1)."""
    from throughline.signals import kernel

    steps = np.empty((2 * len(a) - 1, 2), np.int64)
    cost, cells = kernel.cheapest_path(a, b, band, steps)
    return cost, steps[:cells][::-1]
