"""Spectral entropy: bounded, 0 for one frequency, near 1 for noise; the plain sums agree with the library's FFT."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.signals.spectrum import band_entropy, fourier_sums, spectral_entropy


@pytest.mark.parametrize("n", [4, 33, 63, 64])
def test_the_plain_sums_are_the_fourier_transform(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n) + 3.0
    real, imaginary = fourier_sums(x)
    expected = np.fft.rfft(x)[1:]
    assert real == pytest.approx(expected.real, abs=1e-9)
    assert -imaginary == pytest.approx(expected.imag, abs=1e-9)


def test_one_frequency_has_no_entropy_and_two_equal_ones_share_it() -> None:
    t = np.arange(64)
    one, two = np.cos(math.tau * 8 * t / 64), np.cos(math.tau * 13 * t / 64)
    assert spectral_entropy(one) == pytest.approx(0.0, abs=1e-9)
    assert spectral_entropy(one + two) == pytest.approx(math.log(2) / math.log(32), abs=1e-9)
    assert band_entropy(one + two) == pytest.approx(math.log(2) / math.log(15), abs=1e-9)  # bins 2 .. 16


def test_only_the_band_counts_for_the_band() -> None:
    t = np.arange(64)
    inside, outside = np.cos(math.tau * 8 * t / 64), 50.0 * np.cos(math.tau * 30 * t / 64)
    assert band_entropy(inside + outside) == pytest.approx(0.0, abs=1e-6)
    assert spectral_entropy(inside + outside) == pytest.approx(0.0, abs=1e-2)


def test_a_single_shock_spreads_evenly_over_all_frequencies() -> None:
    shock = np.zeros(63)
    shock[20] = 1.0
    assert spectral_entropy(shock) == pytest.approx(1.0, abs=1e-12)


def test_without_movement_there_is_no_entropy() -> None:
    assert spectral_entropy(np.full(63, 0.1)) is None
    assert spectral_entropy(np.zeros(63)) is None
    steady = np.exp(0.01 * np.arange(64))  # its returns differ by the rounding of the prices
    assert spectral_entropy(np.log(steady[1:] / steady[:-1])) is None
    assert spectral_entropy(np.array([1.0, 2.0, 1.0])) is None
    assert band_entropy(np.array([1.0, 2.0, 1.0, 5.0])) is None


@given(st.lists(st.floats(-1, 1), min_size=4, max_size=63), st.floats(1e-3, 1e3))
def test_entropy_is_bounded_and_free_of_scale(values: list[float], scale: float) -> None:
    x = np.array(values)
    found = spectral_entropy(x)
    if found is not None:
        assert 0.0 <= found <= 1.0
        if x.std() > 1e-6:
            assert spectral_entropy(scale * x) == pytest.approx(found, abs=1e-6)
