"""Unified math: the one function that turns a calibrated probability, costs and rug risk into growth and a size.

Belongs here: the expected logarithmic growth of a bet with three ends (target, stop, total loss) and its maximum
(Kelly 1956). Does not belong here: where the probability comes from; without a calibrated one only the break-even is
known, and no constant poses as a confidence.

All amounts are fractions of the position: target 0.30, stop 0.15, cost 0.01 for the round trip. `fraction` is the
position over the equity. g(f) = p ln(1 + (T - c) f) + (1 - p - r) ln(1 - (S + c) f) + r ln(1 - f): concave in f, so the
sign of its derivative finds the one maximum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


def _require(target: float, stop: float, cost: float, rug_probability: float) -> None:
    if not (target > 0.0 and stop > 0.0 and cost >= 0.0 and stop + cost < 1.0 and target < math.inf):
        raise ValueError(
            f"target {target}, stop {stop}, cost {cost}: give a positive target and stop, stop + cost below 1"
        )
    if not 0.0 <= rug_probability <= 1.0:
        raise ValueError(f"rug probability {rug_probability} is no probability")


def _require_probability(probability: float, rug_probability: float) -> None:
    if not 0.0 <= probability <= 1.0 or probability + rug_probability > 1.0 + 1e-12:
        raise ValueError(
            f"probability {probability} beside rug probability {rug_probability}: both and their sum lie in [0, 1]"
        )


def break_even_probability(target: float, stop: float, cost: float, rug_probability: float) -> float:
    """Return the probability of the target at which the first unit of size earns nothing: g'(0) = 0.

    ((1 - r)(S + c) + r) / (T + S). Above 1 - r no probability pays.
    """
    _require(target, stop, cost, rug_probability)
    return ((1.0 - rug_probability) * (stop + cost) + rug_probability) / (target + stop)


def expected_log_growth(
    probability: float, target: float, stop: float, cost: float, rug_probability: float, fraction: float
) -> float:
    """Return the expected ln(equity after / equity before) of one trade of size `fraction` in [0, 1].

    Minus infinity where a possible end leaves nothing. Raises ValueError outside the ranges.
    """
    _require(target, stop, cost, rug_probability)
    _require_probability(probability, rug_probability)
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"fraction {fraction} is outside 0 to 1: borrowed money is not part of this")
    ends = (
        (probability, 1.0 + (target - cost) * fraction),
        (max(0.0, 1.0 - probability - rug_probability), 1.0 - (stop + cost) * fraction),
        (rug_probability, 1.0 - fraction),
    )
    if any(weight > 0.0 and rest <= 0.0 for weight, rest in ends):
        return -math.inf
    return math.fsum(weight * math.log(rest) for weight, rest in ends if weight > 0.0)


def _slope(
    probability: float, target: float, stop: float, cost: float, rug_probability: float, fraction: float
) -> float:
    """g'(fraction)."""
    gain, loss = target - cost, stop + cost
    if rug_probability > 0.0 and fraction >= 1.0:
        return -math.inf
    return math.fsum(
        (
            probability * gain / (1.0 + gain * fraction),
            -max(0.0, 1.0 - probability - rug_probability) * loss / (1.0 - loss * fraction),
            -rug_probability / (1.0 - fraction) if rug_probability > 0.0 else 0.0,
        )
    )


def optimal_fraction(
    probability: float, target: float, stop: float, cost: float, rug_probability: float, cap: float = 1.0
) -> float:
    """Return the size in [0, cap] of the largest expected log growth (bisection on g'); 0 without an edge."""
    _require(target, stop, cost, rug_probability)
    _require_probability(probability, rug_probability)
    if not 0.0 <= cap <= 1.0:
        raise ValueError(f"cap {cap} is outside 0 to 1")
    bet = (probability, target, stop, cost, rug_probability)
    if _slope(*bet, 0.0) <= 0.0:
        return 0.0
    if _slope(*bet, cap) >= 0.0:
        return cap
    low, high = 0.0, cap
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _slope(*bet, middle) > 0.0:
            low = middle
        else:
            high = middle
    return low  # where the growth still rises: the upper end may be ruin


@dataclass(frozen=True)
class MathOptimization:
    """What the numbers say of a trade: None where they cannot be known.

    probability: as given; break_even_probability: see the function; fraction: position over equity, the smaller of the
    growth-optimal size and the volatility target's; expected_log_growth: per trade at that fraction.
    """

    probability: float | None
    break_even_probability: float
    expected_log_growth: float | None
    fraction: float | None


def unified_math(
    probability: float | None,
    target: float,
    stop: float,
    cost: float,
    rug_probability: float,
    volatility: float | None,
    target_volatility: float,
    max_fraction: float,
) -> MathOptimization:
    """Return break-even probability, expected log growth and size of a trade.

    The size is the growth-optimal one, capped by `max_fraction` and by the volatility target min(cap, sigma* / sigma)
    (Moreira & Muir 2017; a control of risk, its benefit to returns is disputed). `volatility` and `target_volatility`
    are over the same period. Without a probability, or without a volatility to cap the size by, growth and size are
    None. Raises ValueError outside the ranges.
    """
    if not target_volatility > 0.0 or not 0.0 <= max_fraction <= 1.0:
        raise ValueError(f"target volatility {target_volatility}, max fraction {max_fraction}: give > 0 and 0 to 1")
    if volatility is not None and not 0.0 <= volatility < math.inf:
        raise ValueError(f"volatility {volatility} is no standard deviation")
    break_even = break_even_probability(target, stop, cost, rug_probability)
    if probability is not None:
        _require_probability(probability, rug_probability)
    if probability is None or volatility is None:
        return MathOptimization(probability, break_even, None, None)
    # compared by multiplication: a volatility near 0 must not overflow
    cap = target_volatility / volatility if target_volatility < max_fraction * volatility else max_fraction
    fraction = optimal_fraction(probability, target, stop, cost, rug_probability, cap)
    growth = expected_log_growth(probability, target, stop, cost, rug_probability, fraction)
    return MathOptimization(probability, break_even, growth, fraction)
