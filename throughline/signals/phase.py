"""Phase of an instrument's cycle, and chrono resonance: how firmly it is locked to the reference's.

Belongs here: the causal band-pass filter, phases, the phase-locking value and its null. The reference's clock enters
through its returns only: no sine of the hour, no constant of nature.

The filter is a complex FIR quadrature filter, a Hann-windowed exponential of period 8 bars over 24 bars (a Morlet
wavelet cut to the past). Its output at bar t uses bars t-23 .. t, so there is no edge to discard at the end, unlike the
FFT Hilbert transform, which is not causal (dsp.stackexchange 83990). A narrow band is needed for a phase to mean
anything (Chavez et al. 2006, doi 10.1016/j.jneumeth.2005.12.009). The window's zeros lie on frequency 0 and on the
negative of the centre, so a trend drops out exactly and a pure 8-bar cycle keeps its exact phase.

The phase-locking value (Lachaux et al. 1999) of n independent phases is not 0 but about sqrt(pi / (4 n)); filtered
series have far fewer than n independent phases, so the null that counts is a surrogate: the reference with its Fourier
phases shuffled, which keeps its spectrum and destroys the relation (Theiler et al. 1992).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from throughline.signals.spectrum import band_entropy, fourier_sums, fourier_table, ordered_sum
from throughline.signals.window import F64, WINDOW_BARS

CENTRE_PERIOD = 8
"""Bars of one turn of phase."""
TAPS = 24
"""Bars that one output reads: three turns."""
LEAST_PHASES = 16
"""Fewest bars with a phase in both series for a phase-locking value."""
SURROGATES = 32
SURROGATE_SEED = "surrogate/1"
"""Recorded seed of the shuffled phases: they are SHA-256 digests of it, the same on every machine and numpy."""

_SILENCE = 1e-9  # an output this much smaller than the returns it was made of is rounding, not a cycle


def _taps() -> tuple[tuple[float, ...], tuple[float, ...]]:
    # Hann sampled between its ends: exact zeros in frequency as the periodic one, but the newest bar has weight
    weights = [0.5 - 0.5 * math.cos(math.tau * (k + 0.5) / TAPS) for k in range(TAPS)]
    angles = [math.tau * (k % CENTRE_PERIOD) / CENTRE_PERIOD for k in range(TAPS)]
    norm = 2.0 / math.fsum(weights)
    return (
        tuple(norm * w * math.cos(angle) for w, angle in zip(weights, angles, strict=True)),
        tuple(norm * w * math.sin(angle) for w, angle in zip(weights, angles, strict=True)),
    )


_COSINE_TAPS, _SINE_TAPS = _taps()


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Unit phasors [..., n - 23] of bars 23 .. n - 1: cosine and sine of the phase, NaN where there is no cycle."""

    cosine: F64
    sine: F64


def quadrature(x: F64) -> Quadrature:
    """Return the phasors of the log returns `x` [..., n], n >= 24, along the last axis. Causal: output t reads x[..t].

    Only elementwise additions in fixed order, so an output has the same bits whatever follows it in the array.
    """
    outputs = x.shape[-1] - TAPS + 1
    real, imaginary = np.zeros((*x.shape[:-1], outputs)), np.zeros((*x.shape[:-1], outputs))
    loudest, magnitude = np.zeros_like(real), np.abs(x)
    for back in range(TAPS):
        part = slice(TAPS - 1 - back, TAPS - 1 - back + outputs)
        real += x[..., part] * _COSINE_TAPS[back]
        imaginary += x[..., part] * _SINE_TAPS[back]
        np.maximum(loudest, magnitude[..., part], out=loudest)
    length = np.sqrt(real * real + imaginary * imaginary)
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.where(length > _SILENCE * loudest, length, np.nan)
        return Quadrature(real / length, imaginary / length)


def phase_at_end(x: F64) -> float | None:
    """Return the phase of the 8-bar cycle of the log returns `x` at the last bar, radians in (-pi, pi].

    0 is the crest of the returns (the price rises fastest), pi / 2 the crest of the price. None below 24 returns or
    where nothing moves.
    """
    if len(x) < TAPS:
        return None
    last = quadrature(x[-TAPS:])
    cosine, sine = float(last.cosine[0]), float(last.sine[0])
    if math.isnan(cosine):
        return None
    angle = math.atan2(sine, cosine)
    return math.pi if angle == -math.pi else angle  # a sine of -1e-17 rounds to the open end


