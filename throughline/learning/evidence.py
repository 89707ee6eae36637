"""Evidence that may be looked at as often as one likes: betting e-processes for means of bounded values.

Belongs here: the process itself, over units that others form (pairs) and judge (judge). Source: Waudby-Smith and Ramdas
(arXiv 2010.09686). A gambler starts with 1 and bets the fraction f of the capital on every unit at odds that are fair
or worse under the hypothesis: E_t(f) = prod (1 + f g_i). A gain g_i is the unit as a share of its largest possible
loss, so g_i >= -1 and the capital never ends. What is bet may depend on everything known before the outcome (the bound
of a unit may differ from day to day), not on the outcome. If E[g_i | past] <= 0, the mean over all fractions is a
supermartingale, and by Ville's inequality it ever reaches 1/alpha with probability alpha at most. So its running
maximum counts: a look costs nothing.

The premise is that a unit's expectation given the earlier ones is not above zero. Positions of two days that are open
at the same time share the market, so that it holds approximately; benchmarks/judge.py measures what that costs.
"""

from __future__ import annotations

import numpy as np

from throughline.learning.types import F64

FRACTIONS: tuple[float, ...] = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""Fractions of the largest admissible bet, 0.05 to 0.95, mixed with equal weight.

Measured on 2,000 replays of the outcome model of benchmarks/judge.py. Against 3 points per disagreeing trade the best
bet is the largest one, so an even grid beats a geometric one (0.05 to 0.95 in 12 steps; power at 500 independent
candidates 0.85 against 0.77) and loses nothing against half a point (4,000 candidates: 0.23 each). An end at 0.80 costs
power (at 60 days with a correlation of 0.27: 0.17 against 0.32; at 90 days: 0.59 against 0.71). It would hold better
where days overlap for long (false rollbacks in 180 days 4.3 % against 6.1 %). A trial ends after 90 days, so the power
was taken.
"""
LARGEST_FRACTION = 0.99
"""What a widened fraction is capped at. Where a bet must allow for a total loss, the admissible bet is small against
the noise of a day, and nearly all of it is the best one: against 3 points per disagreeing trade the power at 120 days
is 0.40 (0.35 with a cap of 0.95; 0.05 with `FRACTIONS` as they are)."""

_MOST = 700.0
"""Largest logarithm that is given back as a number: exp(709) is the end of the doubles."""


def log_evidence(gains: F64, width: F64 | float = 1.0) -> F64:
    """Return the logarithm of the evidence after every unit: log of the mean over `FRACTIONS` of prod (1 + f g).

    Args:
        gains: [..., n], in the order in which they became known, each at least -1; 0 is a unit that says nothing. Any
            leading axes are replays of their own.
        width: at least 1, [..., n] or a number, known before the gain: how many times wider the bound is that the gain
            was divided by than the one that `FRACTIONS` are meant for. Fractions are multiplied by it, up to
            `LARGEST_FRACTION`: a bet stays the same share of the stake as long as the bound allows it.

    Returns:
        [..., n]; entry t depends on the first t + 1 gains and widths only.

    Raises:
        ValueError: for a gain below -1 or NaN (its bound was wrong), or a width below 1.
    """
    if gains.size and not float(np.min(gains)) >= -1.0 - 1e-9:
        raise ValueError(f"a gain of {np.min(gains)} is below -1: the bound that it was divided by does not hold")
    if np.size(width) and not float(np.min(width)) >= 1.0 - 1e-9:
        raise ValueError(f"a width of {np.min(width)} is below 1: give the wider bound over the narrower one")
    total = np.full(gains.shape, -np.inf)
    for fraction in FRACTIONS:
        bet = np.minimum(fraction * np.asarray(width), LARGEST_FRACTION)
        np.logaddexp(total, np.cumsum(np.log1p(bet * gains), axis=-1), out=total)
    return np.asarray(total - np.log(len(FRACTIONS)), dtype=np.float64)


def running_maximum(log_path: F64) -> F64:
    """Return the largest logarithm of the evidence up to every unit; a process starts at 1, so it is never below 0."""
    return np.asarray(np.maximum.accumulate(np.maximum(log_path, 0.0), axis=-1), dtype=np.float64)


def e_value(log_value: float) -> float:
    """Return the evidence itself, held at exp(700) where it would not fit a double."""
    return float(np.exp(min(log_value, _MOST)))
