"""The screen: verdicts, a funnel that adds up, and signals that re-arm."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.configuration import RangeFilter, StrategySettings
from throughline.strategy.features import FeatureGrids
from throughline.strategy.screen import FUNNEL, RANGE_FILTERS, Verdict, funnel_row, range_verdict, screen

NAN = float("nan")
GOOD = {
    "momentum": 0.2,
    "volatility": 0.05,
    "volume_24h": 1e6,
    "market_cap": 1e6,
    "rug_risk": 0.1,
    "reserve_drop": 0.0,
    "sentiment": 0.5,
}


def _grids(rows: int, columns: int, **changes: np.ndarray) -> FeatureGrids:
    values = {name: np.full((rows, columns), value) for name, value in GOOD.items()} | changes
    return FeatureGrids(values, np.ones((rows, columns), bool), np.zeros((rows, columns), np.int64))


@pytest.mark.parametrize(
    ("value", "rule", "verdict"),
    [
        (1.0, RangeFilter(minimum=1.0, maximum=2.0), Verdict.PASSED),  # both ends belong to it
        (2.0, RangeFilter(minimum=1.0, maximum=2.0), Verdict.PASSED),
        (0.9999999999, RangeFilter(minimum=1.0, maximum=2.0), Verdict.FAILED),
        (2.000000001, RangeFilter(minimum=1.0, maximum=2.0), Verdict.FAILED),
        (1e12, RangeFilter(minimum=1.0), Verdict.PASSED),
        (-1e12, RangeFilter(maximum=2.0), Verdict.PASSED),
        (NAN, RangeFilter(minimum=1.0), Verdict.MISSING_REJECTED),
        (NAN, RangeFilter(minimum=1.0, on_missing="admit_flagged"), Verdict.MISSING_ADMITTED),
        (NAN, RangeFilter(enabled=False, minimum=1.0), Verdict.OFF),
        (0.0, RangeFilter(enabled=False, minimum=1.0), Verdict.OFF),
    ],
)
def test_a_range_filter_says_what_it_does(value: float, rule: RangeFilter, verdict: Verdict) -> None:
    assert range_verdict(np.array([[value]]), rule)[0, 0] == verdict


@pytest.mark.parametrize("name", RANGE_FILTERS)
@pytest.mark.parametrize("on_missing", ["reject", "admit_flagged"])
def test_every_filter_obeys_its_on_missing(name: str, on_missing: str) -> None:
    rules = StrategySettings(
        **{name: {"enabled": True, "minimum": 0.0, "maximum": 1e9, "on_missing": on_missing}}  # type: ignore[arg-type]
    )
    result = screen(_grids(1, 1, **{name: np.array([[NAN]])}), np.ones((1, 1)), rules, 3_600_000)
    assert bool(result.signals[0, 0]) is (on_missing == "admit_flagged")
    assert bool(result.removed[name][0, 0]) is (on_missing == "reject")
    assert bool(result.missing[name][0, 0])
    word = "missing_admitted" if on_missing == "admit_flagged" else "missing_rejected"
    assert Verdict(int(result.verdicts[name][0, 0])).text == word


def test_a_filter_that_is_off_removes_nothing_and_misses_nothing() -> None:
    rules = StrategySettings(market_cap={"enabled": False})  # type: ignore[arg-type]
    result = screen(_grids(1, 1, market_cap=np.array([[NAN]])), np.ones((1, 1)), rules, 3_600_000)
    assert result.signals[0, 0]
    assert not result.missing["market_cap"][0, 0]


def test_momentum_at_its_minimum_triggers_and_unknown_momentum_does_not() -> None:
    momentum = np.array([[0.1, 0.0999999999, NAN]])
    result = screen(_grids(1, 3, momentum=momentum), np.ones((1, 3)), StrategySettings(), 3_600_000)
    assert result.triggered[0].tolist() == [True, False, False]
    assert result.eligible[0].all()


def test_what_is_too_small_to_trade_is_removed_by_size() -> None:
    result = screen(_grids(1, 2), np.array([[0.0, 10.0]]), StrategySettings(), 3_600_000)
    assert result.removed["size"][0].tolist() == [True, False]
    assert result.signals[0].tolist() == [False, True]


def _signals(triggered: list[int], rows: int, hours: int, interval_ms: int = 3_600_000) -> list[int]:
    momentum = np.zeros((rows, 1))
    momentum[triggered] = 0.5
    rules = StrategySettings(rearm_hours=hours)
    result = screen(_grids(rows, 1, momentum=momentum), np.ones((rows, 1)), rules, interval_ms)
    return np.flatnonzero(result.signals[:, 0]).tolist()


def test_a_signal_is_the_first_trigger_after_the_rearm_hours_without_one() -> None:
    assert _signals([0, 1, 2, 8, 9, 16], 20, 6) == [0, 16]  # 8 comes 6 bars after 2, which is still within 6 hours
    assert _signals([0, 7], 20, 6) == [0, 7]
    assert _signals([0, 6], 20, 6) == [0]
    assert _signals(list(range(20)), 20, 6) == [0]


def test_on_daily_bars_the_rearm_window_is_one_bar() -> None:
    assert _signals([0, 1, 3], 5, 6, 86_400_000) == [0, 3]


def test_a_trigger_that_another_filter_removed_does_not_disarm() -> None:
    momentum = np.full((3, 1), 0.5)
    volume = np.array([[1.0], [1e6], [1e6]])
    rules = StrategySettings(rearm_hours=6)
    result = screen(_grids(3, 1, momentum=momentum, volume_24h=volume), np.ones((3, 1)), rules, 3_600_000)
    assert result.signals[:, 0].tolist() == [False, True, False]


maybe = st.one_of(st.just(NAN), st.floats(0, 1e8))


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.data())
def test_the_funnel_adds_up_at_every_instant(seed: int, data: st.DataObject) -> None:
    random = np.random.Generator(np.random.PCG64(seed))
    shape = (12, 9)
    scales = {"momentum": 0.3, "volatility": 0.1, "volume_24h": 3e5, "market_cap": 8e7, "rug_risk": 1.0, "sentiment": 1}
    changes = {}
    for name, scale in scales.items():
        grid = random.uniform(0, scale, shape)
        grid[random.uniform(size=shape) < 0.15] = NAN
        changes[name] = grid
    grids = _grids(*shape, **changes)
    has_bar = random.uniform(size=shape) < 0.9
    reference = np.where(random.uniform(size=shape) < 0.9, 0, -1)
    grids = FeatureGrids(grids.values, has_bar, np.where(has_bar, reference, -1))
    sizes = np.where(random.uniform(size=shape) < 0.9, 100.0, 0.0)
    rules = StrategySettings(
        sentiment={"enabled": data.draw(st.booleans()), "minimum": 0.3, "on_missing": "admit_flagged"},  # type: ignore[arg-type]
        rearm_hours=data.draw(st.integers(0, 5)),
    )
    result = screen(grids, sizes, rules, 3_600_000)
    for row in range(shape[0]):
        funnel = funnel_row(result, row)
        assert [line["filter"] for line in funnel] == list(FUNNEL)
        assert funnel[0]["seen"] == has_bar[row].sum()
        for line, following in pairwise(funnel):
            assert int(line["seen"]) - int(line["removed"]) == following["seen"]
            assert int(line["missing"]) <= int(line["seen"])
        assert int(funnel[-1]["seen"]) == result.triggered[row].sum()
        assert int(funnel[-1]["seen"]) - int(funnel[-1]["removed"]) == result.signals[row].sum()
        assert int(funnel[-2]["seen"]) == result.eligible[row].sum()
    # every instrument with a bar leaves the funnel exactly once, or is a signal
    leaves = sum(mask.astype(int) for mask in result.removed.values()) + result.signals
    assert (leaves == has_bar).all()
