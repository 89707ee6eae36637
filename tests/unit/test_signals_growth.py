"""Unified math: the reference's break-evens and sizes, a true maximum, and no number where no probability is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from throughline.signals.growth import (
    MathOptimization,
    break_even_probability,
    expected_log_growth,
    optimal_fraction,
    unified_math,
)

TARGET, STOP = 0.30, 0.15


@pytest.mark.parametrize(("cost", "expected"), [(0.01, 0.356), (0.02, 0.378), (0.04, 0.422)])
def test_break_even_without_rugs_is_the_reference_s(cost: float, expected: float) -> None:
    assert break_even_probability(TARGET, STOP, cost, 0.0) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize(("rug", "expected"), [(0.0, 0.43), (0.01, 0.19), (0.02, 0.046), (0.03, 0.0)])
def test_the_size_at_a_probability_of_40_percent_is_the_reference_s(rug: float, expected: float) -> None:
    found = optimal_fraction(0.40, TARGET, STOP, 0.01, rug)
    assert found == pytest.approx(expected, abs=6e-3 if rug < 0.02 else 6e-4)


@pytest.mark.parametrize(("probability", "rug"), [(0.40, 0.0238), (0.45, 0.0506)])
def test_the_edge_dies_at_the_reference_s_rug_probability(probability: float, rug: float) -> None:
    dying = (probability * 0.45 - 0.16) / 0.84  # break-even solved for r
    assert dying == pytest.approx(rug, abs=6e-4)
    assert optimal_fraction(probability, TARGET, STOP, 0.01, dying - 1e-4) > 0.0
    assert optimal_fraction(probability, TARGET, STOP, 0.01, dying + 1e-4) == 0.0


def test_growth_by_hand() -> None:
    expected = 0.4 * math.log(1.029) + 0.59 * math.log(0.984) + 0.01 * math.log(0.9)
    assert expected_log_growth(0.4, TARGET, STOP, 0.01, 0.01, 0.1) == pytest.approx(expected, rel=1e-12)
    assert expected_log_growth(0.4, TARGET, STOP, 0.01, 0.01, 0.0) == 0.0
    assert expected_log_growth(0.4, TARGET, STOP, 0.01, 0.01, 1.0) == -math.inf  # a rug leaves nothing


probabilities = st.floats(0.0, 1.0)


@given(
    probabilities, st.floats(0.02, 2.0), st.floats(0.02, 0.7), st.floats(0.0, 0.2), st.floats(0.0, 0.3), probabilities
)
def test_no_other_size_grows_faster(
    p: float, target: float, stop: float, cost: float, rug: float, other: float
) -> None:
    assume(p + rug <= 1.0)
    best = optimal_fraction(p, target, stop, cost, rug)
    assert 0.0 <= best <= 1.0
    assert (
        expected_log_growth(p, target, stop, cost, rug, best)
        >= expected_log_growth(p, target, stop, cost, rug, other) - 1e-9
    )
    pays = p > break_even_probability(target, stop, cost, rug) + 1e-9
    if pays:
        assert best > 0.0
    assert optimal_fraction(p, target, stop, cost, rug, min(best, other)) == pytest.approx(min(best, other), abs=1e-9)


def test_without_a_probability_only_the_break_even_is_known() -> None:
    found = unified_math(None, TARGET, STOP, 0.01, 0.0, 0.05, 0.02, 0.25)
    assert found == MathOptimization(None, pytest.approx(0.16 / 0.45), None, None)


def test_without_a_volatility_there_is_no_size() -> None:
    found = unified_math(0.5, TARGET, STOP, 0.01, 0.0, None, 0.02, 0.25)
    assert found == MathOptimization(0.5, pytest.approx(0.16 / 0.45), None, None)


def test_the_smallest_of_growth_volatility_target_and_maximum_is_the_size() -> None:
    def size(probability: float, volatility: float, most: float) -> float | None:
        return unified_math(probability, TARGET, STOP, 0.01, 0.01, volatility, 0.02, most).fraction

    assert size(0.45, 0.02, 0.25) == 0.25
    assert size(0.45, 0.20, 0.25) == pytest.approx(0.10)
    assert size(0.39, 0.02, 0.25) == optimal_fraction(0.39, TARGET, STOP, 0.01, 0.01)
    assert size(0.45, 0.0, 0.25) == 0.25
    assert size(0.30, 0.02, 0.25) == 0.0


def test_the_growth_told_is_the_growth_at_the_size_told() -> None:
    found = unified_math(0.45, TARGET, STOP, 0.01, 0.01, 0.2, 0.02, 0.25)
    assert found.fraction is not None
    assert found.expected_log_growth == expected_log_growth(0.45, TARGET, STOP, 0.01, 0.01, found.fraction)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.5, -0.3, 0.15, 0.01, 0.0, 0.1, 0.1, 0.2), "positive target"),
        ((0.5, 0.3, 0.99, 0.01, 0.0, 0.1, 0.1, 0.2), "below 1"),
        ((0.5, 0.3, 0.15, 0.01, 1.5, 0.1, 0.1, 0.2), "no probability"),
        ((0.99, 0.3, 0.15, 0.01, 0.02, 0.1, 0.1, 0.2), "their sum"),
        ((math.nan, 0.3, 0.15, 0.01, 0.02, 0.1, 0.1, 0.2), "their sum"),
        ((1.2, 0.3, 0.15, 0.01, 0.0, None, 0.1, 0.2), "their sum"),
        ((0.5, 0.3, 0.15, 0.01, 0.0, math.nan, 0.1, 0.2), "standard deviation"),
        ((0.5, 0.3, 0.15, 0.01, 0.0, 0.1, 0.0, 0.2), "target volatility"),
        ((0.5, 0.3, 0.15, 0.01, 0.0, 0.1, 0.1, 1.2), "max fraction"),
    ],
)
def test_what_is_no_bet_is_refused(arguments: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unified_math(*arguments)


def test_borrowed_money_is_refused() -> None:
    with pytest.raises(ValueError, match="fraction"):
        expected_log_growth(0.5, TARGET, STOP, 0.01, 0.0, 1.5)
    with pytest.raises(ValueError, match="cap"):
        optimal_fraction(0.5, TARGET, STOP, 0.01, 0.0, 1.5)
