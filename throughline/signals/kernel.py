"""The loops of the signals that take most of the time, compiled. Imports numba: load it inside the function that calls.

Belongs here: loops over arrays that the neighbours describe (phase, spectrum, warp) and nothing that decides what a
signal means. Every result array is handed in by the caller.

Arithmetic: only + - * / and sqrt on IEEE doubles in fixed order, no fast-math and no contraction into fused operations
(a test looks into the machine code), so a window gives the same bits on every processor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba  # noqa: TID253 - this module is only loaded by the first soulprint
import numpy as np
from numpy.typing import NDArray

from throughline.signals.window import F64

F = TypeVar("F", bound=Callable[..., Any])
I64 = NDArray[np.int64]


def compiled(function: F) -> F:
    """Compile with an on-disk cache; without one where no folder for it can be written."""
    try:
        return cast(F, numba.njit(cache=True, error_model="numpy")(function))
    except RuntimeError:  # "no locator available": neither the package folder nor a user cache folder is writable
        return cast(F, numba.njit(error_model="numpy")(function))


@compiled
def band_pass(x: F64, cosine_taps: F64, sine_taps: F64, silence: float, cosine: F64, sine: F64) -> None:
    """Write the unit phasors of each row of `x` [m, n] into `cosine` and `sine` [m, n - taps + 1]; NaN in silence."""
    outputs = cosine.shape[1]
    taps = len(cosine_taps)
    loudest = np.empty(outputs)
    for row in range(len(x)):
        real, imaginary = cosine[row], sine[row]
        real[:], imaginary[:], loudest[:] = 0.0, 0.0, 0.0
        for back in range(taps):
            start = taps - 1 - back
            for t in range(outputs):
                value = x[row, start + t]
                real[t] += value * cosine_taps[back]
                imaginary[t] += value * sine_taps[back]
                loudest[t] = max(loudest[t], abs(value))
        for t in range(outputs):
            length = math.sqrt(real[t] * real[t] + imaginary[t] * imaginary[t])
            if not length > silence * loudest[t]:
                length = math.nan
            real[t] /= length
            imaginary[t] /= length


@compiled
def fourier_sums(centred: F64, cosine: F64, sine: F64, real: F64, imaginary: F64) -> None:
    """Write the sums of `centred` [n] times each column of the tables [n, k] into `real` and `imaginary` [k]."""
    for k in range(len(real)):
        real[k] = cosine[0, k] * centred[0]
        imaginary[k] = sine[0, k] * centred[0]
    for t in range(1, len(centred)):
        for k in range(len(real)):
            real[k] += cosine[t, k] * centred[t]
            imaginary[k] += sine[t, k] * centred[t]


@compiled
def turned_series(
    real: F64, imaginary: F64, turn_cosine: F64, turn_sine: F64, cosine: F64, sine: F64, result: F64
) -> None:
    """Write the series [m, n] whose Fourier sums are turned by each row of the angles [m, k] into `result`.

    cosine, sine: tables with time along rows' columns, [k, n]. result: zeros. The Nyquist bin of an even n is kept.
    """
    series, n = result.shape
    bins = len(real)
    for s in range(series):
        line = result[s]
        for k in range(bins):
            a = (real[k] * turn_cosine[s, k] - imaginary[k] * turn_sine[s, k]) * (2.0 / n)
            b = (real[k] * turn_sine[s, k] + imaginary[k] * turn_cosine[s, k]) * (2.0 / n)
            if n % 2 == 0 and k == bins - 1:
                a, b = real[k] / n, 0.0
            for t in range(n):
                line[t] += a * cosine[k, t]
            for t in range(n):
                line[t] += b * sine[k, t]


@compiled
def locking(a_cosine: F64, a_sine: F64, b_cosine: F64, b_sine: F64, least: int, result: F64) -> None:
    """Write the phase-locking value of phasors `a` [1 or m, t] with each row of `b` [m, t] into `result` [m].

    NaN below `least` bars at which both have a phase.
    """
    for row in range(len(result)):
        own = min(row, len(a_cosine) - 1)
        real, imaginary, count = 0.0, 0.0, 0
        for t in range(b_cosine.shape[1]):
            across = a_cosine[own, t] * b_cosine[row, t] + a_sine[own, t] * b_sine[row, t]
            if across == across:
                count += 1
                real += across
                imaginary += a_sine[own, t] * b_cosine[row, t] - a_cosine[own, t] * b_sine[row, t]
        if count >= least:
            result[row] = min(math.sqrt(real * real + imaginary * imaginary) / count, 1.0)
        else:
            result[row] = math.nan


@compiled
def cheapest_path(a: I64, b: I64, band: int, steps: I64) -> tuple[int, int]:
    """Write the cells (i, j) of the cheapest path from (n-1, n-1) back to (0, 0) into `steps` [2n - 1, 2].

    Returns its cost and its number of cells. Among equals the diagonal step comes first, then the step back in i.
    """
    n, width = len(a), 2 * band + 1
    never = 1 + 2 * n * (np.abs(a).max() + np.abs(b).max())  # more than any path costs
    # row i + 1 holds j = i - band .. i + band at places 1 .. width; one place more on either side is never reached
    cost = np.full((n + 1, width + 2), never)
    cost[0, band + 1] = 0  # the empty alignment, diagonally before (0, 0)
    for i in range(n):
        for place in range(max(0, band - i), min(width, n - i + band)):
            best = cost[i, place + 1]  # (i-1, j-1) has the same place in its row
            best = min(best, cost[i, place + 2], cost[i + 1, place])  # (i-1, j) and (i, j-1)
            cost[i + 1, place + 1] = best + abs(a[i] - b[i - band + place])
    i, place, cells = n - 1, band, 1
    steps[0] = i
    while i > 0 or place != band:
        # row 0 has nothing above it: only steps back in j are left
        diagonal = cost[i, place + 1] if i > 0 else never
        up = cost[i, place + 2] if i > 0 else never
        best = min(diagonal, up, cost[i + 1, place])
        if i > 0 and diagonal == best:
            i -= 1
        elif i > 0 and up == best:
            i, place = i - 1, place + 1
        else:
            place -= 1
        steps[cells, 0], steps[cells, 1] = i, i - band + place
        cells += 1
    return cost[n, band + 1], cells
