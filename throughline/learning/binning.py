"""Bins of features by weighted quantiles, made with one sort a feature.

Belongs here: the step of a pipeline that replaces each feature by the number of its bin. Does not belong here: the
pipeline (models).

scikit-learn's boosted trees bin features themselves, and with weights they sort a feature anew for every edge: that was
two thirds of a training. The bins here are the same (`_find_binning_thresholds` of scikit-learn 1.8: quantiles by the
averaged inverted distribution function, Hyndman and Fan 1996, definition 2; the midpoints where there are no more
values than bins), and so are the trees that grow on them; a test compares the two.

Imported where a model is fitted or read, and nowhere at the start of a process: scikit-learn takes seconds to load.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin  # noqa: TID253 - this module is loaded only to fit or to read

from throughline.learning.types import F64


class WeightedBins(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Replaces features by the numbers of their bins.

    bins: at most so many for each feature. thresholds_: after `fit`, per feature the upper edges of all bins but the
    last, ascending; a value belongs to the first bin whose edge is not below it.
    """

    def __init__(self, bins: int = 16) -> None:
        self.bins = bins

    def fit(self, X: F64, y: object = None, sample_weight: F64 | None = None) -> WeightedBins:  # noqa: N803
        """Find the edges of the bins.

        Args:
            X: features [n, k], finite.
            y: ignored.
            sample_weight: [n], not below zero; None is one for each row. Rows of weight zero decide nothing.
        """
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        counted = weight != 0.0
        self.thresholds_ = [
            _thresholds(column[counted], weight[counted], self.bins) for column in np.asarray(X, np.float64).T
        ]
        return self

    def transform(self, X: F64) -> F64:  # noqa: N803
        """Return the number of the bin of each value, from 0, as floats of the shape of `X`."""
        columns = np.asarray(X, np.float64).T
        bounds = [
            np.searchsorted(edges, column, side="left") for edges, column in zip(self.thresholds_, columns, strict=True)
        ]
        return np.array(bounds, dtype=np.float64).T.reshape(np.shape(X))


def _thresholds(values: F64, weight: F64, bins: int) -> F64:
    """Return the upper edges of all bins but the last, ascending, each above at least one value that its bin holds."""
    order = np.argsort(values, kind="stable")  # so that weights of equal values are summed in one order everywhere
    values, weight = values[order], weight[order]
    distinct = np.unique(values)
    if len(distinct) < 2:
        return np.zeros(0)
    if len(distinct) <= bins:
        midpoints: F64 = (distinct[:-1] + distinct[1:]) / 2.0
        return midpoints
    edges = np.unique(_quantiles(values, weight, np.linspace(0.0, 100.0, bins + 1)[1:-1]))
    # Between an edge that is a value and the next one, half-way to the next value, lies nothing: trees split at the
    # first of the two.
    filled: NDArray[Any] = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)[:-1] > 0
    kept: F64 = edges[filled]
    return kept


def _quantiles(values: F64, weight: F64, percent: F64) -> F64:
    """Return weighted quantiles of sorted values: the first value at which the sum of the weights reaches the share,
    and where it meets the share exactly, the mean of that value and the next one."""
    reached = np.cumsum(weight)
    share = percent / 100.0 * reached[-1]
    last = len(values) - 1
    place = np.clip(np.searchsorted(reached, share), 0, last)
    above = reached[place] - share > np.finfo(np.float64).eps
    here, following = values[place], values[np.clip(place + 1, 0, last)]
    thresholds: F64 = np.where(above, here, (here + following) / 2.0)
    return thresholds
