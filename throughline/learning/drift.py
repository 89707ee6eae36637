"""Drift of features and scores: which of many columns have left the reference, with false alarms that hold.

Belongs here: two tests a column and the control over all of them, as a function of arrays. Does not belong here: which
rows are compared (they should be one per episode: hourly rows of one coin are not independent), and when.

Values are compared by the two-sample Kolmogorov-Smirnov test, the share of missing ones by Fisher's exact test; the
false-discovery control over all tests made is Benjamini and Hochberg's, so that without drift anywhere an alarm is
raised with probability `level` at most, at any size (the rule "PSI above 0.1" raises one in 86 % at n = 50, see
reference/learning_and_integrity.md section 2.4). The population stability index stands beside as a size: with many
rows a small drift is certain and still small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from throughline.learning.types import F64
from throughline.signals.drift import psi

FEWEST = 10
"""Known values on either side below which nothing is said of a column's values."""
BINS = 10

Test = Literal["values", "missing"]


@dataclass(frozen=True)
class Drift:
    """What one test says of one column. reference, current: known values on either side ('values'), or all rows.

    statistic: Kolmogorov-Smirnov distance, or the change of the share that is missing; p, adjusted: before and after
    false-discovery control; all None where there is too little to say anything. psi: of the values, None for 'missing'
    and where all reference values are the same.
    """

    feature: str
    test: Test
    statistic: float | None
    p: float | None
    adjusted: float | None
    drifted: bool
    reference: int
    current: int
    psi: float | None = None


def drift_report(reference: F64, current: F64, names: Sequence[str], level: float = 0.05) -> tuple[Drift, ...]:
    """Return the drift of every column, what is most certain first, then by name; what cannot be told comes last.

    reference, current: [rows, columns], NaN = missing. The share of missing values is tested where it could differ: not
    where nothing or everything is missing on both sides. Raises ValueError for shapes that do not fit the names.
    """
    if reference.ndim != 2 or current.ndim != 2 or not reference.shape[1] == current.shape[1] == len(names):
        raise ValueError(
            f"reference {reference.shape} and current {current.shape} for {len(names)} names: give one column a name"
        )
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level}: give a probability between 0 and 1")
    found: list[Drift] = []
    for column, name in enumerate(names):
        found += _column(name, reference[:, column], current[:, column])
    tested = [item for item in found if item.p is not None]
    untold = [item for item in found if item.p is None]
    controlled = [
        replace(item, adjusted=adjusted, drifted=adjusted <= level)
        for item, adjusted in zip(tested, _adjusted([item.p for item in tested if item.p is not None]), strict=True)
    ]
    return (
        *sorted(controlled, key=lambda item: (item.adjusted, item.p, item.feature, item.test)),
        *sorted(untold, key=lambda item: (item.feature, item.test)),
    )


def _adjusted(p: list[float]) -> list[float]:
    from scipy.stats import false_discovery_control

    return [float(value) for value in false_discovery_control(p)] if p else []


def _column(name: str, reference: F64, current: F64) -> list[Drift]:
    from scipy.stats import fisher_exact, ks_2samp

    known, known_now = reference[~np.isnan(reference)], current[~np.isnan(current)]
    n, m = len(known), len(known_now)
    if n < FEWEST or m < FEWEST:
        found = [Drift(name, "values", None, None, None, False, n, m)]
    else:
        # The exact distribution cannot always be computed (scipy warns and falls back); the limit holds at n = 50 too.
        outcome = ks_2samp(known, known_now, method="asymp")
        size = psi(known_now, known, BINS) if known.min() < known.max() else None
        found = [Drift(name, "values", float(outcome.statistic), float(outcome.pvalue), None, False, n, m, size)]
    missing, missing_now = len(reference) - n, len(current) - m
    if missing + missing_now == 0 or n + m == 0 or not len(reference) or not len(current):
        return found
    change = missing_now / len(current) - missing / len(reference)
    p = float(fisher_exact([[missing, n], [missing_now, m]]).pvalue)
    return [*found, Drift(name, "missing", change, p, None, False, len(reference), len(current))]
