"""What the best of many trials is worth: probabilistic and deflated Sharpe ratio, probability of overfitting.

Belongs here: pure functions of return series. Does not belong here: which trials there were (trials, store), gates.
Sources: D. H. Bailey and M. Lopez de Prado, The Sharpe Ratio Efficient Frontier (2012) and The Deflated Sharpe Ratio
(2014); D. H. Bailey, J. Borwein, M. Lopez de Prado, Q. J. Zhu, The Probability of Backtest Overfitting (2017).

Sharpe ratios are per observation, never annualised. What is undefined is NaN, and gates fail closed on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist

import numpy as np

from throughline.learning.types import F64

EULER_MASCHERONI = 0.5772156649015329
MOST_BLOCKS = 16
LEAST_PER_BLOCK = 4
NEGLIGIBLE = 0.10
"""Of the median trial's gain: so much less does the gate of overfitting let pass as no difference."""
_NORMAL = NormalDist()


def sharpe(returns: F64) -> float:
    """Return mean / population standard deviation; 0 where nothing moves, since nothing was risked and won."""
    if len(returns) == 0 or float(np.ptp(returns)) == 0.0:
        return 0.0
    return float(returns.mean() / returns.std())


def probabilistic_sharpe(returns: F64, benchmark: float) -> float:
    """Return the probability that the true Sharpe ratio exceeds `benchmark`, for skewed and fat-tailed returns.

    PSR = Phi((SR - SR*) sqrt(T - 1) / sqrt(1 - g3 SR + (g4 - 1) / 4 SR^2)), with the bias-corrected sample skewness g3
    and kurtosis g4. NaN for fewer than four returns, returns that do not move, or moments too extreme for it.
    """
    n = len(returns)
    if n < 4 or not np.isfinite(returns).all() or float(np.ptp(returns)) == 0.0 or not math.isfinite(benchmark):
        return math.nan
    ratio = sharpe(returns)
    centred = returns - returns.mean()
    m2, m3, m4 = (float(np.mean(centred**power)) for power in (2, 3, 4))
    skew = math.sqrt(n * (n - 1)) / (n - 2) * m3 / m2**1.5
    kurtosis = 3.0 + (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3.0) + 6.0)
    variance = 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    if not math.isfinite(variance) or variance <= 0.0:
        return math.nan
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(n - 1) / math.sqrt(variance))


def expected_max_sharpe(trials: int, variance: float) -> float:
    """Return the Sharpe ratio that the best of `trials` worthless ones is expected to show.

    variance: of the trials' Sharpe ratios. One trial has no luck to pick from: 0.
    """
    if trials < 1:
        raise ValueError(f"{trials} trials: there is at least the one that is judged")
    if trials == 1:
        return 0.0
    usual, rare = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER_MASCHERONI) * usual + EULER_MASCHERONI * rare)


def deflated_sharpe(returns: F64, sharpes: Sequence[float]) -> float:
    """Return the probability that the true Sharpe ratio of `returns` exceeds what the best of all trials owes to luck.

    sharpes: of every trial that was made, the judged one among them; their sample variance (ddof 1) is taken.
    """
    if not sharpes or not np.isfinite(sharpes).all():
        return math.nan
    variance = float(np.var(sharpes, ddof=1)) if len(sharpes) > 1 else 0.0
    return probabilistic_sharpe(returns, expected_max_sharpe(len(sharpes), variance))


def deflated_over_cash_and_rule(
    returns: F64, over_rule: F64, sharpes: Sequence[float], sharpes_over_rule: Sequence[float]
) -> float:
    """Return the smaller of two deflated Sharpe ratios: of what a model earned, and of what it earned above the rule.

    returns, over_rule: [days] on one time axis; the second is the model's return less the rule's of the same day.
    sharpes, sharpes_over_rule: of every trial that was made, the judged one among them. NaN where either is.

    Against zero alone a model without skill passes where the rule gains: it takes some of the rule's trades, and they
    gain. Against the rule alone one passes where the rule loses: it takes less of it. A Sharpe ratio is by its
    definition one of a difference from a benchmark, here of cash and of the rule; both must be beaten, and the test
    that asks for both at once holds the error of each (intersection-union).
    Sources: W. F. Sharpe, The Sharpe Ratio (1994), Journal of Portfolio Management 21; R. L. Berger, Multiparameter
    hypothesis testing and acceptance sampling (1982), Technometrics 24.
    """
    both = deflated_sharpe(returns, sharpes), deflated_sharpe(over_rule, sharpes_over_rule)
    return math.nan if math.isnan(both[0]) or math.isnan(both[1]) else min(both)


def overfitting_probability(gains: F64, blocks: int | None = None, negligible: float = 0.0) -> float:
    """Return the probability that the trial which is best in sample is below the median out of sample (CSCV).

    gains: [trials, days] on one time axis; the mean ranks, because trials are chosen by their growth. blocks: even
    number of contiguous blocks; None takes the most, up to 16, of at least four days each. Each half of the blocks is
    in sample once. NaN for fewer than two trials or too few days.
    negligible: a trial that is below the median by at most this fraction of what the median trial gains does not count.
    0 is the published definition, which looks at ranks only: where an edge is so plain that all trials find it, their
    order is a coin toss and says 0.5, although it makes no difference which of them is picked. Where the median trial
    gains nothing, every rank counts.
    """
    trials, days = gains.shape
    count = blocks if blocks is not None else min(MOST_BLOCKS, days // LEAST_PER_BLOCK // 2 * 2)
    if trials < 2 or count < 2 or count % 2 or days < count or not np.isfinite(gains).all():
        return math.nan
    chosen = np.array(list(combinations(range(count), count // 2)))
    half = np.zeros((len(chosen), count))
    half[np.arange(len(chosen))[:, None], chosen] = 1.0
    sizes = np.full(count, days // count) + (np.arange(count) < days % count)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    sums = np.add.reduceat(gains, starts, axis=1).T
    # Rounded, so that equal trials stay equal whatever order a matrix product sums in.
    inside = np.round(half @ sums / (half @ sizes)[:, None], 13)
    outside = np.round((1.0 - half) @ sums / ((1.0 - half) @ sizes)[:, None], 13)
    reached = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
    rank = (outside < reached).sum(axis=1) + ((outside == reached).sum(axis=1) + 1) / 2  # ties share their mean rank
    median = np.median(outside, axis=1)
    short = median - reached[:, 0] >= negligible * median  # of no gain there is no negligible part: all count
    return float(np.mean((rank / (trials + 1) < 0.5) & short))
