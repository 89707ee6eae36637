"""Figures: against plain definitions, and lower bounds that hold where outcomes of a day hang together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.learning.metrics import (
    brier_skill,
    calibration,
    calibration_error,
    daily_growth,
    daily_returns,
    log_growth,
    log_growth_per_candidate,
    mean_gain,
    pr_auc,
    r2_bound,
    ratio_bound,
    reliability,
    roc_auc,
)


def random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def test_a_lower_bound_covers_the_truth_where_days_are_correlated_and_a_naive_one_does_not() -> None:
    days, per_day, runs = 60, 12, 400
    day = np.repeat(np.arange(days), per_day)
    covered = naive = 0
    for seed in range(runs):
        rng = random(seed)
        shock = rng.standard_normal(days + 1)
        values = np.repeat(shock[1:] + shock[:-1], per_day) * 0.5 + rng.standard_normal(days * per_day)
        covered += ratio_bound(values, np.ones(len(values)), day, 0.95, 2).lower <= 0.0
        naive += values.mean() - 1.645 * values.std() / math.sqrt(len(values)) <= 0.0
    assert covered / runs > 0.90
    assert naive / runs < 0.85


def test_a_bound_without_lags_is_the_clustered_t_bound() -> None:
    from scipy.stats import t

    values = random(1).standard_normal(200)
    day = np.arange(200) // 10
    means = values.reshape(20, 10).mean(axis=1)
    expected = means.mean() - t.ppf(0.95, 19) * means.std(ddof=1) / math.sqrt(20)
    found = ratio_bound(values, np.ones(200), day, 0.95, 0)
    assert found.lower == pytest.approx(expected, rel=1e-9)
    assert found.days == 20


def test_one_day_has_no_bound() -> None:
    assert math.isnan(ratio_bound(np.ones(5), np.ones(5), np.zeros(5, np.int64), 0.95, 1).lower)


def test_r2_is_nil_for_what_was_known_and_one_for_the_truth() -> None:
    rng = random(2)
    returns, known, weight, day = rng.standard_normal(300), np.full(300, 0.1), rng.random(300), np.arange(300) // 10
    assert r2_bound(returns, known, known, weight, day, 0.95, 2).value == 0.0
    assert r2_bound(returns, returns, known, weight, day, 0.95, 2).value == 1.0


def test_brier_skill_is_nil_for_the_base_rate() -> None:
    win = random(3).random(100) < 0.4
    assert brier_skill(win, np.full(100, 0.4), np.full(100, 0.4), np.ones(100)) == 0.0
    assert brier_skill(win, win.astype(float), np.full(100, 0.4), np.ones(100)) == 1.0


@given(st.integers(0, 500), st.integers(1, 300), st.integers(1, 12))
def test_a_reliability_table_holds_each_label_once_and_never_parts_equal_predictions(
    seed: int, n: int, distinct: int
) -> None:
    rng = random(seed)
    predicted, weight = rng.integers(0, distinct, n) / 10, rng.random(n) + 0.1
    win = rng.random(n) < 0.5
    table = reliability(win, predicted, weight)
    assert sum(item.labels for item in table) == n
    assert len(table) <= 10
    assert sum(item.weight * item.observed for item in table) == pytest.approx(float(weight @ win))
    assert [item.predicted for item in table] == sorted({item.predicted for item in table})


def test_calibration_error_is_small_where_probabilities_are_true_and_their_offset_where_they_are_not() -> None:
    rng = random(4)
    truth = rng.uniform(0.2, 0.7, 40_000)
    win, weight = rng.random(40_000) < truth, np.ones(40_000)
    assert calibration_error(reliability(win, truth, weight)) < 0.01
    assert calibration_error(reliability(win, truth + 0.2, weight)) == pytest.approx(0.2, abs=0.01)


def test_curves_of_one_class_are_no_numbers_and_a_perfect_order_is_one() -> None:
    weight = np.ones(4)
    assert math.isnan(pr_auc(np.zeros(4, bool), np.arange(4.0), weight))
    assert math.isnan(roc_auc(np.ones(4, bool), np.arange(4.0), weight))
    win = np.array([False, False, True, True])
    assert pr_auc(win, np.arange(4.0), weight) == roc_auc(win, np.arange(4.0), weight) == 1.0


def test_gain_and_growth_follow_the_takes() -> None:
    returns, take, weight = np.array([0.1, -0.5, 0.3]), np.array([True, False, True]), np.array([1.0, 1.0, 2.0])
    assert mean_gain(returns, take, weight) == pytest.approx((0.1 + 0.6) / 4)
    growth = math.log1p(0.02) + 2 * math.log1p(0.06)
    assert log_growth(returns, take, weight, 0.2) == pytest.approx(growth / 3)
    assert log_growth_per_candidate(returns, take, weight, 0.2) == pytest.approx(growth / 4)
    assert math.isnan(log_growth(returns, np.zeros(3, bool), weight, 0.2))
    assert daily_growth(returns, take, weight, np.array([5, 5, 9]), 0.2).sum() == pytest.approx(growth)


def test_a_day_earns_the_mean_of_what_was_taken_on_it_and_nothing_where_nothing_was() -> None:
    returns, take = np.array([0.1, 0.3, -0.2, 0.4]), np.array([True, True, False, True])
    days, daily = daily_returns(returns, take, np.array([1.0, 3.0, 1.0, 1.0]), np.array([3, 3, 4, 8]))
    assert days.tolist() == [3, 4, 8]
    assert daily == pytest.approx([0.25, 0.0, 0.4])


def market_days(seed: int, days: int, a_day: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signals, gains that hang on them (a quarter of the variance is the day's), and days."""
    rng = random(seed)
    day = np.repeat(np.arange(days), a_day)
    signal = rng.standard_normal(len(day))
    common = rng.standard_normal(days)[day]
    latent = 0.5 * signal + math.sqrt(0.25) * common + math.sqrt(0.75) * rng.standard_normal(len(day)) - 0.2
    return signal, latent > 0.0, day


