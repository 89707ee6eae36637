"""Features by hand, on closed bars, within a segment; missing is missing; the window asked for changes nothing."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.strategy_panels import cut, panel
from throughline.configuration import SizingSettings, StrategySettings
from throughline.strategy.features import DAY_MS, FEATURES, compute_features, lookback_days, rug_risk, window_rows
from throughline.strategy.screen import screen
from throughline.strategy.sizing import position_size

NAN = float("nan")
SHORT = StrategySettings(momentum_window_hours=2, volatility_window_hours=4, rearm_hours=3)


def test_momentum_is_the_close_over_the_close_of_a_window_ago() -> None:
    grids = compute_features(panel([[100.0], [101.0], [110.0], [99.99]]), SHORT)
    momentum = grids.values["momentum"][:, 0]
    assert np.isnan(momentum[:2]).all()
    assert momentum[2] == 0.1
    assert momentum[3] == pytest.approx(99.99 / 101 - 1, rel=1e-9)
    assert grids.reference_row[:, 0].tolist() == [-1, -1, 0, 1]


def test_momentum_over_a_hole_is_measured_from_the_last_close_before_the_window() -> None:
    grids = compute_features(panel([[100.0], [NAN], [NAN], [120.0]]), SHORT)
    assert (
        grids.values["momentum"][3, 0] == 0.2
    )  # two hours ago there was no bar: the close of row 0 was the last known
    assert grids.reference_row[3, 0] == 0


def test_where_no_bar_closes_there_is_no_momentum_no_volume_and_no_bar() -> None:
    grids = compute_features(panel([[100.0], [101.0], [102.0], [NAN]], volume=[[1.0]] * 3 + [[NAN]]), SHORT)
    assert not grids.has_bar[3, 0]
    assert np.isnan(grids.values["momentum"][3, 0])
    assert np.isnan(grids.values["volume_24h"][3, 0])
    assert grids.reference_row[3, 0] == -1


def test_a_new_segment_starts_from_nothing() -> None:
    close = [[1.0], [1.0], [1.0], [1000.0], [1000.0], [1100.0]]
    grids = compute_features(panel(close, segment=[[0], [0], [0], [3], [3], [3]]), SHORT)
    momentum = grids.values["momentum"][:, 0]
    assert np.isnan(momentum[3:5]).all()
    assert momentum[5] == 0.1
    # four returns are known in an unbroken series; the one across the cut is not a return
    assert np.isnan(grids.values["volatility"][4, 0])
    assert grids.values["volatility"][5, 0] == pytest.approx(statistics.stdev([0.0, 0.1]) * math.sqrt(24), rel=1e-9)


def test_volume_and_pool_reserve_of_another_segment_are_another_instrument_s() -> None:
    segment = [[0]] * 5 + [[5]] * 25
    reserve = [[100.0]] * 5 + [[1.0]] * 25
    grids = compute_features(
        panel(
            np.full((30, 1), 5.0),
            volume=[[1e9]] * 5 + [[1.0]] * 25,
            segment=segment,
            references={"pool_reserve": reserve},
        ),
        SHORT,
    )
    assert grids.values["volume_24h"][5:, 0].tolist() == [float(min(k, 24)) for k in range(1, 26)]
    assert np.isnan(grids.values["reserve_drop"][:29, 0]).all()
    assert grids.values["reserve_drop"][29, 0] == 0.0


def test_volatility_is_the_daily_sample_deviation_of_simple_returns() -> None:
    close = [100.0, 110.0, 99.0, 103.95, 103.95, 124.74]
    grids = compute_features(panel([[c] for c in close]), SHORT)
    returns = [b / a - 1 for a, b in pairwise(close)]
    for row in range(2, 6):
        window = returns[max(0, row - 4) : row]
        expected = statistics.stdev(window) * math.sqrt(24)
        assert grids.values["volatility"][row, 0] == pytest.approx(expected, rel=1e-9)
    assert np.isnan(grids.values["volatility"][:2, 0]).all()  # one return has no deviation


def test_daily_bars_are_not_scaled() -> None:
    close = [100.0, 110.0, 99.0, 103.95]
    grids = compute_features(panel([[c] for c in close], interval_ms=DAY_MS), StrategySettings())
    assert grids.values["volatility"][3, 0] == pytest.approx(statistics.stdev([0.1, -0.1, 0.05]), rel=1e-9)
    assert grids.values["momentum"][1, 0] == 0.1


def test_volume_is_the_sum_of_24_hours_of_quote_volume() -> None:
    volume = np.arange(1.0, 31.0)[:, None]
    grids = compute_features(panel(np.full((30, 1), 5.0), volume=volume), SHORT)
    assert grids.values["volume_24h"][29, 0] == sum(range(7, 31))
    assert grids.values["volume_24h"][0, 0] == 1.0


def test_one_unknown_volume_makes_the_day_s_volume_unknown_and_the_reported_one_steps_in() -> None:
    volume = np.ones((26, 1))
    volume[1] = NAN
    alone = compute_features(panel(np.full((26, 1), 5.0), volume=volume), SHORT).values["volume_24h"][:, 0]
    assert np.isnan(alone[1:25]).all()
    assert alone[25] == 24.0
    told = {"volume_24h": np.full((26, 1), 777.0)}
    reported = compute_features(panel(np.full((26, 1), 5.0), volume=volume, references=told), SHORT)
    assert reported.values["volume_24h"][:, 0].tolist() == [1.0] + [777.0] * 24 + [24.0]


def test_what_a_source_does_not_have_is_missing_everywhere_and_never_zero() -> None:
    grids = compute_features(panel([[1.0], [2.0], [3.0]]), SHORT)
    for name in ("volume_24h", "market_cap", "rug_risk", "reserve_drop", "sentiment"):
        assert np.isnan(grids.values[name]).all(), name
    assert set(grids.values) == set(FEATURES)


def test_rug_risk_is_missing_only_where_nothing_is_known() -> None:
    known, unknown = np.array([[0.4]]), np.array([[NAN]])
    assert np.isnan(rug_risk(unknown, unknown, unknown)[0, 0])
    assert not np.isnan(rug_risk(known, unknown, unknown)[0, 0])
    low, high = rug_risk(known, known, np.array([[0.0]])), rug_risk(known, known, np.array([[0.9]]))
    assert 0.0 <= low[0, 0] < high[0, 0] <= 1.0


def _market(seed: int, rows: int, columns: int) -> np.ndarray:
    random = np.random.Generator(np.random.PCG64(seed))
    steps = 1.0 + random.uniform(-0.08, 0.085, (rows, columns))
    close = np.multiply.accumulate(steps, axis=0) * random.uniform(0.001, 500.0, columns)
    close[random.uniform(size=close.shape) < 0.1] = NAN
    return close


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.data())
def test_features_and_signals_are_the_same_bits_wherever_the_panel_starts_and_ends(
    seed: int, data: st.DataObject
) -> None:
    rules = StrategySettings(
        momentum_window_hours=data.draw(st.integers(1, 30)),
        volatility_window_hours=data.draw(st.integers(2, 40)),
        rearm_hours=data.draw(st.integers(0, 12)),
        momentum_minimum=0.05,
        market_cap={"enabled": False},  # type: ignore[arg-type]
        volume_24h={"minimum": 1.0},  # type: ignore[arg-type]
    )
    rows = 24 * (lookback_days(rules, 3_600_000) + 2)
    close = _market(seed, rows, 4)
    volume = np.where(np.isnan(close), NAN, 1.0 + np.abs(np.nan_to_num(close)))
    segment = np.zeros(close.shape, dtype=np.int64)
    segment[rows // 2 :, 1] = rows // 2
    references = {"pool_reserve": np.full(close.shape, 10.0), "top10_share": np.full(close.shape, 0.2)}
    whole = panel(close, volume=volume, segment=segment, references=references)
    first = data.draw(st.integers(0, 24))
    last = data.draw(st.integers(rows - 24, rows))
    part = cut(whole, first, last)
    complete = 24 * lookback_days(rules, 3_600_000)
    one, other = compute_features(whole, rules), compute_features(part, rules)
    for name in FEATURES:
        assert one.values[name][first + complete : last].tobytes() == other.values[name][complete:].tobytes(), name
    sizes = [position_size(g.values["volatility"], g.values["volume_24h"], SizingSettings()) for g in (one, other)]
    screens = [screen(g, size, rules, 3_600_000) for g, size in zip((one, other), sizes, strict=True)]
    assert (screens[0].signals[first + complete : last] == screens[1].signals[complete:]).all()
    assert (screens[0].triggered[first + complete : last] == screens[1].triggered[complete:]).all()


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 70))
def test_nothing_up_to_t_changes_when_everything_after_t_does(seed: int, t: int) -> None:
    close = _market(seed, 72, 3)
    other = close.copy()
    other[t:] = _market(seed + 1, 72, 3)[t:] * 7.0
    volume = [np.where(np.isnan(grid), NAN, 100_000.0) for grid in (close, other)]
    rules = StrategySettings(momentum_window_hours=6, volatility_window_hours=8, market_cap={"enabled": False})  # type: ignore[arg-type]
    seen = []
    for grid, traded in zip((close, other), volume, strict=True):
        # the segment is what was known: one from the first bar on
        grids = compute_features(panel(grid, volume=traded, segment=np.zeros(grid.shape)), rules)
        sizes = position_size(grids.values["volatility"], grids.values["volume_24h"], SizingSettings())
        result = screen(grids, sizes, rules, 3_600_000)
        seen.append((grids, sizes, result))
    (one, size_one, screen_one), (two, size_two, screen_two) = seen
    for name in FEATURES:
        assert one.values[name][:t].tobytes() == two.values[name][:t].tobytes(), name
    assert size_one[:t].tobytes() == size_two[:t].tobytes()
    assert (screen_one.signals[:t] == screen_two.signals[:t]).all()
    assert (screen_one.eligible[:t] == screen_two.eligible[:t]).all()


def test_the_lookback_covers_the_longest_window_its_reference_and_the_rearm() -> None:
    assert lookback_days(StrategySettings(), 3_600_000) == 5
    assert lookback_days(StrategySettings(), DAY_MS) == math.ceil((96 + 6) / 24 + 2)
    assert window_rows(25, DAY_MS) == 2
    assert window_rows(1, DAY_MS) == 1
