"""Random numbers of the simulated market: the same bits on every machine, any stretch without the ones before it.

Belongs here: counter-based raw words (Philox 4x64) addressed by (seed, name, stream, position), and numbers made of
them by exact integer sums and elementwise ``+ - * /`` alone. Does not belong here: what the numbers mean. No library
distribution, no log, exp or power: their last bits differ between processors.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Words = NDArray[np.uint64]


def words(seed: int, name: str, stream: str, row: int, rows: int, width: int) -> Words:
    """Return raw 64-bit words [rows, width] of a stream from `row` on; `width` a multiple of 4 (one Philox block)."""
    digest = hashlib.sha256(f"throughline simulated market 1|{seed}|{name}|{stream}".encode()).digest()
    key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)
    bits = np.random.Philox(key=key, counter=row * (width // 4))
    return np.asarray(bits.random_raw(rows * width), np.uint64).reshape(rows, width)


def uniform(raw: Words) -> F64:
    """Return numbers in [0, 1) on the grid of 2^-53, one per word."""
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(raw: Words) -> F64:
    """Return nearly normal numbers (mean 0, variance 1, within +-6), one per three words in the last axis.

    Irwin-Hall: the sum of twelve 16-bit uniforms less six. The sum is of integers, so it is exact.
    """
    mask = np.uint64(0xFFFF)
    total = np.zeros(raw.shape[:-1], np.int64)
    for part in range(3):
        for shift in (0, 16, 32, 48):
            total += ((raw[..., part] >> np.uint64(shift)) & mask).astype(np.int64)
    return np.asarray((total - 12 * 32767.5) / 65536.0, np.float64)


_POWERS = np.array([float(10**exponent) for exponent in range(23)])
_TINY = np.array([float(f"1e-{exponent}") for exponent in range(14, 0, -1)])
_BRACKETS = np.concatenate([_TINY, _POWERS[:9]])  # 1e-14 ... 1e8


def eight_digits(values: F64) -> F64:
    """Return positive numbers in [1e-14, 1e8) rounded to 8 significant digits (NaN stays NaN).

    Multiplying and dividing by exact powers of ten and rounding to whole numbers are correctly rounded everywhere.
    """
    exponent = np.searchsorted(_BRACKETS, values, "right") - 1 - 14
    shift = np.clip(7 - exponent, 0, 22)
    scale = _POWERS[shift]
    return np.asarray(np.rint(values * scale) / scale)


def decimals(values: F64, places: int) -> F64:
    """Return numbers rounded to `places` decimals."""
    scale = _POWERS[places]
    return np.asarray(np.rint(values * scale) / scale)
