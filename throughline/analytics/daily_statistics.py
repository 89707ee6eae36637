"""Statistics of daily returns: the rows of the tear sheet's table. Pure arithmetic.

Belongs here: formulas, each with its source, and which of them are shown. Does not belong here: the headline figures
(performance). The tests compare every row with quantstats, which took a second to import, and drew in matplotlib what
a chart of our own draws. Left out are figures that mislead: expected shortfall by a normal distribution, recovery
factor (positive for a loss), average drawdowns (they depend on where the range is cut), and anything "per year" of a
range below a year.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import accumulate
from statistics import NormalDist, fmean, stdev

from throughline.analytics.performance import (
    DAYS_A_YEAR,
    drawdowns,
    max_drawdown,
    quantile,
    sharpe_ratio,
    total_return,
)
from throughline.rendering.formats import NOT_AVAILABLE, percent, ratio

_FULL_YEAR = 365
"""Days from which a figure "per year" is measured and not extrapolated."""


def sortino_ratio(returns: Sequence[float], periods: int = DAYS_A_YEAR) -> float | None:
    """Return mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(periods); None where nothing was lost.

    Source: Sortino and Price (1994), Performance Measurement in a Downside Risk Framework, Journal of Investing 3(3),
    with a target of zero. periods: 1 leaves the ratio per return.
    """
    downside = math.sqrt(math.fsum(min(value, 0.0) ** 2 for value in returns) / len(returns)) if returns else 0.0
    return fmean(returns) / downside * math.sqrt(periods) if downside > 0.0 else None


def payoff_ratio(returns: Sequence[float]) -> float | None:
    """Return the mean gain over the mean loss; None without a gain or without a loss."""
    gains, losses = [value for value in returns if value > 0], [value for value in returns if value < 0]
    return fmean(gains) / -fmean(losses) if gains and losses else None


def moments(returns: Sequence[float]) -> tuple[float, float] | None:
    """Return the skewness G1 and the excess kurtosis G2 of a sample (Joanes and Gill 1998, The Statistician 47(1)).

    None for fewer than four values or values that do not vary.
    """
    n = len(returns)
    if n < 4 or (spread := stdev(returns)) <= 1e-12:
        return None
    mean = fmean(returns)
    third, fourth = (math.fsum(((value - mean) / spread) ** power for value in returns) for power in (3, 4))
    skew = n / ((n - 1) * (n - 2)) * third
    kurtosis = n * (n + 1) / ((n - 1) * (n - 2) * (n - 3)) * fourth - 3.0 * (n - 1) ** 2 / ((n - 2) * (n - 3))
    return skew, kurtosis


def longest_run(returns: Sequence[float], sign: int) -> int:
    """Return how many days in a row had a return of this sign (1 or -1), at most."""
    return max(map(len, re.findall("1+", "".join("1" if sign * value > 0 else "0" for value in returns))), default=0)


def beta_and_correlation(returns: Sequence[float], market: Sequence[float]) -> tuple[float, float] | None:
    """Return the slope of returns on the market's returns and their correlation; None where one does not vary."""
    own, other = fmean(returns), fmean(market)
    both = math.fsum((x - own) * (y - other) for x, y in zip(returns, market, strict=True))
    spread = math.fsum((x - own) ** 2 for x in returns), math.fsum((y - other) ** 2 for y in market)
    if min(spread) <= 1e-24:
        return None
    return both / spread[1], both / math.sqrt(spread[0] * spread[1])


def _curve(returns: Sequence[float]) -> list[float]:
    return list(accumulate(returns, lambda worth, change: worth * (1.0 + change), initial=1.0))


def statistics_rows(returns: Sequence[float], market: Sequence[float] | None = None) -> list[tuple[str, str]]:
    """Return (name, text) of each statistic of daily returns.

    Args:
        returns: simple returns, one a day, at least two.
        market: those of the benchmark on the same days, for beta and correlation; None leaves both out.
    """
    curve, moved = _curve(returns), [value for value in returns if value]
    shape = moments(returns)
    spread = stdev(returns)
    below = [fall > 0 for fall in drawdowns(curve)[1:]]
    losses = -math.fsum(value for value in returns if value < 0)
    lowest = quantile(returns, 0.05)
    tail = abs((quantile(returns, 0.95) or 0.0) / lowest) if lowest else None
    value_at_risk = NormalDist(fmean(returns), spread).inv_cdf(0.05) if spread else None
    rows = [
        ("return", percent(total_return(curve))),
        ("Sharpe (daily, √365)", ratio(sharpe_ratio(returns))),
        ("max drawdown", percent(-max_drawdown(curve) + 0.0)),
        ("Sortino (daily, √365)", ratio(sortino_ratio(returns))),
        ("Omega (threshold 0)", ratio(math.fsum(x for x in returns if x > 0) / losses if losses else None)),
        ("longest drawdown, days", str(longest_run([float(fall) for fall in below], 1))),
        ("volatility, annualised", percent(spread * math.sqrt(DAYS_A_YEAR), signed=False)),
        ("skew of daily returns", ratio(shape and shape[0])),
        ("excess kurtosis of daily returns", ratio(shape and shape[1])),
        ("daily value at risk, 95 %, normal", percent(value_at_risk)),
        ("longest run of gains, days", str(longest_run(returns, 1))),
        ("longest run of losses, days", str(longest_run(returns, -1))),
        ("mean gain over mean loss of a day", ratio(payoff_ratio(returns))),
        ("95th percentile over 5th", ratio(tail)),
        ("best day", percent(max(returns))),
        ("worst day", percent(min(returns))),
        (
            "days with a gain, of those that moved",
            percent(sum(value > 0 for value in moved) / len(moved) if moved else None, signed=False),
        ),
    ]
    link = None if market is None else beta_and_correlation(returns, market)
    if len(returns) >= _FULL_YEAR:
        grown = curve[-1] ** (DAYS_A_YEAR / len(returns)) - 1.0 if curve[-1] > 0 else -1.0
        fall = max_drawdown(curve)
        rows += [("return a year, compounded", percent(grown)), ("Calmar", ratio(grown / fall if fall else None))]
        if market is not None:
            alpha = None if link is None else (fmean(returns) - link[0] * fmean(market)) * DAYS_A_YEAR
            rows.append(("alpha a year", percent(alpha)))
    if market is not None:
        rows.append(("beta", NOT_AVAILABLE if link is None else ratio(link[0])))
        rows.append(("correlation", NOT_AVAILABLE if link is None else percent(link[1])))
    return rows
