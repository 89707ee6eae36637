"""A gap is a time in which nobody could trade, however it is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.market.cleaning import RULE_NAMES, CleanBars, clean
from throughline.market.rows import HOUR_MS, CleaningRules, RawBars

NAN = float("nan")
BASE = 1_600_000_000_000 // HOUR_MS * HOUR_MS
RULES = CleaningRules(stale_bars=4)
Row = tuple[int, float, float, float, float, float]


def rows_of(rows: list[Row], code: int = 0, close_only: bool = False) -> RawBars:
    """Rows of (hour, open, high, low, close, volume)."""
    columns = [np.array([float(row[i]) for row in rows]) for i in range(1, 6)]
    if close_only:
        columns[:4] = [columns[3]] * 4
    time = np.array([BASE + row[0] * HOUR_MS for row in rows], np.int64)
    return RawBars(np.full(len(rows), code, np.int32), time, *columns)


def bars_of(result: CleanBars) -> list[Any]:
    """What later stages see: the believed bars with their segments."""
    b, rows = result.bars, np.flatnonzero(result.believed)
    grids = (b.time, b.open, b.high, b.low, b.close, np.nan_to_num(b.volume, nan=-1.0), result.segment_start)
    return [tuple(float(grid[row]) for grid in grids) for row in rows.tolist()]


STEPS = st.sampled_from([0.8, 0.95, 1.0, 1.0, 1.03, 1.2, 1.6, 0.5, 4.0, 6.0, 12.0, 0.1])
BAR = st.tuples(STEPS, STEPS.map(lambda step: min(max(step, 0.9), 1.2)), st.sampled_from([5.0, 5.0, 0.0, NAN]))
PARTS = st.lists(st.tuples(st.lists(BAR, min_size=1, max_size=6), st.integers(1, 30)), min_size=1, max_size=5)


def market(parts: list[Any], known: bool) -> tuple[list[Row], list[tuple[int, int]]]:
    """Return traded rows and the gaps (first hour, hours) between them. known: whether volumes are."""
    rows: list[Row] = []
    gaps: list[tuple[int, int]] = []
    hour, price = 0, 100.0
    for stretch, gap in parts:
        for move, inside, volume in stretch:
            opened = price * move
            price = opened * inside
            high, low = max(opened, price) * 1.01, min(opened, price) * 0.99  # never flat: somebody traded
            rows.append((hour, opened, high, low, price, volume if known else NAN))
            hour += 1
        gaps.append((hour, gap))
        hour += gap
    return rows, gaps


@settings(max_examples=200, deadline=None)
@given(PARTS, st.booleans(), st.booleans())
def test_missing_rows_rows_of_nothing_or_zeros_and_flat_candles_give_the_same_bars_and_segments(
    parts: list[Any], known: bool, zero: bool
) -> None:
    traded, gaps = market(parts, known)
    last = {hour: max((row for row in traded if row[0] < hour), key=lambda row: row[0])[4] for hour, _ in gaps}
    nothing: list[Row] = []
    zeros: list[Row] = []
    flat: list[Row] = []
    for first, hours in gaps:
        for hour in range(first, first + hours):
            nothing.append((hour, NAN, NAN, NAN, NAN, 0.0 if zero else NAN))
            zeros.append((hour, 0.0, 0.0, 0.0, 0.0, 0.0 if zero else NAN))
            flat.append((hour, *(last[first],) * 4, 0.0 if known else NAN))
    missing = clean(rows_of(traded), HOUR_MS, RULES)
    empty = clean(rows_of(sorted([*traded, *nothing], key=lambda row: row[0])), HOUR_MS, RULES)
    filled = clean(rows_of(sorted([*traded, *flat], key=lambda row: row[0])), HOUR_MS, RULES)
    naught = clean(rows_of(sorted([*traded, *zeros], key=lambda row: row[0])), HOUR_MS, RULES)
    assert bars_of(missing) == bars_of(empty) == bars_of(filled) == bars_of(naught)
    assert naught.untraded.sum() == len(zeros)
    assert empty.absent.sum() == len(nothing)
    assert filled.untraded.sum() == len(flat)
    for result in (missing, empty, filled, naught):
        assert (result.rule >= 0).sum() == (missing.rule >= 0).sum()


@settings(max_examples=60, deadline=None)
@given(PARTS)
def test_the_same_holds_with_closes_only_where_the_volume_is_known_to_be_zero(parts: list[Any]) -> None:
    traded, gaps = market(parts, True)
    traded = [(*row[:5], 5.0) for row in traded]
    last = {hour: max((row for row in traded if row[0] < hour), key=lambda row: row[0])[4] for hour, _ in gaps}
    flat = [(hour, *(last[first],) * 4, 0.0) for first, hours in gaps for hour in range(first, first + hours)]
    nothing = [(*row[:1], NAN, NAN, NAN, NAN, NAN) for row in flat]
    zeros = [(*row[:1], 0.0, 0.0, 0.0, 0.0, 0.0) for row in flat]
    missing, filled, empty, naught = (
        clean(rows_of(sorted([*traded, *more], key=lambda row: row[0]), close_only=True), HOUR_MS, RULES)
        for more in ([], flat, nothing, zeros)
    )
    assert bars_of(missing) == bars_of(filled) == bars_of(empty) == bars_of(naught)
    assert naught.untraded.sum() == len(zeros)
    assert (naught.rule >= 0).sum() == (missing.rule >= 0).sum()


def test_a_repeated_close_of_unknown_volume_says_nothing_with_closes_only() -> None:
    result = clean(rows_of([(hour, 1, 1, 1, 1, NAN) for hour in range(3)], close_only=True), HOUR_MS, RULES)
    assert result.believed.all()
    assert not result.untraded.any()


@pytest.mark.parametrize(
    ("row", "untraded"),
    [
        ((1, 2, 2, 2, 2, 0), True),  # flat, nobody traded, at whatever price
        ((1, 1.1, 1.1, 1.1, 1.1, 0), True),
        ((1, 2, 2, 2, 2, NAN), True),  # flat at the close before it
        ((1, 2.1, 2.1, 2.1, 2.1, NAN), False),  # flat elsewhere: somebody traded
        ((1, 2, 2, 2, 2, 1), False),
        ((1, 2, 2.1, 2, 2, 0), False),  # a quote that moved: believed, and nobody can trade in it
    ],
)
def test_which_flat_candles_are_untraded(row: Row, untraded: bool) -> None:
    result = clean(rows_of([(0, 2, 2.2, 1.9, 2, 5), row]), HOUR_MS, RULES)
    assert result.untraded.tolist() == [False, untraded]
    assert result.believed.tolist() == [True, not untraded]
    assert (result.rule == -1).all()


@pytest.mark.parametrize(
    ("row", "close_only"),
    [
        ((1, 0, 2, 0, 2, 0), False),  # a zero beside prices is a fault, whatever the volume
        ((1, 2, 2, 2, 0, 0), False),
        ((1, 0, 0, 0, 0, 5), False),  # somebody traded: not at nothing
        ((1, 0, 0, 0, 0, 5), True),
        ((1, 0, 0, 0, 0, NAN), True),  # one number alone says nothing of trade
        ((1, 0, 0, 0, NAN, 0), False),
    ],
)
def test_a_zero_price_in_a_row_that_says_anything_else_is_quarantined(row: Row, close_only: bool) -> None:
    result = clean(rows_of([(0, 2, 2.2, 1.9, 2, 5), row], close_only=close_only), HOUR_MS, RULES)
    expected = "missing_price" if np.isnan(row[4]) else "non_positive_price"
    assert RULE_NAMES[result.rule[1]] == expected
    assert not result.untraded.any()


def test_a_row_of_zeros_beside_the_row_of_the_same_bar_is_no_conflict() -> None:
    zeros = (0, 0, 0, 0, 0)
    rows = [(0, 2, 2.2, 1.9, 2, 5), (1, *zeros), (1, 2, 2.1, 1.9, 2, 5), (2, *zeros), (3, 2, 2, 2, 2, NAN)]
    result = clean(rows_of(rows), HOUR_MS, RULES)
    assert result.believed.tolist() == [True, False, True, False, False]
    assert result.untraded.tolist() == [False, True, False, True, True]  # the last repeats the last close: no trade
    assert (result.rule == -1).all()


def test_flat_candles_at_a_refused_print_are_the_gap_after_it() -> None:
    bad = (1, 1, 25, 1, 25, 5)
    filled = [(hour, 25, 25, 25, 25, NAN) for hour in range(2, 9)]
    after = (9, 1.1, 1.2, 1, 1.1, 5)
    rows = [(0, 1, 1.1, 0.9, 1, 5), bad]
    assert bars_of(clean(rows_of([*rows, *filled, after]), HOUR_MS, RULES)) == bars_of(
        clean(rows_of([*rows, after]), HOUR_MS, RULES)
    )


def test_a_row_with_one_price_missing_is_a_bad_row_and_not_an_absent_one() -> None:
    result = clean(rows_of([(0, 1, 1.1, 0.9, 1, 5), (1, NAN, 1, 1, 1, 5), (2, NAN, NAN, NAN, NAN, 5)]), HOUR_MS, RULES)
    assert result.rule[1] == result.rule[2] >= 0
    assert not result.absent.any()


def test_absent_rows_off_the_grid_or_said_twice_count_as_nothing() -> None:
    whole = rows_of([(0, 1, 1.1, 0.9, 1, 5), (1, NAN, NAN, NAN, NAN, NAN), (1, NAN, NAN, NAN, NAN, 0)])
    late = replace(whole, time=whole.time + np.array([0, 14_000, 14_000]))
    for bars in (whole, late):
        result = clean(bars, HOUR_MS, RULES)
        assert result.absent.tolist() == [False, True, True]
        assert (result.rule == -1).all()


def test_with_closes_only_a_repeated_close_without_a_volume_is_a_gap_where_the_instrument_has_volumes() -> None:
    def bar(hour: int, close: float, volume: float) -> Row:
        return (hour, close, close, close, close, volume)

    ends = [bar(0, 100, 5), bar(1, 101, 6)], [bar(5, 140, 5), bar(6, 140, 7)]
    filled = [bar(hour, 101, NAN) for hour in (2, 3, 4)]
    missing = clean(rows_of([*ends[0], *ends[1]], close_only=True), HOUR_MS, RULES)
    written = clean(rows_of([*ends[0], *filled, *ends[1]], close_only=True), HOUR_MS, RULES)
    assert bars_of(written) == bars_of(missing)
    assert written.untraded.tolist() == [False, False, True, True, True, False, False]
    never = clean(rows_of([bar(0, 101, NAN), bar(1, 101, NAN), bar(2, 102, 5)], close_only=True), HOUR_MS, RULES)
    assert never.believed.all(), "volumes that come later say nothing about the rows before them"
