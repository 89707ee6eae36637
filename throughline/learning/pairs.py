"""Decision days as units of evidence: what two models' decisions on the same candidates came to, day by day.

Belongs here: columns of the observations, which days are closed, the units of the three tests. Verdicts are judge's.

Outcomes of one day hang together, so a day is one unit, whatever happened inside it. Days are fed in the order in which
their turn comes: a day's turn comes when it has ended, all of its candidates are resolved *and every earlier day's turn
has come*. (By its own resolution alone a day of quick stops would jump the queue before a day whose targets take
longer: the order would depend on the outcome, and every look would see the bad days first.)

A loss counts in full, down to the stake; a gain counts up to `largest_gain`. So the two models are compared by their
mean return itself: cutting losses off where gains end would make a total loss look like a stop, and a challenger that
adds rug pulls look equal.

Each unit is the mean over the candidates that were decided differently, because a day on which two of eight were can
move the mean over all eight by a quarter only, and a bet that allows for all eight would throw away most of the power.
What a unit can reach is known from the decisions, before any outcome, and bets are sized by it. It depends on who took
what: a trade that only the challenger takes can lose the stake and gain `largest_gain`, one that only the incumbent
takes the other way round. The bounds are those of the widest day so far, not of each day: bets that change with the
mix of a day would weigh the two kinds of trades differently, and find a difference where the mean has none (of a
challenger that adds trades which lose 9 % and refuses as many that do, 46 % would be rolled back in 180 days).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from operator import attrgetter

import numpy as np

from throughline.learning.types import F64, I64, Mask, Observation

DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()
_ORDER = attrgetter("decided", "candidate")
LARGEST_LOSS = 1.0
"""The stake: a net return below -1 (costs on top of a total loss) counts as -1."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Observations as columns, ordered by decision, then candidate. pnl_usd: NaN where not executed."""

    decided: I64
    resolved: I64
    net_return: F64
    stopped: Mask
    lost: Mask
    challenger: Mask
    incumbent: Mask
    executed: Mask
    pnl_usd: F64

    def __len__(self) -> int:
        return len(self.decided)

    def take(self, rows: Mask) -> Pairs:
        """Return the pairs of a mask."""
        return Pairs(**{name: column[rows] for name, column in vars(self).items()})


@dataclass(frozen=True, eq=False)
class DayUnits:
    """One entry per day, in order of days. Returns are fractions of the stake.

    candidates, disagreements: counts. difference: mean over all candidates of the challenger's return less the
    incumbent's (0 for a model that does not take it); per_disagreement: mean over those decided differently (0 where
    none was). above, below: what per_disagreement can be at most, and what it can fall to (as a positive number), given
    the decisions of this and of all earlier days; 0 before the first disagreement. stop_difference, loss_difference:
    rate among the challenger's takes less the rate among the incumbent's; tail_bound: what their absolute value cannot
    exceed, given the takes (0 where either took nothing, or both took the same). capped: how many gains of candidates
    decided differently were larger than what counts, over all days.
    """

    candidates: I64
    disagreements: I64
    difference: F64
    per_disagreement: F64
    above: F64
    below: F64
    stop_difference: F64
    loss_difference: F64
    tail_bound: F64
    capped: int

    def __len__(self) -> int:
        return len(self.candidates)


def pairs_of(observations: Sequence[Observation]) -> Pairs:
    """Return the columns of `observations`, whatever their order.

    Raises ValueError for a candidate that comes twice, a return that is not finite, or an execution without its PnL.
    """
    rows = sorted(observations, key=_ORDER)
    if len({row.candidate for row in rows}) != len(rows):
        names = sorted(row.candidate for row in rows)
        twice = next(a for a, b in pairwise(names) if a == b)
        raise ValueError(f"candidate {twice} was observed twice: give each of its outcomes once")
    pairs = Pairs(
        decided=np.array([row.decided for row in rows], dtype=np.int64),
        resolved=np.array([row.resolved for row in rows], dtype=np.int64),
        net_return=np.array([row.net_return for row in rows], dtype=np.float64),
        stopped=np.array([row.stopped for row in rows], dtype=np.bool_),
        lost=np.array([row.lost for row in rows], dtype=np.bool_),
        challenger=np.array([row.challenger_takes for row in rows], dtype=np.bool_),
        incumbent=np.array([row.incumbent_takes for row in rows], dtype=np.bool_),
        executed=np.array([row.executed for row in rows], dtype=np.bool_),
        pnl_usd=np.array([np.nan if row.pnl_usd is None else row.pnl_usd for row in rows], dtype=np.float64),
    )
    wrong = ~np.isfinite(pairs.net_return) | (pairs.executed & ~np.isfinite(pairs.pnl_usd))
    if wrong.any():
        name = rows[int(np.argmax(wrong))].candidate
        raise ValueError(f"candidate {name} has no finite return, or was executed without a finite PnL")
    return pairs


