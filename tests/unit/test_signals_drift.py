"""Drift: PSI by hand, thresholds whose false alarms are what they say, and shifts in standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.signals.drift import (
    chi_square_probability,
    chi_square_quantile,
    mean_shift,
    psi,
    psi_ratio,
    psi_threshold,
    quantile_edges,
)


def test_psi_by_hand() -> None:
    reference = np.arange(1.0, 9.0)  # quartiles: (.., 2], (2, 4], (4, 6], (6, ..)
    assert quantile_edges(reference, 4) == (2.0, 4.0, 6.0)
    current = np.array([1.0, 1.0, 2.0, 3.0, 5.0, 6.0, 7.0, 8.0])  # shares 3/8, 1/8, 2/8, 2/8
    expected = (3 / 8 - 1 / 4) * math.log(1.5) + (1 / 8 - 1 / 4) * math.log(0.5)
    assert psi(current, reference, 4) == pytest.approx(expected, rel=1e-12)
    assert psi(reference, reference, 4) == 0.0


def test_an_empty_bin_counts_as_half_an_observation() -> None:
    reference = np.arange(1.0, 5.0)
    assert psi(np.array([1.0, 1.0]), reference, 2) == pytest.approx(
        (1.0 - 0.5) * math.log(1.0 / 0.5) + (0.25 - 0.5) * math.log(0.25 / 0.5)
    )


def test_equal_edges_are_merged_and_one_value_has_no_bins() -> None:
    assert quantile_edges(np.array([0.0, 0.0, 0.0, 0.0, 1.0, 2.0]), 4) == (0.0, 1.0)
    assert quantile_edges(np.zeros(8), 4) == ()
    assert psi_ratio(np.ones(8), np.zeros(8), 4, 0.95) is None


def test_what_cannot_be_binned_is_refused() -> None:
    with pytest.raises(ValueError, match="two bins or more"):
        psi(np.ones(3), np.ones(3), 4)
    with pytest.raises(ValueError, match="no current values"):
        psi(np.ones(0), np.arange(9.0), 4)
    with pytest.raises(ValueError, match="quantile"):
        chi_square_quantile(1.0, 3)
    with pytest.raises(ValueError, match="two bins"):
        psi_threshold(10, 10, 1, 0.95)


# from printed tables of the chi-square distribution
@pytest.mark.parametrize(
    ("quantile", "degrees", "expected"),
    [(0.95, 1, 3.841), (0.95, 3, 7.815), (0.99, 9, 21.666), (0.90, 4, 7.779), (0.95, 30, 43.773), (0.05, 10, 3.940)],
)
def test_the_chi_square_quantile_is_the_tables(quantile: float, degrees: int, expected: float) -> None:
    assert chi_square_quantile(quantile, degrees) == pytest.approx(expected, abs=6e-4)
    assert chi_square_probability(chi_square_quantile(quantile, degrees), degrees) == pytest.approx(quantile, abs=1e-12)


def test_two_degrees_of_freedom_are_an_exponential() -> None:
    assert chi_square_quantile(0.95, 2) == pytest.approx(-2.0 * math.log(0.05), rel=1e-12)
    assert chi_square_probability(0.0, 2) == 0.0


@pytest.mark.parametrize(("n", "m", "bins"), [(21, 42, 4), (50, 500, 10), (200, 400, 10), (1000, 1000, 10)])
def test_without_drift_the_false_alarms_are_what_the_quantile_says(n: int, m: int, bins: int) -> None:
    random = np.random.default_rng(11)
    draws = 1500
    ratios = np.array([psi(x[:n], x[n:], bins) for x in random.standard_t(3, size=(draws, n + m))])
    for quantile in (0.90, 0.95, 0.99):
        alarms = (ratios > psi_threshold(n, m, bins, quantile)).mean()
        noise = math.sqrt(quantile * (1 - quantile) / draws)
        assert alarms == pytest.approx(1 - quantile, abs=3 * noise + 0.012)


def test_the_ratio_sees_a_wider_and_a_shifted_distribution() -> None:
    random = np.random.default_rng(12)
    old, new = random.normal(size=(200, 42)), random.normal(size=(200, 21))
    calm = [psi_ratio(c, r, 4, 0.95) for c, r in zip(new, old, strict=True)]
    shifted = [psi_ratio(c + 1.5, r, 4, 0.95) for c, r in zip(new, old, strict=True)]
    assert np.mean([value is not None and value > 1 for value in calm]) < 0.1
    assert np.mean([value is not None and value > 1 for value in shifted]) > 0.9


def test_the_mean_shift_by_hand_and_its_sign() -> None:
    current, reference = np.array([3.0, 5.0]), np.array([0.0, 1.0, 2.0])
    assert mean_shift(current, reference) == pytest.approx(3.0 / math.sqrt(2.0 / 2 + 1.0 / 3))
    assert mean_shift(reference, current[:1]) is None
    assert mean_shift(np.full(5, 0.1), np.full(9, 0.1)) is None


def test_without_drift_the_mean_shift_is_standard_normal() -> None:
    random = np.random.default_rng(13)
    shifts = np.array([mean_shift(x[:21], x[21:]) for x in random.normal(size=(2000, 63))], dtype=float)
    assert shifts.mean() == pytest.approx(0.0, abs=0.07)
    assert shifts.std() == pytest.approx(1.0, abs=0.08)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40), st.lists(st.floats(-5, 5), min_size=4, max_size=40))
def test_psi_is_never_negative_and_does_not_depend_on_the_order(current: list[float], reference: list[float]) -> None:
    found = psi(np.array(current), np.array(reference), 4)
    assert found >= -1e-15
    assert psi(np.array(current[::-1]), np.array(sorted(reference)), 4) == pytest.approx(found, abs=1e-12)
