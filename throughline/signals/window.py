"""The trailing window that every signal reads, and the returns inside it.

Belongs here: the bars that a decision may see, cut from a longer series, and their log returns. Does not belong here:
where bars come from (market), what is measured of them (the other modules of this package).

Row i of a window is a bar that had closed by the decision; the newest is last. NaN means that no believed bar closed
there. A close is carried over such rows: the row itself has the return 0, and the move is booked by the bar that ends
the gap, as a holder would have lived through it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
BOOL = NDArray[np.bool_]

WINDOW_BARS = 64
"""Bars in a window. Part of the schema: another length is another soulprint."""
_SMALLEST = 5e-324  # the smallest price above 0 that a double holds


def _column(name: str, values: object, rows: int) -> F64:
    column = np.asarray(values, dtype=np.float64)
    if column.shape != (rows,):
        raise ValueError(f"the window's {name} has shape {column.shape}, its close has {rows} rows: give one per bar")
    impossible = (column < (0.0 if name == "volume" else _SMALLEST)) | (column == np.inf)  # NaN is neither
    if impossible.any():
        raise ValueError(
            f"the window's {name} holds {column[impossible][0]}, which no bar has: give NaN for a missing bar"
        )
    return column


@dataclass(frozen=True, eq=False)
class SignalWindow:
    """What a decision may see of one instrument, float64 [n <= 64] each, newest last, NaN = no believed bar.

    `close`, `high`, `low` and `reference_close` (the market index or another frozen reference) are prices in any one
    unit, `volume` is in any one unit (NaN = unknown, 0 = none traded); `interval_ms` is the length of a bar. Rows of
    another instrument segment must be NaN. Raises ValueError for other shapes, more than 64 rows, infinities, prices
    that are not positive and negative volumes.
    """

    close: F64
    high: F64
    low: F64
    volume: F64
    reference_close: F64
    interval_ms: int

    def __post_init__(self) -> None:
        rows = len(self.close)
        if rows > WINDOW_BARS:
            raise ValueError(f"a window holds at most {WINDOW_BARS} bars, here are {rows}: cut it with window_at")
        if self.interval_ms <= 0:
            raise ValueError(f"interval_ms is {self.interval_ms}: give the length of a bar in milliseconds")
        for name in ("close", "high", "low", "volume", "reference_close"):
            object.__setattr__(self, name, _column(name, getattr(self, name), rows))


def window_at(
    row: int, *, close: F64, high: F64, low: F64, volume: F64, reference_close: F64, interval_ms: int
) -> SignalWindow:
    """Return the window of the last `WINDOW_BARS` rows of longer series up to and including `row`; nothing after it."""
    if not 0 <= row < len(close):
        raise ValueError(f"row {row} is not among the {len(close)} rows of the series")
    part = slice(max(0, row - WINDOW_BARS + 1), row + 1)
    return SignalWindow(close[part], high[part], low[part], volume[part], reference_close[part], interval_ms)


@dataclass(frozen=True, eq=False)
class Returns:
    """Log returns of a window: `values` [n - 1] from the second row on; `known` where a bar closed on that row.

    `bars` counts the bars with a close, the first included.
    """

    values: F64
    known: BOOL
    bars: int


def log_returns(close: F64) -> Returns:
    """Return the log returns since the last known close, 0 on rows without a bar; rows before the first are dropped."""
    return _log_returns(np.ascontiguousarray(close).tobytes())


@lru_cache(maxsize=8)
def _log_returns(closes: bytes) -> Returns:
    """Compute `log_returns` of a series (its bytes), read-only: one window asks more than once, and the candidates of
    one instant share their reference."""
    prices = np.frombuffer(closes).tolist()
    known = [price == price for price in prices]  # NaN is not equal to itself
    first = known.index(True) if True in known else len(prices)
    values: list[float] = []
    last = prices[first] if first < len(prices) else 1.0
    for price in prices[first + 1 :]:
        if price == price:
            values.append(math.log(price / last))
            last = price
        else:
            values.append(0.0)
    result = Returns(np.array(values, dtype=np.float64), np.array(known[first + 1 :], dtype=np.bool_), sum(known))
    result.values.flags.writeable = result.known.flags.writeable = False
    return result


def paired_returns(close: F64, reference_close: F64) -> tuple[F64, F64, int]:
    """Return the log returns of both series over the rows where both have begun, and how many rows have both closes."""
    both = ~np.isnan(close) & ~np.isnan(reference_close)
    begun = (~np.isnan(close)).cumsum().astype(bool) & (~np.isnan(reference_close)).cumsum().astype(bool)
    if not begun.any():
        return np.zeros(0), np.zeros(0), 0
    start = int(np.argmax(begun))
    a, b = _carried(close, start), _carried(reference_close, start)
    return log_returns(a).values, log_returns(b).values, int(both.sum())


def _carried(close: F64, start: int) -> F64:
    """`close` from `start` on, beginning with the close last known there."""
    part = close[start:].copy()
    if math.isnan(part[0]):
        before = close[:start]
        part[0] = before[~np.isnan(before)][-1]
    return part
