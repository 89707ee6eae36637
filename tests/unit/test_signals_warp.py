"""Temporal warp: identical is 0, 1, 0; a delay is a negative lead; the alignment is the cheapest one in the band."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.signals.warp import BAND, Scores, _align, standard_scores, temporal_warp
from throughline.signals.window import F64


def smooth(seed: int, n: int) -> F64:
    """Noise with some memory, so that a warped copy can be drawn between its points."""
    raw = np.random.default_rng(seed).normal(size=n + 8)
    return np.convolve(raw, np.ones(5) / 5, "valid")[:n]


def test_a_series_is_not_warped_against_itself_whatever_its_level_and_amplitude() -> None:
    x = smooth(1, 63)
    for other in (x, 3.0 * x + 0.5):
        found = temporal_warp(x, other)
        assert found is not None
        assert (found.distance, found.time_scale, found.lead) == (0.0, 1.0, 0.0)


@pytest.mark.parametrize("bars", [1, 3, 5])
def test_a_delay_of_k_bars_is_a_lead_of_minus_k_and_the_other_way_round_plus_k(bars: int) -> None:
    whole = smooth(2, 80)
    delayed, reference = whole[:63], whole[bars : 63 + bars]
    behind, ahead = temporal_warp(delayed, reference), temporal_warp(reference, delayed)
    assert behind is not None
    assert ahead is not None
    assert behind.lead == pytest.approx(-bars, rel=0.25)
    assert ahead.lead == pytest.approx(bars, rel=0.25)
    assert behind.time_scale == 1.0


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_slower_copy_has_a_time_scale_above_one_and_a_faster_one_below(seed: int) -> None:
    reference = smooth(seed, 63)
    slower = np.interp(np.arange(63) / 1.12, np.arange(63), reference)
    found, inverse = temporal_warp(slower, reference), temporal_warp(reference, slower)
    assert found is not None
    assert inverse is not None
    assert found.time_scale is not None
    assert inverse.time_scale is not None
    assert found.time_scale == pytest.approx(1.12, abs=0.07)
    assert inverse.time_scale == pytest.approx(1 / 1.12, abs=0.07)


def _cheapest(a: Scores, b: Scores, band: int) -> float:
    """The textbook recursion over the whole table."""
    n = len(a)
    table = np.full((n + 1, n + 1), np.inf)
    table[0, 0] = 0.0
    for i in range(n):
        for j in range(n):
            if abs(i - j) <= band:
                table[i + 1, j + 1] = abs(a[i] - b[j]) + min(table[i, j], table[i, j + 1], table[i + 1, j])
    return float(table[n, n])


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(0, 10))
@settings(max_examples=80, deadline=None)
def test_the_path_is_legal_and_costs_what_the_textbook_recursion_says(seed: int, n: int, band: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.integers(-3, 4, (2, n))
    cost, path = _align(a, b, band)
    assert cost == _cheapest(a, b, band)
    assert sum(abs(a[i] - b[j]) for i, j in path) == cost
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [n - 1, n - 1]
    assert all(abs(i - j) <= band for i, j in path)
    steps = {(k - i, m - j) for (i, j), (k, m) in pairwise(path)}
    assert steps <= {(1, 1), (1, 0), (0, 1)}


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_every_reading_stays_in_its_bounds_and_mirrors(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.standard_t(3, size=63), random.standard_t(3, size=63)
    found, mirrored = temporal_warp(a, b), temporal_warp(b, a)
    assert found is not None
    assert mirrored is not None
    assert found.distance >= 0.0
    assert found.time_scale is not None
    assert 0.0 <= found.time_scale <= 2.0
    assert -BAND <= found.lead <= BAND
    assert mirrored.lead == pytest.approx(-found.lead, abs=1e-9)
    assert mirrored.distance == pytest.approx(found.distance, abs=1e-9)


def test_a_series_without_movement_cannot_be_aligned() -> None:
    assert temporal_warp(np.zeros(63), smooth(1, 63)) is None
    assert temporal_warp(smooth(1, 63), np.full(63, 0.3)) is None
    assert standard_scores(np.array([1.0])) is None
    scores = standard_scores(np.array([1.0, 3.0]))
    assert scores is not None
    assert scores.tolist() == [-707_107, 707_107]
    with pytest.raises(ValueError, match="equal lengths"):
        temporal_warp(smooth(1, 63), smooth(1, 62))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_the_last_bits_of_the_returns_do_not_choose_the_path(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, 63))
    assert temporal_warp(a * (1.0 + 1e-15 * random.normal(size=63)), b) == temporal_warp(a, b)


def test_one_alignment_takes_less_than_a_fifth_of_a_millisecond() -> None:
    a, b = smooth(8, 64), smooth(9, 64)
    best = float("inf")
    for _ in range(30):
        start = time.perf_counter()
        temporal_warp(a, b)
        best = min(best, time.perf_counter() - start)
    assert best < 0.0002
