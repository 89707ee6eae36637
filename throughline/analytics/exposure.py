"""How much of a portfolio was invested: the share of its equity that was in positions, weighted by time.

Belongs here: the share of each day from the times and sizes of positions. Does not belong here: where these come from
(ledger, random_entries).

What is invested at the end of a day leaves out every position that was entered and sold within the day: on daily bars a
stop ends most positions on the day of their entry, so that day ends showed 21 % where 37 % of the money was at work.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from throughline.trading.types import F64, I64

_NEVER = 2**62
"""End of a position that is still open, Unix ms: after every range."""


@dataclass(frozen=True)
class Stakes:
    """Positions of a portfolio. entry, end: [n] Unix ms from when to when each was open; one that is still open ends
    with the range or later. notional: [n] USD paid for it."""

    entry: I64
    end: I64
    notional: F64

    def joined(self, later: Stakes) -> Stakes:
        """Return the positions of both."""
        return Stakes(
            np.append(self.entry, later.entry),
            np.append(self.end, later.end),
            np.append(self.notional, later.notional),
        )

    def with_open(self, positions: Iterable[tuple[int, float]]) -> Stakes:
        """Return these and positions that are still open. positions: (entry in Unix ms, USD paid) of each."""
        return self.joined(stakes_of((entry, _NEVER, paid) for entry, paid in positions))


def stakes_of(rows: Iterable[tuple[int, int, float]]) -> Stakes:
    """Return positions from (entry, end, notional) of each."""
    listed = list(rows)
    entry, end = (np.array([row[k] for row in listed], dtype=np.int64) for k in (0, 1))
    return Stakes(entry, end, np.array([row[2] for row in listed], dtype=np.float64))


NO_STAKES = stakes_of(())


def invested_shares(stakes: Stakes, edges: Sequence[int], equity: Sequence[float]) -> list[float]:
    """Return the invested share of each day: its positions, each weighted by the part of the day in which it was open.

    Args:
        stakes: positions that were open at some time of the range.
        edges: [D + 1] the instants that begin and end the days, Unix ms, ascending.
        equity: [D] equity at the start of each day, USD.

    Returns:
        D shares. A position counts by what was paid for it as a share of the equity at the start of the day of its
        entry (of the first day, for one that was carried into the range). Zero where there was no equity.
    """
    bounds, worth = np.asarray(edges, dtype=np.int64), np.asarray(equity, dtype=np.float64)
    days = len(worth)
    first = np.clip(np.searchsorted(bounds, stakes.entry, side="right") - 1, 0, days - 1)
    last = np.clip(np.searchsorted(bounds, stakes.end, side="left") - 1, 0, days - 1)
    positive = worth > 0.0
    share = np.where(positive[first], stakes.notional / np.where(positive, worth, 1.0)[first], 0.0)
    total = np.zeros(days)
    for after in range(int((last - first).max(initial=-1)) + 1):
        inside = first + after <= last
        day = (first + after)[inside]
        begin = np.maximum(stakes.entry[inside], bounds[day])
        open_ms = np.maximum(np.minimum(stakes.end[inside], bounds[day + 1]) - begin, 0)
        np.add.at(total, day, share[inside] * (open_ms / (bounds[day + 1] - bounds[day])))
    return [float(value) for value in total]


def mean_share(shares: Sequence[float]) -> float | None:
    """Return the mean of the days' shares; None without a day."""
    return math.fsum(shares) / len(shares) if shares else None
