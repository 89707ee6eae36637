"""The signals of a decision: the soulprint's components and the growth arithmetic, on what was known at its instant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.configuration import Configuration
from throughline.identity import score_text
from throughline.market.panel import MarketPanel, SourceDescription
from throughline.signals.growth import unified_math
from throughline.signals.vector import SOULPRINT_SCHEMA, soulprint_vector, vector_text
from throughline.signals.window import WINDOW_BARS, SignalWindow

MARKET = "market_median"
"""Name of the reference where the source has no benchmark: the median instrument of the universe."""


def signals_at(panel: MarketPanel, source: SourceDescription, row: int, column: int) -> dict[str, Any]:
    """Return what a research record says of the signals of one instrument at one panel row.

    Only rows at or before `row` are read, and of the instrument only those of its present segment.
    """
    rows = slice(max(0, row - WINDOW_BARS + 1), row + 1)
    own = panel.open_time[rows] >= panel.segment_start[row, column]

    def cut(grid: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(own, grid[rows, column], np.nan)

    name, reference = _reference(panel, source, rows)
    values = soulprint_vector(
        SignalWindow(
            close=cut(panel.close),
            high=cut(panel.high),
            low=cut(panel.low),
            volume=cut(panel.volume),
            reference_close=reference,
            interval_ms=panel.interval_ms,
        )
    )
    return {
        "missing": sorted(key for key, value in values.items() if value is None),
        "reference": name,
        "schema": SOULPRINT_SCHEMA,
        "values": vector_text(values),
    }


def _reference(panel: MarketPanel, source: SourceDescription, rows: slice) -> tuple[str, NDArray[np.float64]]:
    """Return the reference's name and closes: the source's benchmark, else an index of median returns from 1."""
    if source.benchmark is not None and source.benchmark in panel.instruments:
        return source.benchmark, panel.close[rows, panel.instruments.index(source.benchmark)]
    closes = panel.close[rows]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = closes[1:] / closes[:-1]
    index = [1.0]
    for line in ratios:
        known = line[~np.isnan(line)]
        index.append(index[-1] * float(np.median(known)) if len(known) else np.nan)
    return MARKET, np.array(index)


def math_at(settings: Configuration, source: SourceDescription, volatility: float | None) -> dict[str, str | None]:
    """Return the growth arithmetic of a decision that no model scored: what the odds would have to be.

    target, stop and cost are those of the exit rules and the configured costs both ways; the rug probability is the
    source's measured total loss over the longest hold. Without a calibrated probability there is no expected growth
    and no fraction: nothing stands in for one. Where stop and costs together take the whole stake, growth is not
    defined and nothing is said.
    """
    costs = settings.costs
    both_ways = 2 * (costs.fee + costs.half_spread + costs.impact_floor)
    if settings.exits.stop_loss + both_ways >= 1:
        return dict.fromkeys(("break_even_probability", "expected_log_growth", "fraction", "probability"))
    result = unified_math(
        probability=None,
        target=settings.exits.take_profit,
        stop=settings.exits.stop_loss,
        cost=both_ways,
        rug_probability=source.attrition_per_48h * settings.exits.max_hold_hours / 48,
        volatility=volatility,
        target_volatility=settings.sizing.target_volatility,
        max_fraction=1 / settings.sizing.max_positions,
    )
    told = {
        "break_even_probability": result.break_even_probability,
        "expected_log_growth": result.expected_log_growth,
        "fraction": result.fraction,
        "probability": result.probability,
    }
    return {name: None if value is None else score_text(value) for name, value in told.items()}
