"""Whether the past of a trade's buckets, and of its nearest soulprint, predicts how it ends. Never in sample.

Belongs here: scores as of each decision, compared with its outcome. Does not belong here: descriptions of all trades at
once (groups). A score of a trade sees only trades whose outcome was known *before* its decision: strictly, since a fill
at the open of the next bar carries the very instant of the decision and was not known then.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from throughline.analytics.trade_registry.entries import Trade
from throughline.analytics.trade_registry.intervals import mean_interval, rank_correlation, rate_interval
from throughline.analytics.trade_registry.model import (
    MINIMUM_BEHIND,
    MINIMUM_JUDGED,
    Effectiveness,
    Neighbours,
    Tercile,
)
from throughline.registry.winrate import base_prior
from throughline.signals.simhash import standardised

NEIGHBOUR_LIMIT = 20_000
"""Only so many of the latest trades are compared with each other: the work grows with the square."""
_ROWS_AT_ONCE = 512
_THIRDS = ("lowest third", "middle third", "highest third")


def bucket_scores(trades: Sequence[Trade]) -> Iterator[tuple[Trade, float, float]]:
    """Yield (trade, score, base rate) in order of decision, for trades with `MINIMUM_BEHIND` closed ones behind them.

    score: mean over the trade's buckets of their shrunken win rate among trades known before the decision, as
    `throughline.registry.winrate` gives it; base rate: the mean of its prior, the win rate of the strategy by then.
    """
    closed = sorted(trades, key=lambda trade: (trade.known_at, trade.uuid))
    members: defaultdict[str, list[str]] = defaultdict(list)
    won: Counter[str] = Counter()
    done = 0
    for trade in sorted(trades, key=lambda trade: (trade.decided_at, trade.uuid)):
        while done < len(closed) and closed[done].known_at < trade.decided_at:
            past = closed[done]
            # Keys of strategies stand beside keys of buckets; no bucket's key is a bare name.
            for key in (past.strategy, *past.buckets):
                members[key].append(past.uuid)
                won[key] += past.won
            done += 1
        # A trade stands at most once in each bucket, so this many entries hold enough trades if there are enough.
        entries = islice(
            chain.from_iterable(members[key] for key in trade.buckets), MINIMUM_BEHIND * len(trade.buckets)
        )
        if len(set(entries)) < MINIMUM_BEHIND:
            continue
        prior = base_prior(won[trade.strategy], len(members[trade.strategy]), trade.strategy)
        weight = prior.alpha + prior.beta
        rates = [(prior.alpha + won[key]) / (weight + len(members[key])) for key in trade.buckets]
        yield trade, fmean(rates), prior.alpha / weight


def bucket_effectiveness(trades: Sequence[Trade]) -> Effectiveness:
    """Return whether the buckets' win rates as of each decision predict its outcome.

    Brier score: mean (score - outcome)^2, lower is better (Brier 1950, Monthly Weather Review 78).
    """
    judged = list(bucket_scores(trades))
    scores = [score for _, score, _ in judged]
    correlation = rank_correlation("bucket win rate", scores, [trade.net_return for trade, _, _ in judged])
    if len(judged) < MINIMUM_JUDGED:
        note = f"{len(judged)} trades could be compared; at least {MINIMUM_JUDGED} are needed for a result"
        return Effectiveness(len(trades), len(judged), correlation, note=note)
    ended = [float(trade.won) for trade, _, _ in judged]
    own = [(score - end) ** 2 for score, end in zip(scores, ended, strict=True)]
    plain = [(base - end) ** 2 for (_, _, base), end in zip(judged, ended, strict=True)]
    gains = [b - a for a, b in zip(own, plain, strict=True)]
    spread = mean_interval(gains)
    rows = [(score, base, trade.won, trade.net_return) for trade, score, base in judged]
    return Effectiveness(
        trades=len(trades),
        judged=len(judged),
        correlation=correlation,
        brier=fmean(own),
        brier_base=fmean(plain),
        gain=fmean(gains),
        gain_low=spread[0] if spread else None,
        gain_high=spread[1] if spread else None,
        terciles=terciles(rows),
    )


def terciles(rows: Sequence[tuple[float, float, bool, float]]) -> list[Tercile]:
    """Return thirds of (score, expected, happened, net return) by score, the earlier row first where scores tie."""
    ordered = sorted(rows, key=lambda row: row[0])
    cuts = [round(len(ordered) * k / 3) for k in range(4)]
    result = []
    for name, first, last in zip(_THIRDS, cuts, cuts[1:], strict=False):
        part = ordered[first:last]
        happened = sum(row[2] for row in part)
        low, high = rate_interval(happened, len(part))
        spread = mean_interval([row[3] for row in part])
        result.append(
            Tercile(
                name=name,
                n=len(part),
                score=fmean(row[0] for row in part),
                expected=fmean(row[1] for row in part),
                rate=happened / len(part),
                low=low,
                high=high,
                mean_return=fmean(row[3] for row in part),
                mean_low=spread[0] if spread else None,
                mean_high=spread[1] if spread else None,
            )
        )
    return result


def nearest_earlier(trades: Sequence[Trade]) -> Iterator[tuple[Trade, Trade, float, float]]:
    """Yield (trade, its nearest earlier trade, their cosine, share of earlier trades that ended alike).

    Earlier: known before the decision; at least `MINIMUM_BEHIND` of them. Near: by cosine of standardised vectors, as
    the SimHash estimates it; of equally near ones the one known first. Only trades with a SimHash, the latest
    `NEIGHBOUR_LIMIT` by closing.
    """
    known = [trade for trade in trades if trade.simhash is not None and trade.values is not None][-NEIGHBOUR_LIMIT:]
    known.sort(key=lambda trade: (trade.known_at, trade.uuid))
    if not known:
        return
    vectors = _unit(np.array([standardised(trade.values or {}) for trade in known]))
    instants = np.array([trade.known_at.timestamp() for trade in known])
    wins = np.concatenate([[0], np.cumsum([trade.won for trade in known])])
    for start in range(0, len(known), _ROWS_AT_ONCE):
        part = known[start : start + _ROWS_AT_ONCE]
        cosines = vectors[start : start + _ROWS_AT_ONCE] @ vectors.T
        for row, trade in enumerate(part):
            behind = int(np.searchsorted(instants, trade.decided_at.timestamp(), side="left"))
            if behind < MINIMUM_BEHIND:
                continue
            place = int(np.argmax(cosines[row, :behind]))
            alike = wins[behind] if trade.won else behind - wins[behind]
            yield trade, known[place], float(cosines[row, place]), float(alike) / behind


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows at length 1; a row of zeros (everything at its center) is near to nothing."""
    lengths = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    unit: NDArray[np.float64] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0.0)
    return unit


def neighbour_agreement(trades: Sequence[Trade]) -> Neighbours:
    """Return whether trades end as the nearest earlier soulprint did more often than as a random earlier trade did."""
    pairs = list(nearest_earlier(trades))
    correlation = rank_correlation(
        "nearest soulprint's return",
        [near.net_return for _, near, _, _ in pairs],
        [t.net_return for t, _, _, _ in pairs],
    )
    if len(pairs) < MINIMUM_JUDGED:
        note = f"{len(pairs)} trades have earlier ones to compare with; at least {MINIMUM_JUDGED} are needed"
        return Neighbours(len(pairs), correlation, note=note)
    alike = [trade.won == near.won for trade, near, _, _ in pairs]
    random = [share for _, _, _, share in pairs]
    gains = [float(same) - share for same, share in zip(alike, random, strict=True)]
    spread = mean_interval(gains)
    rows = [(cosine, share, t.won == near.won, t.net_return) for t, near, cosine, share in pairs]
    return Neighbours(
        judged=len(pairs),
        correlation=correlation,
        agreement=fmean(alike),
        random=fmean(random),
        difference=fmean(gains),
        low=spread[0] if spread else None,
        high=spread[1] if spread else None,
        terciles=terciles(rows),
    )
