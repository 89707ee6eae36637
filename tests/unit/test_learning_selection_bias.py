"""Selection bias: equal to an independent library where the definitions are the same, and right where they are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purgedcv import deflated_sharpe_ratio, probabilistic_sharpe_ratio, probability_of_backtest_overfitting

from throughline.learning.selection_bias import (
    deflated_over_cash_and_rule,
    deflated_sharpe,
    expected_max_sharpe,
    overfitting_probability,
    probabilistic_sharpe,
    sharpe,
)


def series(seed: int, trials: int, days: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).standard_t(4, (trials, days)) * 0.02 + 0.002


@given(st.integers(0, 10_000), st.integers(5, 400), st.floats(-0.3, 0.3))
def test_probabilistic_sharpe_equals_the_oracle(seed: int, days: int, benchmark: float) -> None:
    returns = series(seed, 1, days)[0]
    assert probabilistic_sharpe(returns, benchmark) == pytest.approx(
        probabilistic_sharpe_ratio(returns, benchmark), abs=1e-9
    )


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(5, 300))
def test_deflated_sharpe_equals_the_oracle(seed: int, trials: int, days: int) -> None:
    made = series(seed, trials, days)
    sharpes = [sharpe(row) for row in made]
    best = made[int(np.argmax(sharpes))]
    expected = deflated_sharpe_ratio(best, trials, float(np.var(sharpes, ddof=1)))
    assert deflated_sharpe(best, sharpes) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=12)
@given(st.integers(0, 10_000), st.integers(2, 15), st.integers(20, 90), st.sampled_from([4, 6, 8]))
def test_overfitting_probability_equals_the_oracle(seed: int, trials: int, days: int, blocks: int) -> None:
    made = series(seed, trials, days)
    made[-1] = made[0]  # a tie
    oracle = probability_of_backtest_overfitting(made, blocks, metric=lambda part: float(np.mean(part)))
    assert overfitting_probability(made, blocks) == pytest.approx(oracle.pbo, abs=1e-9)


def test_trials_that_differ_by_next_to_nothing_are_a_coin_toss_by_rank_and_no_harm_by_gain() -> None:
    plain = 0.01 + series(1, 1, 160) / 10
    nearly = plain + series(2, 12, 160) / 100
    assert overfitting_probability(nearly) > 0.2
    assert overfitting_probability(nearly, negligible=0.1) == 0.0
    noise = series(7, 12, 160) - 0.002
    assert overfitting_probability(noise, negligible=0.1) > 0.9 * overfitting_probability(noise) > 0.2
    losing = nearly - 0.05
    assert overfitting_probability(losing, negligible=0.1) == overfitting_probability(losing)  # no gain to be part of


def test_trials_that_are_the_same_cannot_be_picked_wrongly() -> None:
    assert overfitting_probability(np.tile(series(1, 1, 64), (4, 1))) == 0.0


def test_a_trial_that_is_always_best_is_not_overfitted_and_noise_is_a_coin_toss() -> None:
    made = series(3, 12, 160)
    noise = [overfitting_probability(series(seed, 12, 160)) for seed in range(40)]
    assert 0.35 < float(np.mean(noise)) < 0.65
    made[4] += 0.05
    assert overfitting_probability(made) == 0.0


def test_more_trials_deflate_more_and_one_deflates_nothing() -> None:
    returns = series(5, 1, 200)[0]
    spread = [expected_max_sharpe(count, 0.01) for count in (1, 2, 10, 100, 4000)]
    assert spread[0] == 0.0
    assert spread == sorted(spread)
    assert deflated_sharpe(returns, [sharpe(returns)]) == probabilistic_sharpe(returns, 0.0)


@pytest.mark.parametrize(
    "returns", [np.zeros(50), np.full(50, 0.01), np.array([0.1, 0.2]), np.array([0.1] * 9 + [math.nan])]
)
def test_what_does_not_move_or_is_no_number_has_no_probability(returns: np.ndarray) -> None:
    assert math.isnan(probabilistic_sharpe(returns, 0.0))


def test_too_few_trials_or_days_have_no_overfitting_probability() -> None:
    assert math.isnan(overfitting_probability(series(1, 1, 100)))
    assert math.isnan(overfitting_probability(series(1, 5, 7)))
    assert math.isnan(deflated_sharpe(series(1, 1, 50)[0], []))


def skill_less(seed: int, gain: float, days: int = 150) -> tuple[np.ndarray, np.ndarray]:
    """The daily returns of a model that takes half of the rule's trades at random, and those of the rule."""
    rng = np.random.Generator(np.random.PCG64(seed))
    trades = 0.03 * rng.standard_normal((days, 1)) + 0.09 * rng.standard_normal((days, 10)) + gain
    take = rng.random(trades.shape) < 0.5
    taken = take.sum(axis=1)
    return np.where(taken > 0, (trades * take).sum(axis=1) / np.maximum(taken, 1), 0.0), trades.mean(axis=1)


@pytest.mark.parametrize("gain", [0.015, -0.015])
def test_a_model_without_skill_passes_neither_where_the_rule_gains_nor_where_it_loses(gain: float) -> None:
    passed = []
    for seed in range(200):
        model, rule = skill_less(seed, gain)
        passed.append(deflated_over_cash_and_rule(model, model - rule, [sharpe(model)], [sharpe(model - rule)]) >= 0.95)
        if gain > 0:
            assert deflated_sharpe(model, [sharpe(model)]) > 0.5  # over cash alone it looks well
    assert np.mean(passed) <= 0.07


def test_a_model_that_takes_nothing_of_a_losing_rule_beats_the_rule_and_not_cash() -> None:
    _, rule = skill_less(1, -0.015)
    assert math.isnan(deflated_over_cash_and_rule(0.0 * rule, -rule, [0.0], [sharpe(-rule)]))


def test_a_model_with_skill_passes() -> None:
    model, rule = skill_less(3, 0.0)
    better = model + 0.02
    assert deflated_over_cash_and_rule(better, better - rule, [sharpe(better)], [sharpe(better - rule)]) > 0.99
