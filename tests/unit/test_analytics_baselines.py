"""The market's and chance's returns, against hand-worked panels."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.analytics.baselines import (
    DailyCloses,
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
from throughline.analytics.market_baselines import measure_baselines
from throughline.configuration import Configuration
from throughline.flow.market_view import day_ms
from throughline.market.simulated import SimulatedProvider

NAN = float("nan")


def test_a_day_ends_at_the_last_close_before_it_even_where_bars_are_missing() -> None:
    times = np.array([0, 10, 20, 30])
    close = np.array([[1.0, NAN], [2.0, 5.0], [NAN, NAN], [4.0, 6.0]])
    segment = np.array([[0, -1], [0, 10], [0, 10], [0, 30]])
    ends = day_end_closes(times, close, segment, [0, 20, 30, 40])
    np.testing.assert_array_equal(ends.close, [[NAN, NAN], [2.0, 5.0], [2.0, 5.0], [4.0, 6.0]])
    np.testing.assert_array_equal(ends.segment, [[-1, -1], [0, 10], [0, 10], [0, 30]])


def test_a_new_segment_never_gives_a_return() -> None:
    before = DailyCloses(np.array([[0.000695, 10.0, NAN]]), np.array([[1, 1, -1]]))
    after = DailyCloses(np.array([[0.695, 11.0, 3.0]]), np.array([[2, 1, 5]]))
    np.testing.assert_allclose(segment_returns(before, after), [[0.0, 0.1, NAN]])


def test_a_benchmark_is_bought_at_its_first_price_so_that_no_day_of_it_is_left_out() -> None:
    edges = [0, 10, 20, 30]
    times = np.array([0, 5, 10, 15, 20, 25])
    opens = np.array([NAN, NAN, NAN, 100.0, 130.0, 120.0])
    closes, returns = np.array([NAN, 125.0, 110.0]), np.array([NAN, NAN, 110.0 / 125.0 - 1.0])
    found = holding_returns(times, opens, returns, closes, edges)
    np.testing.assert_allclose(found, [NAN, 0.25, -0.12])
    assert compound(found[1:].tolist()) == pytest.approx(110.0 / 100.0 - 1.0), "the last close over the first open"
    known = np.array([0.1, 0.2, 0.3])
    np.testing.assert_array_equal(holding_returns(times, opens, known, closes, edges), known)


def test_equal_weights_hold_only_what_was_eligible_at_the_days_start() -> None:
    returns = np.array([[0.1, 0.3, -0.5], [0.2, NAN, 0.0], [9.0, 9.0, 9.0]])
    eligible = np.array([[True, True, False], [True, True, False], [False, False, False]])
    assert equal_weight_returns(returns, eligible) == pytest.approx([0.2, 0.2, 0.0])
    assert compound([0.2, 0.2, 0.0]) == pytest.approx(0.44)


def test_random_entries_are_eligible_in_time_order_and_the_same_for_the_same_seed() -> None:
    eligible = np.zeros((50, 6), dtype=bool)
    eligible[10:20, 2] = True
    eligible[15, 5] = True
    drawn = draw_entries([(list_eligible(eligible), 60)], seed=7, draw=3)
    assert eligible[drawn.rows, drawn.columns].all()
    assert (np.diff(drawn.rows) >= 0).all()
    assert len(drawn.rows) == 60
    again = draw_entries([(list_eligible(eligible), 60)], seed=7, draw=3)
    np.testing.assert_array_equal(drawn.rows, again.rows)
    np.testing.assert_array_equal(drawn.columns, again.columns)
    other = draw_entries([(list_eligible(eligible), 60)], seed=7, draw=4)
    assert not np.array_equal(drawn.rows, other.rows)


def test_the_numbers_of_a_draw_are_these_on_every_machine() -> None:
    eligible = np.ones((100, 10), dtype=bool)
    drawn = draw_entries([(list_eligible(eligible), 5)], seed=7, draw=0)
    assert drawn.rows.tolist() == [8, 29, 40, 42, 87]
    assert drawn.columns.tolist() == [7, 2, 0, 6, 6]


def test_nothing_is_drawn_where_nothing_was_ever_eligible() -> None:
    assert len(draw_entries([(list_eligible(np.zeros((5, 3), dtype=bool)), 1)], 7, 0).rows) == 0
    assert len(draw_entries([(list_eligible(np.ones((5, 3), dtype=bool)), 0)], 7, 0).rows) == 0


@given(st.integers(0, 100), st.integers(0, 30), st.integers(0, 30), st.integers(0, 2**32))
def test_each_part_of_the_time_gets_its_own_number_of_entries(cut: int, before: int, after: int, seed: int) -> None:
    whole = np.random.default_rng(seed).random((100, 4)) < 0.3
    early = np.arange(100)[:, None] < cut
    parts = [(list_eligible(whole & early), before), (list_eligible(whole & ~early), after)]
    drawn = draw_entries(parts, seed, 0)
    assert whole[drawn.rows, drawn.columns].all()
    assert (np.diff(drawn.rows) >= 0).all()
    assert (drawn.rows < cut).sum() == (before if (whole & early).any() else 0)
    assert (drawn.rows >= cut).sum() == (after if (whole & ~early).any() else 0)


def test_nothing_is_drawn_while_the_rule_is_closed() -> None:
    """All of these days but the last two are closed: a draw has its entries there, whatever the chunks are."""
    provider, start, end = SimulatedProvider(7), date(2024, 3, 2), date(2024, 3, 31)
    shut = ((0, day_ms(date(2024, 3, 30))),)
    draw = (Configuration(), start, end)
    closed = measure_baselines(provider, *draw, EntryTimes(60, shut), 0.0, None, [0.5] * 30, 7, draws=5, chunk_days=7)
    last = (Configuration(), date(2024, 3, 30), end)
    late = measure_baselines(provider, *last, EntryTimes(60), 0.0, None, [0.5] * 2, 7, draws=5)
    assert closed.figures["random_entries"]["entries"] == 60
    names = ("return_p05", "return_median", "return_p95", "trades")
    for name in names:
        assert closed.figures["random_entries"][name] == pytest.approx(late.figures["random_entries"][name])
    never = measure_baselines(provider, *draw, EntryTimes(60, ((0, 2**62),)), 0.0, None, [0.5] * 30, 7, draws=5)
    assert never.figures["random_entries"]["draws"] == 0
    trial = EntryTimes(0, ((0, 2**62),), candidates_closed=9)
    tried = measure_baselines(provider, *draw, trial, 0.0, None, [0.5] * 30, 7, draws=5)
    assert tried.figures["random_entries"]["entries"] == 9


def test_the_summary_places_the_strategy_among_the_draws() -> None:
    draws = [0.1, 0.2, 0.3, 0.4], [10, 12, 14, 16], [0.1, 0.2, 0.3, 0.4]
    told = summarise_random(0.25, *draws, 20, -0.03, [-0.04, -0.02, -0.01])
    assert told.percentile == 50.0
    assert told.return_median == pytest.approx(0.25)
    assert told.trades == 13.0
    assert (told.draws, told.entries, told.beaten) == (4, 20, 2)
    assert told.exposure == pytest.approx(0.25)
    assert told.trade_percentile == pytest.approx(100 / 3), (
        "a trade by itself is worse than chance, however few there are"
    )
    assert told.trade_return_median == -0.02
    assert summarise_random(0.25, *draws, 20, None, []).trade_percentile is None
    assert summarise_random(0.25, *draws, 20, 0.1, []).trade_percentile is None


def test_the_baselines_of_a_range_do_not_depend_on_the_chunks_they_are_read_in() -> None:
    provider, start, end = SimulatedProvider(7), date(2024, 3, 2), date(2024, 3, 31)
    asked = (provider, Configuration(), start, end, EntryTimes(60), 0.0, None, [0.5] * 30, 7)
    whole = measure_baselines(*asked, draws=10)
    parts = measure_baselines(*asked, draws=10, chunk_days=7)
    assert whole == parts
    assert len(whole.curves["equal_weight"]) == len(whole.curves["benchmark"]) == 30
    assert whole.figures["random_entries"]["trades"] > 0


def test_the_benchmark_is_what_holding_it_gave() -> None:
    provider, start, end = SimulatedProvider(7), date(2024, 3, 2), date(2024, 3, 20)
    told = measure_baselines(provider, Configuration(), start, end, EntryTimes(0), 0.0, None, [0.0] * 19, 7)
    at = datetime(2024, 3, 1, tzinfo=UTC)
    panel = provider.load(at, at + timedelta(days=20))
    column = panel.instruments.index(str(provider.description.benchmark))
    close = panel.close[:, column]
    assert told.figures["benchmark"]["return"] == pytest.approx(close[-1] / close[23] - 1.0)
    assert told.figures["random_entries"]["draws"] == 0
    assert "no candidate" in told.figures["random_entries"]["reason"]


def test_the_universe_at_the_strategys_exposure_earns_the_invested_share_of_each_days_return() -> None:
    assert scaled_to_exposure([0.1, -0.5, 0.2], [0.0, 0.5, 1.0]) == pytest.approx([0.0, -0.25, 0.2])
    provider, start, end = SimulatedProvider(7), date(2024, 3, 2), date(2024, 3, 31)
    full = measure_baselines(provider, Configuration(), start, end, EntryTimes(0), 0.0, None, [1.0] * 30, 7).figures
    none = measure_baselines(provider, Configuration(), start, end, EntryTimes(0), 0.0, None, [0.0] * 30, 7).figures
    assert full["equal_weight_same_exposure"]["return"] == full["equal_weight"]["return"] != 0.0
    assert none["equal_weight_same_exposure"]["return"] == 0.0


def test_the_equal_weight_baseline_says_how_many_coins_it_held() -> None:
    provider, start, end = SimulatedProvider(7), date(2024, 3, 2), date(2024, 3, 31)
    baselines = measure_baselines(provider, Configuration(), start, end, EntryTimes(0), 0.0, None, [1.0] * 30, 7)
    equal = baselines.figures["equal_weight"]
    assert 0 <= equal["fewest_instruments"] <= equal["instruments"]
    assert 0.0 < equal["exposure"] <= 1.0
    assert equal["days"] == 30
