"""The screen: filters in a fixed order, their verdicts, the funnel, and the signals that are left.

Belongs here: who passes. Does not belong here: how good a signal is (score) or how large a position (sizing).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from throughline.configuration import RangeFilter, StrategySettings
from throughline.strategy.features import FeatureGrids, window_rows

Mask = NDArray[np.bool_]


class Verdict(IntEnum):
    """The verdict of a filter on one instrument at one instant."""

    PASSED = 0
    FAILED = 1
    MISSING_ADMITTED = 2
    MISSING_REJECTED = 3
    OFF = 4

    @property
    def text(self) -> str:
        """The word in records."""
        return self.name.lower()


VERDICT_WORDS = tuple(verdict.text for verdict in Verdict)
"""The word of each verdict in records, in the order of the codes."""

RANGE_FILTERS = ("market_cap", "volume_24h", "volatility", "rug_risk", "sentiment")
FUNNEL = ("history", *RANGE_FILTERS, "size", "momentum", "rearm")
"""The order in which instruments with a bar are removed."""


@dataclass(frozen=True)
class Screen:
    """Masks and verdicts [T, N].

    eligible: passes every filter but momentum; triggered: eligible with momentum; signals: triggered for the first
    time in `rearm_hours`. verdicts: int8 `Verdict` per range filter. removed: filter -> mask of those it removed;
    missing: filter -> mask of those it saw without a value.
    """

    eligible: Mask
    triggered: Mask
    signals: Mask
    verdicts: Mapping[str, NDArray[np.int8]]
    removed: Mapping[str, Mask]
    missing: Mapping[str, Mask]


def range_verdict(values: NDArray[np.float64], rule: RangeFilter) -> NDArray[np.int8]:
    """Return the verdict of a range filter on every cell (both ends inclusive)."""
    if not rule.enabled:
        return np.full(values.shape, Verdict.OFF, dtype=np.int8)
    absent = np.isnan(values)
    low = -np.inf if rule.minimum is None else rule.minimum
    high = np.inf if rule.maximum is None else rule.maximum
    with np.errstate(invalid="ignore"):
        inside = (values >= low) & (values <= high)
    when_missing = Verdict.MISSING_ADMITTED if rule.on_missing == "admit_flagged" else Verdict.MISSING_REJECTED
    return np.where(absent, when_missing, np.where(inside, Verdict.PASSED, Verdict.FAILED)).astype(np.int8)


def screen(grids: FeatureGrids, sizes: NDArray[np.float64], settings: StrategySettings, interval_ms: int) -> Screen:
    """Apply the filters of `settings` in the order of FUNNEL. sizes: USD to ask for [T, N], zero = too small."""
    alive = grids.has_bar.copy()
    removed: dict[str, Mask] = {}
    missing: dict[str, Mask] = {}
    verdicts: dict[str, NDArray[np.int8]] = {}

    history = grids.reference_row >= 0
    removed["history"], missing["history"] = alive & ~history, alive & ~history
    alive &= history
    for name in RANGE_FILTERS:
        verdict = range_verdict(grids.values[name], getattr(settings, name))
        verdicts[name] = verdict
        refuses = (verdict == Verdict.FAILED) | (verdict == Verdict.MISSING_REJECTED)
        removed[name] = alive & refuses
        missing[name] = alive & ((verdict == Verdict.MISSING_ADMITTED) | (verdict == Verdict.MISSING_REJECTED))
        alive &= ~refuses
    removed["size"], missing["size"] = alive & ~(sizes > 0), np.zeros_like(alive)
    alive &= sizes > 0
    eligible = alive.copy()
    with np.errstate(invalid="ignore"):
        rises = grids.values["momentum"] >= settings.momentum_minimum
    removed["momentum"], missing["momentum"] = alive & ~rises, np.zeros_like(alive)
    triggered = alive & rises

    recent = np.zeros_like(triggered)
    for back in range(1, window_rows(settings.rearm_hours, interval_ms) + 1):
        if back < len(triggered):
            recent[back:] |= triggered[:-back]
    removed["rearm"], missing["rearm"] = triggered & recent, np.zeros_like(alive)
    return Screen(eligible, triggered, triggered & ~recent, verdicts, removed, missing)


def funnel_row(result: Screen, row: int) -> list[dict[str, int | str]]:
    """Return the funnel at one instant: per filter how many it saw, removed, and saw without a value."""
    seen = int(result.eligible[row].sum()) + sum(int(result.removed[name][row].sum()) for name in FUNNEL[:-2])
    rows: list[dict[str, int | str]] = []
    for name in FUNNEL:
        removed = int(result.removed[name][row].sum())
        rows.append({"filter": name, "missing": int(result.missing[name][row].sum()), "removed": removed, "seen": seen})
        seen -= removed
    return rows
