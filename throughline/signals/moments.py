"""Moments of a window: slope, momentum, volatility, trend, range and volume imbalance. Per bar, never annualised."""

from __future__ import annotations

import math

from throughline.signals.window import BOOL, F64, Returns


def momentum(returns: Returns) -> float | None:
    """Return ln(newest close / oldest close); None for fewer than two bars."""
    return math.fsum(returns.values.tolist()) if returns.bars >= 2 else None


def slope(close: F64) -> float | None:
    """Return the least-squares slope of ln(close) on the bar's place, per bar; None for fewer than two bars."""
    points = [(place, math.log(price)) for place, price in enumerate(close.tolist()) if price == price]
    if len(points) < 2:
        return None
    middle = sum(place for place, _ in points) / len(points)
    spread = math.fsum((place - middle) ** 2 for place, _ in points)
    return math.fsum((place - middle) * value for place, value in points) / spread


def _known(returns: Returns) -> list[float]:
    values: list[float] = returns.values[returns.known].tolist()
    return values


def _mean_and_deviation(values: list[float]) -> tuple[float, float]:
    mean = math.fsum(values) / len(values)
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def volatility(returns: Returns) -> float | None:
    """Return the standard deviation (n - 1) of the log returns of the bars, >= 0; None for fewer than two returns."""
    values = _known(returns)
    return _mean_and_deviation(values)[1] if len(values) >= 2 else None


def trend_t(returns: Returns) -> float | None:
    """Return the t-value of the mean log return, mean / (s / sqrt n): how sure the drift of the price is, unbounded.

    None for fewer than two returns or without variance.
    """
    values = _known(returns)
    if len(values) < 2:
        return None
    mean, deviation = _mean_and_deviation(values)
    if deviation <= 1e-12 * max(map(abs, values)):
        return None
    return mean / (deviation / math.sqrt(len(values)))


def high_low_range(high: F64, low: F64) -> float | None:
    """Return the volatility per bar from highs and lows, sqrt(mean ln(H/L)^2 / (4 ln 2)) (Parkinson 1980), >= 0.

    None without a bar that has both. Rows with a high below the low have none.
    """
    both = (h / w for h, w in zip(high.tolist(), low.tolist(), strict=True) if h >= w)
    squares = [math.log(ratio) ** 2 for ratio in both]
    return math.sqrt(math.fsum(squares) / (len(squares) * 4.0 * math.log(2.0))) if squares else None


def imbalance(returns: Returns, volume: F64) -> float | None:
    """Return (volume of rising bars - volume of falling bars) / volume of all bars, in [-1, 1].

    `volume` is the window's column; its last rows belong to the returns. Bars without volume or return are left out.
    None where nothing was traded or nothing is known.
    """
    signed, total = [], []
    rows: BOOL = returns.known
    for value, traded, known in zip(
        returns.values.tolist(), volume[len(volume) - len(rows) :].tolist(), rows.tolist(), strict=True
    ):
        if known and traded == traded:
            total.append(traded)
            signed.append(traded if value > 0.0 else -traded if value < 0.0 else 0.0)
    whole = math.fsum(total)
    return math.fsum(signed) / whole if whole > 0.0 else None
