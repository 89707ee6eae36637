"""The invented world of the simulated market: who is listed when, what befalls them, and their price at each midnight.

Belongs here: lives, regimes, event calendars, the daily path. Does not belong here: hours, bars, panels
(`simulated`). Everything is a function of the seed. The daily path runs once over the whole calendar (about 3,650
steps over 60 tickers); hours are made from it when they are asked for.

A ticker is used by one coin after another: a coin lives 60 to 540 days, ends as a rug pull or a delisting, and after
20 to 80 days another coin takes the ticker. Daily moves stay within -30 % and +80 %, so a price never moves fivefold
across a gap shorter than a day: only gaps of a day or more (and new listings) start segments, and their starts follow
from the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from throughline.market.simulated_lives import BENCHMARK, BLOCK_DAYS, TICKERS, Lives, draw_lives, life_by_day
from throughline.market.simulated_noise import F64, normal, uniform, words

I64 = NDArray[np.int64]

KINDS = ("none", "short_gap", "long_gap", "spike", "bad_row", "bad_cap", "twice", "stale", "lull", "redenomination")
_KIND_ENDS = np.array([0.60, 0.72, 0.78, 0.84, 0.88, 0.90, 0.92, 0.95, 1.0])


@dataclass(frozen=True)
class Events:
    """At most one event per ticker and block of days: kind (index into KINDS), first hour, length in hours and a
    free number in [0, 1). Arrays [blocks, tickers]. An event ends at least a day before the next block.
    """

    kind: NDArray[np.int8]
    start: I64
    length: I64
    number: F64


@dataclass(frozen=True)
class World:
    """The calendar of `days` days. life: [days, tickers] index into lives, -1 = nothing listed; anchor: [days + 1,
    tickers] relative price (1 = base price) at each midnight; drift, burst: the two parts of each day's return;
    burst_from, burst_hours: when in the day the burst runs; closed: bool per hour, exchange-wide maintenance;
    segments: per ticker the hours at which segments start, in order.
    """

    days: int
    lives: Lives
    life: NDArray[np.int32]
    anchor: F64
    drift: F64
    burst: F64
    burst_from: I64
    burst_hours: I64
    events: Events
    closed: NDArray[np.bool_]
    segments: tuple[I64, ...]


def build_world(seed: int, days: int) -> World:
    """Return the world of a seed for the days from the calendar's start."""
    closed = _maintenance(seed, days)
    lives = draw_lives(seed, days, closed)
    life = life_by_day(lives, days)
    events = _events(seed, days, lives, life)
    anchor, drift, burst, begin, hours = _daily_path(seed, days, lives, life)
    segments = _segments(lives, events, closed)
    return World(days, lives, life, anchor, drift, burst, begin, hours, events, closed, segments)


