"""Label intervals: which labels see each other's future, and how much each is worth. Arrays in, arrays out.

A label learns from all bars of its interval [t0, t1]. Belongs here: purging (drop what overlaps a later part) and
uniqueness (overlapping labels of one segment share what they saw). Does not belong here: where parts begin (splits).
Source: M. Lopez de Prado, Advances in Financial Machine Learning (2018), sections 4.4 and 7.4.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]


def overlapping(t0: I64, t1: I64, other_t0: I64, other_t1: I64, embargo_ms: int = 0) -> NDArray[np.bool_]:
    """Return which of the intervals [t0, t1] share an instant with any of the others, or begin in their embargo.

    An other interval reaches from its t0 to its t1 + `embargo_ms`; both ends belong to it. All in ms. O(n log n).
    Raises ValueError for an interval that ends before it begins.
    """
    _require_intervals(t0, t1)
    _require_intervals(other_t0, other_t1)
    if len(other_t0) == 0:
        return np.zeros(len(t0), np.bool_)
    order = np.argsort(other_t0, kind="stable")
    starts = other_t0[order]
    reach = np.maximum.accumulate(other_t1[order] + embargo_ms)
    # Of the others that begin by t1, the one that reaches furthest decides.
    last = np.searchsorted(starts, t1, side="right") - 1
    return np.asarray((last >= 0) & (reach[np.maximum(last, 0)] >= t0))


def uniqueness(t0: I64, t1: I64, segments: Sequence[str]) -> NDArray[np.float64]:
    """Return the uniqueness of each label, in (0, 1]: the mean over [t0, t1) of 1 / labels alive in its segment.

    Their sum is the number of labels that are worth as much without overlap. A label of no length counts as 1 ms.
    O(n log n). Raises ValueError for an interval that ends before it begins.
    """
    _require_intervals(t0, t1)
    n = len(t0)
    if n == 0:
        return np.zeros(0)
    end = np.maximum(t1, t0 + 1)
    code = np.unique(np.asarray(segments, dtype=object).astype(str), return_inverse=True)[1]
    times, codes = np.concatenate([t0, end]), np.concatenate([code, code])
    order = np.lexsort((times, codes))
    alive = np.cumsum(np.where(order < n, 1, -1))  # nil at the end of each segment
    length = np.append(np.diff(times[order]), 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = np.where(alive > 0, length / alive, 0.0)
    seen = np.concatenate([[0.0], np.cumsum(shared)[:-1]])
    place = np.empty(2 * n, np.int64)
    place[order] = np.arange(2 * n)
    return np.asarray(np.minimum((seen[place[n:]] - seen[place[:n]]) / (end - t0), 1.0))


def _require_intervals(t0: I64, t1: I64) -> None:
    wrong = np.flatnonzero(t1 < t0)
    if len(wrong):
        raise ValueError(f"interval {wrong[0]} ends at {t1[wrong[0]]} before it begins at {t0[wrong[0]]}")
