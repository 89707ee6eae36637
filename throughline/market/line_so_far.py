"""One instrument's day as it was known at a bar's close: the day's canonical line, cut off there.

A day's artifact holds the whole day. A record decided at 05:00 must not depend on what the day holds later, so it names
this line instead; cutting the day's own line at the same bar gives the same bytes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from throughline.identity import time_to_ms
from throughline.market.blocks import day_blocks
from throughline.market.panel import FloatGrid, MarketPanel, Reference

_DAY_MS = 86_400_000


def line_so_far(panel: MarketPanel, day: date, column: int, row: int) -> bytes:
    """Return the canonical line of instrument `column` on `day` with nothing after the close of panel row `row`.

    Raises ValueError if the panel does not hold the whole day, or nothing is known of the instrument by then.
    """
    start = time_to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
    first = int(np.searchsorted(panel.open_time, start))
    rows = slice(first, first + _DAY_MS // panel.interval_ms)
    later = np.arange(rows.start, rows.stop)[:, None] > row
    known_until = int(panel.open_time[row]) + panel.interval_ms

    def cut(grid: FloatGrid) -> FloatGrid:
        return np.where(later, np.nan, grid[rows, column : column + 1])

    def cut_reference(item: Reference) -> Reference:
        values = np.where(later, item.values[row, column], item.values[rows, column : column + 1])
        event = np.where(later, item.event_time[row, column], item.event_time[rows, column : column + 1])
        available = np.where(later, item.available_at[row, column], item.available_at[rows, column : column + 1])
        return Reference(values, event, available, item.source)

    name = panel.instruments[column]
    part = replace(
        panel,
        open_time=panel.open_time[rows],
        instruments=(name,),
        open=cut(panel.open),
        high=cut(panel.high),
        low=cut(panel.low),
        close=cut(panel.close),
        volume=cut(panel.volume),
        segment_start=panel.segment_start[rows, column : column + 1],
        price_factor=None if panel.price_factor is None else panel.price_factor[rows, column : column + 1],
        references={key: cut_reference(item) for key, item in panel.references.items()},
        quarantined=tuple(
            item
            for item in panel.quarantined
            if item.instrument == name and item.event_time + panel.interval_ms <= known_until
        ),
    )
    lines = day_blocks(part, day).lines
    if not lines:
        raise ValueError(f"nothing is known of {name} on {day} by row {row}")
    return lines[0]
