"""Drift of features and scores: which of many columns have left the reference, with false alarms that hold.

Belongs here: two tests a column and the control over all of them, as a function of arrays. Does not belong here: which
rows are compared (they should be one per episode: hourly rows of one coin are not independent), and when.

Rows of one day share the market, and calm and wild days come in clusters, so rows are not independent, and the usual
null distributions of two-sample tests raise false alarms (benchmarks/drift.py: in most reports, where 5 % is the
level). The unit is therefore a block of consecutive decision days. The statistic of a column (the Kolmogorov-Smirnov
distance of its values, or the change of the share that is missing) must pass two comparisons:

- with what it is when the blocks are dealt at random to the reference and to the current window. All columns are dealt
  alike, and the largest standardised statistic of each deal holds the chance of any alarm at `level`, however the
  columns hang together (Westfall and Young, Resampling-Based Multiple Testing, 1993, single-step maxT; blocks as in
  Lahiri, Resampling Methods for Dependent Data, 2003);
- with every stretch of the reference that is as long as the current window: a cluster that lasts longer than a block
  looks like drift to the deals, but the reference has such clusters too. This needs a reference of twice the window;
  a shorter one is compared with the deals alone.

The population stability index stands beside as a size: with many rows a small drift is certain and still small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from throughline.learning.types import F64, I64, Mask
from throughline.signals.drift import psi

F32 = NDArray[np.float32]

FEWEST = 10
"""Known values on either side below which nothing is said of a column's values."""
BLOCK_DAYS = 7
FEWEST_BLOCKS = 5
"""Blocks of the shorter side: 5 of 10 can be chosen in 126 ways that differ, so p can be as low as 0.008. Blocks are
shortened to have so many, and with fewer decision days than that nothing is said."""
PERMUTATIONS = 1_999
BINS = 10
GRID = 64
"""Points at which distributions are compared: quantiles of all known values of both sides."""

ROUNDING = 1e-6
"""What single precision leaves of an equality."""

Test = Literal["values", "missing"]


@dataclass(frozen=True)
class Drift:
    """What one test says of one column. reference, current: known values on either side ('values'), or all rows.

    statistic: Kolmogorov-Smirnov distance, or the change of the share that is missing; p: of the column alone, over all
    deals; adjusted: over all tests, and at least the share of stretches of the reference in which some column moved as
    much, where there is one. All None where there is too little to say anything. psi: of the values, None for 'missing'
    and where all reference values are the same.
    """

    feature: str
    test: Test
    statistic: float | None
    p: float | None
    adjusted: float | None
    drifted: bool
    reference: int
    current: int
    psi: float | None = None


@dataclass(frozen=True, eq=False)
class _Deal:
    """How blocks are dealt. member: [blocks, rows], 1 where a row is of a block; dealt: [1 + permutations, blocks], 1
    where a block is current; the first line is the true one. stretches: likewise, [k, blocks], of runs of reference
    blocks as long as the current window. Single precision: what is counted are rows."""

    member: F32
    dealt: F32
    stretches: F32

    def counts(self, marks: Mask) -> tuple[F32, F32]:
        """Return how many of [rows, k] marks lie in the chosen and in the other rows: deals first, then stretches."""
        blocks = self.member @ marks.astype(np.float32)
        current = np.vstack([self.dealt, self.stretches]) @ blocks
        return current, blocks.sum(axis=0) - current


def drift_report(
    reference: F64,
    current: F64,
    names: Sequence[str],
    days: tuple[I64, I64],
    level: float = 0.05,
    permutations: int = PERMUTATIONS,
) -> tuple[Drift, ...]:
    """Return the drift of every column, what is most certain first, then by name; what cannot be told comes last.

    The share of missing values is tested where it could differ: not where nothing or everything is missing on both
    sides. The same rows give the same report in any order.

    Args:
        reference: [rows, columns], NaN = missing.
        current: likewise, of the newer rows.
        names: one a column.
        days: number of the UTC decision day of each reference row, and of each current row.
        level: chance of any alarm where nothing has drifted.
        permutations: deals of the blocks that the true one is compared with.

    Raises:
        ValueError: for shapes that do not fit the names or the days, or an impossible level.
    """
    if reference.ndim != 2 or current.ndim != 2 or not reference.shape[1] == current.shape[1] == len(names):
        raise ValueError(
            f"reference {reference.shape} and current {current.shape} for {len(names)} names: give one column a name"
        )
    if (len(days[0]), len(days[1])) != (len(reference), len(current)):
        raise ValueError(
            f"{len(days[0])} and {len(days[1])} days for {len(reference)} and {len(current)} rows: give each row a day"
        )
    if not 0.0 < level < 1.0:
        raise ValueError(f"level {level}: give a probability between 0 and 1")
    deal = _deal(*days, permutations)
    tested: list[Drift] = []
    untold: list[Drift] = []
    statistics_of: list[F32] = []
    for column, name in enumerate(names):
        for item, statistics in _column(name, reference[:, column], current[:, column], deal):
            if statistics is None:
                untold.append(item)
            else:
                tested.append(item)
                statistics_of.append(statistics)
    controlled = [
        replace(item, p=p, adjusted=adjusted, drifted=adjusted <= level)
        for item, (p, adjusted) in zip(tested, _p_values(statistics_of, permutations + 1), strict=True)
    ]
    return (
        *sorted(controlled, key=lambda item: (item.adjusted, item.p, item.feature, item.test)),
        *sorted(untold, key=lambda item: (item.feature, item.test)),
    )


