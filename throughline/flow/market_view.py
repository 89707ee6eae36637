"""One chunk of market data with everything the stages derive from it, computed once per process and window.

The view is a memory, not a state: every value is a function of the provider's data alone and does not depend on the
window, so any stage may ask in any order. It holds one chunk at a time: memory is bounded by the chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

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
class SignalMemory:
    """What was measured on a panel so far; every value of it follows from the panel.

    Args:
        soulprints: (row, column) -> components of the soulprint, [k], NaN where unknown: a few hundred bytes each.
        market_moves: row -> median ratio of the closes to those of the row before.
    """

    soulprints: dict[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict)
    market_moves: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ScreenedChunk:
    """A panel with its features and screen; the bars of blocked days are taken out of it as if they were a gap.

    Args:
        panel: market data with the bars of blocked days missing.
        features: feature grids over the panel.
        sizes: USD that the strategy asks for, [T, N].
        screen: who passes the filters at each row.
        signals: the signals measured so far.
    """

    panel: MarketPanel
    features: FeatureGrids
    sizes: NDArray[np.float64]
    screen: Screen
    signals: SignalMemory = field(default_factory=SignalMemory, compare=False, repr=False)


def without_days(panel: MarketPanel, days: frozenset[date]) -> MarketPanel:
    """Return the panel with the bars of `days` missing; segments stay as they are (a blocked day is not a halt)."""
    if not days:
        return panel
    missing = np.zeros(len(panel.open_time), dtype=bool)
    for day in days:
        missing |= (panel.open_time >= day_ms(day)) & (panel.open_time < day_ms(day + DAY))

    def cut(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(missing[:, None], np.nan, values)

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

    def __init__(self, provider: MarketDataProvider, configuration: Configuration) -> None:
        """Set `lookback`, the days before a day that its scan reads, and `reach`: that or what the signals read."""
        self._provider = provider
        self._settings = configuration.strategy
        self._sizing = configuration.sizing
        interval = provider.description.interval_ms
        self.lookback = lookback_days(configuration.strategy, interval)
        self.reach = max(self.lookback, signal_days(interval))
        self._panel: tuple[date, date, MarketPanel] | None = None
        self._screened: tuple[tuple[date, date, frozenset[date]], ScreenedChunk] | None = None
        self._roots: dict[date, tuple[str, str]] = {}

    def panel(self, first: date, last: date) -> MarketPanel:
        """Return a panel that holds the bars of [first, last] and those of the days within reach before them."""
        return self.bars(first - self.reach * DAY, last)

    def bars(self, first: date, last: date) -> MarketPanel:
        """Return a panel that holds the bars of [first, last], and may hold more."""
        if self._panel is None or self._panel[0] > first or self._panel[1] < last:
            self._panel = (first, last, self._provider.load(midnight(first), midnight(last + DAY)))
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
        known = self._panel
        if known is not None and known[0] <= day <= known[1]:
            panel = known[2]
        else:
            panel = self._provider.load(midnight(day), midnight(day + DAY))
        blocks = day_blocks(panel, day)
        self._roots[day] = (blocks.root, sha256_hex(artifact_bytes(blocks.lines)))
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


def artifact_bytes(lines: Iterable[bytes]) -> bytes:
    """Return the bytes stored for canonical lines of bars: each ended by a newline."""
    return b"".join(line + b"\n" for line in lines)


def known_at(reference: Reference, row: int, column: int) -> tuple[float | None, int, int]:
    """Return (value or None, event time, available at) of a reference cell."""
    value = float(reference.values[row, column])
    if value != value:
        return None, -1, -1
    return value, int(reference.event_time[row, column]), int(reference.available_at[row, column])
