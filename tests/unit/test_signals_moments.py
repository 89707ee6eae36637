"""Windows and moments by hand: holes carry the close, and what is unknown is None."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from tests.unit.signal_series import HOUR_MS, walk
from throughline.signals import moments
from throughline.signals.window import WINDOW_BARS, SignalWindow, log_returns, paired_returns, window_at

NAN = float("nan")
HOLES = np.array([NAN, 100.0, 110.0, NAN, 99.0, NAN])


def test_the_move_over_a_hole_is_booked_by_the_bar_that_ends_it() -> None:
    found = log_returns(HOLES)
    assert found.values.tolist() == pytest.approx([math.log(1.1), 0.0, math.log(0.9), 0.0])
    assert found.known.tolist() == [True, False, True, False]
    assert found.bars == 3


def test_without_a_bar_there_are_no_returns() -> None:
    for close in (np.array([]), np.full(5, NAN), np.array([NAN, 3.0])):
        assert len(log_returns(close).values) == 0
    assert log_returns(np.full(5, NAN)).bars == 0


def test_two_series_are_paired_from_where_both_have_begun() -> None:
    reference = np.array([10.0, 20.0, 20.0, NAN, NAN, 40.0])
    own, other, bars = paired_returns(np.array([NAN, NAN, 1.0, 2.0, NAN, 4.0]), reference)
    assert own.tolist() == pytest.approx([math.log(2), 0.0, math.log(2)])
    assert other.tolist() == pytest.approx([0.0, 0.0, math.log(2)])
    assert bars == 2
    # the instrument begins where the reference has a hole: the reference's last close stands
    own, other, bars = paired_returns(np.array([NAN, NAN, NAN, 1.0, 1.0, 1.0]), reference)
    assert other.tolist() == pytest.approx([0.0, math.log(2)])
    assert len(own) == 2
    assert bars == 1
    assert paired_returns(np.full(6, NAN), reference)[2] == 0


def test_moments_by_hand() -> None:
    returns = log_returns(HOLES)
    logs = [math.log(1.1), math.log(0.9)]
    assert moments.momentum(returns) == pytest.approx(math.log(0.99))
    assert moments.volatility(returns) == pytest.approx(statistics.stdev(logs))
    assert moments.trend_t(returns) == pytest.approx(statistics.mean(logs) / (statistics.stdev(logs) / math.sqrt(2)))
    expected = statistics.linear_regression([1, 2, 4], [math.log(price) for price in (100, 110, 99)]).slope
    assert moments.slope(HOLES) == pytest.approx(expected)
    assert moments.slope(1e6 * HOLES) == pytest.approx(expected)


def test_a_constant_growth_is_its_slope_and_has_no_trend_value() -> None:
    close = np.exp(0.01 * np.arange(64))
    assert moments.slope(close) == pytest.approx(0.01)
    assert moments.momentum(log_returns(close)) == pytest.approx(0.63)
    assert moments.trend_t(log_returns(close)) is None
    assert moments.trend_t(log_returns(np.full(9, 3.0))) is None


def test_the_range_is_parkinson_s_and_leaves_out_impossible_rows() -> None:
    high, low = np.array([1.1, NAN, 1.0, 2.0]), np.array([1.0, 1.0, NAN, 3.0])
    assert moments.high_low_range(high, low) == pytest.approx(math.log(1.1) / math.sqrt(4 * math.log(2)))
    assert moments.high_low_range(high[1:], low[1:]) is None


def test_the_range_of_a_fine_walk_is_its_volatility() -> None:
    random = np.random.default_rng(1)
    paths = np.cumsum(random.normal(0, 0.02 / math.sqrt(2000), (400, 2000)), axis=1)
    found = moments.high_low_range(np.exp(paths.max(axis=1)), np.exp(paths.min(axis=1)))
    assert found == pytest.approx(0.02, rel=0.08)


def test_imbalance_by_hand_is_bounded_and_unknown_without_volume() -> None:
    returns = log_returns(np.array([1.0, 2.0, 2.0, 1.0, NAN, 3.0]))
    volume = np.array([1e9, 5.0, 1.0, 2.0, 7.0, NAN])  # up 5, flat 1, down 2; the hole and the last one are not known
    assert moments.imbalance(returns, volume) == pytest.approx(3 / 8)
    assert moments.imbalance(returns, np.full(6, NAN)) is None
    assert moments.imbalance(returns, np.zeros(6)) is None
    assert moments.imbalance(log_returns(np.array([1.0, 2.0, 4.0])), np.array([0.0, 2.0, 3.0])) == 1.0


def test_too_little_is_none() -> None:
    one = log_returns(np.array([1.0]))
    assert moments.momentum(one) is None
    assert moments.slope(np.array([NAN, 1.0])) is None
    assert moments.volatility(log_returns(np.array([1.0, 2.0]))) is None
    assert moments.trend_t(one) is None


def test_a_window_is_the_last_64_rows_up_to_the_row_asked_for() -> None:
    series = walk(1, rows=100)
    window = series.at(80)
    assert window.close.tolist() == series.close[17:81].tolist()
    assert len(series.at(10).close) == 11
    with pytest.raises(ValueError, match="row 100"):
        series.at(100)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("close", 0.0, "close holds 0.0"),
        ("low", -1.0, "low holds -1.0"),
        ("reference_close", math.inf, "reference_close holds inf"),
        ("volume", -1.0, "volume holds -1.0"),
    ],
)
def test_what_no_bar_can_be_is_refused(column: str, value: float, message: str) -> None:
    columns = {name: np.ones(8) for name in ("close", "high", "low", "volume", "reference_close")}
    columns["volume"][0] = 0.0  # nothing traded is possible
    SignalWindow(**columns, interval_ms=HOUR_MS)
    columns[column][3] = value
    with pytest.raises(ValueError, match=message):
        SignalWindow(**columns, interval_ms=HOUR_MS)


def test_windows_of_other_shapes_are_refused() -> None:
    one = np.ones(8)
    with pytest.raises(ValueError, match="at most 64"):
        SignalWindow(*[np.ones(WINDOW_BARS + 1)] * 5, interval_ms=HOUR_MS)
    with pytest.raises(ValueError, match="volume has shape"):
        SignalWindow(one, one, one, one[:7], one, HOUR_MS)
    with pytest.raises(ValueError, match="interval_ms"):
        window_at(3, close=one, high=one, low=one, volume=one, reference_close=one, interval_ms=0)
