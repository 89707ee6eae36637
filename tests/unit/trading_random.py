"""Random markets for the property tests of the engine: gaps, halts, zero and unknown volume, segments, drained pools.

Everything follows from one seed, so a failing example is one number. Prices live on a coarse grid around 100 (or 1e-5,
where 18 decimals cut in), so that barriers are met exactly now and then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from throughline.exits import RuleSettings
from throughline.exits.rules import roi_table, trailing_stop
from throughline.trading import Bars, Costs, Entries, ExitRules

HOUR = 3_600_000
START = 1_600_000_200_000 // HOUR * HOUR


@dataclass(frozen=True)
class Case:
    bars: Bars
    entries: Entries
    rules: ExitRules
    costs: Costs
    max_positions: int | None
    cash: float | None
    overlap: bool
    minimum: float


def _column(rng: np.random.Generator, values: np.ndarray, unknown: float, absent: float) -> np.ndarray | None:
    if rng.random() < absent:
        return None
    return np.where(rng.random(len(values)) < unknown, np.nan, values)


def random_case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    names = tuple(f"{chr(122 - 3 * k)}{'é' if k % 2 else ''}" for k in range(int(rng.integers(1, 5))))
    length = int(rng.integers(2, 45))
    scale = float(rng.choice([1.0, 1.0, 1e-7, 1e-11]))
    gaps = float(rng.choice([0.0, 0.1, 0.4]))
    close_only = bool(rng.random() < 0.25)
    columns: dict[str, list[np.ndarray]] = {c: [] for c in ("time", "open", "high", "low", "close", "segment")}
    starts = [0]
    for _ in names:
        keep = np.flatnonzero(rng.random(length) >= gaps)
        if rng.random() < 0.3:
            keep = keep[: int(rng.integers(0, len(keep) + 1))]
        n = len(keep)
        walk = np.round(100.0 * np.cumprod(rng.choice([0.8, 0.95, 1.0, 1.0, 1.05, 1.25], n + 1)))
        walk = np.maximum(walk, 5.0) * scale
        walk[1:] *= np.cumprod(rng.choice([1.0, 0.1, 1.5, 9.7], n, p=[0.97, 0.01, 0.01, 0.01]))
        steps = rng.choice([0.85, 1.0, 1.3, 0.5, 2.0], n, p=[0.3, 0.3, 0.3, 0.05, 0.05])
        opens = np.where(rng.random(n) < 0.3, np.round(walk[:-1] * steps, 13), walk[:-1])
        closes = walk[1:]
        spread = rng.choice([0.0, 0.0, 0.05, 0.3], n)
        highs, lows = np.maximum(opens, closes) * (1 + spread), np.minimum(opens, closes) * (1 - spread)
        if close_only:
            opens = highs = lows = closes
        for name, values in zip(columns, (START + keep * HOUR, opens, highs, lows, closes), strict=False):
            columns[name].append(values)
        columns["segment"].append(np.cumsum(rng.random(n) < 0.04))
        starts.append(starts[-1] + n)
    data = {name: np.concatenate(parts) if parts else np.empty(0) for name, parts in columns.items()}
    rows = starts[-1]
    volume = rng.choice([0.0, 200.0, 5_000.0, 1e6], rows, p=[0.1, 0.2, 0.3, 0.4])
    reserve = np.where(rng.random(rows) < 0.05, 0.0, rng.choice([500.0, 1e5], rows))
    bars = Bars(
        instruments=names,
        starts=np.array(starts, np.int64),
        open_time=data["time"].astype(np.int64),
        open=data["open"],
        high=data["high"],
        low=data["low"],
        close=data["close"],
        interval_ms=HOUR,
        volume=_column(rng, volume, 0.1, 0.3),
        liquidity=_column(rng, rng.choice([0.0, 1e4, 1e6], rows), 0.1, 0.3),
        volatility=_column(rng, rng.random(rows), 0.1, 0.3),
        reserve=_column(rng, reserve, 0.5, 0.7),
        rug=(rng.random(rows) < 0.03).astype(np.int8) if rng.random() < 0.4 else None,
        segment=data["segment"].astype(np.int64) if rng.random() < 0.6 else None,
        close_only=close_only,
    )
    count = int(rng.integers(0, 60))
    instrument = rng.integers(0, len(names), count).astype(np.int32)
    off_grid = np.where(rng.random(count) < 0.05, HOUR // 2, 0)
    entries = Entries(
        instrument=instrument,
        decision_time=START + rng.integers(0, length + 2, count) * HOUR + off_grid,
        score=rng.integers(0, 3, count) / 2.0,
        notional=rng.choice([0.5, 100.0, 1234.567], count),
        segment=None if rng.random() < 0.7 else rng.integers(0, 2, count).astype(np.int64),
    )
    others: list[RuleSettings] = []
    if rng.random() < 0.3:
        others.append(
            trailing_stop.Settings(percent=float(rng.choice([0.05, 0.2])), activation=float(rng.choice([0, 0.2])))
        )
    if rng.random() < 0.3:
        gains = rng.choice([-0.1, 0.0, 0.05, 0.25], 3).tolist()
        others.append(roi_table.Settings(steps=tuple(zip((int(rng.integers(0, 3)), 4, 9), gains, strict=True))))
    rules = ExitRules(
        others=tuple(others),
        stop_loss=0.15,
        take_profit=float(rng.choice([0.1, 0.3, 3.0])),
        max_hold_ms=int(rng.integers(1, 14)) * HOUR,
        halt_ms=int(rng.integers(1, 7)) * HOUR,
        max_participation=None if rng.random() < 0.3 else 0.05,
        contiguous=bool(rng.random() < 0.8),
        doubtful_jump=[1.2, 1.5, 4.0, None][int(rng.choice([0, 1, 2]) + rng.choice([0, 1]))],
    )
    costs = Costs(attrition_48h=float(rng.choice([0.0, 0.05])), impact_coefficient=float(rng.choice([1.0, 20.0])))
    overlap = bool(rng.random() < 0.2)
    slots = None if rng.random() < 0.4 else int(rng.integers(1, 4))
    cash = None if rng.random() < 0.5 else float(rng.choice([50.0, 1000.0, 3000.0]))
    minimum = float(rng.choice([0.0, 1.0, 150.0]))
    return Case(bars, entries, rules, costs, slots, cash, overlap, minimum)


def some_bars(bars: Bars, begin: int, end: int) -> Bars:
    """The bars that open in [begin, end); instruments without any are left out."""
    names, starts, picks = [], [0], []
    for k, name in enumerate(bars.instruments):
        rows = np.arange(bars.starts[k], bars.starts[k + 1])
        rows = rows[(bars.open_time[rows] >= begin) & (bars.open_time[rows] < end)]
        if len(rows):
            names.append(name)
            picks.append(rows)
            starts.append(starts[-1] + len(rows))
    pick = np.concatenate(picks) if picks else np.empty(0, np.int64)
    optional = ("volume", "liquidity", "volatility", "reserve", "rug", "segment")
    taken = {c: None if getattr(bars, c) is None else getattr(bars, c)[pick] for c in optional}
    prices = {c: getattr(bars, c)[pick] for c in ("open_time", "open", "high", "low", "close")}
    return replace(bars, instruments=tuple(names), starts=np.array(starts, np.int64), **prices, **taken)
