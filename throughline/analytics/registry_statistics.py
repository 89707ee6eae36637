"""Intervals and rank correlations, by scipy: the one module here that imports it.

Belongs here: small statistics of plain numbers. Does not belong here: what they are of. Everything treats its values as
independent; trades that were open together are not, which whoever shows these figures has to say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean, stdev

from throughline.analytics.registry_model import MINIMUM_CORRELATION, MINIMUM_GROUP, Correlation, GroupTest

CONFIDENCE = 0.95


def rate_interval(wins: int, n: int) -> tuple[float, float]:
    """Return the Wilson score interval of a share (Wilson 1927, JASA 22), which stays in [0, 1] for few trades."""
    from scipy.stats import binomtest

    found = binomtest(wins, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return Student's t interval of a mean; None for fewer than two values or values that do not vary."""
    n = len(values)
    if n < 2 or (spread := stdev(values)) == 0.0:
        return None
    from scipy.stats import t

    half = float(t.ppf(0.5 + CONFIDENCE / 2.0, n - 1)) * spread / math.sqrt(n)
    mean = fmean(values)
    return mean - half, mean + half


def rank_correlation(name: str, x: Sequence[float], y: Sequence[float]) -> Correlation:
    """Return Spearman's rho with the interval of Bonett and Wright (2000, Psychometrika 65): atanh(rho) has variance
    (1 + rho^2 / 2) / (n - 3). None below `MINIMUM_CORRELATION` pairs or where one side never varies."""
    n = len(x)
    if n < MINIMUM_CORRELATION or min(x) == max(x) or min(y) == max(y):
        return Correlation(name, n)
    from scipy.stats import norm, spearmanr

    found = spearmanr(x, y)
    rho = round(float(found.statistic), 12)  # a perfect one comes out as 0.9999999999999999
    if abs(rho) == 1.0:
        return Correlation(name, n, rho, rho, rho, float(found.pvalue))
    half = float(norm.ppf(0.975)) * math.sqrt((1.0 + rho * rho / 2.0) / (n - 3))
    centre = math.atanh(rho)
    return Correlation(name, n, rho, math.tanh(centre - half), math.tanh(centre + half), float(found.pvalue))


def adjusted(told: Sequence[Correlation]) -> list[Correlation]:
    """Return the correlations with p-values adjusted for how many were asked (Benjamini and Hochberg 1995)."""
    from scipy.stats import false_discovery_control

    p_values = [item.p_value for item in told if item.p_value is not None]
    found = iter(false_discovery_control(p_values, method="bh") if p_values else ())
    return [item if item.p_value is None else replace(item, adjusted=float(next(found))) for item in told]


def groups_differ(groups: Sequence[Sequence[float]]) -> GroupTest:
    """Return the test of Kruskal and Wallis (1952, JASA 47) over the groups of `MINIMUM_GROUP` values or more."""
    large = [group for group in groups if len(group) >= MINIMUM_GROUP]
    n = sum(map(len, large))
    if len(large) < 2 or len({value for group in large for value in group}) == 1:
        return GroupTest(len(large), n, None)
    from scipy.stats import kruskal

    return GroupTest(len(large), n, float(kruskal(*large).pvalue))
