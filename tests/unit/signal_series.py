"""Series for the tests of the signals: seeded walks with holes, and windows cut from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from throughline.signals.window import F64, SignalWindow, window_at

HOUR_MS = 3_600_000


@dataclass(frozen=True, eq=False)
class Series:
    """Columns of a longer history of one instrument and its reference."""

    close: F64
    high: F64
    low: F64
    volume: F64
    reference_close: F64

    def at(self, row: int) -> SignalWindow:
        return window_at(
            row,
            close=self.close,
            high=self.high,
            low=self.low,
            volume=self.volume,
            reference_close=self.reference_close,
            interval_ms=HOUR_MS,
        )


def walk(seed: int, rows: int = 64, holes: float = 0.0, common: float = 0.5) -> Series:
    """A random walk beside a reference that it shares part of its moves with; a share of its bars is missing."""
    random = np.random.default_rng(seed)
    market, own = random.normal(0, 0.01, rows), random.normal(0, 0.02, rows)
    close = 2.0 * np.exp(np.cumsum(common * market + own))
    spread = np.abs(random.normal(0, 0.01, (2, rows)))
    missing = random.random(rows) < holes

    def cut(values: F64) -> F64:
        return np.where(missing, np.nan, values)

    return Series(
        cut(close),
        cut(close * np.exp(spread[0])),
        cut(close * np.exp(-spread[1])),
        cut(random.gamma(2.0, 1000.0, rows)),
        30_000.0 * np.exp(np.cumsum(market)),
    )


def with_another_future(series: Series, row: int, seed: int) -> Series:
    """The same history up to `row`; everything after it is drawn anew, with other prices, holes and volumes."""
    other = walk(seed, len(series.close), holes=0.3)

    def spliced(past: F64, future: F64) -> F64:
        return np.concatenate([past[: row + 1], 7.0 * future[row + 1 :]])

    return Series(
        spliced(series.close, other.close),
        spliced(series.high, other.high),
        spliced(series.low, other.low),
        spliced(series.volume, other.volume),
        spliced(series.reference_close, other.reference_close),
    )
