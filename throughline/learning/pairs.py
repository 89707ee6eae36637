"""Decision days as units of evidence: what two models' decisions on the same candidates came to, day by day.

Belongs here: columns of the observations, which days are closed, the units of the three tests. Verdicts are judge's.

Outcomes of one day hang together, so a day is one unit, whatever happened inside it. Days are fed in the order in which
their turn comes: a day's turn comes when it has ended, all of its candidates are resolved *and every earlier day's turn
has come*. (By its own resolution alone a day of quick stops would jump the queue before a day whose targets take
longer: the order would depend on the outcome, and every look would see the bad days first.)

Each unit has a bound that is known from the decisions alone, before any outcome. Bets are sized by it: a day on which
two of eight candidates were decided differently can move the mean by a quarter of the clip at most, and a bet that
allows for the whole clip would throw away most of the power (at 120 days 0.02 against 0.8).
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
    """One entry per day, in order of days.

    candidates, disagreements: counts. difference: mean over all candidates of the clipped difference of what the two
    models earned on them; per_disagreement: mean over those decided differently (0 where none was). stop_difference,
    loss_difference: rate among the challenger's takes less the rate among the incumbent's; tail_bound: what their
    absolute value cannot exceed, given the takes (0 where either took nothing, or both took the same).
    clipped: how many differences were beyond the clip, over all days.
    """

    candidates: I64
    disagreements: I64
    difference: F64
    per_disagreement: F64
    stop_difference: F64
    loss_difference: F64
    tail_bound: F64
    clipped: int

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


def day_units(pairs: Pairs, clip: float) -> DayUnits:
    """Return the units of `pairs`: all days that have a candidate, each a function of its own candidates only."""
    if not len(pairs):
        nothing, none = np.zeros(0), np.zeros(0, dtype=np.int64)
        return DayUnits(none, none, nothing, nothing, nothing, nothing, nothing, 0)
    day = pairs.decided // DAY_MS
    starts = np.flatnonzero(np.concatenate([[True], day[1:] != day[:-1]]))

    def total(values: F64 | Mask) -> F64:
        return np.asarray(np.add.reduceat(values.astype(np.float64), starts), dtype=np.float64)

    candidates = np.diff(np.append(starts, len(day)))
    side = pairs.challenger.astype(np.float64) - pairs.incumbent
    raw = pairs.net_return * side
    differs = total(side != 0.0)
    earned = total(np.clip(raw, -clip, clip))
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
        per_disagreement=earned / np.maximum(differs, 1.0),
        stop_difference=np.clip(total(spread * pairs.stopped), -bound, bound),
        loss_difference=np.clip(total(spread * pairs.lost), -bound, bound),
        tail_bound=bound,
        clipped=int(np.count_nonzero(np.abs(raw) > clip)),
    )
