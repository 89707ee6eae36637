"""Intervals and rank correlations of plain numbers, by scipy's special functions.

Belongs here: small statistics of plain numbers. Does not belong here: what they are of. Everything treats its values as
independent; trades that were open together are not, which whoever shows these figures has to say. `scipy.special` alone
is imported (0.2 s); the tests compare every figure with `scipy.stats`, whose import takes a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist, fmean, stdev

import numpy as np
from numpy.typing import NDArray

from throughline.analytics.trade_registry.model import MINIMUM_CORRELATION, MINIMUM_GROUP, Correlation, GroupTest

CONFIDENCE = 0.95
_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2.0)


def rate_interval(wins: int, n: int) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson 1927, JASA 22), which stays in [0, 1] for few trades."""
    share, square = wins / n, _Z * _Z / n
    middle = (share + square / 2.0) / (1.0 + square)
    half = _Z / (1.0 + square) * math.sqrt(share * (1.0 - share) / n + square / (4.0 * n))
    return (0.0 if wins == 0 else middle - half), (1.0 if wins == n else middle + half)


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return Student's t interval of a mean; None for fewer than two values or values that do not vary."""
    n = len(values)
    if n < 2 or (spread := stdev(values)) == 0.0:
        return None
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2.0)) * spread / math.sqrt(n)
    mean = fmean(values)
    return mean - half, mean + half


def ranks(values: Sequence[float]) -> NDArray[np.float64]:
    """Return the ranks from 1 on; equal values share the mean of theirs."""
    order = np.asarray(values, dtype=np.float64)
    _, place, count = np.unique(order, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    shared: NDArray[np.float64] = (last - (count - 1) / 2.0)[place]
    return shared


def rank_correlation(name: str, x: Sequence[float], y: Sequence[float]) -> Correlation:
    """Return Spearman's rho with the interval of Bonett and Wright (2000, Psychometrika 65).

    atanh(rho) has variance (1 + rho^2 / 2) / (n - 3); the p-value is that of t = rho sqrt((n - 2) / (1 - rho^2)).
    None below `MINIMUM_CORRELATION` pairs or where one side never varies.
    """
    n = len(x)
    if n < MINIMUM_CORRELATION or min(x) == max(x) or min(y) == max(y):
        return Correlation(name, n)
    from scipy.special import stdtr

    rho = round(float(np.corrcoef(ranks(x), ranks(y))[0, 1]), 12)  # a perfect one comes out as 0.9999999999999999
    if abs(rho) == 1.0:
        return Correlation(name, n, rho, rho, rho, 0.0)
    p = 2.0 * float(stdtr(n - 2, -abs(rho) * math.sqrt((n - 2) / (1.0 - rho * rho))))
    half = _Z * math.sqrt((1.0 + rho * rho / 2.0) / (n - 3))
    middle = math.atanh(rho)
    return Correlation(name, n, rho, math.tanh(middle - half), math.tanh(middle + half), p)


def adjusted(correlations: Sequence[Correlation]) -> list[Correlation]:
    """Return the correlations with p-values adjusted for their number (Benjamini and Hochberg 1995, JRSS B 57)."""
    ordered = sorted((item.p_value, place) for place, item in enumerate(correlations) if item.p_value is not None)
    result, least = list(correlations), 1.0
    for rank in range(len(ordered), 0, -1):
        p, place = ordered[rank - 1]
        least = min(least, p * len(ordered) / rank)
        result[place] = replace(result[place], adjusted=least)
    return result


def groups_differ(groups: Sequence[Sequence[float]]) -> GroupTest:
    """Return the test of Kruskal and Wallis (1952, JASA 47) over the groups of `MINIMUM_GROUP` values or more.

    H = 12 / (n (n + 1)) sum(R_g^2 / n_g) - 3 (n + 1), divided by 1 - sum(t^3 - t) / (n^3 - n) for ties; its p-value is
    that of chi-squared with one degree of freedom less than groups.
    """
    large = [group for group in groups if len(group) >= MINIMUM_GROUP]
    values = [value for group in large for value in group]
    n = len(values)
    if len(large) < 2 or len(set(values)) == 1:
        return GroupTest(len(large), n, None)
    from scipy.special import chdtrc

    parts = np.split(ranks(values), np.cumsum([len(group) for group in large])[:-1])
    ties = np.unique(np.asarray(values), return_counts=True)[1].astype(np.float64)
    h = 12.0 / (n * (n + 1)) * math.fsum(part.sum() ** 2 / len(part) for part in parts) - 3.0 * (n + 1)
    h /= 1.0 - float((ties**3 - ties).sum()) / (n**3 - n)
    return GroupTest(len(large), n, float(chdtrc(len(large) - 1, h)))
