"""How many independent labels a training set is worth, once overlap and the market that coins share are taken out.

Belongs here: the correlation of labels of one day, and the effective number that follows from it. Does not belong here:
uniqueness within one instrument segment (`throughline.features.intervals`), thresholds (gates).

Two things make labels dependent. Labels of one segment that overlap saw the same bars: their uniqueness, which is the
weight, takes that out. Labels of different coins that are open at the same time share the market: they form clusters,
and a mean over n labels in clusters of m varies like one over n / (1 + (m - 1) rho) independent labels (the design
effect), rho being the correlation of two labels of one day. Neighbouring days share part of their labels' hours, so
they share a cluster by that part: the same Bartlett weights as in the bounds of `metrics`.
Sources: L. Kish, Survey Sampling (1965), section 5.4 (design effect); A. Donner and J. J. Koval, The estimation of
intraclass correlation in the analysis of family data (1980), Biometrics 36 (analysis of variance estimator).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from throughline.learning.splits import DAY_MS
from throughline.learning.types import F64, I64, TrainingData


@dataclass(frozen=True)
class EffectiveNumber:
    """What n labels are worth.

    unique: sum of uniqueness, overlap within a segment taken out; correlation: of the returns of two labels of one day,
    in [0, 1]; cluster: mean number of unique labels that share the market with a label, itself included; effective:
    unique / (1 + (cluster - 1) x correlation).
    """

    unique: float
    correlation: float
    cluster: float
    effective: float


def effective_number(data: TrainingData) -> EffectiveNumber:
    """Return how many independent labels `data` is worth."""
    if not len(data):
        return EffectiveNumber(0.0, 0.0, 0.0, 0.0)
    day = data.decided // DAY_MS
    _, once = np.unique(np.array(data.candidates), return_index=True)  # one label a candidate: a shadow repeats it
    rho = same_day_correlation(data.net_return[once], day[once])
    size = cluster_size(data.weight, day, label_days(data))
    unique = float(data.weight.sum())
    return EffectiveNumber(unique, rho, size, unique / (1.0 + max(size - 1.0, 0.0) * rho))


def label_days(data: TrainingData) -> int:
    """Return how many later days the longest label reaches into. At least one label."""
    return int(np.max(data.t1 - data.decided) // DAY_MS) + 1


def same_day_correlation(values: F64, day: I64) -> float:
    """Return the intraclass correlation of `values` within days, by one-way analysis of variance, held in [0, 1].

    values, day: [n]. 1 where it cannot be measured (one day only, no day with two values, values that are all equal):
    a day then counts as one label.
    """
    _, place, sizes = np.unique(day, return_inverse=True, return_counts=True)
    n, days = len(values), len(sizes)
    if n <= days or days < 2:
        return 1.0
    means = np.bincount(place, weights=values) / sizes
    between = float(np.sum(sizes * (means - values.mean()) ** 2)) / (days - 1)
    within = float(np.sum((values - means[place]) ** 2)) / (n - days)
    usual = (n - float(np.sum(sizes.astype(np.float64) ** 2)) / n) / (days - 1)
    spread = between + (usual - 1.0) * within
    return float(np.clip((between - within) / spread, 0.0, 1.0)) if spread > 0.0 else 1.0


def cluster_size(weight: F64, day: I64, reach: int) -> float:
    """Return the mean weight of the labels that share the market with a label, its own included.

    weight: [n] uniqueness; day: [n] day numbers of decision. reach: later days that a label reaches into; a label
    decided k days apart shares 1 - k / (reach + 1) of it.
    """
    first = int(day.min())
    sums = np.bincount(day - first, weights=weight)
    shared = float(sums @ sums)
    for apart in range(1, min(reach, len(sums) - 1) + 1):
        shared += 2.0 * (1.0 - apart / (reach + 1)) * float(sums[apart:] @ sums[:-apart])
    return shared / float(sums.sum())
