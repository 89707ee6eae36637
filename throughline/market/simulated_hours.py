"""Hours of the simulated market: raw rows of a stretch of days, dirt included, as an exchange's files would hold them.

Belongs here: the path within a day, volumes, published quantities, and the dirt. Does not belong here: cleaning.
All arrays are [days, 24, tickers] until rows are cut out of them at the end. Only ``+ - * /``, sqrt and comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughline.market.simulated_lives import BENCHMARK, BLOCK_DAYS, TICKERS
from throughline.market.simulated_noise import F64, decimals, eight_digits, normal, uniform, words
from throughline.market.simulated_world import KINDS, World

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

_WIDTH = 8  # words per ticker and hour: 3 for the path, 5 uniforms


@dataclass(frozen=True)
class DrawnHours:
    """Raw rows, parallel arrays: ticker, hour (from the calendar's start), prices, volume (USD), and per published
    quantity its value at the row's close (NaN = not published then). daily_*: volume of whole days, per ticker.
    """

    ticker: I32
    hour: I64
    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64
    published: Mapping[str, F64]
    daily_ticker: I32
    daily_day: I64
    daily_volume: F64


@dataclass
class _Grids:
    """The stretch being drawn: every array [days * 24, tickers]."""

    hour: I64
    life: NDArray[np.int32]
    listed: Mask
    open: F64
    high: F64
    low: F64
    close: F64
    volume: F64


def draw_hours(world: World, seed: int, first: int, last: int) -> DrawnHours:
    """Return the raw rows of days [first, last)."""
    noise = np.empty(((last - first) * 24, len(TICKERS)))
    u = np.empty((*noise.shape, 5))
    for column, ticker in enumerate(TICKERS):
        raw = words(seed, ticker, "hourly", first * 24, len(noise), _WIDTH)
        noise[:, column] = normal(raw[:, :3])
        u[:, column] = uniform(raw[:, 3:])
    grids = _paths(world, first, last, noise, u)
    published = _published(world, grids, u, seed, first, last)
    extra = _dirt(world, grids, published, first, last)
    return _rows(world, grids, published, extra)


def _paths(world: World, first: int, last: int, noise: F64, u: F64) -> _Grids:
    days, count = last - first, len(TICKERS)
    life_by_day = world.life[first:last]
    known = np.maximum(life_by_day, 0)
    lives = world.lives
    # The path within a day: a line to the next midnight, a burst in its hours, and a random bridge over both.
    walk = np.zeros((days, 25, count))
    steps = noise.reshape(days, 24, count)
    for step in range(24):
        walk[:, step + 1] = walk[:, step] + steps[:, step]
    share = np.arange(25)[None, :, None] / 24.0
    bridge = (walk - share * walk[:, 24:25]) * (lives.volatility[known] * 0.2)[:, None, :]
    bridge = np.clip(bridge, -0.12, 0.12)
    begin, lasting = world.burst_from[first:last, None, :], world.burst_hours[first:last, None, :]
    risen = np.clip((np.arange(25)[None, :, None] - begin) / lasting, 0.0, 1.0)
    line = 1.0 + (world.drift[first:last, None, :] * share + world.burst[first:last, None, :] * risen)
    price = world.anchor[first:last, None, :] * line * (1.0 + bridge)
    price[:, 0], price[:, 24] = world.anchor[first:last], _closing_anchor(world, first, last)
    hour: I64 = np.arange(first * 24, last * 24, dtype=np.int64)
    life = np.repeat(life_by_day, 24, axis=0)
    index = np.maximum(life, 0)
    listed = (life >= 0) & (hour[:, None] >= lives.listed[index]) & (hour[:, None] < lives.ended[index])
    rug = lives.rug[index]
    gone = (rug >= 0) & (hour[:, None] > rug)
    falling = (rug >= 0) & (hour[:, None] == rug)
    scale = lives.base[index] * _redenomination(world, index, hour)
    opened = price[:, :24].reshape(-1, count) * scale * np.where(gone, 0.02, 1.0)
    closed = price[:, 1:].reshape(-1, count) * scale * np.where(gone | falling, 0.02, 1.0)
    opened, closed = eight_digits(opened), eight_digits(closed)
    wick = lives.volatility[index] * 0.25
    high = eight_digits(np.maximum(opened, closed) * (1.0 + wick * u[:, :, 0] * u[:, :, 0]))
    low = eight_digits(np.minimum(opened, closed) * (1.0 - wick * u[:, :, 1] * u[:, :, 1]))
    volume = _volume(world, first, last, index, u, gone, falling)
    quiet = volume == 0
    high, low, closed = np.where(quiet, opened, high), np.where(quiet, opened, low), np.where(quiet, opened, closed)
    return _Grids(hour, life, listed, opened, high, low, closed, volume)


def _closing_anchor(world: World, first: int, last: int) -> F64:
    """Return each day's last price: the next midnight's anchor, except where another coin has the ticker by then."""
    own = world.anchor[first:last] * (1.0 + (world.drift[first:last] + world.burst[first:last]))
    return np.asarray(own)


def _redenomination(world: World, index: NDArray[np.int32], hour: I64) -> F64:
    block = world.lives.redenominated[index]
    columns = np.arange(len(TICKERS))[None, :]
    safe = np.clip(block, 0, len(world.events.kind) - 1)
    real = (block >= 0) & (world.events.kind[safe, columns] == KINDS.index("redenomination"))
    after = real & (hour[:, None] >= world.events.start[safe, columns])
    return np.where(after, world.lives.factor[index], 1.0)


def _volume(world: World, first: int, last: int, index: NDArray[np.int32], u: F64, gone: Mask, falling: Mask) -> F64:
    lives = world.lives
    cap = np.repeat(world.anchor[first:last], 24, axis=0) * lives.base[index] * lives.supply[index]
    hour_of_day = np.tile(np.arange(24), last - first)[:, None]
    begin = np.repeat(world.burst_from[first:last], 24, axis=0)
    hours = np.repeat(world.burst_hours[first:last], 24, axis=0)
    bursting = (np.repeat(world.burst[first:last], 24, axis=0) > 0) & (hour_of_day >= begin)
    bursting &= hour_of_day < begin + hours
    volume = cap * lives.turnover[index] / 24.0 * (0.3 + 1.4 * u[:, :, 2])
    volume = volume * np.where(bursting, 4.0 + 12.0 * u[:, :, 3], 1.0) * np.where(gone, 0.01, 1.0)
    silent = (lives.turnover[index] < 0.1) & (u[:, :, 4] < 0.04) & ~falling
    silent[:, TICKERS.index(BENCHMARK)] = False
    return decimals(np.where(silent, 0.0, volume), 2)


def _published(world: World, grids: _Grids, u: F64, seed: int, first: int, last: int) -> dict[str, F64]:
    """Return what becomes known at each close: caps and reserves every six hours, shares daily and when they change."""
    lives, index = world.lives, np.maximum(grids.life, 0)
    hour = grids.hour[:, None]
    factor = _redenomination(world, index, grids.hour)
    cap = grids.close * (lives.supply[index] / factor)
    rug, evidence = lives.rug[index], lives.evidence[index]
    drained = (rug >= 0) & (hour >= rug)
    warned = (evidence >= 0) & (hour >= evidence)
    changes = ((rug >= 0) & (hour == rug)) | ((evidence >= 0) & (hour == evidence))
    six = ((hour % 6) == 5) | changes
    daily = ((hour % 24) == 23) | changes
    relative = grids.close / (lives.base[index] * factor)
    reserve = lives.pool[index] * lives.supply[index] * lives.base[index] * np.sqrt(relative)
    reserve = np.where(drained & ~np.isnan(reserve), 0.0, reserve)
    wobble = u[:, :, 4] * 0.02
    top10 = np.where(warned, 0.85, lives.top10[index] + wobble)
    locked = np.where(warned & ~np.isnan(lives.locked[index]), 0.05, lives.locked[index])
    burst = np.repeat(world.burst[first:last], 24, axis=0)
    mood = np.clip((u[:, :, 0] + u[:, :, 1] - 1.0) * 0.6 + np.where(burst > 0, 0.3, 0.0), -1.0, 1.0)
    mood = np.where(lives.sentiment[index] > 0, mood, np.nan)
    return {
        "market_cap": np.where(six, decimals(cap, 2), np.nan),
        "pool_reserve": np.where(six, decimals(reserve, 2), np.nan),
        "top10_share": np.where(daily, decimals(top10, 4), np.nan),
        "lp_locked_share": np.where(daily, decimals(locked, 4), np.nan),
        "sentiment": np.where(six, decimals(mood, 3), np.nan),
    }


@dataclass
class _Extra:
    """Rows that stand twice in the files: (row, ticker, how the second differs). 'same': it does not; 'longer': it was
    read later and its high is higher; 'other': its close lies elsewhere within the same range."""

    rows: list[tuple[int, int, str]]


def _dirt(world: World, grids: _Grids, published: dict[str, F64], first: int, last: int) -> _Extra:
    """Apply the calendar's events to the grids: gaps and bad rows. Returns the rows to be said twice."""
    grids.listed &= ~world.closed[first * 24 : last * 24, None]
    extra = _Extra([])
    blocks = range(max(first // BLOCK_DAYS - 1, 0), min(last // BLOCK_DAYS + 1, len(world.events.kind)))
    for block in blocks:
        for column in np.flatnonzero(world.events.kind[block]).tolist():
            kind = KINDS[world.events.kind[block, column]]
            start = int(world.events.start[block, column]) - first * 24
            stop = start + int(world.events.length[block, column])
            # A spike in the first bar after maintenance, or after an hour in which nobody traded, would pass for a jump
            # across a gap: another instrument.
            silent = 0 < start <= len(grids.hour) and grids.volume[start - 1, column] == 0
            unclear = kind == "spike" and (silent or world.closed[start + first * 24 - 1])
            if stop > 0 and start < len(grids.hour) and not unclear:
                number = float(world.events.number[block, column])
                _befall(grids, published, extra, kind, column, start, stop, number)
    for column, starts in enumerate(world.segments):
        # Somebody trades in the first hour of a segment: the calendar says when it starts, and a candle without any
        # trade is no bar.
        mine = starts[(starts >= first * 24) & (starts < last * 24)] - first * 24
        grids.volume[mine, column] = np.maximum(grids.volume[mine, column], 1.0)
    return extra


def _befall(
    grids: _Grids,
    published: dict[str, F64],
    extra: _Extra,
    kind: str,
    column: int,
    start: int,
    stop: int,
    number: float,
) -> None:
    part = (slice(max(start, 0), stop), column)
    at = (start, column)
    if kind in ("short_gap", "long_gap", "redenomination"):
        grids.listed[part] = False
    elif kind == "lull":
        grids.volume[part] = 0.0  # quotes move, nobody trades
    elif kind == "stale":
        if start < 0:
            # The stretch began before the days drawn: nothing in the window can see it any more (see _CONTEXT_DAYS).
            grids.listed[part] = False
            return
        grids.volume[part] = 0.0
        for grid in (grids.high, grids.low, grids.close, grids.open):
            grid[part] = grids.open[at]
    elif start >= 0:
        _misprint(grids, published, extra, kind, at, number)


def _misprint(
    grids: _Grids, published: dict[str, F64], extra: _Extra, kind: str, at: tuple[int, int], number: float
) -> None:
    if kind == "spike":
        grids.high[at] = grids.close[at] = eight_digits(np.array([grids.open[at] * (12.0 + 500.0 * number)]))[0]
    elif kind == "bad_row":
        if number < 0.4:
            grids.close[at] = -grids.close[at]
        elif number < 0.7:
            grids.low[at] = 0.0
        else:
            grids.high[at], grids.low[at] = grids.low[at] * 0.5, grids.high[at]
    elif kind == "bad_cap":
        published["market_cap"][at] = -1.0
    elif kind == "twice":
        extra.rows.append((*at, "same" if number < 0.4 else "longer" if number < 0.7 else "other"))


def _rows(world: World, grids: _Grids, published: dict[str, F64], extra: _Extra) -> DrawnHours:
    row, column = np.nonzero(grids.listed)
    again = [item for item in extra.rows if grids.listed[item[0], item[1]]]
    row = np.append(row, np.array([item[0] for item in again], np.intp))
    column = np.append(column, np.array([item[1] for item in again], np.intp))
    opened, high, close = grids.open[row, column], grids.high[row, column], grids.close[row, column]
    if again:
        kind, second = np.array([item[2] for item in again]), slice(len(row) - len(again), None)
        high[second] = np.where(kind == "longer", eight_digits(high[second] * 1.01), high[second])
        between = eight_digits(opened[second] * 0.5 + close[second] * 0.5)
        close[second] = np.where(kind == "other", between, close[second])
    total = np.zeros((len(grids.hour) // 24, len(TICKERS)))
    volume = np.where(grids.listed, grids.volume, 0.0).reshape(-1, 24, len(TICKERS))
    for hour in range(24):
        total = total + volume[:, hour]
    day, ticker = np.nonzero(grids.listed.reshape(-1, 24, len(TICKERS)).any(axis=1))
    return DrawnHours(
        ticker=column.astype(np.int32),
        hour=grids.hour[row],
        open=opened,
        high=high,
        low=grids.low[row, column],
        close=close,
        volume=grids.volume[row, column],
        published={name: values[row, column] for name, values in published.items()},
        daily_ticker=ticker.astype(np.int32),
        daily_day=grids.hour[0] // 24 + day,
        daily_volume=decimals(total[day, ticker], 2),
    )
