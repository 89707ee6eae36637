"""Purged, time-ordered folds over label intervals: who may be trained on, when who is tested.

Belongs here: walk-forward folds for out-of-fold evaluation, a purged partition for calibration, the cut of the holdout.
Does not belong here: which intervals overlap (`throughline.features.intervals`), estimators, weights.
Source: M. Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7.

Blocks begin at whole UTC days of decision, since what was decided on one day hangs together. Labels come ordered by
decision. In walk-forward folds and before the holdout a label trains only if it was resolved before the first decision
that is tested: what a model of that time could have known. In the partition it may also lie behind the test block, if
it does not overlap any test label and begins after the embargo.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from throughline.features.intervals import overlapping
from throughline.learning.types import I64

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Fold:
    """Positions of the training and of the test labels, and how many others were purged or embargoed between them."""

    train: I64
    test: I64
    purged: int


def walk_forward_folds(decided: I64, t0: I64, t1: I64, folds: int) -> tuple[Fold, ...]:
    """Return expanding folds: each block but the first is tested once, by what was resolved before it.

    Fewer than `folds` where there are fewer days. Raises ValueError for labels that are not in order of decision.
    """
    blocks = _day_blocks(decided, folds + 1)
    return tuple(_before(decided, t0, t1, start, stop, 0) for start, stop in blocks[1:])


def purged_partition(decided: I64, t0: I64, t1: I64, folds: int, embargo_hours: int) -> tuple[Fold, ...]:
    """Return folds that test each label exactly once, trained on all others that do not overlap the test block.

    Fewer than `folds` where there are fewer days. Raises ValueError for labels that are not in order of decision.
    """
    partition = []
    everything = np.arange(len(decided), dtype=np.int64)
    for start, stop in _day_blocks(decided, folds):
        test = everything[start:stop]
        others = np.concatenate([everything[:start], everything[stop:]])
        clash = overlapping(t0[others], t1[others], t0[test], t1[test], embargo_hours * HOUR_MS)
        partition.append(Fold(others[~clash], test, int(clash.sum())))
    return tuple(partition)


def holdout_split(decided: I64, t0: I64, t1: I64, share: float, embargo_hours: int) -> Fold:
    """Return the last `share` of the decision days (rounded up) as test, and what was resolved an embargo before it.

    Raises ValueError for labels that are not in order of decision.
    """
    _require_order(decided)
    day = decided // DAY_MS
    days = np.unique(day)
    first = days[len(days) - int(np.ceil(share * len(days)))] if len(days) else 0
    start = int(np.searchsorted(day, first, side="left"))
    return _before(decided, t0, t1, start, len(decided), embargo_hours * HOUR_MS)


def _before(decided: I64, t0: I64, t1: I64, start: int, stop: int, embargo_ms: int) -> Fold:
    """The labels [start, stop) as test; of those before, the ones that ended `embargo_ms` before its first decision."""
    past, test = np.arange(start, dtype=np.int64), np.arange(start, stop, dtype=np.int64)
    if stop == start:
        return Fold(past, test, 0)
    clash = (t1[past] + embargo_ms >= decided[start]) | overlapping(t0[past], t1[past], t0[test], t1[test])
    return Fold(past[~clash], test, int(clash.sum()))


def _day_blocks(decided: I64, count: int) -> list[tuple[int, int]]:
    """Cut the labels into at most `count` stretches of whole days with about equally many labels."""
    _require_order(decided)
    day = decided // DAY_MS
    n = len(decided)
    starts = [n * k // count for k in range(1, count)]
    cuts = [int(np.searchsorted(day, day[at], side="left")) for at in starts] if n else []
    edges = sorted({0, n, *cuts})
    return list(pairwise(edges))


def _require_order(decided: I64) -> None:
    wrong = np.flatnonzero(np.diff(decided) < 0)
    if len(wrong):
        raise ValueError(f"label {wrong[0] + 1} was decided before label {wrong[0]}: give labels in order of decision")
