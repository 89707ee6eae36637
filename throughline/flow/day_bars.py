"""What the engine gets: the bars of a few instruments with what was known at each open, and the entries on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from throughline.flow.market_view import DAY, day_ms
from throughline.market.blocks import segment_ms
from throughline.market.panel import MarketPanel
from throughline.strategy.features import FeatureGrids, rug_evidence
from throughline.tracking.day_records import Candidate
from throughline.trading.types import Bars, Entries


def panel_bars(
    panel: MarketPanel, features: FeatureGrids, rows: slice, instruments: Sequence[str], threshold: float
) -> Bars:
    """Return the bars of panel rows as the engine reads them.

    Liquidity, volatility, pool reserve and rug evidence of a bar are those known at its open: the row before (missing
    at the panel's first row).

    Args:
        panel: the market data; it may hold bars that the features were not computed with (days blocked by a gate).
        features: grids over the same rows and columns.
        rows: which rows, from an explicit start to an explicit stop.
        instruments: names in the order of the result; one that the panel does not have gets no bars.
        threshold: rug risk that is evidence of a rug pull; a pool that lost half of its reserve is evidence as well.

    Returns:
        Bars by instrument, each in order of time.
    """
    index = {name: k for k, name in enumerate(panel.instruments)}
    at = np.array([index.get(name, -1) for name in instruments], dtype=np.int64)
    present = ~np.isnan(panel.close[rows].T[at]) & (at >= 0)[:, None]
    place, offset = np.nonzero(present)
    row, column = rows.start + offset, at[place]
    before = row - 1

    def known(grid: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(before >= 0, grid[before, column], np.nan)

    values = features.values
    evidence = rug_evidence(known(values["rug_risk"]), known(values["reserve_drop"]), threshold)
    reserve = panel.references.get("pool_reserve")
    return Bars(
        instruments=tuple(instruments),
        starts=np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64),
        open_time=panel.open_time[row],
        open=panel.open[row, column],
        high=panel.high[row, column],
        low=panel.low[row, column],
        close=panel.close[row, column],
        interval_ms=panel.interval_ms,
        volume=panel.volume[row, column],
        liquidity=known(values["volume_24h"]),
        volatility=known(values["volatility"]),
        reserve=known(reserve.values) if reserve is not None else None,
        rug=evidence.astype(np.int8),
        segment=panel.segment_start[row, column],
        close_only=panel.close_only,
    )


def day_bars(panel: MarketPanel, features: FeatureGrids, day: date, names: Iterable[str], threshold: float) -> Bars:
    """Return the bars of these instruments that open on `day`, instruments ordered by the bytes of their names."""
    first, stop = np.searchsorted(panel.open_time, [day_ms(day), day_ms(day + DAY)])
    instruments = sorted(set(names), key=lambda name: name.encode())
    return panel_bars(panel, features, slice(int(first), int(stop)), instruments, threshold)


def entries_of(candidates: Sequence[Candidate], bars: Bars, notional: NDArray[np.float64]) -> Entries:
    """Return the entries that candidates ask for on `bars`, in their order. notional: USD of each."""
    index = {name: k for k, name in enumerate(bars.instruments)}
    return Entries(
        instrument=np.array([index[item.instrument] for item in candidates], dtype=np.int32),
        decision_time=np.array([item.decision_ms for item in candidates], dtype=np.int64),
        score=np.array([item.opportunity for item in candidates], dtype=np.float64),
        notional=notional,
        segment=np.array([segment_ms(item.segment) for item in candidates], dtype=np.int64),
    )