def _p_values(statistics_of: Sequence[F32], deals: int) -> list[tuple[float, float]]:
    """Return p and adjusted p of each test from its statistics: the first `deals` of deals, the rest of stretches."""
    if not statistics_of:
        return []
    scores = np.stack([_standardised(statistics, deals) for statistics in statistics_of])
    largest = scores.max(axis=0)
    values = []
    for own in scores:
        adjusted = _share_at_least(largest[:deals], own[0])
        as_large = int(np.count_nonzero(largest[deals:] >= own[0] - ROUNDING))
        if as_large:
            adjusted = max(adjusted, (1 + as_large) / (1 + len(largest) - deals))
        values.append((_share_at_least(own[:deals], own[0]), adjusted))
    return values


def _deal(reference: I64, current: I64, permutations: int) -> _Deal | None:
    """Deal the blocks of days; None where the shorter side has too few days to say anything."""
    places = [np.unique(side, return_inverse=True) for side in (reference, current)]
    fewest = min(len(known) for known, _ in places)
    if fewest < FEWEST_BLOCKS:
        return None
    length = min(BLOCK_DAYS, fewest // FEWEST_BLOCKS)
    before, now = (at // length for _, at in places)
    first = int(before.max()) + 1
    count = first + int(now.max()) + 1
    truth = np.arange(count) >= first
    generator = np.random.Generator(np.random.PCG64(0))
    dealt = generator.permuted(np.tile(truth, (permutations, 1)), axis=1)
    member = np.arange(count)[:, None] == np.concatenate([before, first + now])
    window = count - first
    starts = np.arange(first - window + 1 if first >= 2 * window else 0)
    place = np.arange(count) - starts[:, None]
    stretches = (place >= 0) & (place < window)
    return _Deal(*(part.astype(np.float32) for part in (member, np.vstack([truth, dealt]), stretches)))


def _column(name: str, reference: F64, current: F64, deal: _Deal | None) -> list[tuple[Drift, F32 | None]]:
    """Return the tests of a column, each with its statistics (deals, stretches); None where there is too little."""
    known, known_now = reference[~np.isnan(reference)], current[~np.isnan(current)]
    n, m = len(known), len(known_now)
    both = np.concatenate([reference, current])
    comparisons: list[tuple[Drift, F32 | None]] = []
    if deal is None or n < FEWEST or m < FEWEST:
        comparisons.append((Drift(name, "values", None, None, None, False, n, m), None))
    else:
        size = psi(known_now, known, BINS) if known.min() < known.max() else None
        distances = _distances(both, deal)
        comparisons.append((Drift(name, "values", float(distances[0]), None, None, False, n, m, size), distances))
    if n + m in (0, len(both)) or not len(reference) or not len(current):
        return comparisons
    if deal is None:
        return [*comparisons, (Drift(name, "missing", None, None, None, False, len(reference), len(current)), None)]
    now, before = deal.counts(np.column_stack([np.isnan(both), np.ones(len(both), dtype=np.bool_)]))
    change = now[:, 0] / now[:, 1] - before[:, 0] / before[:, 1]
    missing = Drift(name, "missing", float(change[0]), None, None, False, len(reference), len(current))
    return [*comparisons, (missing, np.abs(change))]


def _distances(both: F64, deal: _Deal) -> F32:
    """Return the largest distance of the two distributions of known values on the grid, in every deal and stretch."""
    known = ~np.isnan(both)
    grid = np.unique(np.quantile(both[known], np.linspace(0.0, 1.0, GRID), method="inverted_cdf"))
    now, before = deal.counts((both[:, None] <= grid) & known[:, None])  # the last point of the grid counts all known
    # A deal that leaves one side without any known value counts as the largest distance.
    shares = [side / np.maximum(side[:, -1:], 1.0) for side in (now, before)]
    return np.asarray(np.abs(shares[0] - shares[1]).max(axis=1), dtype=np.float32)


def _standardised(statistics: F32, deals: int) -> F32:
    """Return the statistics less their mean over the deals, in standard deviations; 0 where all deals are equal."""
    dealt = statistics[:deals].astype(np.float64)
    spread = float(dealt.std())
    if spread < ROUNDING:
        return np.zeros_like(statistics)
    return np.asarray((statistics - dealt.mean()) / spread, dtype=np.float32)


def _share_at_least(statistics: F32, value: float) -> float:
    """Return in which share of the deals, the true one (the first) included, a statistic is as large as `value`."""
    return float(np.mean(statistics >= value - ROUNDING))
