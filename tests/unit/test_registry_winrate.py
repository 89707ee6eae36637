"""The shrunken win rate: against the closed form, its limits, and the frequency that its interval promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.registry.winrate import STRENGTH, Prior, base_prior, win_rate

COUNTS = st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_the_posterior_of_a_uniform_prior_is_laplaces_rule_with_its_known_interval() -> None:
    found = win_rate(7, 10, Prior(1.0, 1.0, "uniform"), 0.95)
    assert found.rate == pytest.approx(8 / 12)
    # Beta(8, 4): the 2.5 % and 97.5 % points, as in tables of the F distribution
    assert (found.low, found.high) == (pytest.approx(0.3903, abs=1e-4), pytest.approx(0.8907, abs=1e-4))


def test_no_trades_say_what_the_prior_says_and_many_say_what_they_are() -> None:
    prior = base_prior(40, 100, "all")
    assert prior.alpha + prior.beta == pytest.approx(STRENGTH)
    assert win_rate(0, 0, prior).rate == pytest.approx(41 / 102)
    assert win_rate(90_000, 100_000, prior).rate == pytest.approx(0.9, abs=1e-3)
    assert "40 of 100 trades won" in prior.source


def test_three_wins_of_three_are_no_certainty() -> None:
    found = win_rate(3, 3, base_prior(40, 100, "all"))
    assert found.rate < 0.6
    assert found.high < 0.8


@given(COUNTS, COUNTS)
def test_the_rate_lies_inside_its_interval_between_the_base_and_the_raw_rate(
    base: tuple[int, int], told: tuple[int, int]
) -> None:
    prior = base_prior(*base, "all")
    found = win_rate(*told, prior)
    assert 0.0 <= found.low < found.rate < found.high <= 1.0
    if found.n:
        ends = sorted((prior.alpha / (prior.alpha + prior.beta), found.wins / found.n))
        assert ends[0] - 1e-12 <= found.rate <= ends[1] + 1e-12


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    prior = Prior(4.0, 6.0, "the law that the rates are drawn from")
    rates = rng.beta(4.0, 6.0, 2000)
    wins = rng.binomial(25, rates)
    by_wins = {int(w): win_rate(int(w), 25, prior) for w in set(wins.tolist())}
    inside = [by_wins[int(w)].low <= rate <= by_wins[int(w)].high for w, rate in zip(wins, rates, strict=True)]
    assert np.mean(inside) == pytest.approx(0.90, abs=3 * math.sqrt(0.9 * 0.1 / 2000))


@pytest.mark.parametrize(("wins", "n", "level"), [(2, 1, 0.9), (-1, 1, 0.9), (1, 2, 0.0), (1, 2, 1.0)])
def test_impossible_counts_and_levels_are_refused(wins: int, n: int, level: float) -> None:
    with pytest.raises(ValueError, match=r"wins among|level"):
        win_rate(wins, n, Prior(1.0, 1.0, "uniform"), level)