def phase_locking(a: Quadrature, b: Quadrature) -> F64:
    """Return ``|mean exp(i (phi_a - phi_b))|`` along the last axis, in [0, 1]; NaN below 16 bars with both phases."""
    real = a.cosine * b.cosine + a.sine * b.sine
    imaginary = a.sine * b.cosine - a.cosine * b.sine
    present = ~np.isnan(real)
    count = present.sum(axis=-1)
    total_real = ordered_sum(np.where(present, real, 0.0), -1)
    total_imaginary = ordered_sum(np.where(present, imaginary, 0.0), -1)
    length = np.sqrt(total_real * total_real + total_imaginary * total_imaginary)
    return np.where(count >= LEAST_PHASES, np.minimum(length / np.maximum(count, 1), 1.0), np.nan)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _enough(a: F64, b: F64) -> bool:
    if len(a) != len(b):
        raise ValueError(
            f"two series of {len(a)} and {len(b)} returns have no common phases: cut them to the same bars"
        )
    return len(a) >= TAPS + LEAST_PHASES - 1


def chrono_resonance(a: F64, b: F64) -> float | None:
    """Return the phase-locking value R in [0, 1] of two series of log returns [n] in the 8-bar band.

    1 = their phases keep a constant distance (moving together, delayed, or opposite), whatever their amplitudes.
    Compare it with `surrogate_mean`, never with 0. None below 39 returns or where a series does not move.
    """
    if not _enough(a, b):
        return None
    return _or_none(float(phase_locking(quadrature(a), quadrature(b))))


def null_floor(n: int) -> float:
    """Return the expected phase-locking value of n independent uniform phases, sqrt(pi / (4 n)): 0.11 at n = 64."""
    if n < 1:
        raise ValueError(f"a phase-locking value of {n} phases does not exist: give at least one")
    return math.sqrt(math.pi / (4.0 * n))


@lru_cache(maxsize=2 * WINDOW_BARS)
def _shuffled_angles(bins: int) -> tuple[F64, F64]:
    """Read-only cos and sin [SURROGATES, bins] of uniform angles, digests of the recorded seed."""
    angles = []
    for number in range(SURROGATES):
        digests = (
            hashlib.sha256(f"{SURROGATE_SEED}|{number}|{k}".encode("ascii")).digest() for k in range(1, bins + 1)
        )
        angles.append([math.tau * (int.from_bytes(digest[:8], "big") >> 11) / 2**53 for digest in digests])
    cosine = np.array([[math.cos(angle) for angle in row] for row in angles], dtype=np.float64)
    sine = np.array([[math.sin(angle) for angle in row] for row in angles], dtype=np.float64)
    cosine.flags.writeable = sine.flags.writeable = False
    return cosine, sine


def surrogates(x: F64) -> F64:
    """Return 32 series [32, n] with the power spectrum of `x` [n] and shuffled Fourier phases (mean left out)."""
    n = len(x)
    cosine, sine = fourier_table(n)
    real, imaginary = fourier_sums(x)
    turn_cosine, turn_sine = _shuffled_angles(n // 2)
    turned_real = (real * turn_cosine - imaginary * turn_sine) * (2.0 / n)
    turned_imaginary = (real * turn_sine + imaginary * turn_cosine) * (2.0 / n)
    if n % 2 == 0:  # the Nyquist bin has no sine: turning it would lose power, so it is kept as it is
        turned_real[:, -1], turned_imaginary[:, -1] = real[-1] / n, 0.0
    result = np.zeros((SURROGATES, n))
    for k in range(n // 2):
        result += turned_real[:, k, None] * cosine[:, k]
        result += turned_imaginary[:, k, None] * sine[:, k]
    return result


def surrogate_mean(a: F64, b: F64) -> float | None:
    """Return the mean phase-locking value of `a` with 32 phase-shuffled surrogates of `b`: R under no relation.

    The seed is fixed and recorded (`SURROGATE_SEED`), so equal windows give equal values. None where
    `chrono_resonance` is None.
    """
    if not _enough(a, b):
        return None
    values = phase_locking(quadrature(a), quadrature(surrogates(b)))
    return _or_none(math.fsum(values.tolist()) / SURROGATES)


def own_cycle(x: F64) -> float | None:
    """Return how much of an instrument's band (periods of 4 to 32 bars) is one cycle, in [0, 1].

    1 - H / ln K with H the entropy of the power over the K bins of the band: 0 = all periods alike, 1 = one period.
    None where the entropy is.
    """
    entropy = band_entropy(x)
    return None if entropy is None else 1.0 - entropy
