"""Figures of an equity curve, against hand-worked values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.analytics import performance as figures


def test_total_return_is_last_over_first() -> None:
    assert figures.total_return([100.0, 90.0, 120.0]) == pytest.approx(0.2)
    with pytest.raises(ValueError, match="positive"):
        figures.total_return([0.0, 1.0])


def test_sharpe_is_mean_over_sample_deviation_times_the_root_of_365() -> None:
    # Returns 1 %, 3 %: mean 2 %, sample deviation sqrt(2) %, so sqrt(2) * sqrt(365).
    assert figures.sharpe_ratio([0.01, 0.03]) == pytest.approx(math.sqrt(2) * math.sqrt(365))


def test_sharpe_of_one_day_or_of_constant_returns_is_not_a_number_but_none() -> None:
    assert figures.sharpe_ratio([0.01]) is None
    assert figures.sharpe_ratio([0.01] * 50) is None
    assert figures.sharpe_ratio([0.0] * 50) is None


def test_the_standard_error_of_sharpe_is_what_repeated_years_show() -> None:
    random = np.random.default_rng(3)
    worlds = random.normal(0.002, 0.02, (2_000, 100))
    found = [figures.sharpe_ratio(world.tolist()) for world in worlds]
    spread = float(np.std([value for value in found if value is not None]))
    told = [figures.sharpe_error(world.tolist()) for world in worlds]
    assert float(np.mean([value for value in told if value is not None])) == pytest.approx(spread, rel=0.06)
    assert figures.sharpe_error([0.01]) is None
    assert figures.sharpe_error([0.01] * 50) is None


def test_drawdown_is_measured_from_the_highest_point_before() -> None:
    assert figures.max_drawdown([100, 120, 60, 130, 117]) == pytest.approx(0.5)
    assert figures.max_drawdown([1, 2, 3]) == 0.0
    assert figures.max_drawdown([100, 0]) == 1.0


def test_win_rate_counts_only_profits_above_zero() -> None:
    assert figures.win_rate([1.0, 0.0, -1.0, 2.0]) == 0.5
    assert figures.win_rate([]) is None


def test_profit_factor_is_gains_over_losses_and_none_without_losses() -> None:
    assert figures.profit_factor([3.0, -1.0, -1.0]) == pytest.approx(1.5)
    assert figures.profit_factor([3.0]) is None


def test_percentile_counts_ties_by_half() -> None:
    assert figures.percentile_reached(2.0, [1.0, 2.0, 3.0, 4.0]) == pytest.approx(37.5)
    assert figures.percentile_reached(9.0, [1.0, 2.0]) == 100.0
    assert figures.percentile_reached(0.0, [1.0, 2.0]) == 0.0
    assert figures.percentile_reached(0.0, []) is None


def test_quantiles_are_interpolated() -> None:
    assert figures.quantile([4.0, 1.0, 3.0, 2.0], 0.5) == pytest.approx(2.5)
    assert figures.quantile([5.0], 0.95) == 5.0
    assert figures.quantile([], 0.5) is None


def test_signs_flip_only_where_some_gain_and_some_lose() -> None:
    assert figures.signs_flip([-0.1, 0.0, 0.1])
    assert not figures.signs_flip([0.0, 0.1, 0.2])
    assert not figures.signs_flip([-0.2, -0.1, 0.0])


@given(st.lists(st.floats(1.0, 1e6), min_size=2, max_size=60))
def test_drawdown_lies_between_zero_and_one_and_returns_compound_to_the_total(equity: list[float]) -> None:
    assert 0.0 <= figures.max_drawdown(equity) < 1.0
    growth = math.prod(1.0 + value for value in figures.daily_returns(equity))
    assert growth - 1.0 == pytest.approx(figures.total_return(equity), rel=1e-6, abs=1e-6)
