"""The win rate of few trades: shrunken towards a base rate, with its credible interval. Pure.

Beta-binomial model (Gelman et al., Bayesian Data Analysis, 3rd ed., sections 2.4 and 2.9): with a prior Beta(a, b),
w wins in n trades give Beta(a + w, b + n - w). Its mean is the shrunken rate; the interval is equal-tailed.
"""

from __future__ import annotations

from dataclasses import dataclass

LEVEL = 0.90
"""Probability inside an interval."""
STRENGTH = 10.0
"""How many trades the prior weighs: a cell of ten trades stands half on itself, half on the base rate."""


@dataclass(frozen=True)
class Prior:
    """A Beta(alpha, beta) prior of the win rate, and in words where it comes from."""

    alpha: float
    beta: float
    source: str


@dataclass(frozen=True)
class WinRate:
    """What wins among n trades say. rate: posterior mean; [low, high]: equal-tailed credible interval of `level`."""

    wins: int
    n: int
    rate: float
    low: float
    high: float
    level: float
    prior: Prior


def base_prior(wins: int, n: int, scope: str) -> Prior:
    """Return the prior that stands on the base rate of `n` trades, `wins` of them won.

    Its mean is (wins + 1) / (n + 2) (Laplace's rule, so it is never 0 or 1) and it weighs `STRENGTH` trades. scope:
    whose base rate it is, in words.
    """
    mean = (wins + 1) / (n + 2)
    source = f"base rate of {scope}: {wins} of {n} trades won; it counts as {STRENGTH:g} trades"
    return Prior(STRENGTH * mean, STRENGTH * (1 - mean), source)


def win_rate(wins: int, n: int, prior: Prior, level: float = LEVEL) -> WinRate:
    """Return the shrunken win rate of `wins` in `n` trades. Raises ValueError for impossible counts or level."""
    if not 0 <= wins <= n:
        raise ValueError(f"{wins} wins among {n} trades: give 0 <= wins <= n")
    if not 0 < level < 1:
        raise ValueError(f"level {level}: give a probability between 0 and 1")
    from scipy.special import betaincinv

    alpha, beta = prior.alpha + wins, prior.beta + n - wins
    low, high = (float(betaincinv(alpha, beta, tail)) for tail in ((1 - level) / 2, (1 + level) / 2))
    return WinRate(wins, n, alpha / (alpha + beta), low, high, level, prior)