def normal(values: np.ndarray) -> np.ndarray:
    from scipy.stats import norm

    return np.asarray(norm.cdf(values))


def test_the_slope_is_one_where_probabilities_are_true_and_nought_where_they_say_nothing() -> None:
    signal, win, day = market_days(5, 4_000)
    weight = np.ones(len(day))
    told = calibration(win, normal(0.5 * signal - 0.2), weight, day, 0.95, 1)
    assert told.slope.value == pytest.approx(1.0, abs=0.05)
    assert told.error < 0.01 < told.upper + 0.01
    silent = calibration(win, normal(0.5 * random(6).standard_normal(len(day)) - 0.2), weight, day, 0.95, 1)
    assert silent.slope.value == pytest.approx(0.0, abs=0.05)
    assert silent.error > 0.1  # 0.5 deviations of bold noise are 14 points off on average
    apart = calibration(win, normal(0.5 * signal - 0.2) + 0.1, weight, day, 0.95, 1)
    assert apart.error == pytest.approx(0.1, abs=0.01)
    assert apart.slope.value == pytest.approx(1.0, abs=0.05)


def test_calibration_bounds_refuse_noise_and_what_is_ten_points_off_in_nearly_every_world() -> None:
    bold, off, true = [], [], []
    for seed in range(200):
        signal, win, day = market_days(seed, 150)
        weight = np.ones(len(day))
        truth = normal(0.5 * signal - 0.2)
        noise = normal(0.1 * random(seed + 500).standard_normal(len(day)) - 0.2)
        bold.append(calibration(win, noise, weight, day, 0.95, 1).slope.lower > 0.0)
        off.append(calibration(win, truth + 0.1, weight, day, 0.95, 1).upper <= 0.1)
        fit = calibration(win, truth, weight, day, 0.95, 1)
        true.append(fit.upper <= 0.1 and fit.slope.lower > 0.0)
    assert np.mean(bold) < 0.10
    assert np.mean(off) < 0.05
    assert np.mean(true) > 0.90


def test_one_probability_for_all_has_no_slope_and_still_an_error() -> None:
    win = np.arange(100) % 4 == 0
    told = calibration(win, np.full(100, 0.4), np.ones(100), np.arange(100) // 5, 0.95, 1)
    assert math.isnan(told.slope.value)
    assert math.isnan(told.slope.lower)
    assert told.error == pytest.approx(0.15)
    assert told.upper > told.error
    assert math.isnan(calibration(win, np.full(100, 0.4), np.ones(100), np.zeros(100, int), 0.95, 1).upper)
