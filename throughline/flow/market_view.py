"""One chunk of market data with everything the stages derive from it, computed once per process and window.

The view is a memory, not a state: every value is a function of the provider's data alone and does not depend on the
window, so any stage may ask in any order. It holds one chunk at a time: memory is bounded by the chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.configuration import Configuration
from throughline.identity import sha256_hex, time_to_ms
from throughline.market.blocks import DayBlocks, day_blocks
from throughline.market.panel import MarketDataProvider, MarketPanel, Reference
from throughline.signals.vector import signal_days
from throughline.strategy.features import FeatureGrids, compute_features, lookback_days
from throughline.strategy.screen import Screen, screen
from throughline.strategy.sizing import position_size

DAY = timedelta(days=1)


def midnight(day: date) -> datetime:
    """Return the first instant of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def day_ms(day: date) -> int:
    """Return the first instant of a UTC day in Unix milliseconds."""
    return time_to_ms(midnight(day))


@dataclass(frozen=True)
class ScreenedChunk:
    """A panel with its features and screen; `blocked` days' bars are taken out of it as if they were a gap.

    signals: (row, column) -> the signals computed so far; a memory, every value of it follows from the panel.
    """

    panel: MarketPanel
    features: FeatureGrids
    sizes: NDArray[np.float64]
    screen: Screen
    signals: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict, compare=False, repr=False)


def without_days(panel: MarketPanel, days: frozenset[date]) -> MarketPanel:
    """Return the panel with the bars of `days` missing; segments stay as they are (a blocked day is not a halt)."""
    if not days:
        return panel
    gone = np.zeros(len(panel.open_time), dtype=bool)
    for day in days:
        gone |= (panel.open_time >= day_ms(day)) & (panel.open_time < day_ms(day + DAY))

    def cut(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(gone[:, None], np.nan, values)

    references = {name: replace(item, values=cut(item.values)) for name, item in panel.references.items()}
    return replace(
        panel,
        open=cut(panel.open),
        high=cut(panel.high),
        low=cut(panel.low),
        close=cut(panel.close),
        volume=cut(panel.volume),
        references=references,
    )


class MarketView:
    """Chunks of one provider for one strategy's windows."""

    def __init__(self, provider: MarketDataProvider, configuration: Configuration, margin_days: int = 0) -> None:
        """`margin_days`: how many more days before a chunk some stage will ask for; loaded at once, not twice.

        `lookback`: days before a day that its scan reads; `reach`: that or, where it is longer, what the signals read.
        """
        self._provider = provider
        self._settings = configuration.strategy
        self._sizing = configuration.sizing
        self._margin = margin_days
        interval = provider.description.interval_ms
        self.lookback = lookback_days(configuration.strategy, interval)
        self.reach = max(self.lookback, signal_days(interval))
        self._panel: tuple[date, date, MarketPanel] | None = None
        self._screened: tuple[tuple[date, date, frozenset[date]], ScreenedChunk] | None = None
        self._roots: dict[date, tuple[str, str]] = {}

    def panel(self, first: date, last: date) -> MarketPanel:
        """Return a panel that holds the bars of [first, last] and those of the days within reach before them."""
        start = first - self.reach * DAY
        if self._panel is None or self._panel[0] > start or self._panel[1] < last:
            start -= self._margin * DAY
            loaded = self._provider.load(midnight(start), midnight(last + DAY))
            self._panel = (start, last, loaded)
            self._screened = None
        return self._panel[2]

    def screened(self, first: date, last: date, blocked: frozenset[date]) -> ScreenedChunk:
        """Return features and screen over a panel that holds [first, last], blocked days taken out."""
        panel = self.panel(first, last)
        assert self._panel is not None
        key = (self._panel[0], self._panel[1], blocked)
        if self._screened is None or self._screened[0] != key:
            cleaned = without_days(panel, blocked)
            features = compute_features(cleaned, self._settings)
            sizes = position_size(features.values["volatility"], features.values["volume_24h"], self._sizing)
            result = screen(features, sizes, self._settings, panel.interval_ms)
            self._screened = (key, ScreenedChunk(cleaned, features, sizes, result))
        return self._screened[1]

    def read_days(self, days: Sequence[date]) -> list[date]:
        """Return every day that the stages read for `days`: themselves and all before them within reach, in order."""
        first, last = min(days), max(days)
        span = (last - first).days + self.reach
        return [last - k * DAY for k in range(span, -1, -1)]

    def blocks(self, day: date) -> DayBlocks:
        """Return the canonical blocks of one day."""
        held = self._panel
        panel = (
            held[2] if held and held[0] <= day <= held[1] else self._provider.load(midnight(day), midnight(day + DAY))
        )
        blocks = day_blocks(panel, day)
        self._roots[day] = (blocks.root, sha256_hex(artifact_bytes(blocks)))
        return blocks

    def root(self, day: date) -> str:
        """Return the seal that the day's bars have as they read now."""
        if day not in self._roots:
            self.blocks(day)
        return self._roots[day][0]

    def artifact(self, day: date) -> str:
        """Return the hash of the artifact that holds the day's bars."""
        if day not in self._roots:
            self.blocks(day)
        return self._roots[day][1]


def artifact_bytes(blocks: DayBlocks) -> bytes:
    """Return the bytes stored for a day of bars: its canonical lines, each ended by a newline."""
    return b"".join(line + b"\n" for line in blocks.lines)


def known_at(reference: Reference, row: int, column: int) -> tuple[float | None, int, int]:
    """Return (value or None, event time, available at) of a reference cell."""
    value = float(reference.values[row, column])
    if value != value:
        return None, -1, -1
    return value, int(reference.event_time[row, column]), int(reference.available_at[row, column])
