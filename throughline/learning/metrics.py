"""Figures of scores against what happened: skill, calibration, gains, and how sure one may be of them.

Belongs here: pure functions of arrays, all weighted by uniqueness. Does not belong here: thresholds (gates), selection
bias (selection_bias), where out-of-fold scores come from (trials).

Lower bounds are analytic and so need no random numbers: a figure is a ratio of sums over labels; its influence is
summed over each decision *day*, because outcomes of one day hang together, and the days' sums get a Bartlett
(Newey-West) long-run variance over as many days as a label lasts, because neighbouring days share the hours of their
labels. The bound is the figure less the Student quantile with one degree of freedom less than there are days.
Upper bounds (calibration) are made the same way.
Sources: W. K. Newey and K. D. West (1987); J. Y. Campbell and S. B. Thompson (2008) for R2 against what was known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from throughline.learning.types import F64, I64, Mask

CALIBRATION_BINS = 10
_SAME = 1e-12
"""A smaller variance of probabilities is rounding, and no difference between them."""


@dataclass(frozen=True)
class Bound:
    """A figure, its one-sided lower bound, and the days (or folds) they stand on. NaN where fewer than two."""

    value: float
    lower: float
    days: int


@dataclass(frozen=True)
class Calibration:
    """Mean distance of probabilities from what happened, its one-sided upper bound, and the slope of what happened.

    slope: 1 where probabilities are true, 0 where they say nothing; NaN where all probabilities are the same.
    """

    error: float
    upper: float
    slope: Bound


@dataclass(frozen=True)
class ReliabilityBin:
    """Labels with similar predictions: the mean of them, the mean of what happened, their weight and number."""

    predicted: float
    observed: float
    weight: float
    labels: int


def ratio_bound(numerator: F64, denominator: F64, day: I64, confidence: float, lag_days: int) -> Bound:
    """Return sum(numerator) / sum(denominator) with its lower bound over decision days.

    day: [n] day numbers. lag_days: how many later days a label reaches into.
    """
    value, error, count = _ratio(numerator, denominator, day, lag_days)
    if not math.isfinite(error):
        return Bound(math.nan, math.nan, count)
    return Bound(value, value - _quantile(confidence, count) * error, count)


def mean_bound(values: Sequence[float], confidence: float) -> Bound:
    """Return the mean of independent values with its one-sided lower bound (Student's t).

    Args:
        values: at least two finite numbers, each one observation.
        confidence: of the bound, in (0.5, 1).
    """
    count = len(values)
    mean = math.fsum(values) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return Bound(mean, mean - _quantile(confidence, count) * deviation / math.sqrt(count), count)


def _ratio(numerator: F64, denominator: F64, day: I64, lag_days: int) -> tuple[float, float, int]:
    """Return sum(numerator) / sum(denominator), its standard error over decision days, and the number of days."""
    days = np.unique(day)
    count, total = len(days), float(denominator.sum())
    if count < 2 or total <= 0.0:
        return math.nan, math.nan, count
    value = float(numerator.sum()) / total
    sums = np.zeros(int(days[-1] - days[0]) + 1)
    np.add.at(sums, day - days[0], numerator - value * denominator)
    variance = float(sums @ sums)
    for lag in range(1, min(lag_days, len(sums) - 1) + 1):
        variance += 2.0 * (1.0 - lag / (lag_days + 1)) * float(sums[lag:] @ sums[:-lag])
    return value, math.sqrt(max(variance, 0.0) * count / (count - 1)) / total, count


def _quantile(confidence: float, days: int) -> float:
    from scipy.stats import t

    return float(t.ppf(confidence, days - 1))


def r2_bound(returns: F64, expected: F64, known: F64, weight: F64, day: I64, confidence: float, lag_days: int) -> Bound:
    """Return R2 of the expected against the mean return that was known when the model was trained, with its bound."""
    naive = (returns - known) ** 2
    gain = naive - (returns - expected) ** 2
    return ratio_bound(weight * gain, weight * naive, day, confidence, lag_days)


def brier(win: Mask, probability: F64, weight: F64) -> float:
    """Return the weighted mean squared error of the probabilities."""
    return _mean((probability - win) ** 2, weight)


def brier_skill(win: Mask, probability: F64, known: F64, weight: F64) -> float:
    """Return 1 - Brier score / Brier score of the base rate that was known when the model was trained."""
    naive = brier(win, known, weight)
    return 1.0 - brier(win, probability, weight) / naive if naive > 0.0 else math.nan


def reliability(happened: F64 | Mask, predicted: F64, weight: F64) -> tuple[ReliabilityBin, ...]:
    """Return labels in up to ten bins of equal number by what was predicted; equal predictions are never parted."""
    n, bins = len(predicted), CALIBRATION_BINS
    order = np.argsort(predicted, kind="stable")
    ranked = predicted[order]
    edges = sorted({0, n, *(int(np.searchsorted(ranked, ranked[n * k // bins], "left")) for k in range(1, bins) if n)})
    table = []
    for start, stop in pairwise(edges):
        rows = order[start:stop]
        w = weight[rows]
        table.append(ReliabilityBin(_mean(predicted[rows], w), _mean(happened[rows], w), float(w.sum()), len(rows)))
    return tuple(table)


def calibration_error(table: tuple[ReliabilityBin, ...]) -> float:
    """Return the expected calibration error: the weighted mean gap between predicted and observed over the bins.

    The noise of small bins is a part of it, so it is shown and no gate reads it (`calibration` is for that).
    """
    weight = np.array([item.weight for item in table])
    return _mean(np.array([abs(item.predicted - item.observed) for item in table]), weight)


def calibration(win: Mask, probability: F64, weight: F64, day: I64, confidence: float, lag_days: int) -> Calibration:
    """Return how far probabilities lie from what happened, by a straight line, with bounds over decision days.

    What happened is regressed on the probability: observed = a + p + (slope - 1) (p - mean p). A model that is
    calibrated has a = 0 and slope 1; where probabilities say nothing the slope is 0, and where they are too bold it is
    below 1. The error is the mean |observed - p| on that line, in [0, 1]. Two numbers are fitted instead of ten bins,
    so that the noise of small bins is no part of it. Its upper bound is the largest error over the box of both
    two-sided bounds, each at (1 + confidence) / 2 (Bonferroni): it is convex, so it is largest at a corner.
    Sources: D. R. Cox, Two further applications of a model for binary regression (1958), Biometrika 45; B. Van Calster
    et al., Calibration: the Achilles heel of predictive analytics (2019), BMC Medicine 17.
    """
    apart, apart_error, days = _ratio(weight * (win - probability), weight, day, lag_days)
    centred = probability - _mean(probability, weight)
    if float(weight @ centred**2) < _SAME * float(weight.sum()):  # one probability for all: there is no slope
        centred = np.zeros(len(centred))
    around = weight * centred * (win - _mean(win, weight))
    slope, slope_error, _ = _ratio(around, weight * centred**2, day, lag_days)
    if not math.isfinite(apart_error):
        return Calibration(math.nan, math.nan, Bound(math.nan, math.nan, days))
    tilt, tilt_error = (slope - 1.0, slope_error) if math.isfinite(slope_error) else (0.0, 0.0)

    def error(offset: float, turn: float) -> float:
        return _mean(np.abs(offset + turn * centred), weight)

    reach = _quantile(1.0 - (1.0 - confidence) / 4.0, days)
    corners = [
        error(apart + reach * first * apart_error, tilt + reach * second * tilt_error)
        for first in (-1.0, 1.0)
        for second in (-1.0, 1.0)
    ]
    lower = slope - _quantile(confidence, days) * slope_error
    return Calibration(error(apart, tilt), max(corners), Bound(slope, lower, days))


def pr_auc(win: Mask, probability: F64, weight: F64) -> float:
    """Return the weighted average precision; NaN where nothing gained."""
    if not win.any():
        return math.nan
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(win, probability, sample_weight=weight))


def roc_auc(win: Mask, probability: F64, weight: F64) -> float:
    """Return the weighted area under the ROC curve; NaN for one class only."""
    if win.all() or not win.any():
        return math.nan
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(win, probability, sample_weight=weight))


def mean_gain(returns: F64, take: Mask, weight: F64) -> float:
    """Return the mean gain per candidate of taking as `take` says: what is not taken gains nothing."""
    return _mean(returns * take, weight)


def log_growth(returns: F64, take: Mask, weight: F64, stake_share: float) -> float:
    """Return the mean log growth of a fund per *taken* label, each staking `stake_share`; NaN where none is taken."""
    return _mean(np.log1p(stake_share * returns[take]), weight[take])


def log_growth_per_candidate(returns: F64, take: Mask, weight: F64, stake_share: float) -> float:
    """Return the mean log growth of a fund per candidate; what is not taken leaves it as it was."""
    return _mean(np.log1p(stake_share * np.where(take, returns, 0.0)), weight)


def daily_growth(returns: F64, take: Mask, weight: F64, day: I64, stake_share: float) -> F64:
    """Return the log growth of a fund on each decision day, all candidates weighted: its sum is what trials vie for."""
    days, place = np.unique(day, return_inverse=True)
    growth = weight * np.log1p(stake_share * np.where(take, returns, 0.0))
    return np.asarray(np.bincount(place, weights=growth, minlength=len(days)), dtype=np.float64)


def daily_returns(returns: F64, take: Mask, weight: F64, day: I64) -> tuple[I64, F64]:
    """Return each decision day and the mean return of what was taken on it, one stake split among it; nil for none."""
    days, place = np.unique(day, return_inverse=True)
    gained = np.bincount(place, weights=np.where(take, weight * returns, 0.0), minlength=len(days))
    staked = np.bincount(place, weights=np.where(take, weight, 0.0), minlength=len(days))
    return days, np.divide(gained, staked, out=np.zeros(len(days)), where=staked > 0.0)


def _mean(values: F64 | Mask, weight: F64) -> float:
    total = float(weight.sum())
    return float((values * weight).sum()) / total if total > 0.0 else math.nan
