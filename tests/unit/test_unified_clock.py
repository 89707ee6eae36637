"""The pipeline's clock: bar by bar, days that close, and where the market ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.errors import SettingsError
from throughline.unified import UnifiedTradingPipeline
from throughline.unified.market_clock import MarketClock

START, LAST = date(2024, 1, 1), date(2024, 3, 31)


@given(st.lists(st.integers(0, 100), max_size=10), st.sampled_from([1, 6, 24]))
def test_steps_add_up_to_one_long_step_and_every_day_closes_once(steps: list[int], hours: int) -> None:
    clock = MarketClock(START, LAST, timedelta(hours=hours))
    steps = [step * clock.left // 2000 for step in steps]
    once, all_days = clock.advanced(sum(steps))
    days: list[date] = []
    for step in steps:
        clock, closed = clock.advanced(step)
        days += closed
    assert (clock, days) == (once, all_days)
    assert all(datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(1) <= clock.now for day in days)


def test_a_day_closes_with_its_last_bar_and_not_before() -> None:
    clock, closed = MarketClock(START, LAST, timedelta(hours=1)).advanced(23)
    assert closed == []
    assert clock.advanced(1)[1] == [START]


def test_the_clock_does_not_run_past_the_market() -> None:
    clock = MarketClock(START, START, timedelta(days=1))
    assert clock.advanced(1)[0].left == 0
    with pytest.raises(SettingsError, match="the market ends on 2024-01-01: 1 bars are left, 2 were asked for"):
        clock.advanced(2)


def test_bars_that_do_not_fill_a_day_are_refused() -> None:
    with pytest.raises(SettingsError, match="do not fill a day"):
        MarketClock(START, LAST, timedelta(hours=7))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"mode": "live"}, "mode 'live' does not exist: choose one of backtest, demo"),
        ({"mode": "demo", "archive": "a.toml"}, "'simulated' has no option archive: it takes seed"),
        ({"mode": "backtest"}, "mode 'backtest' needs archive"),
        ({"mode": "backtest", "archive": "a.toml"}, "mode 'backtest' needs data"),
        ({"mode": "demo", "start": date(2019, 1, 1)}, "start 2019-01-01 lies outside 'simulated"),
        ({"mode": "demo", "configuration": "/no/such/file.toml"}, "there is no such configuration file"),
    ],
)
def test_a_pipeline_that_cannot_run_says_so_when_it_is_made(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        UnifiedTradingPipeline(**arguments)  # type: ignore[arg-type]
