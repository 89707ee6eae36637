"""What a trade's excursion and a decision's signals are read from: bars up to the exit, bars up to the decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from throughline.configuration import Configuration, ExitSettings
from throughline.flow.market_view import midnight
from throughline.flow.research_signals import MARKET, math_at, signals_at
from throughline.identity import time_text_ms
from throughline.market.panel import MarketPanel
from throughline.market.simulated import SimulatedProvider
from throughline.registries.profit_buckets import Excursion, excursion
from throughline.tracking.day_records import Execution, Outcome

HOUR = 3_600_000
PROVIDER = SimulatedProvider(7)


def bars(high: list[float], low: list[float]) -> MarketPanel:
    """One instrument 'A' with hourly bars from 1970-01-01."""
    rows = len(high)

    def grid(values: list[float]) -> np.ndarray:
        return np.array(values, dtype=np.float64).reshape(rows, 1)

    return MarketPanel(
        interval_ms=HOUR,
        open_time=np.arange(rows, dtype=np.int64) * HOUR,
        instruments=("A",),
        open=grid(low),
        high=grid(high),
        low=grid(low),
        close=grid(high),
        volume=grid([1.0] * rows),
        segment_start=np.zeros((rows, 1), dtype=np.int64),
        references={},
        quarantined=(),
        close_only=False,
    )


def went(panel: MarketPanel | None, exit_bar: int, exit_price: str = "100", exit_time: int | None = None) -> Excursion:
    closed = exit_bar * HOUR if exit_time is None else exit_time
    named = {"hash": "a" * 64, "uuid": "u"}
    start = time_text_ms(0)
    entry = Execution(named, named, "e", "A", "A@19700101T000000Z", start, start, 100.0)
    bar, ended_at = time_text_ms(exit_bar * HOUR), time_text_ms(closed)
    ended = Outcome(named, named, start, ended_at, bar, float(exit_price), "0", "stop_loss", ())
    return excursion(panel, entry, ended)


def test_the_excursion_reaches_from_the_fill_bar_to_the_bar_before_the_exit() -> None:
    found = went(bars([101, 120, 110, 999], [99, 98, 90, 1]), 3)
    assert found == Excursion("20", "-10", "2")


def test_the_exit_price_counts_and_the_rest_of_the_exit_bar_does_not() -> None:
    found = went(bars([101, 102, 500], [99, 98, 5]), 2, exit_price="130", exit_time=2 * HOUR + 1)
    assert found.max_favorable_percent == "30"
    assert found.max_adverse_percent == "-2"
    assert found.hours_to_best == "2"


def test_a_trade_that_ends_in_its_fill_bar_knows_its_exit_alone() -> None:
    assert went(bars([150, 1], [50, 1]), 0, exit_price="85") == Excursion("-15", "-15", "0")


def test_missing_bars_are_left_out() -> None:
    nan = float("nan")
    assert went(bars([101, nan, 105, 1], [99, nan, 97, 1]), 3) == Excursion("5", "-3", "3")


def test_without_bars_nothing_is_said() -> None:
    assert went(None, 3) == Excursion()


@pytest.fixture(scope="module")
def market() -> MarketPanel:
    return PROVIDER.load(midnight(date(2024, 3, 1)), midnight(date(2024, 3, 8)))


@pytest.mark.parametrize("row", [70, 100, 140])
def test_changing_every_bar_after_the_decision_changes_no_signal(market: MarketPanel, row: int) -> None:
    rng = np.random.default_rng(5)

    def shaken(values: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[row + 1 :] *= rng.uniform(0.2, 5, changed[row + 1 :].shape)
        return changed

    other = replace(
        market,
        open=shaken(market.open),
        high=shaken(market.high),
        low=shaken(market.low),
        close=shaken(market.close),
        volume=shaken(market.volume),
    )
    columns = np.flatnonzero(~np.isnan(market.close[row]))[:6]
    assert len(columns) == 6
    for column in columns.tolist():
        before = signals_at(market, PROVIDER.description, row, column)
        assert signals_at(other, PROVIDER.description, row, column) == before
        assert before["values"]["momentum"] is not None


def test_changing_the_decisions_own_bar_changes_its_signals(market: MarketPanel) -> None:
    column = int(np.flatnonzero(~np.isnan(market.close[140]))[0])
    close = market.close.copy()
    close[140, column] *= 1.2
    before = signals_at(market, PROVIDER.description, 140, column)
    assert signals_at(replace(market, close=close), PROVIDER.description, 140, column) != before


def test_bars_before_the_segment_are_not_read(market: MarketPanel) -> None:
    column = int(np.flatnonzero(~np.isnan(market.close[140]))[0])
    starts = market.segment_start.copy()
    starts[:, column] = market.open_time[130]
    short = replace(market, segment_start=starts)
    close = market.close.copy()
    close[:130, column] *= 7
    told = signals_at(short, PROVIDER.description, 140, column)
    assert signals_at(replace(short, close=close), PROVIDER.description, 140, column) == told
    assert told["missing"]


def test_without_a_benchmark_the_reference_is_the_median_instrument(market: MarketPanel) -> None:
    source = replace(PROVIDER.description, benchmark=None)
    column = int(np.flatnonzero(~np.isnan(market.close[140]))[0])
    told = signals_at(market, source, 140, column)
    assert told["reference"] == MARKET
    assert told["values"]["chrono_resonance"] is not None
    assert told["values"] != signals_at(market, PROVIDER.description, 140, column)["values"]


def test_without_a_model_only_the_break_even_probability_is_known() -> None:
    told = math_at(Configuration(), PROVIDER.description, 0.1)
    assert told["break_even_probability"] is not None
    assert (told["probability"], told["expected_log_growth"], told["fraction"]) == (None, None, None)


def test_where_a_stop_takes_the_whole_stake_no_growth_is_defined() -> None:
    reckless = Configuration(exits=ExitSettings(stop_loss=0.999))
    assert set(math_at(reckless, PROVIDER.description, 0.1).values()) == {None}
