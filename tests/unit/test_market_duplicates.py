"""Several rows of one bar: which one is the bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.market.cleaning import RULE_NAMES, CleanBars, clean
from throughline.market.rows import HOUR_MS, CleaningRules, RawBars

NAN = float("nan")
RULES = CleaningRules()
FIRST = (100.0, 101.0, 99.0, 100.0, 50.0)
Values = tuple[float, float, float, float, float]


def two_hours(rows: list[Values], close_only: bool = False) -> CleanBars:
    """Clean an ordinary first hour and a second one with these rows of (open, high, low, close, volume)."""
    table = np.array([FIRST, *rows])
    columns = [np.ascontiguousarray(table[:, i]) for i in range(5)]
    if close_only:
        columns[:4] = [columns[3]] * 4
    time = np.array([0] + [HOUR_MS] * len(rows), np.int64)
    return clean(RawBars(np.zeros(len(table), np.int32), time, *columns), HOUR_MS, RULES)


def second(result: CleanBars) -> Values:
    (row,) = np.flatnonzero(result.believed & (result.bars.time == HOUR_MS))
    b = result.bars
    return tuple(float(grid[row]) for grid in (b.open, b.high, b.low, b.close, b.volume))  # type: ignore[return-value]


RUNNING, COMPLETE = (100.0, 101.0, 99.0, 100.5, 10.0), (100.0, 103.0, 80.0, 85.0, 40.0)


@pytest.mark.parametrize("rows", [[RUNNING, COMPLETE], [COMPLETE, RUNNING], [RUNNING, COMPLETE, RUNNING]])
def test_the_complete_download_of_a_bar_is_the_bar(rows: list[Values]) -> None:
    result = two_hours(rows)
    assert second(result) == COMPLETE
    assert (result.rule == -1).all()
    assert result.dropped.sum() == len(rows) - 1


@pytest.mark.parametrize(
    ("rows", "bar"),
    [
        # the same open, neither range in the other
        ([(100, 103, 95, 101, 10), (100, 101, 80, 99, 40)], (100, 103, 80, 99, 10)),
        # the wider range has the smaller volume
        ([(100, 101, 99, 100, 40), (100, 103, 80, 90, 10)], (100, 103, 80, 90, 10)),
        # equal but for the close
        ([(100, 101, 99, 100.5, 10), (100, 101, 99, 100, 10)], (100, 101, 99, 100, 10)),
        # other opens: nobody knows the price of a fill, so nothing fills
        ([(100, 101, 99, 100, 10), (98, 101, 97, 99, 10)], (98, 101, 97, 99, 0)),
    ],
)
def test_rows_that_conflict_are_listed_and_the_bar_spans_all_of_them(rows: list[Values], bar: Values) -> None:
    for order in (rows, rows[::-1]):
        result = two_hours(order)
        assert second(result) == bar
        assert [RULE_NAMES[rule] for rule in result.rule if rule >= 0] == ["conflicting_duplicate"] * 2


def test_two_closes_of_one_hour_give_the_lower_one_at_which_nothing_fills() -> None:
    result = two_hours([(0, 0, 0, 101, NAN), (0, 0, 0, 84, NAN)], close_only=True)
    assert second(result) == (84, 84, 84, 84, 0)


def test_a_bad_row_beside_a_good_one_is_listed_and_the_good_one_is_the_bar() -> None:
    result = two_hours([(100, 101, 99, 100.5, 10), (100, 90, 110, 100, 10)])
    assert second(result) == (100, 101, 99, 100.5, 10)
    assert [RULE_NAMES[rule] for rule in result.rule if rule >= 0] == ["high_below_low"]


def test_a_candle_without_a_trade_gives_way_to_the_one_that_was_read_later() -> None:
    assert second(two_hours([(100, 100, 100, 100, 0), (100.2, 101, 99, 100.5, 10)])) == (100.2, 101, 99, 100.5, 10)


PRICE = st.sampled_from([95.0, 98.0, 100.0, 102.0])
ROW = st.tuples(PRICE, PRICE, PRICE, PRICE, st.sampled_from([0.0, 1.0, 5.0, NAN, -1.0])).map(
    lambda v: (v[0], max(v[:4]), min(v[:4]), v[3], v[4])
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=5), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_rows_does_not_matter_and_whatever_a_row_touches_is_touched(
    rows: list[Values], random: Any, close_only: bool
) -> None:
    mixed = list(rows)
    random.shuffle(mixed)
    one, other = two_hours(rows, close_only), two_hours(mixed, close_only)

    def bars(result: CleanBars) -> list[list[str]]:
        b, at = result.bars, np.flatnonzero(result.believed)
        return [[str(grid[row]) for grid in (b.open, b.high, b.low, b.close, b.volume)] for row in at.tolist()]

    assert bars(one) == bars(other)
    assert sorted(one.rule.tolist()) == sorted(other.rule.tolist())
    sound = [row for row in rows if not row[4] < 0 and not (row[4] == 0 and row[1] == row[2])]
    if close_only or not one.believed[1:].any() or not sound:
        return
    bar = second(one)
    assert bar[2] <= min(row[2] for row in sound)
    assert bar[1] >= max(row[1] for row in sound)
