"""A bar for the engine carries what was known when it opened, and nothing of itself."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from tests.day_records import candidate
from tests.unit.strategy_panels import panel
from throughline.configuration import SizingSettings, StrategySettings
from throughline.flow.day_bars import day_bars, entries_of, panel_bars
from throughline.flow.market_view import ScreenedChunk
from throughline.market.panel import MarketPanel
from throughline.strategy.features import compute_features
from throughline.strategy.screen import screen
from throughline.strategy.sizing import position_size

RULES = StrategySettings(volatility_window_hours=4, momentum_window_hours=2)
DAY = date(2021, 2, 2)


def _chunk(whole: MarketPanel) -> ScreenedChunk:
    features = compute_features(whole, RULES)
    sizes = position_size(features.values["volatility"], features.values["volume_24h"], SizingSettings())
    return ScreenedChunk(whole, features, sizes, screen(features, sizes, RULES, whole.interval_ms))


def _market(changed_row: int | None = None) -> MarketPanel:
    random = np.random.Generator(np.random.PCG64(5))
    close = 10.0 * np.multiply.accumulate(1.0 + random.uniform(-0.1, 0.1, (72, 2)), axis=0)
    volume = random.uniform(1e3, 1e4, (72, 2))
    reserve = random.uniform(1e5, 2e5, (72, 2))
    top10 = random.uniform(0.2, 0.8, (72, 2))
    if changed_row is not None:
        for grid in (close, volume):
            grid[changed_row:] *= 3.0
        reserve[changed_row:] *= 0.01
        top10[changed_row:] = 0.99
    return panel(close, volume=volume, references={"pool_reserve": reserve, "top10_share": top10})


def test_liquidity_volatility_reserve_and_evidence_are_those_of_the_row_before() -> None:
    whole = _market()
    chunk = _chunk(whole)
    bars = day_bars(whole, chunk.features, DAY, ["I01"], 0.6)
    assert bars.open_time.tolist() == whole.open_time[24:48].tolist()
    for given, name in ((bars.liquidity, "volume_24h"), (bars.volatility, "volatility")):
        assert given is not None
        assert given.tolist() == chunk.features.values[name][23:47, 1].tolist()
    assert bars.reserve is not None
    assert bars.reserve.tolist() == whole.references["pool_reserve"].values[23:47, 1].tolist()
    assert bars.rug is not None
    evidence = (chunk.features.values["rug_risk"] >= 0.6) | (chunk.features.values["reserve_drop"] >= 0.5)
    assert bars.rug.tolist() == evidence[23:47, 1].astype(int).tolist()
    assert 0 < bars.rug.sum() < 24


def test_a_bar_does_not_know_its_own_hour() -> None:
    for row in (24, 30, 47):
        markets = (_market(), _market(row))
        one, two = (day_bars(m, _chunk(m).features, DAY, ["I00", "I01"], 0.6) for m in markets)
        upto: Any = np.tile(np.arange(24) <= row - 24, 2)
        for name in ("liquidity", "volatility", "reserve", "rug"):
            np.testing.assert_array_equal(getattr(one, name)[upto], getattr(two, name)[upto], err_msg=name)


def test_instruments_are_ordered_by_bytes_and_unknown_ones_have_no_bars() -> None:
    whole = _market()
    bars = day_bars(whole, _chunk(whole).features, DAY, ["zz", "I01", "I00", "I01"], 0.6)
    assert bars.instruments == ("I00", "I01", "zz")
    assert bars.starts.tolist() == [0, 24, 48, 48]


def test_all_rows_of_a_panel_are_the_bars_of_its_days_and_the_first_row_knows_nothing() -> None:
    whole = _market()
    features = _chunk(whole).features
    bars = panel_bars(whole, features, slice(0, len(whole.open_time)), whole.instruments, 0.6)
    one = day_bars(whole, features, DAY, whole.instruments, 0.6)
    day = np.concatenate([np.arange(24, 48), np.arange(96, 120)])
    for name in ("open_time", "close", "volume", "liquidity", "volatility", "reserve", "rug", "segment"):
        np.testing.assert_array_equal(getattr(bars, name)[day], getattr(one, name), err_msg=name)
    assert bars.liquidity is not None
    assert np.isnan(bars.liquidity[[0, 72]]).all()


def test_entries_are_those_of_the_candidates_in_their_order() -> None:
    whole = _market()
    bars = day_bars(whole, _chunk(whole).features, DAY, ["I00", "I01"], 0.6)
    asking = [candidate(1, instrument="I01", hour=3, opportunity="0.25"), candidate(0, instrument="I00", hour=5)]
    entries = entries_of(asking, bars, np.array([10.0, 20.0]))
    assert entries.instrument.tolist() == [1, 0]
    assert entries.decision_time.tolist() == [item.decision_ms for item in asking]
    assert entries.score.tolist() == [0.25, 0.5]
    assert entries.notional.tolist() == [10.0, 20.0]
    assert entries.segment is not None
    assert entries.segment.tolist() == [1_609_459_200_000] * 2
