"""Cleaning rules: what each refuses, where segments end, and that the future never changes a verdict."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.market.cleaning import RULE_NAMES, CleanBars, clean
from throughline.market.quarantine import believed_to_eighteen_places
from throughline.market.rows import HOUR_MS, CleaningRules, RawBars

NAN = float("nan")
BASE = 1_600_000_000_000 // HOUR_MS * HOUR_MS


def raw(rows: list[tuple[Any, ...]], code: int = 0) -> RawBars:
    """Rows of (hour, open, high, low, close, volume), or (hour, close) for flat bars with volume 1."""
    full = [row if len(row) == 6 else (row[0], *(row[1],) * 4, 1.0) for row in rows]
    columns = [np.array([float(row[i]) for row in full]) for i in range(1, 6)]
    time = np.array([BASE + round(row[0] * HOUR_MS) for row in full], np.int64)
    return RawBars(np.full(len(full), code, np.int32), time, *columns)


def verdicts(result: CleanBars) -> list[str]:
    names = [RULE_NAMES[rule] if rule >= 0 else "believed" for rule in result.rule]
    return ["dropped" if gone else name for name, gone in zip(names, result.dropped, strict=True)]


def segments(result: CleanBars) -> list[int]:
    return [int((start - BASE) // HOUR_MS) if start >= 0 else -1 for start in result.segment_start]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ((1, 1, 2, 0.5, NAN, 1), "missing_price"),
        ((1, 1, float("inf"), 0.5, 1, 1), "infinite_price"),
        ((1, 1, 2, 0, 1, 1), "non_positive_price"),
        ((1, -1, 2, 0.5, 1, 1), "non_positive_price"),
        ((1, 1e-16, 1e-16, 1e-16, 1e-16, 1), "tiny_price"),
        ((1, 1e21, 1e21, 1e21, 1e21, 1), "huge_price"),
        ((1, 1, 0.9, 1.1, 1, 1), "high_below_low"),
        ((1, 3, 2, 0.5, 1, 1), "open_outside_range"),
        ((1, 1, 2, 0.5, 2.1, 1), "close_outside_range"),
        ((1, 1, 2, 0.5, 1, -1), "negative_volume"),
        ((1, 1, 2, 0.5, 1, float("inf")), "huge_volume"),
        ((1.5, 1, 2, 0.5, 1, 1), "misaligned_time"),
        ((1, 1, 10, 0.5, 1, 1), "jump_up"),
        ((1, 1, 2, 0.5, 1, NAN), "believed"),
        ((1, 0.01, 0.01, 0.01, 0.01, 1), "believed"),
    ],
)
def test_a_single_row_is_judged_by_the_rule_that_names_its_fault(row: tuple[Any, ...], rule: str) -> None:
    assert verdicts(clean(raw([(0, 1), row]), HOUR_MS, CleaningRules())) == ["believed", rule]


def test_equal_rows_are_one_row_and_conflicting_ones_are_listed() -> None:
    result = clean(raw([(0, 1), (1, 1), (1, 1), (2, 1), (2, 1), (2, 1.1), (3, 1)]), HOUR_MS, CleaningRules())
    assert sorted(verdicts(result)) == ["believed"] * 3 + ["conflicting_duplicate"] * 2 + ["dropped"] * 2
    assert np.bincount(result.believed, minlength=2).tolist() == [3, 4]
    assert [int(hour) for hour in (result.bars.time[result.believed] - BASE) // HOUR_MS] == [0, 1, 2, 3]


def test_rows_that_differ_only_in_another_column_conflict_and_the_column_is_unknown() -> None:
    rows = raw([(0, 1), (0, 1)])
    caps = np.array([5.0, 6.0])
    with_caps = RawBars(rows.code, rows.time, rows.open, rows.high, rows.low, rows.close, rows.volume, (caps,))
    result = clean(with_caps, HOUR_MS, CleaningRules())
    assert verdicts(result) == ["conflicting_duplicate"] * 2
    (row,) = np.flatnonzero(result.believed)
    assert np.isnan(result.bars.extra[0][row])
    assert (result.bars.open[row], result.bars.high[row], result.bars.low[row], result.bars.close[row]) == (1, 1, 1, 1)


def closes(rows: list[tuple[float, float, float]]) -> RawBars:
    """Close-only rows of (hour, close, volume)."""
    close = np.array([float(row[1]) for row in rows])
    time = np.array([BASE + round(row[0] * HOUR_MS) for row in rows], np.int64)
    volume = np.array([float(row[2]) for row in rows])
    return RawBars(np.zeros(len(rows), np.int32), time, close, close, close, close, volume)


def test_a_close_that_stands_still_without_known_volume_is_stale_from_the_24th_bar_on() -> None:
    result = clean(closes([(hour, 1, NAN) for hour in range(30)]), HOUR_MS, CleaningRules())
    assert verdicts(result) == ["believed"] * 23 + ["stale_price"] * 7
    traded = closes([(hour, 1, 5 if hour == 20 else NAN) for hour in range(30)])
    assert set(verdicts(clean(traded, HOUR_MS, CleaningRules()))) == {"believed"}


def test_a_bad_print_is_refused_and_the_segment_goes_on() -> None:
    result = clean(raw([(0, 1), (1, 25), (2, 1.1), (3, 1.2)]), HOUR_MS, CleaningRules())
    assert verdicts(result) == ["believed", "jump_up", "believed", "believed"]
    assert segments(result) == [0, -1, 0, 0]


def test_a_real_tenfold_move_is_another_instrument_once_a_later_bar_confirms_it() -> None:
    result = clean(raw([(0, 1), (1, 12), (2, 12.5), (3, 13)]), HOUR_MS, CleaningRules())
    assert verdicts(result) == ["believed", "jump_up", "believed", "believed"]
    assert segments(result) == [0, -1, 2, 2]


@pytest.mark.parametrize(
    ("later", "price", "start"),
    [
        *[(2, 1.4, 2), (2, 1.39, 0), (2, 0.7, 2), (2, 0.73, 0), (2, 12, 2), (24, 1, 0), (25, 1, 25)],
        *[(1, 0.01, 1), (1, 9.9, 1), (1, 1.4, 1), (1, 1.39, 0), (1, 1 / 1.4, 1), (1, 0.73, 0)],
    ],
)
def test_segments_end_at_gaps_of_a_day_and_at_doubtful_jumps(later: int, price: float, start: int) -> None:
    assert segments(clean(raw([(0, 1), (later, price)]), HOUR_MS, CleaningRules())) == [0, start]


def test_on_daily_bars_one_missing_day_ends_the_segment() -> None:
    rows = raw([(0, 1), (24, 1), (72, 1)])
    time = rows.time - rows.time[0] + 18_000 * 24 * HOUR_MS
    daily = RawBars(rows.code, time, rows.open, rows.high, rows.low, rows.close, rows.volume)
    result = clean(daily, 24 * HOUR_MS, CleaningRules(stale_bars=7))
    assert [int(start - time[0]) // (24 * HOUR_MS) for start in result.segment_start] == [0, 0, 3]


def test_instruments_do_not_touch_each_other() -> None:
    first, second = raw([(0, 1), (1, 1)]), raw([(0, 500), (1, 500)], code=1)
    pairs = zip(vars(first).values(), vars(second).values(), strict=True)
    both = RawBars(*(np.concatenate([a, b]) for a, b in pairs if isinstance(a, np.ndarray)))
    result = clean(both, HOUR_MS, CleaningRules())
    assert verdicts(result) == ["believed"] * 4
    assert segments(result) == [0, 0, 0, 0]


PRICES = st.sampled_from([1.0, 1.0, 1.0, 1.1, 0.9, 4.0, 6.0, 12.0, 30.0, 0.15, 0.05, -1.0, NAN, 1e-16])
VOLUMES = st.sampled_from([0.0, 0.0, 0.0, NAN, 5.0, -1.0])
STEPS = st.sampled_from([1, 1, 1, 1, 1, 0, 2, 3, 26, 0.5])
ROWS = st.lists(st.tuples(STEPS, PRICES, VOLUMES), min_size=1, max_size=60)


def series(steps: list[tuple[float, float, float]]) -> RawBars:
    hours = np.cumsum([step for step, _, _ in steps])
    return raw([(hour, p, p, p, p, v) for hour, (_, p, v) in zip(hours, steps, strict=True)])


@settings(max_examples=300, deadline=None)
@given(ROWS, ROWS, st.integers(0, 60))
def test_the_future_never_changes_a_verdict(steps: list[Any], others: list[Any], at: int) -> None:
    rules = CleaningRules(stale_bars=3)
    whole = series(steps)
    cut = whole.time[min(at, len(whole.time) - 1)]
    seen = int(np.searchsorted(whole.time, cut, "right"))
    before = clean(whole, HOUR_MS, rules)
    # Another future: the rows up to the cut, then other rows strictly later.
    later = [(max(others[0][0], 0.5), *others[0][1:]), *others[1:]]
    changed = clean(series([*steps[:seen], *later]), HOUR_MS, rules)
    truncated = clean(series(steps[:seen]), HOUR_MS, rules)
    for other in (changed, truncated):
        for name in ("believed", "segment_start", "rule", "dropped", "absent", "untraded", "jump"):
            np.testing.assert_array_equal(getattr(before, name)[:seen], getattr(other, name)[:seen])


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_no_step_within_a_segment_is_a_doubtful_jump(steps: list[Any]) -> None:
    bars = series(steps)
    result = clean(bars, HOUR_MS, CleaningRules())
    rows = np.flatnonzero(result.believed)
    for a, b in pairwise(rows.tolist()):
        if result.segment_start[a] != result.segment_start[b]:
            continue
        gap = bars.time[b] - bars.time[a] - HOUR_MS
        assert gap < 24 * HOUR_MS
        before, after = result.bars.close[a], result.bars
        assert after.high[b] < before * 10
        assert before / 1.4 < after.open[b] < before * 1.4


def test_believed_values_are_those_that_eighteen_decimals_can_hold() -> None:
    values = np.array([0.000695, 1.2345678901234567e-05, 3e-15, NAN, 0.0, 12345.678901234567, 1.5e-17, 4e19])
    result = believed_to_eighteen_places(values)
    assert result[0] == 0.000695
    assert result[1] == 1.2345678901235e-05
    assert result[6] == 1.5e-17
    assert result[5] == 12345.678901234567
    assert np.isnan(result[3])
