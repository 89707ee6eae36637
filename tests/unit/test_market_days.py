"""Which days an archive holds, and whether its bars stand as far apart as described."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from throughline.market.days import ArchiveDays, archive_days
from throughline.market.rows import HOUR_MS
from throughline.market.spacing import duration_words, wrong_spacing

FIRST = date(2024, 3, 1)
BASE = int(datetime(2024, 3, 1, tzinfo=UTC).timestamp()) * 1000
NAMES = ("A", "B", "C", "D")


def days_of(bars: Iterable[tuple[int, int]], interval_ms: int = HOUR_MS) -> ArchiveDays:
    """Bars as (instrument, number of the interval from 1 March 2024 on)."""
    table = sorted((BASE + number * interval_ms, code) for code, number in bars)
    return archive_days(
        np.array([code for _, code in table], np.int32), np.array([at for at, _ in table], np.int64), interval_ms
    )


def whole(days: int, codes: int = 4) -> list[tuple[int, int]]:
    return [(code, hour) for code in range(codes) for hour in range(days * 24)]


def test_an_archive_of_whole_days_ends_with_its_last_day() -> None:
    days = days_of(whole(3))
    assert (days.first, days.last, days.after_last, days.strays) == (FIRST, date(2024, 3, 3), "", ())


@pytest.mark.parametrize("hours", [1, 9, 12, 23])
def test_a_last_day_that_is_not_over_is_not_the_last(hours: int) -> None:
    days = days_of([*whole(3), *((code, 72 + hour) for code in range(4) for hour in range(hours))])
    assert days.last == date(2024, 3, 3)
    assert "2024-03-04" in days.after_last
    assert f"{hours} of its 24 bar times" in days.after_last


def test_a_day_that_most_instruments_do_not_reach_the_end_of_is_not_over() -> None:
    bars = [*whole(3), (0, 72 + 23), *((code, 72 + hour) for code in range(4) for hour in range(12))]
    assert days_of(bars).last == date(2024, 3, 3)


def test_a_day_whose_last_hour_was_quiet_is_over_once_its_instruments_trade_again() -> None:
    bars = [item for item in whole(3) if item[1] != 71]
    assert days_of(bars).last == date(2024, 3, 2)
    assert days_of([*bars, *((code, 74) for code in range(3))]).last == date(2024, 3, 3)
    assert days_of([*bars, (0, 74)]).last == date(2024, 3, 2)  # one row says nothing of the others


def test_a_last_daily_file_that_broke_off_is_not_a_day() -> None:
    bars = [(code, day) for code in range(40) for day in range(5)] + [(code, 5) for code in range(9)]
    days = days_of(bars, 24 * HOUR_MS)
    assert days.last == date(2024, 3, 5)
    assert "9 instruments, and the day before has 40" in days.after_last


@pytest.mark.parametrize("hour", [20_000, 655_000 // 2, -20_000, -470_000])
def test_one_row_far_from_all_others_moves_neither_end(hour: int) -> None:
    days = days_of([*whole(4), (2, hour)])
    assert (days.first, days.last) == (FIRST, date(2024, 3, 4))
    assert len(days.strays) == 1


def test_one_stray_row_of_a_single_daily_instrument_is_a_stray_too() -> None:
    days = days_of([(0, 0), (0, 1), (0, 2), (0, 3), (0, 400)], 24 * HOUR_MS)
    assert (days.last, days.strays) == (date(2024, 3, 4), (FIRST + timedelta(days=400),))


def test_an_exchange_that_was_closed_for_a_month_goes_on_afterwards() -> None:
    later = [(code, 40 * 24 + hour) for code in range(4) for hour in range(72)]
    assert days_of([*whole(3), *later]).last == FIRST + timedelta(days=42)


def test_files_without_any_day_that_is_over_have_none() -> None:
    days = days_of([(0, hour) for hour in range(9)])
    assert days.last is None
    assert "9 of its 24" in days.after_last


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(1, 23), st.integers(0, 2**32 - 1))
def test_a_last_day_is_run_once_it_is_over_and_the_days_before_it_always(
    whole_days: int, hours: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    bars = [item for item in whole(whole_days + 1, 12) if rng.random() > 0.1]
    cut = [item for item in bars if item[1] < whole_days * 24 + hours]
    assert days_of(bars).last == FIRST + timedelta(days=whole_days)
    assert days_of(cut).last == FIRST + timedelta(days=whole_days - 1)


def spacing(steps: dict[int, list[int]], interval_ms: int = HOUR_MS) -> str | None:
    """Judge instruments given by the intervals between their bars."""
    code = np.concatenate([np.full(len(mine) + 1, number, np.int32) for number, mine in steps.items()])
    time = np.concatenate([BASE + np.append(0, np.cumsum(mine)) * interval_ms for mine in steps.values()])
    return wrong_spacing(code, time.astype(np.int64), NAMES, interval_ms)


def test_bars_that_stand_four_hours_apart_are_no_hourly_bars() -> None:
    assert spacing({code: [4] * 30 for code in range(4)}) == (
        "bars stand 4 h apart where the description says 1 h (4 of 4 instruments: A, B, C and 1 more)"
    )


def test_one_instrument_at_another_distance_is_named() -> None:
    found = spacing({0: [1] * 50, 1: [24] * 40, 2: [1] * 50, 3: []})
    assert found == "bars stand 1 d apart where the description says 1 h (1 of 4 instruments: B)"


def test_bars_that_stand_closer_than_described_are_told_too() -> None:
    code, time = np.zeros(50, np.int32), BASE + np.arange(50) * HOUR_MS
    found = wrong_spacing(code, time.astype(np.int64), ("A",), 4 * HOUR_MS)
    assert found == "bars stand 1 h apart where the description says 4 h (1 of 1 instruments: A)"


def test_instruments_with_few_rows_are_judged_together_and_a_handful_of_rows_not_at_all() -> None:
    assert spacing({code: [4] * 4 for code in range(4)}) == "bars stand 4 h apart where the description says 1 h"
    assert spacing({0: [4] * 5, 1: [4] * 2}) is None


def test_gaps_and_one_hole_in_the_middle_are_no_other_distance() -> None:
    assert spacing({0: [1] * 20 + [30] + [1] * 20, 1: [1, 2] * 20, 2: [3, 1, 2] * 9, 3: [7, 1]}) is None


@settings(max_examples=150, deadline=None)
@given(st.floats(0.0, 0.75), st.integers(0, 2**32 - 1))
def test_hours_missing_at_random_are_never_taken_for_another_distance(missing: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = {code: np.diff(np.flatnonzero(rng.random(200) > missing)).tolist() for code in range(4)}
    assert spacing(steps) is None


def test_durations_are_said_in_their_largest_unit() -> None:
    assert [duration_words(ms) for ms in (86_400_000, 14_400_000, 900_000, 14_000, 7)] == [
        "1 d",
        "4 h",
        "15 min",
        "14 s",
        "7 ms",
    ]
