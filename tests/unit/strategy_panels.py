"""Small panels for tests of the strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from throughline.market.panel import MarketPanel, Reference

HOUR_MS = 3_600_000
START = 1_612_137_600_000  # 2021-02-01T00:00Z


def panel(
    close: Any,
    *,
    interval_ms: int = HOUR_MS,
    volume: Any = None,
    segment: Any = None,
    references: Mapping[str, Any] | None = None,
) -> MarketPanel:
    """Return a close-only panel of [T, N] closes. segment: [T, N] of start rows; None = from the first bar on."""
    grid = np.array(close, dtype=np.float64)
    rows, columns = grid.shape
    opened = START + np.arange(rows, dtype=np.int64) * interval_ms
    if segment is None:
        has = ~np.isnan(grid)
        first = np.where(has.any(axis=0), has.argmax(axis=0), rows)
        starts = np.where(np.arange(rows)[:, None] >= first[None, :], START + first[None, :] * interval_ms, -1)
    else:
        rowed = np.array(segment, dtype=np.int64)
        starts = np.where(rowed < 0, -1, START + rowed * interval_ms)
    told = {}
    for name, values in (references or {}).items():
        array = np.array(values, dtype=np.float64)
        known = np.where(np.isnan(array), -1, opened[:, None] + interval_ms)
        told[name] = Reference(array, known, known, f"test:{name}")
    return MarketPanel(
        interval_ms=interval_ms,
        open_time=opened,
        instruments=tuple(f"I{k:02d}" for k in range(columns)),
        open=grid,
        high=grid,
        low=grid,
        close=grid,
        volume=np.full(grid.shape, np.nan) if volume is None else np.array(volume, dtype=np.float64),
        segment_start=starts.astype(np.int64),
        references=told,
        quarantined=(),
        close_only=True,
    )


def cut(whole: MarketPanel, first: int, last: int) -> MarketPanel:
    """Return rows [first, last) of a panel, as a provider that was asked for that window would give it."""
    rows = slice(first, last)
    names = ("open_time", "open", "high", "low", "close", "volume", "segment_start")
    references = {
        name: replace(
            item, values=item.values[rows], event_time=item.event_time[rows], available_at=item.available_at[rows]
        )
        for name, item in whole.references.items()
    }
    return replace(whole, references=references, **{name: getattr(whole, name)[rows] for name in names})
