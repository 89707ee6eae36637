"""No signal reads the future: other bars after a row change nothing at the row; and equal windows give equal bits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.signal_series import walk, with_another_future
from throughline.signals import drift, moments, phase, spectrum, warp
from throughline.signals.simhash import simhash
from throughline.signals.tensor import tensor_row
from throughline.signals.vector import soulprint_vector
from throughline.signals.window import SignalWindow, log_returns, paired_returns


def _pair(function: Callable[..., object]) -> Callable[[SignalWindow], object]:
    return lambda window: function(*paired_returns(window.close, window.reference_close)[:2])


def _own(function: Callable[..., object]) -> Callable[[SignalWindow], object]:
    return lambda window: function(log_returns(window.close).values)


SIGNALS: dict[str, Callable[[SignalWindow], object]] = {
    "chrono_resonance": _pair(phase.chrono_resonance),
    "surrogate_mean": _pair(phase.surrogate_mean),
    "temporal_warp": _pair(warp.temporal_warp),
    "phase_at_end": _own(phase.phase_at_end),
    "own_cycle": _own(phase.own_cycle),
    "spectral_entropy": _own(spectrum.spectral_entropy),
    "psi_ratio": _own(lambda x: drift.psi_ratio(x[42:], x[:42], 4, 0.95) if len(x) == 63 else None),
    "mean_shift": _own(lambda x: drift.mean_shift(x[42:], x[:42])),
    "slope": lambda window: moments.slope(window.close),
    "momentum": lambda window: moments.momentum(log_returns(window.close)),
    "volatility": lambda window: moments.volatility(log_returns(window.close)),
    "trend_t": lambda window: moments.trend_t(log_returns(window.close)),
    "high_low_range": lambda window: moments.high_low_range(window.high, window.low),
    "imbalance": lambda window: moments.imbalance(log_returns(window.close), window.volume),
    "tensor_row": lambda window: tensor_row(window).tobytes(),
    "soulprint_vector": soulprint_vector,
    "simhash": lambda window: simhash(soulprint_vector(window)),
}


@pytest.mark.parametrize("name", SIGNALS)
@given(seed=st.integers(0, 2**32 - 1), row=st.integers(0, 118), holes=st.sampled_from([0.0, 0.1, 0.5]))
@settings(max_examples=25, deadline=None)
def test_another_future_changes_nothing(name: str, seed: int, row: int, holes: float) -> None:
    series = walk(seed, rows=120, holes=holes)
    other = with_another_future(series, row, seed + 1)
    assert SIGNALS[name](other.at(row)) == SIGNALS[name](series.at(row))


@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_sees_the_newest_bar(name: str) -> None:
    """The counterpart: a test of the future means nothing for a signal that does not look at the present."""
    series = walk(5, rows=120)
    before = SIGNALS[name](series.at(100))
    against = 0.5 if series.close[100] > series.close[99] else 2.0  # so that signs and bins change too
    series.close[100] *= against
    series.high[100] *= 2.0
    series.volume[100] *= 9.0
    changed = SIGNALS[name](series.at(100))
    assert changed != before
    assert changed is not None


@pytest.mark.parametrize("name", SIGNALS)
def test_bars_before_the_window_change_nothing(name: str) -> None:
    series, other = walk(6, rows=120), walk(6, rows=120)
    for column in (other.close, other.high, other.low, other.volume, other.reference_close):
        column[:37] *= 3.0
    assert SIGNALS[name](other.at(100)) == SIGNALS[name](series.at(100))


PROGRAM = """
from tests.unit.signal_series import walk
from throughline.signals.simhash import simhash
from throughline.signals.vector import soulprint_vector, vector_text
for seed in range(25):
    values = soulprint_vector(walk(seed, holes=0.1).at(63))
    print(vector_text(values), simhash(values))
"""


def test_another_process_another_hash_seed_and_a_plainer_processor_give_the_same_vectors() -> None:
    outputs = set()
    for hash_seed, disabled in (("0", ""), ("1", "X86_V4 AVX512_ICL AVX512_SPR"), ("2", "X86_V3")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        if disabled:
            environment["NPY_DISABLE_CPU_FEATURES"] = disabled
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
