"""The baselines of a range, measured on the provider's data in chunks of bounded memory.

Two passes where the range is longer than one chunk: the first finds who was eligible when and the day-end closes, the
second runs the random entries through the engine. One engine, the same exits, costs, slots and cash as the strategy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.analytics.baselines import (
    DRAWS,
    DailyCloses,
    DrawnEntries,
    compound,
    day_end_closes,
    draw_entries,
    equal_weight_returns,
    holding_returns,
    list_eligible,
    scaled_to_exposure,
    segment_returns,
    summarise_random,
)
from throughline.analytics.entry_times import EntryTimes
from throughline.analytics.random_entries import Portfolio, advance
from throughline.configuration import Configuration
from throughline.flow.day_bars import panel_bars
from throughline.flow.market_view import DAY, MarketView, day_ms
from throughline.flow.paths import costs, exit_rules
from throughline.market.panel import MarketDataProvider, MarketPanel
from throughline.strategy.features import FeatureGrids
from throughline.trading.types import PathState

CHUNK_DAYS = 190
"""Half a year of hourly bars of a few hundred instruments at once."""


@dataclass(frozen=True)
class Baselines:
    """figures: what ``backtest --json`` shows. curves: daily worth of the starting cash in each market baseline.
    instruments: how many had at least one believed bar in the range."""

    figures: Mapping[str, Any]
    curves: Mapping[str, Sequence[float]]
    instruments: int


@dataclass(frozen=True)
class _Chunk:
    """Bars that open in [first, end) of `panel` (the rows before warm the features up)."""

    panel: MarketPanel
    features: FeatureGrids
    sizes: NDArray[np.float64]
    eligible: NDArray[np.bool_]
    first: int


def measure_baselines(
    provider: MarketDataProvider,
    configuration: Configuration,
    start: date,
    end: date,
    entries: EntryTimes,
    reached: float,
    trade_return: float | None,
    exposure: Sequence[float],
    seed: int,
    blocked: frozenset[date] = frozenset(),
    draws: int = DRAWS,
    chunk_days: int = CHUNK_DAYS,
) -> Baselines:
    """Return the baselines over [start, end].

    entries: how many entries a draw has, and when; reached: the strategy's own total return on the base path, as a
    fraction; trade_return: mean net return of its closed trades; exposure: the invested share of the strategy's base
    path on each day; blocked: days whose bars failed their gate, taken out as gaps.
    """
    spans = _spans(start, end, chunk_days)
    loader = _ChunkLoader(provider, configuration, blocked)
    market = _market(loader, spans)
    cash = configuration.sizing.small_fund_usd
    equal = {"return": compound(market.equal), "costs": "none charged", **_breadth(market.counts)}
    scaled = scaled_to_exposure(market.equal, exposure)
    same = {"return": compound(scaled), "exposure": _mean(exposure), "costs": "none charged"}
    figures: dict[str, Any] = {
        "equal_weight": equal,
        "equal_weight_same_exposure": same,
        "random_entries": _random_figures(loader, spans, market, entries, reached, trade_return, seed, draws),
    }
    curves = {"equal_weight": _worth(cash, market.equal), "equal_weight_same_exposure": _worth(cash, scaled)}
    name = provider.description.benchmark
    if name is None:
        figures["benchmark"] = {"name": None, "return": None, "reason": "the source names no benchmark"}
    elif market.benchmark is None:
        figures["benchmark"] = {"name": name, "return": None, "reason": f"{name} has no price in this range"}
    else:
        kept = [0.0 if math.isnan(value) else value for value in market.benchmark]
        figures["benchmark"] = {
            "name": name,
            "return": compound(kept),
            "exposure": _mean([float(not math.isnan(value)) for value in market.benchmark]),
            "costs": "none charged",
        }
        curves["benchmark"] = _worth(cash, kept)
    return Baselines(figures, curves, market.instruments)


def _random_figures(
    loader: _ChunkLoader,
    spans: Sequence[tuple[date, date]],
    market: _Market,
    times: EntryTimes,
    reached: float,
    trade_return: float | None,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    portfolios, entries = _random(loader, spans, market, times, seed, draws)
    if not entries:
        return {"draws": 0, "entries": 0, "reason": "no candidate to compare with, or nothing was eligible"}
    cash = loader.configuration.sizing.small_fund_usd
    returns = [item.equity / cash - 1.0 for item in portfolios]
    trades = [item.trades for item in portfolios]
    edges = [day_ms(spans[0][0] + k * DAY) for k in range((spans[-1][1] - spans[0][0]).days + 2)]
    invested = [_mean(item.invested(edges, cash)) for item in portfolios]
    means = [item.trade_return for item in portfolios if item.trade_return is not None]
    return asdict(summarise_random(reached, returns, trades, invested, entries, trade_return, means))


def _breadth(counts: Sequence[int]) -> dict[str, Any]:
    """Return how many instruments the equal-weight portfolio had, and on which share of the days it was invested."""
    return {
        "exposure": _mean([float(count > 0) for count in counts]),
        "instruments": _mean([float(count) for count in counts]),
        "fewest_instruments": min(counts, default=0),
        "days_with_one_or_none": sum(count <= 1 for count in counts),
        "days": len(counts),
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / max(1, len(values))


def _worth(cash: float, returns: Sequence[float]) -> list[float]:
    curve, value = [], cash
    for change in returns:
        value *= 1.0 + change
        curve.append(value)
    return curve


def _spans(start: date, end: date, days: int) -> list[tuple[date, date]]:
    spans = []
    first = start
    while first <= end:
        spans.append((first, min(first + timedelta(days=days - 1), end)))
        first += timedelta(days=days)
    return spans


class _ChunkLoader:
    """Loads chunks through the view that the stages use; the last one is kept, so one chunk is loaded once."""

    def __init__(self, provider: MarketDataProvider, configuration: Configuration, blocked: frozenset[date]) -> None:
        self.provider, self.configuration, self.blocked = provider, configuration, blocked
        self._view = MarketView(provider, configuration)

    def chunks(self, spans: Sequence[tuple[date, date]]) -> Iterator[_Chunk]:
        """Yield the chunks of spans in order."""
        for span in spans:
            seen = self._view.screened(*span, self.blocked)
            first = int(np.searchsorted(seen.panel.open_time, day_ms(span[0])))
            yield _Chunk(seen.panel, seen.features, seen.sizes, seen.screen.eligible, first)


@dataclass(frozen=True)
class _Market:
    """equal, benchmark: a return per day (benchmark: NaN before its first bar); counts: eligible instruments at each
    day's start; instruments: how many had a bar in the range; eligible: per chunk the mask of rows whose close is a
    decision instant within the span; instants: those instants (Unix ms), of all chunks."""

    equal: list[float]
    benchmark: list[float] | None
    counts: list[int]
    instruments: int
    eligible: list[NDArray[np.bool_]]
    instants: NDArray[np.int64]


def _market(loader: _ChunkLoader, spans: Sequence[tuple[date, date]]) -> _Market:
    equal: list[float] = []
    benchmark: list[float] = []
    counts: list[int] = []
    traded: set[str] = set()
    masks: list[NDArray[np.bool_]] = []
    instants = [np.zeros(0, np.int64)]
    name = loader.provider.description.benchmark
    for span, chunk in zip(spans, loader.chunks(spans), strict=True):
        panel = chunk.panel
        days = (span[1] - span[0]).days + 1
        edges = [day_ms(span[0] + k * DAY) for k in range(days + 1)]
        closes = day_end_closes(panel.open_time, panel.close, panel.segment_start, edges)
        before = DailyCloses(closes.close[:-1], closes.segment[:-1])
        returns = segment_returns(before, DailyCloses(closes.close[1:], closes.segment[1:]))
        at_start = np.searchsorted(panel.open_time, np.array(edges[:-1])) - 1
        open_set = np.where((at_start >= 0)[:, None], chunk.eligible[np.maximum(at_start, 0)], False)
        equal += equal_weight_returns(returns, open_set)
        counts += [int(row.sum()) for row in open_set]
        seen = (~np.isnan(panel.close[chunk.first :])).any(axis=0)
        traded |= {panel.instruments[k] for k in np.flatnonzero(seen)}
        if name in panel.instruments:
            column = panel.instruments.index(name)
            day_ends = closes.close[1:, column]
            benchmark += holding_returns(
                panel.open_time, panel.open[:, column], returns[:, column], day_ends, edges
            ).tolist()
        # A decision is a close; those that fall on the span's first instant belong to the bar before it.
        rows = slice(chunk.first - 1 if chunk.first else 0, -1 if len(chunk.eligible) > 1 else None)
        masks.append(chunk.eligible[rows].copy())
        instants.append(panel.open_time[rows] + panel.interval_ms)
    known = len(benchmark) == len(equal) and not all(math.isnan(value) for value in benchmark)
    return _Market(equal, benchmark if known else None, counts, len(traded), masks, np.concatenate(instants))


def _random(
    loader: _ChunkLoader,
    spans: Sequence[tuple[date, date]],
    market: _Market,
    times: EntryTimes,
    seed: int,
    draws: int,
) -> tuple[list[Portfolio], int]:
    """Return the portfolio of each draw at the end (base path), and how many entries a draw has."""
    eligible = market.eligible
    widest = max((mask.shape[1] for mask in eligible), default=0)
    whole = np.concatenate([np.pad(mask, ((0, 0), (0, widest - mask.shape[1]))) for mask in eligible])
    closed = times.within_closed(market.instants)[:, None]
    parts = [
        (list_eligible(whole & ~closed), times.candidates),
        (list_eligible(whole & closed), times.candidates_closed),
    ]
    drawn = [draw_entries(parts, seed, draw) for draw in range(draws)]
    if not drawn or not len(drawn[0].rows):
        return [], 0
    source = loader.provider.description
    rules, prices = exit_rules(loader.configuration, source), costs(loader.configuration, source)
    portfolios = [Portfolio(PathState(cash=loader.configuration.sizing.small_fund_usd)) for _ in drawn]
    offset = 0
    for span, mask, chunk in zip(spans, eligible, loader.chunks(spans), strict=True):
        shift = (chunk.first - 1 if chunk.first else 0) - offset
        within = [_between(entries, offset, offset + len(mask), shift) for entries in drawn]
        instants = np.array([day_ms(span[0] + k * DAY) for k in range((span[1] - span[0]).days + 2)])
        rows = slice(chunk.first, len(chunk.panel.open_time))
        threshold = loader.configuration.strategy.emergency_rug_risk
        bars = panel_bars(chunk.panel, chunk.features, rows, chunk.panel.instruments, threshold)
        portfolios = advance(
            portfolios, within, chunk.panel, chunk.sizes, bars, instants, loader.configuration, rules, prices
        )
        offset += len(mask)
    return portfolios, len(drawn[0].rows)


def _between(entries: DrawnEntries, first: int, stop: int, shift: int) -> DrawnEntries:
    """Return the entries on mask rows [first, stop), as rows of the panel: mask row r is panel row r + shift."""
    low, high = np.searchsorted(entries.rows, [first, stop])
    return DrawnEntries(entries.rows[low:high] + shift, entries.columns[low:high])