def whose_turn_came(pairs: Pairs, as_of: int, open_days: Collection[date]) -> Mask:
    """Return which pairs belong to days whose turn had come at `as_of` (ms).

    A pair that resolves later keeps its day open, like a day of `open_days`; an open day holds back the later ones.
    """
    day = pairs.decided // DAY_MS
    first_open = min([as_of // DAY_MS, *(item.toordinal() - _EPOCH for item in open_days)])
    late = day[pairs.resolved > as_of]
    if len(late):
        first_open = min(first_open, int(late.min()))
    return np.asarray(day < first_open, dtype=np.bool_)


def day_units(pairs: Pairs, largest_gain: float) -> DayUnits:
    """Return the units of `pairs`: all days that have a candidate.

    Outcomes of a unit are those of its own candidates; its bounds follow from the decisions up to its day.

    Args:
        pairs: closed days, ordered by decision.
        largest_gain: net return above which a gain does not count, a fraction of the stake.
    """
    if not len(pairs):
        nothing, none = np.zeros(0), np.zeros(0, dtype=np.int64)
        return DayUnits(none, none, nothing, nothing, nothing, nothing, nothing, nothing, nothing, 0)
    day = pairs.decided // DAY_MS
    starts = np.flatnonzero(np.concatenate([[True], day[1:] != day[:-1]]))

    def total(values: F64 | Mask) -> F64:
        return np.asarray(np.add.reduceat(values.astype(np.float64), starts), dtype=np.float64)

    candidates = np.diff(np.append(starts, len(day)))
    side = pairs.challenger.astype(np.float64) - pairs.incumbent
    added, refused = total(side > 0.0), total(side < 0.0)
    differs = added + refused
    earned = total(np.clip(pairs.net_return, -LARGEST_LOSS, largest_gain) * side)
    per_disagreement = earned / np.maximum(differs, 1.0)
    most = (largest_gain * added + LARGEST_LOSS * refused) / np.maximum(differs, 1.0)
    least = (LARGEST_LOSS * added + largest_gain * refused) / np.maximum(differs, 1.0)
    ours, theirs = total(pairs.challenger), total(pairs.incumbent)
    both = (ours > 0.0) & (theirs > 0.0)
    # A candidate's share of the difference of the two rates; positive and negative shares have the same sum.
    spread = np.repeat(np.where(both, 1.0 / np.maximum(ours, 1.0), 0.0), candidates) * pairs.challenger
    spread -= np.repeat(np.where(both, 1.0 / np.maximum(theirs, 1.0), 0.0), candidates) * pairs.incumbent
    # Both took the same: the difference is zero by construction, without what rounding leaves of it.
    bound = np.where(both & (differs > 0.0), 0.5 * total(np.abs(spread)), 0.0)
    return DayUnits(
        candidates=candidates.astype(np.int64),
        disagreements=differs.astype(np.int64),
        difference=earned / candidates,
        per_disagreement=np.clip(per_disagreement, -least, most),  # rounding may reach beyond a bound
        above=np.maximum.accumulate(most),
        below=np.maximum.accumulate(least),
        stop_difference=np.clip(total(spread * pairs.stopped), -bound, bound),
        loss_difference=np.clip(total(spread * pairs.lost), -bound, bound),
        tail_bound=bound,
        capped=int(np.count_nonzero((side != 0.0) & (pairs.net_return > largest_gain))),
    )
