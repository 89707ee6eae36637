"""What is measured of every instrument at every bar's close: momentum, volatility, volume, cap, rug risk, sentiment.

Row i of a grid is known at the close of bar i and uses rows at or before i of the same instrument segment. Missing is
NaN, never zero. All values are rounded to 10 significant digits before anything compares, ranks or records them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughline.configuration import StrategySettings
from throughline.market.panel import MarketPanel
from throughline.strategy.windows import F64, last_row_with, round_sig10, shift, take_rows, trailing_sum

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

FEATURES = ("momentum", "volatility", "volume_24h", "market_cap", "rug_risk", "reserve_drop", "sentiment")


@dataclass(frozen=True)
class FeatureGrids:
    """Grids [T, N]. `values` by feature name (float64, NaN = missing); has_bar: a believed bar closes on this row;
    reference_row: the row whose close momentum is measured from (-1 = none)."""

    values: Mapping[str, F64]
    has_bar: NDArray[np.bool_]
    reference_row: NDArray[np.int64]


def window_rows(hours: int, interval_ms: int) -> int:
    """Return how many bars make up `hours` (rounded up, at least one)."""
    return max(1, math.ceil(hours * HOUR_MS / interval_ms))


def lookback_days(settings: StrategySettings, interval_ms: int) -> int:
    """Return how many whole days before a day the features, the re-arm rule and their references can reach.

    The longest window, plus 24 h for the as-of reference close (a gap within a segment is shorter than that), plus the
    re-arm window, plus one bar.
    """
    longest = max(settings.momentum_window_hours + 24, settings.volatility_window_hours + 24, 48)
    return math.ceil(((longest + settings.rearm_hours) * HOUR_MS + 2 * interval_ms) / DAY_MS)


def _clip01(values: F64) -> F64:
    return np.minimum(np.maximum(values, 0.0), 1.0)


def rug_risk(top10: F64, locked: F64, reserve_drop: F64) -> F64:
    """Return rug risk in [0, 1] from what is known: NaN where nothing is.

    Structure is the mean of the known ones of holder concentration ((top-10 share - 0.2) / 0.6) and unlocked liquidity
    (1 - locked share); evidence is the fall of the pool's reserve over 24 h. Risk is the larger of the two
    (holder concentration, lock share and liquidity removal are the common predictors: Mazorra, Adan and Daza 2022,
    arXiv:2201.07220; CRPWarner 2024, arXiv:2403.01425).
    """
    parts = np.stack([_clip01((top10 - 0.2) / 0.6), _clip01(1.0 - locked)])
    known = ~np.isnan(parts)
    count = known[0].astype(np.float64) + known[1]
    total = np.where(known[0], parts[0], 0.0) + np.where(known[1], parts[1], 0.0)
    structure = np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
    return np.fmax(structure, _clip01(reserve_drop))


EVIDENCE_DROP = 0.5
"""A pool that lost half of its reserve within 24 h is rug evidence whatever the other scores say."""


def rug_evidence(risk: F64, reserve_drop: F64, threshold: float) -> NDArray[np.bool_]:
    """Return where there is evidence of a rug pull: a risk of at least `threshold`, or a pool that lost its reserve."""
    with np.errstate(invalid="ignore"):
        return (risk >= threshold) | (reserve_drop >= EVIDENCE_DROP)


def _reference(panel: MarketPanel, name: str) -> F64:
    known = panel.references.get(name)
    return known.values if known is not None else np.full(panel.close.shape, np.nan)


def compute_features(panel: MarketPanel, settings: StrategySettings) -> FeatureGrids:
    """Return the feature grids of a panel. Rows nearer to its start than `lookback_days` are incomplete."""
    has_bar = ~np.isnan(panel.close)
    segment = panel.segment_start
    last = last_row_with(has_bar)

    back = window_rows(settings.momentum_window_hours, panel.interval_ms)
    reference_row = np.where(shift(segment, back, -1) == segment, shift(last, back, -1), -1)
    reference_row = np.where(has_bar & (segment >= 0), reference_row, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        momentum = panel.close / take_rows(panel.close, reference_row, np.nan) - 1.0

        previous_row = np.where(shift(segment, 1, -1) == segment, shift(last, 1, -1), -1)
        returns = panel.close / take_rows(panel.close, previous_row, np.nan) - 1.0
    volatility = _volatility(returns, window_rows(settings.volatility_window_hours, panel.interval_ms), panel)

    day_rows = window_rows(24, panel.interval_ms)
    volume = _volume_24h(panel, has_bar, day_rows)
    reserve = _reference(panel, "pool_reserve")
    with np.errstate(invalid="ignore", divide="ignore"):
        day_before = np.where(shift(segment, day_rows, -1) == segment, shift(reserve, day_rows, np.nan), np.nan)
        reserve_drop = 1.0 - reserve / day_before
    values = {
        "momentum": momentum,
        "volatility": volatility,
        "volume_24h": volume,
        "market_cap": _reference(panel, "market_cap"),
        "rug_risk": rug_risk(_reference(panel, "top10_share"), _reference(panel, "lp_locked_share"), reserve_drop),
        "reserve_drop": reserve_drop,
        "sentiment": _reference(panel, "sentiment"),
    }
    return FeatureGrids({name: round_sig10(grid) for name, grid in values.items()}, has_bar, reference_row)


def _volatility(returns: F64, rows: int, panel: MarketPanel) -> F64:
    """Daily standard deviation (n - 1) of simple bar returns in the window; NaN below half of a full window."""
    known = ~np.isnan(returns)
    filled = np.where(known, returns, 0.0)
    count = trailing_sum(known.astype(np.float64), rows, panel.segment_start)
    total = trailing_sum(filled, rows, panel.segment_start)
    squares = trailing_sum(filled * filled, rows, panel.segment_start)
    needed = max(2, rows // 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (squares - total * total / count) / (count - 1.0)
    daily = np.sqrt(np.maximum(variance, 0.0) * (DAY_MS / panel.interval_ms))
    return np.where(count >= needed, daily, np.nan)


def _volume_24h(panel: MarketPanel, has_bar: NDArray[np.bool_], rows: int) -> F64:
    """Quote volume of the bars of the last 24 h, NaN where one of them has no volume; else what a source reports."""
    unknown = trailing_sum((has_bar & np.isnan(panel.volume)).astype(np.float64), rows, panel.segment_start)
    total = trailing_sum(np.where(np.isnan(panel.volume), 0.0, panel.volume), rows, panel.segment_start)
    own = np.where((unknown > 0) | ~has_bar, np.nan, total)
    return np.where(np.isnan(own), _reference(panel, "volume_24h"), own)
