"""Where a segment ends between bars that follow each other, and what a corporate action does to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.market.cleaning import CleanBars, clean
from throughline.market.corporate_actions import Action
from throughline.market.rows import HOUR_MS, CleaningRules, RawBars
from throughline.market.segments import likely_ratio

RULES = CleaningRules()


def path(opens: list[float], hours: list[int] | None = None, close_only: bool = False) -> RawBars:
    """Bars that close where they open, 1 % up and down, volume 5."""
    o = np.array(opens)
    time = np.array(hours if hours is not None else range(len(opens)), np.int64) * HOUR_MS
    high, low = (o, o) if close_only else (o * 1.01, o * 0.99)
    close = o if close_only else o.copy()
    return RawBars(np.zeros(len(o), np.int32), time, o, high, low, close, np.full(len(o), 5.0))


def starts(result: CleanBars) -> list[int]:
    return [int(start // HOUR_MS) for start in result.segment_start]


@pytest.mark.parametrize("ratio", [1.4, 1.5, 2.0, 3.0, 4.85, 5.0, 9.7, 2 / 3, 0.5, 1 / 3, 0.25, 0.2, 0.1, 0.001])
@pytest.mark.parametrize("hour", [2, 3, 20])
@pytest.mark.parametrize("close_only", [False, True])
def test_a_first_price_far_from_the_close_before_it_ends_the_segment_over_a_gap_as_well(
    ratio: float, hour: int, close_only: bool
) -> None:
    bars = path([100, 101, 101 * ratio, 102 * ratio], [0, 1, hour, hour + 1], close_only)
    result = clean(bars, HOUR_MS, RULES)
    assert result.believed.all()
    assert starts(result) == [0, 0, hour, hour]
    assert np.isnan(result.jump).tolist() == [True, True, False, True]
    assert result.jump[2] == pytest.approx(ratio)


def test_a_fall_inside_a_bar_belongs_to_the_segment_also_after_a_gap() -> None:
    o, c = np.array([100.0, 100.0, 1.0]), np.array([100.0, 1.0, 1.0])
    for hours in ([0, 1, 2], [0, 3, 4]):
        time = np.array(hours, np.int64) * HOUR_MS
        bars = RawBars(np.zeros(3, np.int32), time, o, np.maximum(o, c), np.minimum(o, c), c, np.full(3, 5.0))
        assert starts(clean(bars, HOUR_MS, RULES)) == [0, 0, 0]


@pytest.mark.parametrize("factor", [1.2, 1.4, 1.5, 2.0, 5.0])
@pytest.mark.parametrize("price", [0.0333, 1.0, 0.00012347])
@pytest.mark.parametrize("up", [True, False])
def test_a_step_of_the_factor_itself_is_doubtful_also_where_prices_are_rounded(
    factor: float, price: float, up: bool
) -> None:
    """0.0333 becomes 0.0167 by a split of 2:1: 1.994 times."""
    after = float(f"{price * (factor if up else 1 / factor):.4g}")
    rules = CleaningRules(doubtful_jump=factor)
    assert starts(clean(path([price, after]), HOUR_MS, rules)) == [0, 1]
    within = price * (1 + (factor - 1) * 0.98 if up else 1 / (1 + (factor - 1) * 0.98))
    assert starts(clean(path([price, within]), HOUR_MS, rules)) == [0, 0]


def test_a_high_of_ten_times_the_last_close_after_a_gap_begins_a_segment() -> None:
    o, high = np.array([1.0, 1.0]), np.array([1.0, 10.0])
    time = np.array([0, 3], np.int64) * HOUR_MS
    bars = RawBars(np.zeros(2, np.int32), time, o, high, o.copy(), o.copy(), np.full(2, 5.0))
    assert starts(clean(bars, HOUR_MS, RULES)) == [0, 3]


@pytest.mark.parametrize(
    ("jump", "words"), [(9.7, "10:1"), (0.001, "1:1000"), (0.00097, "1:1000"), (2.05, "2:1"), (1.5, "3:2"), (6.6, None)]
)
def test_a_jump_near_a_simple_ratio_is_named(jump: float, words: str | None) -> None:
    assert likely_ratio(jump) == words


STEPS = st.lists(st.sampled_from([0.8, 0.9, 1.0, 1.1, 1.3]), min_size=2, max_size=12)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(1, 11), st.sampled_from([1000.0, 0.1, 2.0, 1.5, 0.001]), st.booleans())
def test_a_split_that_was_announced_changes_neither_returns_nor_segments(
    steps: list[float], at: int, ratio: float, close_only: bool
) -> None:
    prices = 100 * np.cumprod(steps)
    at = min(at, len(prices) - 1)
    raw = path([float(p) for p in prices], close_only=close_only)
    factor = np.where(np.arange(len(prices)) >= at, 1 / ratio, 1.0)
    result = clean(raw.scaled(factor), HOUR_MS, RULES, [Action(0, at * HOUR_MS, ratio, (at - 1) * HOUR_MS)])
    plain = clean(raw, HOUR_MS, RULES)
    assert result.believed.all()
    assert (result.segment_start == plain.segment_start).all()
    np.testing.assert_allclose(result.bars.close, plain.bars.close, rtol=1e-12)
    assert not result.unapplied
    before = clean(raw.scaled(factor), HOUR_MS, RULES)
    np.testing.assert_array_equal(before.bars.close[:at], result.bars.close[:at])  # the days before stay as sealed


def test_an_action_known_too_late_or_at_odds_with_the_prices_is_not_applied_and_says_why() -> None:
    split = [100.0, 100.0, 0.1, 0.1]
    late = clean(path(split), HOUR_MS, RULES, [Action(0, 2 * HOUR_MS, 1000.0, 2 * HOUR_MS + 1)])
    assert starts(late) == [0, 0, 2, 2]
    assert late.bars.close.tolist() == split
    assert "known after" in late.unapplied[0].reason
    wrong = clean(path([100.0] * 4), HOUR_MS, RULES, [Action(0, 2 * HOUR_MS, 1000.0, 0)])
    assert starts(wrong) == [0, 0, 0, 0]
    assert wrong.believed.all()
    assert "1 times the price before" in wrong.unapplied[0].reason


@settings(max_examples=100, deadline=None)
@given(
    ratio=st.one_of(st.floats(1.6, 1e6), st.floats(1e-6, 0.6)),
    hours=st.sampled_from([[0, 1, 2, 3], [0, 1, 5, 6], [0, 1, 50, 51]]),
    close_only=st.booleans(),
)
def test_an_action_that_the_prices_know_already_is_not_applied(
    ratio: float, hours: list[int], close_only: bool
) -> None:
    raw = path([100.0, 101.0, 102.0, 101.0], hours, close_only)
    result = clean(raw, HOUR_MS, RULES, [Action(0, hours[2] * HOUR_MS, ratio, 0)])
    assert result.factor.tolist() == [1.0] * 4
    assert starts(result) == starts(clean(raw, HOUR_MS, RULES))
    assert len(result.unapplied) == 1


@pytest.mark.parametrize("hours", [[0, 1, 2, 3, 4], [0, 1, 6, 7, 8]])
@pytest.mark.parametrize("close_only", [False, True])
@pytest.mark.parametrize("split", [0.25, 4.0, 0.4])
def test_an_action_upside_down_ends_the_segment_where_the_price_moved(
    hours: list[int], close_only: bool, split: float
) -> None:
    raw = path([100.0, 101.0, 101.0 * split, 102.0 * split, 101.0 * split], hours, close_only)
    result = clean(raw, HOUR_MS, RULES, [Action(0, hours[2] * HOUR_MS, split, 0)])
    assert result.factor.tolist() == [1.0] * 5
    assert starts(result) == [0, 0, hours[2], hours[2], hours[2]]
    assert result.jump[2] == pytest.approx(split)


def test_an_action_an_hour_late_is_not_applied_with_closes_only() -> None:
    raw = path([100.0, 101.0, 25.0, 25.1, 25.2], close_only=True)
    result = clean(raw, HOUR_MS, RULES, [Action(0, 3 * HOUR_MS, 4.0, 0)])
    assert result.factor.tolist() == [1.0] * 5
    assert "1.004 times" in result.unapplied[0].reason


@pytest.mark.parametrize(("price", "start"), [(25.5, 0), (34.0, 0), (40.0, 6), (16.0, 6)])
def test_an_action_over_a_gap_is_applied_also_where_the_market_moved_far_in_it(price: float, start: int) -> None:
    result = clean(path([100.0, 100.0, price, price], [0, 1, 6, 7]), HOUR_MS, RULES, [Action(0, 2 * HOUR_MS, 4.0, 0)])
    assert result.factor.tolist() == [1, 1, 4, 4]
    assert not result.unapplied
    assert starts(result) == [0, 0, start, start]  # a step that stays doubtful ends the segment, in the right units


def test_one_ratio_named_twice_in_one_gap_is_applied_once() -> None:
    actions = [Action(0, 2 * HOUR_MS, 4.0, 0), Action(0, 4 * HOUR_MS, 4.0, 0)]
    result = clean(path([100.0, 100.0, 25.5, 25.0], [0, 1, 6, 7]), HOUR_MS, RULES, actions)
    np.testing.assert_allclose(result.bars.close, [100, 100, 102, 100])
    assert [item.reason[:14] for item in result.unapplied] == ["the same ratio"]


def test_prices_stay_in_the_first_units_also_in_later_segments() -> None:
    hours = [0, 1, 2, 40, 41]
    result = clean(path([100, 100, 0.1, 0.2, 0.2], hours), HOUR_MS, RULES, [Action(0, 2 * HOUR_MS, 1000.0, 0)])
    np.testing.assert_allclose(result.bars.close, [100, 100, 100, 200, 200])
    assert result.factor.tolist() == [1, 1, 1000, 1000, 1000]
    assert starts(result) == [0, 0, 0, 40, 40]


def test_actions_in_a_gap_are_applied_together_also_where_the_gap_ends_the_segment() -> None:
    actions = [Action(0, 10 * HOUR_MS, 1000.0, 0), Action(0, 20 * HOUR_MS, 0.1, 0)]
    result = clean(path([100, 100, 1.02, 1.02], [0, 1, 60, 61]), HOUR_MS, RULES, actions)
    np.testing.assert_allclose(result.bars.close, [100, 100, 102, 102])
    assert starts(result) == [0, 0, 60, 60]
    assert not result.unapplied


def test_an_action_before_the_first_bar_or_after_the_last_changes_nothing() -> None:
    actions = [Action(0, -5 * HOUR_MS, 10.0, -9 * HOUR_MS), Action(0, 50 * HOUR_MS, 10.0, 0)]
    result = clean(path([100, 100]), HOUR_MS, RULES, actions)
    assert result.bars.close.tolist() == [100, 100]
    assert [item.reason for item in result.unapplied] == ["there is no bar before it"]


def test_an_action_of_one_instrument_leaves_the_others_alone() -> None:
    one, two = path([100, 100, 0.1]), path([7, 7, 7])
    both = RawBars(
        np.repeat(np.array([0, 1], np.int32), 3),
        *(
            np.concatenate([getattr(one, n), getattr(two, n)])
            for n in ("time", "open", "high", "low", "close", "volume")
        ),
    )
    result = clean(both, HOUR_MS, RULES, [Action(0, 2 * HOUR_MS, 1000.0, 0)])
    assert result.bars.close.tolist() == [100, 100, 100, 7, 7, 7]
