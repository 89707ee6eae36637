"""The bins of features against those that scikit-learn makes itself, by the trees that grow on either."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting.binning import _find_binning_thresholds

from throughline.learning.binning import WeightedBins

BINS = 16
KINDS = ("smooth", "integers", "a few values", "mostly zero", "heavy tails", "constant")


def features(random: np.random.Generator, rows: int) -> np.ndarray:
    """Return one feature of each kind, [rows, k]."""
    smooth = random.normal(size=rows)
    mostly = np.where(random.uniform(size=rows) < 0.9, 0.0, smooth)
    columns = [smooth, random.integers(0, 40, rows), random.integers(0, 5, rows), mostly, smooth**5, np.ones(rows)]
    return np.array(columns, dtype=np.float64).T


@given(seed=st.integers(0, 2**20), rows=st.integers(2, 400))
def test_each_bin_holds_the_rows_that_scikit_learn_puts_together(seed: int, rows: int) -> None:
    random = np.random.Generator(np.random.PCG64(seed))
    x, weight = features(random, rows), random.uniform(0.01, 1.0, rows)
    ours = WeightedBins(BINS).fit(x, sample_weight=weight).transform(x)
    for column, kind in enumerate(KINDS):
        theirs = np.searchsorted(_find_binning_thresholds(x[:, column], BINS, weight), x[:, column], side="left")
        groups = {(int(a), int(b)) for a, b in zip(ours[:, column], theirs, strict=True)}
        assert len(groups) == len(np.unique(ours[:, column])) == len(np.unique(theirs)), kind
        assert sorted(groups) == sorted(groups, key=lambda pair: pair[1]), kind


@pytest.mark.parametrize("seed", range(2))
def test_the_trees_on_our_bins_say_what_the_trees_on_theirs_say_also_of_rows_never_seen(seed: int) -> None:
    random = np.random.Generator(np.random.PCG64(seed))
    x, fresh, weight = features(random, 700), features(random, 300), random.uniform(0.05, 1.0, 700)
    y = x[:, 0] + 0.1 * x[:, 1] + random.normal(size=700)
    bins = WeightedBins(BINS).fit(x, sample_weight=weight)
    for kind, target in ((HistGradientBoostingRegressor, y), (HistGradientBoostingClassifier, y > y.mean())):
        made = {"max_iter": 6, "max_bins": BINS, "early_stopping": False, "random_state": 1}
        theirs = kind(**made).fit(x, target, sample_weight=weight)
        ours = kind(**made).fit(bins.transform(x), target, sample_weight=weight)
        for rows in (x, fresh):
            np.testing.assert_array_equal(ours.predict(bins.transform(rows)), theirs.predict(rows))


@settings(max_examples=20)
@given(seed=st.integers(0, 2**20))
def test_rows_of_weight_zero_decide_nothing_and_no_weights_are_equal_ones(seed: int) -> None:
    random = np.random.Generator(np.random.PCG64(seed))
    x, weight = features(random, 120), random.uniform(0.01, 1.0, 120)
    kept = random.uniform(size=120) < 0.7
    kept[:2] = True
    masked = WeightedBins(BINS).fit(x, sample_weight=np.where(kept, weight, 0.0)).transform(x)
    np.testing.assert_array_equal(masked, WeightedBins(BINS).fit(x[kept], sample_weight=weight[kept]).transform(x))
    np.testing.assert_array_equal(
        WeightedBins(BINS).fit(x).transform(x), WeightedBins(BINS).fit(x, sample_weight=np.ones(120)).transform(x)
    )


def test_a_row_and_no_row_are_binned_in_the_shape_in_which_they_come() -> None:
    x = features(np.random.Generator(np.random.PCG64(5)), 60)
    bins = WeightedBins(BINS).fit(x)
    assert bins.transform(x[:1]).shape == (1, len(KINDS))
    assert bins.transform(x[:0]).shape == (0, len(KINDS))
