"""The signals of a decision: the soulprint's components and the growth arithmetic, on what was known at its instant.

The candidate stage measures a soulprint to decide, the research stage to record it: a chunk remembers it, so that the
second one within a process does not pay again. A process that starts at research measures the same values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.configuration import Configuration
from throughline.flow.market_view import SignalMemory
from throughline.identity import score_text
from throughline.market.panel import MarketPanel, SourceDescription
from throughline.signals.growth import unified_math
from throughline.signals.vector import NAMES, SOULPRINT_SCHEMA, soulprint_vector
from throughline.signals.window import WINDOW_BARS, SignalWindow

MARKET = "market_median"
"""Name of the reference where the source has no benchmark: the median instrument of the universe."""


def signals_at(
    panel: MarketPanel, source: SourceDescription, row: int, column: int, memory: SignalMemory | None = None
) -> dict[str, Any]:
    """Return the signals of one instrument at one panel row, as a research record has them.

    Only rows at or before `row` are read, and of the instrument only those of its present segment.

    Args:
        panel: the market data.
        source: what it is; its benchmark is the reference.
        row: of the bar at whose close is decided.
        column: of the instrument.
        memory: what was measured on this panel before; gets what is measured now.
    """
    memory = SignalMemory() if memory is None else memory
    benchmark = panel.instruments.index(source.benchmark) if source.benchmark in panel.instruments else None
    values = memory.soulprints.get((row, column))
    if values is None:
        values = memory.soulprints[row, column] = _measure(panel, benchmark, row, column, memory)
    texts = {
        name: None if value != value else score_text(value) for name, value in zip(NAMES, values.tolist(), strict=True)
    }
    return {
        "missing": [name for name, text in texts.items() if text is None],
        "reference": MARKET if benchmark is None else source.benchmark,
        "schema": SOULPRINT_SCHEMA,
        "values": texts,
    }


def _measure(
    panel: MarketPanel, benchmark: int | None, row: int, column: int, memory: SignalMemory
) -> NDArray[np.float64]:
    rows = slice(max(0, row - WINDOW_BARS + 1), row + 1)
    own = panel.open_time[rows] >= panel.segment_start[row, column]

    def cut(grid: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(own, grid[rows, column], np.nan)

    index = _median_index(panel, rows, memory) if benchmark is None else panel.close[rows, benchmark]
    components = soulprint_vector(
        SignalWindow(
            close=cut(panel.close),
            high=cut(panel.high),
            low=cut(panel.low),
            volume=cut(panel.volume),
            reference_close=index,
            interval_ms=panel.interval_ms,
        )
    )
    return np.array([np.nan if (value := components[name]) is None else value for name in NAMES])


def _median_index(panel: MarketPanel, rows: slice, memory: SignalMemory) -> NDArray[np.float64]:
    """Return an index of median returns over the rows, from 1 at the first of them."""
    index = [1.0]
    for row in range(rows.start + 1, rows.stop):
        if row not in memory.market_moves:
            with np.errstate(invalid="ignore", divide="ignore"):
                ratios = panel.close[row] / panel.close[row - 1]
            known = ratios[~np.isnan(ratios)]
            memory.market_moves[row] = float(np.median(known)) if len(known) else np.nan
        index.append(index[-1] * memory.market_moves[row])
    return np.array(index)


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
    values = {
        "break_even_probability": result.break_even_probability,
        "expected_log_growth": result.expected_log_growth,
        "fraction": result.fraction,
        "probability": result.probability,
    }
    return {name: None if value is None else score_text(value) for name, value in values.items()}
