"""Spectra of trailing windows: how evenly the power of log returns is spread over frequencies.

Belongs here: the discrete Fourier transform as a plain sum in fixed order (windows are 64 bars long, so speed is no
reason for an FFT whose order of additions depends on the library), periodograms and their entropy.

The spectral entropy is Shannon's entropy of the normalised power spectrum (Powell & Percival 1979; Inouye et al. 1991),
divided by ln K so that it lies in [0, 1]: 1 for white noise without end, 0 for one pure oscillation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from throughline.signals.window import F64, WINDOW_BARS

SHORTEST_PERIOD, LONGEST_PERIOD = 4, 32
"""Bars; the band of `band_entropy`. Shorter ones are mostly bid-ask bounce, longer ones do not repeat in a window."""


@lru_cache(maxsize=2 * WINDOW_BARS)
def fourier_table(n: int) -> tuple[F64, F64]:
    """Return cos and sin of 2 pi k t / n as read-only arrays [n, K], t along rows, for k = 1 .. K = floor(n / 2)."""
    turns = [[math.tau * ((k * t) % n) / n for k in range(1, n // 2 + 1)] for t in range(n)]
    cosine = np.array([[math.cos(angle) for angle in row] for row in turns], dtype=np.float64).reshape(n, n // 2)
    sine = np.array([[math.sin(angle) for angle in row] for row in turns], dtype=np.float64).reshape(n, n // 2)
    cosine.flags.writeable = sine.flags.writeable = False
    return cosine, sine


@lru_cache(maxsize=2 * WINDOW_BARS)
def fourier_waves(n: int) -> tuple[F64, F64]:
    """Return `fourier_table` with time along columns, [K, n], read-only."""
    cosine, sine = (np.ascontiguousarray(table.T) for table in fourier_table(n))
    cosine.flags.writeable = sine.flags.writeable = False
    return cosine, sine


def fourier_sums(x: F64) -> tuple[F64, F64]:
    """Return the cosine and sine sums of the demeaned `x` [n] at the frequencies k / n, k = 1 .. floor(n / 2).

    Added one by one in order of time: the same bits on every processor and numpy.
    """
    from throughline.signals import kernel

    cosine, sine = fourier_table(len(x))
    real, imaginary = np.empty(cosine.shape[1]), np.empty(cosine.shape[1])
    kernel.fourier_sums(x - math.fsum(x.tolist()) / len(x), cosine, sine, real, imaginary)
    return real, imaginary


def _entropy(power: Sequence[float]) -> float | None:
    total = math.fsum(power)
    if len(power) < 2 or not total > 0.0:
        return None
    shares = [value / total for value in power]
    entropy = -math.fsum(share * math.log(share) for share in shares if share > 0.0)
    return min(1.0, max(0.0, entropy / math.log(len(shares))))


@lru_cache(maxsize=4)
def _power(series: bytes) -> tuple[float, ...]:
    """Return the periodogram of a series (its bytes); all zeros where it does not move beyond rounding."""
    x = np.frombuffer(series)
    real, imaginary = fourier_sums(x)
    noise = len(x) * 1e-12 * float(np.abs(x).max())
    return tuple(value if value > noise * noise else 0.0 for value in (real * real + imaginary * imaginary).tolist())


def spectral_entropy(x: F64) -> float | None:
    """Return the spectral entropy of `x` [n] over all K = floor(n / 2) frequencies, in [0, 1].

    None where it is not defined: fewer than four values, or a series without movement.
    """
    return _entropy(_power(x.tobytes())) if len(x) >= 4 else None


def band_entropy(x: F64) -> float | None:
    """Return the spectral entropy of `x` over the K bins with periods of 4 to 32 bars only, in [0, 1].

    None where fewer than two bins lie in the band or nothing moves there.
    """
    n = len(x)
    if n < 2 * SHORTEST_PERIOD:
        return None
    power = _power(x.tobytes())
    return _entropy([power[k - 1] for k in range(1, n // 2 + 1) if SHORTEST_PERIOD * k <= n <= LONGEST_PERIOD * k])
