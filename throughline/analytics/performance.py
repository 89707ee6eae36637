"""Figures of a daily equity curve and of a list of closed trades. Pure arithmetic.

Belongs here: formulas, each with its source. Does not belong here: where the numbers come from (report) and how they
are shown (tearsheet). Sums are `math.fsum`, so that no figure depends on the processor. Returns and drawdowns are
fractions (0.1 = 10 %); a figure that the data cannot give is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from throughline.analytics.exposure import mean_share

DAYS_A_YEAR = 365
"""Crypto trades on every day of the year, so a year has 365 periods, not 252."""


@dataclass(frozen=True)
class Performance:
    """The figures of one path. Fractions, except `sharpe` and `profit_factor` (ratios) and `trades` (a count).

    sharpe_error: standard error of `sharpe`, in its unit.
    """

    total_return: float
    sharpe: float | None
    max_drawdown: float
    trades: int
    win_rate: float | None
    profit_factor: float | None
    exposure: float | None
    sharpe_error: float | None = None


def daily_returns(equity: Sequence[float]) -> list[float]:
    """Return equity[t] / equity[t-1] - 1 for t >= 1 (one shorter than `equity`); after a total loss they are 0."""
    return [after / before - 1.0 if before > 0 else 0.0 for before, after in pairwise(equity)]


def total_return(equity: Sequence[float]) -> float:
    """Return last / first - 1. `equity` starts with the starting cash. Raises ValueError where that is not positive."""
    if not equity or not equity[0] > 0:
        raise ValueError("an equity curve starts with the starting cash, which is positive")
    return equity[-1] / equity[0] - 1.0


def sharpe_ratio(returns: Sequence[float]) -> float | None:
    """Return the annualised Sharpe ratio of daily returns over a risk-free rate of zero.

    mean(r) / s(r) * sqrt(365), s the sample standard deviation (n - 1). Source: Sharpe (1994), The Sharpe Ratio,
    Journal of Portfolio Management 21(1), equations 3 to 6; scaling by the square root of time holds for uncorrelated
    returns (Lo 2002, The Statistics of Sharpe Ratios). None for fewer than two returns or where they do not vary.
    """
    n = len(returns)
    if n < 2:
        return None
    mean = math.fsum(returns) / n
    variance = math.fsum((value - mean) ** 2 for value in returns) / (n - 1)
    deviation = math.sqrt(variance)
    if deviation <= 1e-12 * max(1.0, abs(mean)):
        return None
    return mean / deviation * math.sqrt(DAYS_A_YEAR)


def sharpe_error(returns: Sequence[float]) -> float | None:
    """Return the standard error of `sharpe_ratio`, in its unit; None where that is None.

    sqrt((1 + SR^2 / 2) / n) * sqrt(365), SR the ratio per day and n the days: 1.9 for 100 days without an edge, so a
    ratio of a few months says little. Source: Lo (2002), The Statistics of Sharpe Ratios, Financial Analysts Journal
    58(4), for independent returns.
    """
    annual = sharpe_ratio(returns)
    if annual is None:
        return None
    return math.sqrt((DAYS_A_YEAR + annual**2 / 2.0) / len(returns))


def drawdowns(equity: Sequence[float]) -> list[float]:
    """Return how far each value lies below the highest one so far: 1 - equity[t] / max(equity[:t+1]), in [0, 1]."""
    peaks = accumulate(equity, max)
    return [1.0 - value / peak if peak > 0 else 0.0 for value, peak in zip(equity, peaks, strict=True)]


def max_drawdown(equity: Sequence[float]) -> float:
    """Return the largest fall from an earlier peak, as a fraction of the peak, in [0, 1].

    Source: Magdon-Ismail and Atiya (2004), Maximum drawdown, Risk 17(10). Measured on daily closes: what happened
    inside a day is not seen.
    """
    return max(drawdowns(equity), default=0.0)


def win_rate(pnl: Sequence[float]) -> float | None:
    """Return the share of closed trades whose net profit is above zero; None without trades."""
    return sum(value > 0 for value in pnl) / len(pnl) if pnl else None


def profit_factor(pnl: Sequence[float]) -> float | None:
    """Return the sum of net profits over the sum of net losses; None where nothing was lost.

    Source: Kaufman, Trading Systems and Methods, chapter on system testing (gross profit / gross loss).
    """
    losses = -math.fsum(value for value in pnl if value < 0)
    return math.fsum(value for value in pnl if value > 0) / losses if losses > 0 else None


def percentile_reached(value: float, sample: Sequence[float]) -> float | None:
    """Return the percentile rank of `value` in `sample`, in [0, 100]: the share below it, ties counted by half.

    Source: Roscoe (1975), mean-rank definition (scipy's `percentileofscore(kind="mean")`). None for an empty sample.
    """
    if not sample:
        return None
    below = sum(item < value for item in sample)
    equal = sum(item == value for item in sample)
    return 100.0 * (below + 0.5 * equal) / len(sample)


def quantile(sample: Sequence[float], share: float) -> float | None:
    """Return the linearly interpolated quantile (Hyndman and Fan 1996, type 7). None for an empty sample."""
    if not sample:
        return None
    ordered = sorted(sample)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def performance(equity: Sequence[float], invested: Sequence[float], pnl: Sequence[float]) -> Performance:
    """Return the figures of one path.

    equity: starting cash, then one value per day end, USD, marked to market (days + 1 values). invested: share of each
    day (`exposure.invested_shares`). pnl: net USD per closed trade, any order. Raises ValueError as `total_return`
    does.
    """
    returns = daily_returns(equity)
    return Performance(
        total_return=total_return(equity),
        sharpe=sharpe_ratio(returns),
        sharpe_error=sharpe_error(returns),
        max_drawdown=max_drawdown(equity),
        trades=len(pnl),
        win_rate=win_rate(pnl),
        profit_factor=profit_factor(pnl),
        exposure=mean_share(invested),
    )


def signs_flip(returns: Sequence[float]) -> bool:
    """Return True where some of `returns` are gains and others losses: the result depends on the fill model."""
    return any(value > 0 for value in returns) and any(value < 0 for value in returns)
