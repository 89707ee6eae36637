from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.learning.evidence import FRACTIONS, LARGEST_FRACTION, e_value, log_evidence, running_maximum

GAINS = st.lists(st.floats(-1.0, 3.0), min_size=1, max_size=40)


@given(GAINS)
def test_the_evidence_is_the_mean_over_all_bets_of_what_each_has_made(gains: list[float]) -> None:
    made = [math.prod(1.0 + fraction * gain for gain in gains) for fraction in FRACTIONS]
    path = log_evidence(np.array(gains))
    assert e_value(float(path[-1])) == pytest.approx(math.fsum(made) / len(made), rel=1e-9)


@given(GAINS, GAINS)
def test_more_units_never_change_what_an_earlier_look_saw(gains: list[float], more: list[float]) -> None:
    seen = log_evidence(np.array(gains))
    later = log_evidence(np.array(gains + more))
    assert np.array_equal(later[: len(gains)], seen)
    assert running_maximum(later)[-1] >= running_maximum(seen)[-1] >= 0.0


@given(GAINS, st.integers(0, 40))
def test_a_unit_that_says_nothing_changes_nothing(gains: list[float], place: int) -> None:
    with_nothing = np.insert(np.array(gains), min(place, len(gains)), 0.0)
    assert log_evidence(with_nothing)[-1] == pytest.approx(log_evidence(np.array(gains))[-1], abs=1e-12)


def test_replays_side_by_side_are_what_each_is_alone() -> None:
    gains = np.random.default_rng(1).uniform(-1.0, 1.0, (5, 30))
    assert np.array_equal(log_evidence(gains), np.stack([log_evidence(row) for row in gains]))


def test_without_an_edge_the_mean_of_the_evidence_is_one_and_its_maximum_rarely_large() -> None:
    # Heavy tails and skew: wins of 2 with probability 1/4 against losses of 2/3.
    rng = np.random.default_rng(2)
    gains = np.where(rng.random((40_000, 12)) < 0.25, 2.0, -2.0 / 3.0)
    path = log_evidence(gains)
    assert np.exp(path[:, -1]).mean() == pytest.approx(1.0, abs=0.06)
    assert np.exp(path[:, 0]).mean() == pytest.approx(1.0, abs=0.02)
    long = log_evidence(np.where(rng.random((2_000, 600)) < 0.25, 2.0, -2.0 / 3.0))
    for alpha in (0.2, 0.05, 0.01):
        assert (running_maximum(long)[:, -1] >= math.log(1.0 / alpha)).mean() <= alpha + 2 * math.sqrt(alpha / 2_000)


def test_bets_may_be_sized_by_what_is_known_before_the_outcome() -> None:
    # The bound of a unit is drawn first; the gain is fair given it. Sizing by the outcome instead would not be fair.
    rng = np.random.default_rng(3)
    scale = rng.choice([0.1, 1.0], (20_000, 10))
    gains = scale * rng.choice([-1.0, 1.0], scale.shape)
    assert np.exp(log_evidence(gains)[:, -1]).mean() == pytest.approx(1.0, abs=0.05)


def test_a_wider_bound_leaves_the_bet_what_it_was_up_to_a_limit() -> None:
    unit, narrow, wide = np.array([0.1, -0.2, 0.3]), 0.35, 1.0
    capped = [min(fraction * wide / narrow, LARGEST_FRACTION) / wide for fraction in FRACTIONS]
    made = [math.prod(1.0 + bet * value for value in unit.tolist()) for bet in capped]
    path = log_evidence(unit / wide, wide / narrow)
    assert e_value(float(path[-1])) == pytest.approx(math.fsum(made) / len(made), rel=1e-9)
    assert np.array_equal(log_evidence(unit, np.ones(3)), log_evidence(unit))


@given(GAINS, st.floats(1.0, 1e6))
def test_the_capital_never_ends_whatever_the_width(gains: list[float], width: float) -> None:
    assert np.isfinite(log_evidence(np.array(gains), width)).all()


def test_an_edge_is_found_whether_it_is_small_or_large() -> None:
    rng = np.random.default_rng(4)
    for mean, units in ((0.03, 12_000), (0.1, 1_500), (0.4, 150)):
        found = running_maximum(log_evidence(np.clip(rng.normal(mean, 0.3, (20, units)), -1.0, 1.0)))[:, -1]
        assert (found >= math.log(20.0)).mean() >= 0.9, mean


def test_a_bound_that_does_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="below -1"):
        log_evidence(np.array([0.1, -1.1]))
    with pytest.raises(ValueError, match="below -1"):
        log_evidence(np.array([0.1, np.nan]))
    with pytest.raises(ValueError, match=r"width of 0\.5 is below 1"):
        log_evidence(np.array([0.1, 0.2]), np.array([1.0, 0.5]))


@settings(max_examples=20)
@given(st.integers(1, 5_000))
def test_evidence_beyond_the_doubles_is_held_at_the_last_one(units: int) -> None:
    value = e_value(float(log_evidence(np.full(units, 5.0))[-1]))
    assert math.isfinite(value)
    assert value >= 1.0
