"""Rows of bars as read, and the thresholds of cleaning: what the modules of cleaning share.

Belongs here: the two data structures. Does not belong here: any judgement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.identity import decimal_text
from throughline.market.jumps import DOUBTFUL_JUMP

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
Mask = NDArray[np.bool_]

HOUR_MS = 3_600_000
LARGEST = 1e20
"""Amounts from here on do not fit NUMERIC(38,18)."""


@dataclass(frozen=True)
class CleaningRules:
    """Thresholds. Prices in USD, factors are ratios, times in ms, `stale_bars` a number of bars.

    doubtful_jump: by which the first price of a bar may differ from the close of the bar before it, up or down, unless
    `segment_gap_ms` lie between them; the defaults and their reasons are in `jumps`. jump_up_factor: what a high is
    compared with; a bar that reaches it is refused where it follows the bar before it directly.
    """

    smallest_price: float = 1e-15
    jump_up_factor: float = 10.0
    doubtful_jump: float = DOUBTFUL_JUMP
    segment_gap_ms: int = 24 * HOUR_MS
    stale_bars: int = 24

    def identity(self) -> dict[str, Any]:
        """Return the thresholds as a canonical body."""
        return {
            "doubtful_jump": decimal_text(self.doubtful_jump),
            "jump_up_factor": decimal_text(self.jump_up_factor),
            "segment_gap_ms": self.segment_gap_ms,
            "smallest_price": decimal_text(self.smallest_price),
            "stale_bars": self.stale_bars,
        }


@dataclass(frozen=True)
class RawBars:
    """Rows as read, sorted by (code, time), ties in any order. All arrays have one length.

    code: instrument number; time: bar open, Unix ms; prices and volume (quote, USD; NaN = unknown) as read. With closes
    only the four price arrays are one and the same. `extra`: further columns of the rows, compared for duplicates.
    """

    code: I32
    time: I64
    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    extra: tuple[F64, ...] = ()

    @property
    def close_only(self) -> bool:
        """Say whether the rows have closes and nothing else."""
        return self.open is self.close

    def with_prices(self, o: F64, h: F64, low: F64, c: F64) -> RawBars:
        """Return the rows with other prices; `o` is `c` keeps them closes only."""
        return replace(self, open=o, high=h, low=low, close=c)

    def scaled(self, factor: F64) -> RawBars:
        """Return the rows with their prices multiplied (volumes are amounts of money and stay)."""
        if (factor == 1.0).all():
            return self
        if self.close_only:
            c = self.close * factor
            return self.with_prices(c, c, c, c)
        return self.with_prices(self.open * factor, self.high * factor, self.low * factor, self.close * factor)
