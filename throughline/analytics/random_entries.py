"""Portfolios of random entries with the strategy's own exits, costs, slots, cash and sizing (base path).

Belongs here: how the draws become portfolios. Does not belong here: the draws (baselines), who is eligible and how a
chunk of the market is loaded (market_baselines), the fills (throughline.trading).

A draw is treated as the session treats the strategy: the size of an entry is what the strategy's sizing gives for that
coin at that instant, and each day's sizes are scaled by the portfolio's own equity at the start of the day. (Without
the scale a portfolio that has lost much goes on staking full positions: on CoinMarketCap January to May 2018 a rule
that lost 81 % then "beat" 93.5 % of the draws; it beats 35.5 %.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from throughline.analytics.baselines import DrawnEntries
from throughline.analytics.exposure import NO_STAKES, Stakes, invested_shares
from throughline.configuration import Configuration
from throughline.flow.paths import scale_of_equity
from throughline.market.panel import MarketPanel
from throughline.trading import simulate_scaled
from throughline.trading.state import equity_usd
from throughline.trading.types import Bars, Costs, Entries, ExitRules, PathState

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Portfolio:
    """One draw. state: now; trades: closed so far; daily: equity in USD at the end of each day so far; closed: the
    positions closed so far; gained: their net returns, fractions of what was paid."""

    state: PathState
    trades: int = 0
    daily: Sequence[float] = field(default=())
    closed: Stakes = NO_STAKES
    gained: Sequence[float] = field(default=())

    @property
    def equity(self) -> float:
        """Equity in USD now, open positions at their last close."""
        return equity_usd(self.state)

    @property
    def trade_return(self) -> float | None:
        """Mean net return of a closed position; None without one."""
        return math.fsum(self.gained) / len(self.gained) if self.gained else None

    def invested(self, edges: Sequence[int], cash: float) -> list[float]:
        """Return the invested share of each day. edges: [D + 1] of all days so far, Unix ms; cash: USD at the first."""
        return invested_shares(
            self.closed.with_open((item.entry_time, item.notional) for item in self.state.positions),
            edges,
            [cash, *self.daily[:-1]],
        )


def advance(
    portfolios: Sequence[Portfolio],
    drawn: Sequence[DrawnEntries],
    panel: MarketPanel,
    sizes: F64,
    bars: Bars,
    instants: NDArray[np.int64],
    configuration: Configuration,
    rules: ExitRules,
    prices: Costs,
) -> list[Portfolio]:
    """Return the portfolios after the days that `instants` (Unix ms) begin and end.

    drawn: each portfolio's entries whose decision falls into these days; rows are rows of `panel`, columns its
    instruments, which are those of `bars`. sizes: wished USD [T, N] per cell of the panel.
    """
    sizing = configuration.sizing
    runs = [(_entries(part, panel, sizes), item.state) for part, item in zip(drawn, portfolios, strict=True)]
    results = simulate_scaled(
        bars,
        runs,
        rules,
        prices,
        sizing.max_positions,
        instants,
        lambda equity: scale_of_equity(equity, sizing),
        minimum_notional=sizing.minimum_position_usd,
    )
    return [
        Portfolio(
            run.state,
            item.trades + run.trades,
            (*item.daily, *run.equity.tolist()),
            item.closed.joined(Stakes(run.entry_time, run.exit_time, run.notional)),
            (*item.gained, *run.net_return.tolist()),
        )
        for item, run in zip(portfolios, results, strict=True)
    ]


def _entries(drawn: DrawnEntries, panel: MarketPanel, sizes: F64) -> Entries:
    return Entries(
        instrument=drawn.columns.astype(np.int32),
        decision_time=panel.open_time[drawn.rows] + panel.interval_ms,
        score=np.zeros(len(drawn.rows)),
        notional=sizes[drawn.rows, drawn.columns],
        segment=panel.segment_start[drawn.rows, drawn.columns],
    )