def _events(seed: int, days: int, lives: Lives, life: NDArray[np.int32]) -> Events:
    blocks = days // BLOCK_DAYS
    kind = np.zeros((blocks, len(TICKERS)), np.int8)
    start, length = np.zeros(kind.shape, np.int64), np.zeros(kind.shape, np.int64)
    number = np.zeros(kind.shape)
    first = np.arange(blocks) * BLOCK_DAYS
    for column, ticker in enumerate(TICKERS):
        u = uniform(words(seed, ticker, "events", 0, blocks, 4))
        mine = life[first, column]
        # An event keeps two days from a listing and four from an end (and from the rug pull before it).
        safe = (mine >= 0) & (mine == life[np.maximum(first - 2, 0), column])
        safe &= (mine == life[np.minimum(first + BLOCK_DAYS + 4, days - 1), column]) & (first >= 2)
        kinds = np.searchsorted(_KIND_ENDS, u[:, 0], "right").astype(np.int8)
        kinds[first // BLOCK_DAYS == lives.redenominated[mine]] = KINDS.index("redenomination")
        if ticker == BENCHMARK:
            safe[:] = False
        kind[:, column] = np.where(safe, kinds, 0)
        hours = _event_hours(kind[:, column], u[:, 1])
        length[:, column] = hours
        room = BLOCK_DAYS * 24 - 24 - hours
        start[:, column] = first * 24 + np.floor(u[:, 2] * room).astype(np.int64)
        number[:, column] = u[:, 3]
    return Events(kind, start, length, number)


_LENGTHS = {"short_gap": (2, 12), "long_gap": (25, 75), "stale": (6, 8), "lull": (4, 16), "redenomination": (30, 67)}


def _event_hours(kind: NDArray[np.int8], u: F64) -> I64:
    hours = np.ones(len(kind), np.int64)
    for name, (least, spread) in _LENGTHS.items():
        chosen = kind == KINDS.index(name)
        hours[chosen] = least + np.floor(u[chosen] * spread).astype(np.int64)
    return hours


def _maintenance(seed: int, days: int) -> NDArray[np.bool_]:
    closed = np.zeros(days * 24, np.bool_)
    months = days // 30
    for month, u in enumerate(uniform(words(seed, "exchange", "maintenance", 0, max(months, 1), 4)).tolist()):
        begin = (month * 30 + 2) * 24 + int(u[0] * 22 * 24)
        closed[begin : begin + 1 + int(u[1] * 8)] = True
    return closed


def _market(seed: int, days: int) -> tuple[F64, F64]:
    """Return (market return, burst multiplier) per day from regimes of 15 to 75 days: bull, bear, crab."""
    drift, spread, bursts = np.zeros(days), np.zeros(days), np.zeros(days)
    day = 0
    for u in uniform(words(seed, "market", "regimes", 0, days // 15 + 1, 4)).tolist():
        length, regime = 15 + int(60 * u[0]), int(3 * u[1])
        part = slice(day, day + length)
        drift[part], spread[part] = (0.006, -0.006, 0.0)[regime], (0.022, 0.03, 0.012)[regime]
        bursts[part] = (1.3, 0.8, 1.0)[regime]
        day += length
        if day >= days:
            break
    return drift + spread * normal(words(seed, "market", "daily", 0, days, 4)), bursts


def _daily_path(seed: int, days: int, lives: Lives, life: NDArray[np.int32]) -> tuple[F64, F64, F64, I64, I64]:
    market, lively = _market(seed, days)
    count = len(TICKERS)
    shock, u = np.empty((days, count)), np.empty((days, count, 9))
    for column, ticker in enumerate(TICKERS):
        raw = words(seed, ticker, "daily", 0, days, 12)
        shock[:, column] = normal(raw[:, :3])
        u[:, column] = uniform(raw[:, 3:])
    known = np.maximum(life, 0)
    hours = 3 + np.floor(u[:, :, 6] * 8).astype(np.int64)
    begin = np.floor(u[:, :, 5] * (24 - hours)).astype(np.int64)
    burst = np.where(u[:, :, 3] < lives.burst[known] * lively[:, None], 0.12 + 0.38 * u[:, :, 4] * u[:, :, 4], 0.0)
    jump = np.where(u[:, :, 0] < 0.015, (u[:, :, 1] - 0.5) * 0.4, 0.0)
    steady = lives.beta[known] * market[:, None] + lives.volatility[known] * shock + jump + lives.drift[known]
    pull = lives.pull[known]
    anchor, drift = np.ones((days + 1, count)), np.zeros((days, count))
    price, faded = np.ones(count), np.zeros(count)
    before = np.full(count, -1, np.int32)
    for day in range(days):
        fresh = life[day] != before
        price = np.where(fresh, 1.0, price)
        faded = np.where(fresh, 0.0, faded)
        anchor[day] = price
        pulled = pull[day] * (1.0 - price) / (1.0 + price)
        drift[day] = np.clip(steady[day] + pulled - faded, -0.30, 0.30)
        price = price * (1.0 + (drift[day] + burst[day]))
        faded = burst[day] * (0.9 * u[day, :, 7] - 0.3)
        before = life[day]
    anchor[days] = price
    return anchor, drift, burst, begin, hours


def _segments(lives: Lives, events: Events, closed: NDArray[np.bool_]) -> tuple[I64, ...]:
    """Return the hours at which segments start: listings and ends of gaps of a day or more, moved past maintenance."""
    result = []
    gaps = (events.kind == KINDS.index("long_gap")) | (events.kind == KINDS.index("redenomination"))
    for column in range(len(TICKERS)):
        mine = gaps[:, column]
        ends = (events.start[mine, column] + events.length[mine, column]).tolist()
        starts = sorted([*lives.listed[lives.ticker == column].tolist(), *ends])
        for place, hour in enumerate(starts):
            while hour < len(closed) and closed[hour]:
                hour += 1
            starts[place] = hour
        result.append(np.array(starts, np.int64))
    return tuple(result)
