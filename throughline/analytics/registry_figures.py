"""Figures of groups of closed trades, and of their order: win rates, means, profit factor, risk, drawdown. Pure.

Belongs here: figures of lists of trades; risk-adjusted returns and drawdown are quantstats', intervals scipy's (through
registry_statistics). Does not belong here: reading (registry_reading) and what is told of buckets and soulprints
(registry_effect, registry_soulprints). Money is added as exact decimals.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Context, Decimal
from statistics import fmean, median
from typing import Any

from throughline.analytics.library_charts import offline
from throughline.analytics.registry_model import MINIMUM_GROUP, MINIMUM_RISK, GroupFigures, GroupTest, Risk
from throughline.analytics.registry_reading import Trade
from throughline.analytics.registry_statistics import groups_differ, mean_interval, rate_interval
from throughline.identity import decimal_text

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_EXACT = Context(prec=80)  # NUMERIC(38,18) has 38 digits: 10^40 of them add up without rounding


def exact_sum(values: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of ledger amounts; the default context would round it to 28 digits."""
    total = Decimal(0)
    for value in values:
        total = _EXACT.add(total, value)
    return total


def group_figures(name: str, trades: Sequence[Trade]) -> GroupFigures:
    """Return the figures of one group; below `MINIMUM_GROUP` trades only counts and the profit are told."""
    wins = sum(trade.won for trade in trades)
    profit = decimal_text(exact_sum(trade.profit_usd for trade in trades))
    n = len(trades)
    if n < MINIMUM_GROUP:
        return GroupFigures(name, n, wins, profit)
    returns = [trade.net_return for trade in trades]
    low, high = rate_interval(wins, n)
    spread = mean_interval(returns)
    lost = exact_sum(trade.profit_usd for trade in trades if trade.profit_usd < 0).copy_negate()
    won = exact_sum(trade.profit_usd for trade in trades if trade.profit_usd > 0)
    return GroupFigures(
        name=name,
        n=n,
        wins=wins,
        profit_usd=profit,
        win_rate=wins / n,
        win_low=low,
        win_high=high,
        mean_return=fmean(returns),
        mean_low=spread[0] if spread else None,
        mean_high=spread[1] if spread else None,
        median_return=median(returns),
        profit_factor=float(won / lost) if lost else None,
    )


def grouped(trades: Sequence[Trade], keys: Callable[[Trade], Iterable[str]]) -> dict[str, list[Trade]]:
    """Return the trades by key, keys in order of their text; a trade may have several keys or none."""
    groups: defaultdict[str, list[Trade]] = defaultdict(list)
    for trade in trades:
        for key in keys(trade):
            groups[key].append(trade)
    return dict(sorted(groups.items()))


def figures_by(trades: Sequence[Trade], keys: Callable[[Trade], Iterable[str]]) -> list[GroupFigures]:
    """Return the figures of each group, in order of the key's text."""
    return [group_figures(name, members) for name, members in grouped(trades, keys).items()]


def by_hour(trades: Sequence[Trade]) -> tuple[list[GroupFigures], GroupTest]:
    """Return the figures by UTC hour of entry, "00" to "23" (hours without a trade are absent), and their test."""
    return _tested(grouped(trades, lambda trade: (f"{trade.opened_at.hour:02d}",)))


def by_weekday(trades: Sequence[Trade]) -> tuple[list[GroupFigures], GroupTest]:
    """Return the figures by UTC weekday of entry, from Monday (days without a trade are absent), and their test."""
    found = grouped(trades, lambda trade: (WEEKDAYS[trade.opened_at.weekday()],))
    return _tested({name: found[name] for name in WEEKDAYS if name in found})


def _tested(groups: Mapping[str, Sequence[Trade]]) -> tuple[list[GroupFigures], GroupTest]:
    test = groups_differ([[trade.net_return for trade in members] for members in groups.values()])
    return [group_figures(name, members) for name, members in groups.items()], test


def equity_by_trade(trades: Sequence[Trade], cash: Decimal) -> list[Decimal]:
    """Return starting cash, then the cash after each trade in the given order, exactly (trades + 1 values)."""
    curve = [cash]
    for trade in trades:
        curve.append(_EXACT.add(curve[-1], trade.profit_usd))
    return curve


def risk_figures(trades: Sequence[Trade], cash: Decimal | None) -> Risk:
    """Return risk-adjusted figures of trades in order of closing. cash: starting cash in USD, None where unknown.

    Sharpe, Sortino, payoff ratio and the probabilistic Sharpe ratio (Bailey and Lopez de Prado 2012) are of net
    returns per trade; drawdown and ulcer index (Martin 1987) of the equity by trade. All by quantstats.
    """
    n = len(trades)
    if n < MINIMUM_RISK:
        return Risk(n, note=f"{n} trades: below {MINIMUM_RISK} no risk-adjusted figure is given")
    curve = None if cash is None else equity_by_trade(trades, cash)
    note = None
    if curve is None:
        note = "the starting cash is unknown, so there is no drawdown"
    elif min(curve) <= 0:
        curve, note = None, "the account was lost on the way, so there is no drawdown"
    return Risk(n=n, note=note, **_of_returns([trade.net_return for trade in trades]), **_of_equity(curve))


def _of_returns(returns: Sequence[float]) -> dict[str, float | None]:
    stats, series = _quantstats(), _series(returns)
    # The library reads returns that never fall below 0 and exceed 1 as prices. All four figures are ratios of
    # returns to returns, so a common factor changes none of them.
    series /= max(1.0, float(series.abs().max()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "sharpe": _finite(stats.sharpe(series, annualize=False)) if series.std() > 1e-12 else None,
            "sortino": _finite(stats.sortino(series, annualize=False)),
            "sharpe_probability": _finite(stats.probabilistic_sharpe_ratio(series)) if series.std() > 1e-12 else None,
            "payoff_ratio": _finite(stats.payoff_ratio(series, prepare_returns=False)),
        }


def _of_equity(curve: Sequence[Decimal] | None) -> dict[str, float | None]:
    if curve is None:
        return {"max_drawdown": None, "ulcer": None}
    stats = _quantstats()
    # Positive and from 100 on, which the library reads as prices; the starting cash is the first of them.
    series = _series([float(100 * value / curve[0]) for value in curve])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "max_drawdown": -float(stats.max_drawdown(series)) + 0.0,
            "ulcer": _finite(stats.ulcer_index(series)),
        }


def _series(values: Sequence[float]) -> Any:
    """Return a pandas series with one day per trade: the library sorts by time, and trades may close together."""
    import pandas as pd

    return pd.Series(list(values), index=pd.date_range("2000-01-01", periods=len(values)), dtype="float64")


def _quantstats() -> Any:
    """Import quantstats.stats so that it cannot fetch anything and leaves matplotlib's style as it was."""
    import matplotlib as mpl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mpl.rc_context(), offline():
            from quantstats import stats
    return stats


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def risk_by_strategy(trades: Sequence[Trade], cash: Decimal | None) -> Mapping[str, Risk]:
    """Return strategy -> the risk of its trades alone, each on the whole starting cash."""
    found = grouped(trades, lambda trade: (trade.strategy,))
    return {name: risk_figures(members, cash) for name, members in found.items()}
