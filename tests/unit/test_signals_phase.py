"""Phase and chrono resonance: locked is 1, unrelated is what the surrogates say, and only the past is read."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.signals import phase
from throughline.signals.phase import (
    CENTRE_PERIOD,
    SURROGATES,
    TAPS,
    Quadrature,
    chrono_resonance,
    own_cycle,
    phase_at_end,
    phase_locking,
    quadrature,
    surrogate_mean,
    surrogates,
)
from throughline.signals.spectrum import fourier_sums
from throughline.signals.window import F64


def noise(seed: int, n: int = 63) -> F64:
    return np.random.default_rng(seed).normal(size=n)


def independent_phases(n: int) -> float:
    """Return the expected phase-locking value of n independent uniform phases."""
    return math.sqrt(math.pi / (4.0 * n))


def cycle(n: int, period: float, angle: float) -> F64:
    """cos(2 pi t / period + angle) whose last value has the phase `angle`."""
    return np.array([math.cos(math.tau * (t - (n - 1)) / period + angle) for t in range(n)])


def test_a_series_resonates_fully_with_itself_with_its_mirror_and_with_a_delayed_cycle() -> None:
    x = noise(1)
    assert chrono_resonance(x, x) == pytest.approx(1.0, abs=1e-12)
    assert chrono_resonance(x, -x) == pytest.approx(1.0, abs=1e-12)
    assert chrono_resonance(cycle(63, 8, 0.3), cycle(63, 8, 1.7)) == pytest.approx(1.0, abs=1e-12)


def test_two_cycles_of_different_length_lose_their_lock() -> None:
    # 40 phases, drifting apart by 2 pi (1/6 - 1/12) a bar: the mean of a full turn's phasors is near 0
    assert chrono_resonance(cycle(63, 6, 0.0), cycle(63, 12, 0.0)) < 0.25


def test_independent_phases_average_near_the_known_floor() -> None:
    random = np.random.default_rng(2)
    angles = random.uniform(0, math.tau, (2, 4000, 64))
    a, b = (Quadrature(np.cos(part), np.sin(part)) for part in angles)
    assert phase_locking(a, b).mean() == pytest.approx(independent_phases(64), abs=0.003)


def test_the_surrogate_mean_is_the_resonance_of_unrelated_series() -> None:
    pairs = [(noise(2 * seed), noise(2 * seed + 1)) for seed in range(300)]
    found = np.array([chrono_resonance(a, b) for a, b in pairs], dtype=float)
    null = np.array([surrogate_mean(a, b) for a, b in pairs], dtype=float)
    assert (found - null).mean() == pytest.approx(0.0, abs=0.03)
    assert null.mean() > 2 * independent_phases(
        40
    )  # filtered phases are not independent: the plain floor is far too low


def test_the_excess_over_the_surrogates_sees_what_is_common() -> None:
    excesses = []
    for seed in range(20):
        common = noise(seed)
        a, b = common + 0.2 * noise(seed + 100), common + 0.2 * noise(seed + 200)
        found, null = chrono_resonance(a, b), surrogate_mean(a, b)
        assert found is not None
        assert null is not None
        excesses.append(found - null)
    assert np.mean(excesses) > 0.3


def test_two_pure_cycles_of_one_length_resonate_but_not_beyond_their_surrogates() -> None:
    # any two such cycles keep their distance: that says nothing of a relation, and the surrogates know it
    a, b = cycle(63, 7, 0.0), cycle(63, 7, 2.0)
    assert chrono_resonance(a, b) == pytest.approx(1.0, abs=1e-3)
    assert surrogate_mean(a, b) == pytest.approx(1.0, abs=0.02)


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
@settings(max_examples=40, deadline=None)
def test_resonance_does_not_depend_on_amplitudes_and_stays_in_its_bounds(seed: int, k: float, m: float) -> None:
    a, b = noise(seed), noise(seed + 1)
    found = chrono_resonance(a, b)
    assert found is not None
    assert 0.0 <= found <= 1.0
    assert chrono_resonance(k * a, m * b) == pytest.approx(found, abs=1e-9)
    assert chrono_resonance(b, a) == pytest.approx(found, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(TAPS, 80), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_the_phase_at_a_bar_has_the_same_bits_whatever_follows(seed: int, bars: int, later: int) -> None:
    random = np.random.default_rng(seed)
    past, future = random.normal(size=bars), 100.0 * random.normal(size=later)
    alone, continued = quadrature(past), quadrature(np.concatenate([past, future]))
    kept = len(alone.cosine)
    assert alone.cosine.tobytes() == continued.cosine[:kept].tobytes()
    assert alone.sine.tobytes() == continued.sine[:kept].tobytes()


@pytest.mark.parametrize("angle", [-3.0, -1.5, 0.0, 0.4, math.pi / 2, 3.1])
def test_a_pure_cycle_keeps_its_exact_phase_at_the_last_bar_with_a_trend_beside_it(angle: float) -> None:
    x = cycle(40, CENTRE_PERIOD, angle)
    assert phase_at_end(x) == pytest.approx(angle, abs=1e-9)
    assert phase_at_end(0.02 * x + 0.5) == pytest.approx(angle, abs=1e-9)


def test_the_phase_is_of_the_half_open_circle() -> None:
    for shock in (1.0, -1.0):
        for back in range(1, TAPS):
            x = np.zeros(TAPS)
            x[-1 - back] = shock  # one tap alone: its own angle, or the opposite one
            found = phase_at_end(x)
            assert found is not None
            assert -math.pi < found <= math.pi
            turns = back / CENTRE_PERIOD + (0.0 if shock > 0 else 0.5)
            assert math.cos(found - math.tau * turns) == pytest.approx(1.0)


def test_an_angle_that_rounds_to_minus_pi_is_pi() -> None:
    weights = {back: 0.5 - 0.5 * math.cos(math.tau * (back + 0.5) / TAPS) for back in (2, 4)}
    x = np.zeros(TAPS)
    x[-5], x[-3] = 1.0, -1.7e-16 * weights[4] / weights[2]  # half a turn, and a quarter that takes its sine below 0
    assert quadrature(x).sine[0] < 0.0
    assert phase_at_end(x) == math.pi


def test_the_newest_bar_moves_the_phase() -> None:
    x = noise(8)
    before = phase_at_end(x)
    x[-1] += 3.0
    assert phase_at_end(x) != before


def test_without_movement_or_history_there_is_no_phase_and_no_resonance() -> None:
    still, x = np.zeros(63), noise(3)
    for flat in (still, still + 0.01):
        assert phase_at_end(flat) is None
        assert chrono_resonance(x, flat) is None
        assert surrogate_mean(x, flat) is None
    assert phase_at_end(x[: TAPS - 1]) is None
    assert phase_at_end(x[:TAPS]) is not None
    assert chrono_resonance(x[:38], x[:38]) is None
    assert chrono_resonance(x[:39], x[:39]) is not None
    with pytest.raises(ValueError, match="63 and 62 returns"):
        chrono_resonance(x, x[:62])


def test_a_bar_where_one_series_is_still_is_left_out_of_the_mean() -> None:
    a = noise(4)
    b = np.where(np.arange(63) < 47, 0.0, noise(5))  # b has a phase from bar 47 on: 16 of them
    own, other = quadrature(a), quadrature(b)
    assert np.isnan(other.cosine).tolist() == [True] * 24 + [False] * 16
    angle = np.arctan2(own.sine, own.cosine)[24:] - np.arctan2(other.sine, other.cosine)[24:]
    assert chrono_resonance(a, b) == pytest.approx(abs(np.exp(1j * angle).mean()))
    assert chrono_resonance(a, np.where(np.arange(63) < 48, 0.0, a)) is None  # 15 phases are too few


@pytest.mark.parametrize("n", [63, 40])
def test_surrogates_keep_the_spectrum_and_nothing_else(n: int) -> None:
    x = noise(5, n)
    shuffled = surrogates(x)
    assert shuffled.shape == (SURROGATES, n)
    real, imaginary = fourier_sums(x)
    for row in shuffled:
        other_real, other_imaginary = fourier_sums(row)
        assert np.hypot(other_real, other_imaginary) == pytest.approx(np.hypot(real, imaginary), abs=1e-9)
    assert np.abs(np.corrcoef(shuffled, x)[-1, :-1]).max() < 0.9
    assert len({row.tobytes() for row in shuffled}) == SURROGATES


def test_the_seed_of_the_surrogates_is_recorded_and_unchanged() -> None:
    assert phase.SURROGATE_SEED == "surrogate/1"
    assert round(surrogate_mean(noise(6), noise(7)) or 0.0, 6) == 0.318812


@pytest.mark.slow
def test_the_machine_code_of_the_loops_has_no_fused_multiply_add(tmp_path: Path) -> None:
    """A fused operation rounds once where + and * round twice: other bits on processors that have it."""
    code = (
        "import numpy as np\n"
        "from throughline.signals import kernel\n"
        "from throughline.signals.phase import surrogate_mean\n"
        "from throughline.signals.warp import temporal_warp\n"
        "x = np.arange(63.0) % 7\n"
        "surrogate_mean(x, x * x); temporal_warp(x, x * x)\n"
        "loops = (kernel.band_pass, kernel.fourier_sums, kernel.turned_series, kernel.locking, kernel.cheapest_path)\n"
        "texts = [''.join(loop.inspect_asm().values()) for loop in loops]\n"
        "assert all('ret' in text for text in texts) and 'sqrtsd' in ''.join(texts), 'no machine code to look at'\n"
        "fused = ('vfmadd', 'vfmsub', 'vfnmadd', 'vfnmsub')\n"
        "assert not any(word in text for text in texts for word in fused)\n"
    )
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_own_cycle_is_one_for_one_period_and_small_for_many() -> None:
    assert own_cycle(cycle(64, 8, 0.2)) == pytest.approx(1.0, abs=1e-9)
    values = [own_cycle(noise(seed, 64)) for seed in range(100)]
    assert all(value is not None and 0.0 <= value <= 1.0 for value in values)
    assert np.mean([value for value in values if value is not None]) < 0.25
    assert own_cycle(np.zeros(64)) is None
    assert own_cycle(noise(1, 7)) is None
