"""The engine's bars for one day: the few instruments that matter, with what was known at each bar's open."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np
from numpy.typing import NDArray

from throughline.flow.market_view import DAY, ScreenedChunk, day_ms
from throughline.market.panel import MarketPanel
from throughline.strategy.features import rug_evidence
from throughline.trading.types import Bars


def day_bars(chunk: ScreenedChunk, panel: MarketPanel, day: date, tickers: Iterable[str], threshold: float) -> Bars:
    """Return the bars of `day` for `tickers` (unknown ones have none), instruments ordered by their bytes.

    `panel` is the chunk's own, or the one before blocked days were taken out. Liquidity, volatility, pool reserve and
    rug evidence of a bar are those known at its open: the row before. Evidence is a rug risk of at least `threshold`,
    or a pool that lost half of its reserve.
    """
    wanted = sorted(set(tickers), key=lambda name: name.encode())
    index = {name: k for k, name in enumerate(panel.instruments)}
    first = int(np.searchsorted(panel.open_time, day_ms(day)))
    last = int(np.searchsorted(panel.open_time, day_ms(day + DAY)))
    starts = [0]
    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    for name in wanted:
        column = index.get(name, -1)
        held = np.flatnonzero(~np.isnan(panel.close[first:last, column])) if column >= 0 else np.zeros(0, np.int64)
        rows.append(first + held)
        columns.append(np.full(len(held), column, dtype=np.int64))
        starts.append(starts[-1] + len(held))
    r = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    c = np.concatenate(columns) if columns else np.zeros(0, np.int64)

    def before(grid: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.ascontiguousarray(grid[r - 1, c])

    values = chunk.features.values
    evidence = rug_evidence(before(values["rug_risk"]), before(values["reserve_drop"]), threshold)
    reserve = panel.references.get("pool_reserve")
    return Bars(
        instruments=tuple(wanted),
        starts=np.array(starts, dtype=np.int64),
        open_time=np.ascontiguousarray(panel.open_time[r]),
        open=np.ascontiguousarray(panel.open[r, c]),
        high=np.ascontiguousarray(panel.high[r, c]),
        low=np.ascontiguousarray(panel.low[r, c]),
        close=np.ascontiguousarray(panel.close[r, c]),
        interval_ms=panel.interval_ms,
        volume=np.ascontiguousarray(panel.volume[r, c]),
        liquidity=before(values["volume_24h"]),
        volatility=before(values["volatility"]),
        reserve=before(reserve.values) if reserve is not None else None,
        rug=evidence.astype(np.int8),
        segment=np.ascontiguousarray(panel.segment_start[r, c]),
        close_only=panel.close_only,
    )
