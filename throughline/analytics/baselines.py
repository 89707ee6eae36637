"""What the market and chance would have given over the same days: the figures that stand beside every return.

Three baselines: the equal-weight eligible universe, the source's benchmark, and random entries with
the same exits. Most of a momentum rule's profit in a bull market is the market; these say how much.
Belongs here: arithmetic on a panel and the random draws. Does not belong here: the fills (throughline.trading) and who
is eligible (throughline.strategy).

Randomness is Philox (Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3), keyed by (experiment seed,
draw): the same numbers on every machine, and draw k does not depend on how many draws there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughline.analytics.performance import percentile_reached, quantile
from throughline.market.panel import FloatGrid, TimeGrid

Mask = NDArray[np.bool_]
DRAWS = 200


@dataclass(frozen=True)
class DailyCloses:
    """Last known closes at day ends, one row per day end.

    close: float64 [D, N], the last believed close of the instrument at or before the day's end, NaN before the first
    bar. segment: int64 [D, N], the segment of that close, -1 where none.
    """

    close: FloatGrid
    segment: TimeGrid


def day_end_closes(open_time: TimeGrid, close: FloatGrid, segment_start: TimeGrid, ends: Sequence[int]) -> DailyCloses:
    """Return the last close of each instrument at each instant of `ends` (Unix ms; bars that open before it count)."""
    rows = np.where(~np.isnan(close), np.arange(len(close))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0) if len(rows) else rows
    at = np.searchsorted(open_time, np.asarray(ends, dtype=np.int64), side="left") - 1
    columns = np.arange(close.shape[1])[None, :]
    picked = np.where((at >= 0)[:, None], last[np.maximum(at, 0)], -1)
    known = picked >= 0
    safe = np.maximum(picked, 0)
    return DailyCloses(
        close=np.where(known, close[safe, columns], np.nan),
        segment=np.where(known, segment_start[safe, columns], -1),
    )


def segment_returns(before: DailyCloses, after: DailyCloses) -> FloatGrid:
    """Return simple returns [D, N] between day ends, within one instrument segment.

    Where a segment ended in between (a gap, a redenomination, a re-used ticker) the return is 0 from the last close:
    a gap never creates profit or loss. NaN where the instrument had no close before.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        change = after.close / before.close - 1.0
    return np.where(np.isnan(before.close), np.nan, np.where(before.segment == after.segment, change, 0.0))


def holding_returns(
    open_time: TimeGrid, opens: FloatGrid, returns: FloatGrid, closes: FloatGrid, edges: Sequence[int]
) -> FloatGrid:
    """Return the daily returns [D] of buying an instrument at its first price and keeping it.

    Args:
        open_time: [T] Unix ms.
        opens: [T] opens of the instrument, NaN without a bar.
        returns: [D] as `segment_returns` gives: NaN on days before which there was no close.
        closes: [D] closes at the days' ends.
        edges: [D + 1] the instants between the days, Unix ms.

    Returns:
        `returns`, but from the first open to the close on the day of the first bar, where the day has an open and no
        close lay before it. NaN on days before the first bar.
    """
    result = returns.copy()
    new = np.flatnonzero(np.isnan(returns) & ~np.isnan(closes))
    for day in new[:1]:
        inside = (open_time >= edges[day]) & (open_time < edges[day + 1]) & ~np.isnan(opens)
        result[day] = closes[day] / opens[inside][0] - 1.0
    return result


def equal_weight_returns(returns: FloatGrid, eligible: Mask) -> list[float]:
    """Return one return per day of the equal-weight portfolio of the instruments eligible at the day's start.

    returns: [D, N] of the day. eligible: [D, N] at its start. Rebalanced daily, before costs. A day without an eligible
    instrument is a day in cash (0).
    """
    invested = eligible & ~np.isnan(returns)
    result = []
    for row, mask in zip(returns, invested, strict=True):
        count = int(mask.sum())
        result.append(math.fsum(row[mask]) / count if count else 0.0)
    return result


def scaled_to_exposure(returns: Sequence[float], exposure: Sequence[float]) -> list[float]:
    """Return the daily returns of a portfolio that puts the share `exposure[d]` of its worth into an asset on day d.

    The rest is cash, which earns nothing: r'[d] = exposure[d] * r[d]. With the strategy's own invested share of each
    day this is the equal-weight universe at the strategy's exposure: what is left between the two is selection and
    timing within the day, not how much was invested.
    """
    return [share * value for share, value in zip(exposure, returns, strict=True)]


