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

from throughline.signals.spectrum import band_entropy, fourier_sums, fourier_waves
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


def _taps() -> tuple[F64, F64]:
    # Hann sampled between its ends: exact zeros in frequency as the periodic one, but the newest bar has weight
    weights = [0.5 - 0.5 * math.cos(math.tau * (k + 0.5) / TAPS) for k in range(TAPS)]
    angles = [math.tau * (k % CENTRE_PERIOD) / CENTRE_PERIOD for k in range(TAPS)]
    norm = 2.0 / math.fsum(weights)
    return (
        np.array([norm * w * math.cos(angle) for w, angle in zip(weights, angles, strict=True)]),
        np.array([norm * w * math.sin(angle) for w, angle in zip(weights, angles, strict=True)]),
    )


_COSINE_TAPS, _SINE_TAPS = _taps()


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Unit phasors [..., n - 23] of bars 23 .. n - 1: cosine and sine of the phase, NaN where there is no cycle."""

    cosine: F64
    sine: F64


def quadrature(x: F64) -> Quadrature:
    """Return the phasors of log returns along the last axis. Causal: output t reads x[.. t].

    Args:
        x: Log returns [n] or [m, n], n >= 24, oldest first.

    Returns:
        Phasors [n - 23] or [m, n - 23]. Additions run in fixed order, so an output has the same bits whatever follows
        it in the array.
    """
    from throughline.signals import kernel

    rows = np.ascontiguousarray(np.atleast_2d(x), dtype=np.float64)
    cosine = np.empty((len(rows), rows.shape[1] - TAPS + 1))
    sine = np.empty_like(cosine)
    kernel.band_pass(rows, _COSINE_TAPS, _SINE_TAPS, _SILENCE, cosine, sine)
    return Quadrature(cosine, sine) if x.ndim == 2 else Quadrature(cosine[0], sine[0])


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
    """Return ``|mean exp(i (phi_a - phi_b))|`` of one series with each row of the other.

    Args:
        a: Phasors [n], or [m, n] to pair row by row.
        b: Phasors [n] or [m, n].

    Returns:
        The phase-locking value of each row of `b`, in [0, 1], shape [m]; NaN below 16 bars with both phases.
    """
    from throughline.signals import kernel

    own_cosine, own_sine = np.atleast_2d(a.cosine), np.atleast_2d(a.sine)
    cosine, sine = np.atleast_2d(b.cosine), np.atleast_2d(b.sine)
    result = np.empty(len(cosine))
    kernel.locking(own_cosine, own_sine, cosine, sine, LEAST_PHASES, result)
    return result


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
    return _or_none(float(phase_locking(quadrature(a), quadrature(b))[0]))


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
    """Return 32 series [32, n] with the power spectrum of `x` [n] and shuffled Fourier phases (mean left out).

    The Nyquist bin of an even n has no sine: turning it would lose power, so it is kept as it is.
    """
    from throughline.signals import kernel

    cosine, sine = fourier_waves(len(x))
    real, imaginary = fourier_sums(x)
    result = np.zeros((SURROGATES, len(x)))
    kernel.turned_series(real, imaginary, *_shuffled_angles(len(x) // 2), cosine, sine, result)
    return result


@lru_cache(maxsize=4)
def _surrogate_phasors(reference: bytes) -> Quadrature:
    """Return the phasors of the surrogates of a series (its bytes): candidates of one instant share their reference."""
    return quadrature(surrogates(np.frombuffer(reference)))


def surrogate_mean(a: F64, b: F64) -> float | None:
    """Return the mean phase-locking value of `a` with 32 phase-shuffled surrogates of `b`: R under no relation.

    The seed is fixed and recorded (`SURROGATE_SEED`), so equal windows give equal values. None where
    `chrono_resonance` is None.
    """
    if not _enough(a, b):
        return None
    values = phase_locking(quadrature(a), _surrogate_phasors(b.tobytes()))
    return _or_none(math.fsum(values.tolist()) / SURROGATES)


def own_cycle(x: F64) -> float | None:
    """Return how much of an instrument's band (periods of 4 to 32 bars) is one cycle, in [0, 1].

    1 - H / ln K with H the entropy of the power over the K bins of the band: 0 = all periods alike, 1 = one period.
    None where the entropy is.
    """
    entropy = band_entropy(x)
    return None if entropy is None else 1.0 - entropy
