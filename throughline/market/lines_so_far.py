"""Instruments' day as it was known at a bar's close: the day's canonical lines, cut off there.

A day's artifact holds the whole day. A record decided at 05:00 must not depend on what the day held later, so it names
these lines instead; cutting the day's own lines at the same bar gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from throughline.identity import time_to_ms
from throughline.market.blocks import day_blocks
from throughline.market.panel import FloatGrid, MarketPanel, Reference

_DAY_MS = 86_400_000


def lines_so_far(panel: MarketPanel, day: date, columns: Sequence[int], row: int) -> tuple[bytes, ...]:
    """Return the canonical lines of instruments on `day` with nothing after the close of panel row `row`.

    Args:
        panel: holds the whole day.
        day: of the decision.
        columns: of the instruments, ascending.
        row: of the bar at whose close is decided.

    Returns:
        A line for each column, in their order.

    Raises:
        ValueError: if the panel does not hold the whole day, or nothing is known of an instrument by then.
    """
    start = time_to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
    first = int(np.searchsorted(panel.open_time, start))
    rows = slice(first, first + _DAY_MS // panel.interval_ms)
    later = np.arange(rows.start, rows.stop)[:, None] > row
    known_until = int(panel.open_time[row]) + panel.interval_ms
    chosen = list(columns)
    names = tuple(panel.instruments[column] for column in chosen)

    def cut(grid: FloatGrid) -> FloatGrid:
        return np.where(later, np.nan, grid[rows][:, chosen])

    def last_known(item: Reference) -> Reference:
        grids = (item.values, item.event_time, item.available_at)
        values, event, available = (np.where(later, grid[row, chosen], grid[rows][:, chosen]) for grid in grids)
        return Reference(values, event, available, item.source)

    factor = panel.price_factor
    part = replace(
        panel,
        open_time=panel.open_time[rows],
        instruments=names,
        open=cut(panel.open),
        high=cut(panel.high),
        low=cut(panel.low),
        close=cut(panel.close),
        volume=cut(panel.volume),
        segment_start=panel.segment_start[rows][:, chosen],
        price_factor=None if factor is None else factor[rows][:, chosen],
        references={key: last_known(item) for key, item in panel.references.items()},
        quarantined=tuple(
            item
            for item in panel.quarantined
            if item.instrument in names and item.event_time + panel.interval_ms <= known_until
        ),
    )
    lines = day_blocks(part, day).lines
    if len(lines) != len(chosen):
        raise ValueError(f"nothing is known of one of {', '.join(names)} on {day} by row {row}")
    return lines