def compound(returns: Sequence[float]) -> float:
    """Return the product of (1 + r) minus one, in the order given."""
    growth = 1.0
    for value in returns:
        growth *= 1.0 + value
    return growth - 1.0


@dataclass(frozen=True)
class DrawnEntries:
    """Random entries of one draw, in time order. rows: panel rows whose close is the decision; columns: instruments."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


@dataclass(frozen=True)
class Eligible:
    """Who was eligible when, as lists. rows: rows with at least one; columns: the eligible instruments of all rows, row
    by row; first, count: where those of each of `rows` start in `columns`, and how many they are."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    first: NDArray[np.int64]
    count: NDArray[np.int64]


def list_eligible(mask: Mask) -> Eligible:
    """Return the lists of a mask [T, N]."""
    count = mask.sum(axis=1)
    rows = np.flatnonzero(count)
    columns = np.nonzero(mask)[1]
    counts = count[rows].astype(np.int64)
    return Eligible(rows, columns, np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64), counts)


def draw_entries(parts: Sequence[tuple[Eligible, int]], seed: int, draw: int) -> DrawnEntries:
    """Draw entries, each on a random instant and a random instrument eligible then.

    The instant is uniform over rows with at least one eligible instrument, the instrument uniform among those eligible
    on that row. Equal (instant, instrument) pairs may be drawn twice: the second finds the instrument in the portfolio
    already, as a real one would.

    Args:
        parts: times that are drawn from apart from each other, and how many entries each gets. A part in which nothing
            was ever eligible gives none.
        seed: of the experiment.
        draw: number of the draw.
    """
    used = [(eligible, entries) for eligible, entries in parts if len(eligible.rows) and entries]
    total = sum(entries for _, entries in used)
    numbers = np.random.Generator(np.random.Philox(key=[seed % 2**63, draw])).random((2, total))
    rows, columns = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    first = 0
    for eligible, entries in used:
        mine = numbers[:, first : first + entries]
        first += entries
        place = np.floor(mine[0] * len(eligible.rows)).astype(np.int64)
        nth = np.floor(mine[1] * eligible.count[place]).astype(np.int64)
        rows.append(eligible.rows[place])
        columns.append(eligible.columns[eligible.first[place] + nth])
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((column, row))
    return DrawnEntries(row[order], column[order])


@dataclass(frozen=True)
class RandomEntries:
    """The returns of `draws` portfolios of random entries (base path), beside the strategy's own.

    entries: entries per draw, as many as the strategy had candidates that no closed rule refused; trades: median of
    closed trades; exposure: median
    of the draws' mean invested shares; returns are fractions; beaten: draws with a lower return than the strategy's;
    percentile: the same as a share (0 to 100), ties counted by half, None without draws. trade_return: mean net return
    of the strategy's closed trades; trade_return_median: median over the draws of theirs; trade_percentile: the place
    of the first among the draws', which does not depend on how much was invested; None without closed trades.
    """

    draws: int
    entries: int
    trades: float | None
    exposure: float | None
    return_p05: float | None
    return_median: float | None
    return_p95: float | None
    beaten: int
    percentile: float | None
    trade_return: float | None
    trade_return_median: float | None
    trade_percentile: float | None


def summarise_random(
    reached: float,
    returns: Sequence[float],
    trades: Sequence[int],
    exposure: Sequence[float],
    entries: int,
    trade_return: float | None,
    trade_returns: Sequence[float],
) -> RandomEntries:
    """Return the summary of the random draws beside the strategy.

    Args:
        reached: the strategy's own total return, a fraction.
        returns: total return of each draw, a fraction.
        trades: closed trades of each draw.
        exposure: mean invested share of each draw.
        entries: of one draw.
        trade_return: mean net return of the strategy's closed trades, a fraction; None without one.
        trade_returns: the same of each draw that closed a trade.
    """
    return RandomEntries(
        draws=len(returns),
        entries=entries,
        trades=quantile([float(value) for value in trades], 0.5),
        exposure=quantile(exposure, 0.5),
        return_p05=quantile(returns, 0.05),
        return_median=quantile(returns, 0.5),
        return_p95=quantile(returns, 0.95),
        beaten=sum(value < reached for value in returns),
        percentile=percentile_reached(reached, returns),
        trade_return=trade_return,
        trade_return_median=quantile(trade_returns, 0.5),
        trade_percentile=None if trade_return is None else percentile_reached(trade_return, trade_returns),
    )
