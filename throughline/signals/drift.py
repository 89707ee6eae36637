"""Drift: has the distribution of the newest returns left the reference's? With thresholds that hold their false alarms.

Belongs here: the population stability index with its null distribution, and the shift of the mean in standard errors.
The convention "0.1 watch, 0.25 act" is not used: at n = 50 it raises a false alarm 86 % of the time
(simulated, ten bins). Under no drift PSI ~ (1/n + 1/m) chi-square with B - 1 degrees of
freedom (Yurdakul 2018), so the threshold is a chi-square quantile. That holds for large samples only: at 50 values and
ten bins a nominal 5 % raised 10 % false alarms in simulation. So it is scaled by the second-order term of PSI's mean,
1 + B/2 (1/n + 1/m) (a Bartlett correction: E[(q - p) ln(q / p)] expanded to d^4 with multinomial moments and equal
bins), which brings that to 5 %; a test simulates it.

All of this is for independent values. Returns whose volatility comes in clusters are not: on a GARCH(1,1) the 5 %
threshold is exceeded in 10 % of the soulprint's windows (21 of 63 returns, four bins) and in 21 % of larger ones (200
of 600, ten bins; benchmarks/drift.py). The soulprint compares the ratio between trades and raises no alarm by it;
alarms are those of throughline/learning/drift.py, which compares blocks of days.
"""

from __future__ import annotations

import bisect
import math
from functools import lru_cache

from throughline.signals.window import F64


def quantile_edges(reference: F64, bins: int) -> tuple[float, ...]:
    """Return the inner edges of `bins` bins with equal shares of the reference, ascending; equal edges are merged.

    An edge is an observation (the inverse of the empirical distribution) and belongs to the bin below it.
    """
    if bins < 2 or len(reference) < bins:
        raise ValueError(
            f"{bins} bins of {len(reference)} reference values: give two bins or more, and a value for each"
        )
    ordered: list[float] = sorted(reference.tolist())
    edges = {ordered[-(-len(ordered) * k // bins) - 1] for k in range(1, bins)}
    return tuple(sorted(edge for edge in edges if edge < ordered[-1]))


def _shares(values: F64, edges: tuple[float, ...]) -> list[float]:
    counts = [0] * (len(edges) + 1)
    for value in values.tolist():
        counts[bisect.bisect_left(edges, value)] += 1
    # An empty bin counts as half an observation: the logarithm stays finite, and small samples keep their level.
    return [max(count, 0.5) / len(values) for count in counts]


def psi(current: F64, reference: F64, bins: int) -> float:
    """Return the population stability index sum (q - p) ln(q / p) >= 0 over quantile bins of the reference.

    q and p are the shares of the current and the reference values, floored at half an observation. Raises ValueError
    for no current values, fewer than two bins or fewer reference values than bins.
    """
    if len(current) == 0:
        raise ValueError("there are no current values: drift needs at least one")
    edges = quantile_edges(reference, bins)
    pairs = zip(_shares(current, edges), _shares(reference, edges), strict=True)
    return math.fsum((q - p) * math.log(q / p) for q, p in pairs)


def psi_threshold(n: int, m: int, bins: int, quantile: float) -> float:
    """Return what PSI of n current against m reference values stays below with probability `quantile` without drift."""
    if n < 1 or m < 1 or bins < 2:
        raise ValueError(f"n={n}, m={m}, bins={bins}: give at least one value on both sides and two bins")
    noise = 1.0 / n + 1.0 / m
    return noise * (1.0 + 0.5 * bins * noise) * chi_square_quantile(quantile, bins - 1)


def psi_ratio(current: F64, reference: F64, bins: int, quantile: float) -> float | None:
    """Return PSI over its threshold: above 1 is drift at the level 1 - `quantile`.

    None if all reference values are the same.
    """
    edges = quantile_edges(reference, bins)
    if not edges:
        return None
    return psi(current, reference, bins) / psi_threshold(len(current), len(reference), len(edges) + 1, quantile)


def mean_shift(current: F64, reference: F64) -> float | None:
    """Return (mean of current - mean of reference) in standard errors of the difference (Welch 1947), unbounded.

    None for fewer than two values on a side or no variance on both.
    """
    if len(current) < 2 or len(reference) < 2:
        return None
    (mean, error), (reference_mean, reference_error) = _mean_and_error(current), _mean_and_error(reference)
    squares = error + reference_error
    scale = max(map(abs, [*current.tolist(), *reference.tolist()]))
    return None if squares <= (1e-12 * scale) ** 2 else (mean - reference_mean) / math.sqrt(squares)


def _mean_and_error(values: F64) -> tuple[float, float]:
    """Mean and squared standard error."""
    numbers: list[float] = values.tolist()
    mean = math.fsum(numbers) / len(numbers)
    return mean, math.fsum((value - mean) ** 2 for value in numbers) / (len(numbers) - 1) / len(numbers)


def chi_square_probability(value: float, degrees: int) -> float:
    """Return P[chi-square <= value]: the regularised lower incomplete gamma function by its series (DLMF 8.7.1)."""
    if value <= 0.0:
        return 0.0
    a, x = degrees / 2.0, value / 2.0
    term = total = 1.0 / a
    divisor = a
    while term > 1e-17 * total:
        divisor += 1.0
        term *= x / divisor
        total += term
    return min(1.0, total * math.exp(a * math.log(x) - x - math.lgamma(a)))


@lru_cache(maxsize=256)
def chi_square_quantile(quantile: float, degrees: int) -> float:
    """Return the value below which a chi-square variable lies with probability `quantile` in (0, 1), by bisection."""
    if not 0.0 < quantile < 1.0 or degrees < 1:
        raise ValueError(f"quantile {quantile} with {degrees} degrees of freedom: give 0 < quantile < 1 and at least 1")
    low, high = 0.0, float(degrees)
    while chi_square_probability(high, degrees) < quantile:
        low, high = high, 2.0 * high
    for _ in range(100):
        middle = 0.5 * (low + high)
        if chi_square_probability(middle, degrees) < quantile:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
