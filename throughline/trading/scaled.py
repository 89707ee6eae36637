"""`simulate_scaled`: many runs over the same bars, whose sizes follow their own equity day by day (one path).

The session scales each day's sizes by the portfolio's equity at the start of the day and calls `simulate` once a day.
Baselines do the same for hundreds of random portfolios. A call a day for each took 20 s for five months of 115 pairs;
serving the entries of one run day by day takes 2 s. One engine either way: the fills are those of the core.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.trading.engine import market_of, terms_of
from throughline.trading.kernel import layout
from throughline.trading.kernel.hooks import compiled_rules
from throughline.trading.orders import MatchedOrders, match_orders, read_only
from throughline.trading.passes import Market, Pass
from throughline.trading.types import F64, I64, Bars, Costs, Entries, ExitRules, PathState

Scale = Callable[[float], float]


@dataclass(frozen=True)
class ScaledRun:
    """One run.

    Args:
        state: At the end.
        trades: Number of closed positions.
        equity: USD at each of the instants.
        cash: USD at each of the instants.
        entry_time: Of the closed positions, Unix ms.
        exit_time: Likewise.
        notional: USD paid for each.
        net_return: Profit of each, a fraction of its notional.
    """

    state: PathState
    trades: int
    equity: F64
    cash: F64
    entry_time: I64
    exit_time: I64
    notional: F64
    net_return: F64


def simulate_scaled(
    bars: Bars,
    runs: Sequence[tuple[Entries, PathState]],
    rules: ExitRules,
    costs: Costs,
    max_positions: int | None,
    instants: I64,
    scale: Scale,
    minimum_notional: float = 0.0,
    path: str = "base",
) -> list[ScaledRun]:
    """Run each of `runs` through `bars` on one path; sizes change at each of `instants` with the run's equity.

    Args:
        bars: The bars of all instruments.
        runs: (entries, state before) of each run. Entries are decided within [instants[0], instants[-1]).
        rules: When positions end.
        costs: What fills cost.
        max_positions: Slots, None = unlimited.
        instants: int64 [D + 1], ascending Unix ms: the starts of the days and the end of the last one.
        scale: Equity in USD at the start of a day -> the factor on the notionals of the day's entries, above 0.
        minimum_notional: USD; a position that would be smaller is not entered, as in `simulate`.
        path: The fill model.

    Returns:
        One `ScaledRun` per run; `equity` and `cash` have a value per day end (D). Equal to one `simulate` call a day
        with scaled entries.
    """
    until = int(instants[-1])
    terms = terms_of(bars, rules, costs, path, max_positions, until, minimum_notional=minimum_notional)
    results = []
    for entries, state in runs:
        market = market_of(bars, {path: state}, until, None, len(entries.decision_time))
        orders = match_orders(bars, market.starts, market.arrays, entries, rules, until, False)
        results.append(_run(market, orders, rules, terms, state, instants, scale))
    return results


def _run(
    market: Market,
    orders: MatchedOrders,
    rules: ExitRules,
    terms: layout.Terms,
    state: PathState,
    instants: I64,
    scale: Scale,
) -> ScaledRun:
    """Serve a run's entries day by day. The core gets read-only views (one compiled version); their bases change."""
    # One entry more that fills nowhere: the core frees all slots when it has served the last one, whatever the day.
    queue = orders.queue(market.rank, terms.interval, False)
    notional, row = np.append(queue.notional, 0.0), read_only(np.append(queue.row, -1))
    rest = {name: read_only(np.append(getattr(queue, name), 0)) for name in ("entry", "time", "instrument")}
    entries = queue._replace(notional=read_only(notional.view()), row=row, **rest)
    part = Pass(market, orders, entries, terms, compiled_rules(rules.numbers), rules.slots, state, False)
    bounds = np.searchsorted(queue.time, instants)
    days = len(instants) - 1
    equity, cash = np.empty(days), np.empty(days)
    worth = part.worth(int(instants[0]))[0]
    for day in range(days):
        low, high = int(bounds[day]), int(bounds[day + 1])
        if low < high:
            notional[low:high] *= scale(worth)
            part.serve(high)
        worth, cash[day] = part.worth(int(instants[day + 1]))
        equity[day] = worth
    part.serve(len(notional))
    result = part.finish()
    closed: Mapping[str, NDArray[Any]] = result.trades
    return ScaledRun(
        result.state,
        len(closed["entry"]),
        equity,
        cash,
        entry_time=closed["entry_time"],
        exit_time=closed["exit_time"],
        notional=closed["notional"],
        net_return=closed["return_percent"] / 100.0,
    )
