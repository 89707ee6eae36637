"""Trailing windows over [time x instrument] grids, in an order of additions that never depends on the window asked for.

Only elementwise IEEE operations: the same bar gives the same bits on every processor and in every chunk
(docs/architecture.md, Identity). Running sums are not used: they would depend on where the grid starts.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from throughline.identity import sig10

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Cell = TypeVar("Cell", np.float64, np.int64)

_POWERS = np.array([float(f"1e{k}") for k in range(-300, 301)])
_SMALL, _LARGE = 1e-280, 1e280


def round_sig10(values: F64) -> F64:
    """Round to 10 significant digits (half-even on the scaled value); NaN, zero and infinities pass through.

    Exact elementwise arithmetic with a table of powers of ten, so it is the same on every processor; the result is
    the double nearest to a decimal of at most 10 digits. It differs from `sig10` only within two spacings of the middle
    between two such decimals, where it may give the other one.
    """
    result = np.array(values, dtype=np.float64, copy=True)
    magnitude = np.abs(result)
    odd = np.isfinite(result) & (result != 0.0) & ((magnitude < _SMALL) | (magnitude > _LARGE))
    for cell in zip(*np.nonzero(odd), strict=True):  # the table does not reach: no market holds such numbers
        result[cell] = sig10(float(result[cell]))
    mask = (magnitude >= _SMALL) & (magnitude <= _LARGE)
    part = result[mask]
    magnitude = np.abs(part)
    exponent = np.searchsorted(_POWERS, magnitude, side="right") - 301
    places = 9 - exponent
    up, down = np.maximum(places, 0), np.maximum(-places, 0)
    scaled = np.rint(part * _POWERS[up + 300] / _POWERS[down + 300])
    result[mask] = scaled * _POWERS[down + 300] / _POWERS[up + 300]
    return result


def shift(values: NDArray[Cell], rows: int, fill: float | int) -> NDArray[Cell]:
    """Return the grid as it was `rows` rows earlier; rows before the start are `fill`."""
    if rows <= 0:
        return values
    result = np.full_like(values, fill)
    if rows < len(values):
        result[rows:] = values[:-rows]
    return result


def last_row_with(valid: NDArray[np.bool_]) -> I64:
    """Return per cell the latest row at or before it that is valid, -1 where there is none."""
    rows = np.where(valid, np.arange(len(valid), dtype=np.int64)[:, None], np.int64(-1))
    return np.maximum.accumulate(rows, axis=0)


def take_rows(values: F64, rows: I64, fill: float) -> F64:
    """Return ``values[rows[i, n], n]``, `fill` where rows is -1."""
    columns = np.arange(values.shape[1])[None, :]
    result = values[np.maximum(rows, 0), columns]
    return np.where(rows >= 0, result, fill)


def trailing_sum(values: F64, rows: int, segment: I64) -> F64:
    """Return the sum over the last `rows` rows of the row's own segment including this one, oldest first.

    Rows before the start and rows of another segment count as zero.
    """
    total = _plain_sum(values, rows, None)
    # Most columns are one segment; the others are summed again with the rows of other segments left out.
    several = np.flatnonzero((segment[1:] != segment[:-1]).any(axis=0))
    if len(several):
        total[:, several] = _plain_sum(values[:, several], rows, segment[:, several])
    return total


def _plain_sum(values: F64, rows: int, segment: I64 | None) -> F64:
    total = np.zeros_like(values)
    for back in range(min(rows, len(values)) - 1, -1, -1):
        if back == 0:
            total += values
        elif segment is None:
            total[back:] += values[:-back]
        else:
            total[back:] += np.where(segment[:-back] == segment[back:], values[:-back], 0.0)
    return total
