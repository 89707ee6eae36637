"""Figures of groups of closed trades, and of their order: win rates, means, profit factor, risk, drawdown. Pure.

Belongs here: figures of lists of trades. Does not belong here: reading (entries) and whether buckets and soulprints
predict anything (evidence, soulprints). Money is added as exact decimals.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Context, Decimal
from statistics import NormalDist, fmean, median, stdev

from throughline.analytics.daily_statistics import moments, payoff_ratio, sortino_ratio
from throughline.analytics.performance import drawdowns
from throughline.analytics.trade_registry.entries import Trade
from throughline.analytics.trade_registry.intervals import groups_differ, mean_interval, rate_interval
from throughline.analytics.trade_registry.model import MINIMUM_GROUP, MINIMUM_RISK, GroupFigures, GroupTest, Risk
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
    """Return the figures of one group; below `MINIMUM_GROUP` trades only counts and the profit are given."""
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
    groups = grouped(trades, lambda trade: (WEEKDAYS[trade.opened_at.weekday()],))
    return _tested({name: groups[name] for name in WEEKDAYS if name in groups})


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

    Sharpe, Sortino, payoff ratio and the probabilistic Sharpe ratio (Bailey and Lopez de Prado 2012, The Sharpe Ratio
    Efficient Frontier, Journal of Risk 15(2)) are of net returns per trade; drawdown and ulcer index (Martin and McCann
    1989) of the equity by trade.
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
    """Return the figures of net returns, per trade; None where returns do not vary or nothing was lost."""
    varies, shape = stdev(returns) > 1e-12, moments(returns)
    sharpe = fmean(returns) / stdev(returns) if varies else None
    chance = None
    if sharpe is not None and shape is not None:
        error = (1.0 - shape[0] * sharpe + (shape[1] + 2.0) / 4.0 * sharpe**2) / (len(returns) - 1)
        chance = NormalDist().cdf(sharpe / math.sqrt(error)) if error > 0.0 else None
    return {
        "sharpe": sharpe,
        "sortino": sortino_ratio(returns, periods=1),
        "sharpe_probability": chance,
        "payoff_ratio": payoff_ratio(returns),
    }


def _of_equity(curve: Sequence[Decimal] | None) -> dict[str, float | None]:
    if curve is None:
        return {"max_drawdown": None, "ulcer": None}
    falls = drawdowns([float(value / curve[0]) for value in curve])
    return {"max_drawdown": max(falls), "ulcer": math.sqrt(math.fsum(fall**2 for fall in falls) / (len(falls) - 1))}


def risk_by_strategy(trades: Sequence[Trade], cash: Decimal | None) -> Mapping[str, Risk]:
    """Return strategy -> the risk of its trades alone, each on the whole starting cash."""
    groups = grouped(trades, lambda trade: (trade.strategy,))
    return {name: risk_figures(members, cash) for name, members in groups.items()}
