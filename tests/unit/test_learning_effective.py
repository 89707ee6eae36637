"""The effective number of labels: against the variance of a mean, and where coins of a day are one bet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training_cases import DAY, START, labels
from throughline.learning.effective import cluster_size, effective_number, same_day_correlation
from throughline.learning.types import TrainingData


def panel(seed: int, days: int, a_day: int, correlation: float, held_days: int = 1) -> TrainingData:
    """`a_day` coins on each of `days` days, each label held for `held_days`; coins of a day share `correlation`."""
    rng = np.random.Generator(np.random.PCG64(seed))
    n = days * a_day
    day = np.repeat(np.arange(days), a_day)
    shared = rng.standard_normal(days)[day]
    returns = 0.1 * (np.sqrt(correlation) * shared + np.sqrt(1.0 - correlation) * rng.standard_normal(n))
    decided = START + day * DAY
    return replace(
        labels(n, seed=seed),
        net_return=np.maximum(returns, -0.9),
        decided=decided,
        t0=decided + 1,
        t1=decided + held_days * DAY - 1,
        weight=np.ones(n),
        candidates=tuple(f"candidate-{k}" for k in range(n)),
    )


def test_coins_that_move_as_one_are_one_label_a_day_and_strangers_are_all_their_own() -> None:
    same = effective_number(panel(1, 120, 30, 1.0))
    assert same.correlation == pytest.approx(1.0)
    assert same.unique == 3600.0
    assert same.effective == pytest.approx(60.0, rel=0.02)  # a label reaches into the next day, which shares half of it
    strangers = effective_number(panel(2, 120, 30, 0.0))
    assert strangers.effective > 2_500.0


def test_the_effective_number_is_the_one_that_the_variance_of_the_mean_shows() -> None:
    worlds = [panel(seed, 100, 20, 0.3) for seed in range(200)]
    found = np.array([effective_number(item).effective for item in worlds])
    one_label = np.mean([item.net_return.var() for item in worlds])
    truth = one_label / np.var([item.net_return.mean() for item in worlds])
    # days are independent here, but a label is counted as reaching into the next one: at most half too careful
    assert 0.5 * truth < np.median(found) < 1.1 * truth


def test_a_shadow_beside_its_execution_does_not_make_a_day_look_alike() -> None:
    data = panel(3, 100, 5, 0.0)
    twice = data.take(np.repeat(np.arange(len(data)), 2))
    twice = replace(twice, weight=np.full(len(twice), 0.5))
    alone, paired = effective_number(data), effective_number(twice)
    assert paired.correlation == alone.correlation
    assert paired.effective == pytest.approx(alone.effective)


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 12), st.floats(0.0, 1.0))
def test_no_training_set_is_worth_more_than_its_uniqueness_nor_less_than_its_days_demand(
    seed: int, days: int, a_day: int, correlation: float
) -> None:
    data = panel(seed, days, a_day, correlation)
    told = effective_number(data)
    assert 0.0 <= told.correlation <= 1.0
    assert told.unique / max(told.cluster, 1.0) - 1e-9 <= told.effective <= told.unique + 1e-9


def test_where_a_correlation_cannot_be_measured_a_day_counts_as_one_label() -> None:
    assert same_day_correlation(np.arange(5.0), np.arange(5)) == 1.0
    assert same_day_correlation(np.arange(5.0), np.zeros(5, int)) == 1.0
    assert same_day_correlation(np.ones(6), np.arange(6) // 2) == 1.0
    assert effective_number(labels(10).take(np.arange(0))).effective == 0.0


def test_neighbouring_days_share_the_part_of_a_label_that_they_overlap_by() -> None:
    day, weight = np.array([0, 0, 1, 3]), np.array([1.0, 1.0, 1.0, 1.0])
    assert cluster_size(weight, day, 0) == pytest.approx((2 * 2 + 1 + 1) / 4)
    assert cluster_size(weight, day, 1) == pytest.approx((2 * 2 + 1 + 1 + 2 * 0.5 * 2) / 4)
    assert cluster_size(weight, day, 2) == pytest.approx((6 + 2 * (2 / 3) * 2 + 2 * (1 / 3) * 1) / 4)
