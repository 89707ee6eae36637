"""The invested share of a portfolio, against hand-worked positions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.analytics.exposure import Stakes, invested_shares, mean_share, stakes_of

DAY = 24


def stakes(*rows: tuple[int, int, float]) -> Stakes:
    return stakes_of(rows)


def test_a_position_that_is_entered_and_sold_within_a_day_was_invested() -> None:
    assert invested_shares(stakes((0, 24, 200.0)), [0, DAY], [1_000.0]) == [0.2], "sold at the day's last instant"
    assert invested_shares(stakes((6, 12, 200.0)), [0, DAY], [1_000.0]) == [pytest.approx(0.05)]


def test_a_position_counts_on_each_day_by_the_hours_in_which_it_was_open() -> None:
    found = invested_shares(stakes((12, 54, 300.0), (48, 72, 100.0)), [0, 24, 48, 72], [1_000.0, 500.0, 800.0])
    assert found == pytest.approx([0.15, 0.3, 0.3 * 6 / 24 + 100.0 / 800.0])


def test_a_position_that_was_carried_into_the_range_counts_from_its_first_day() -> None:
    assert invested_shares(stakes((-30, 12, 200.0)), [0, 24], [1_000.0]) == [pytest.approx(0.1)]


def test_a_position_that_is_still_open_counts_to_the_end_of_the_range() -> None:
    closed = stakes((0, 24, 100.0))
    assert invested_shares(closed.with_open([(24, 50.0)]), [0, 24, 48, 72], [100.0] * 3) == [1.0, 0.5, 0.5]


def test_nothing_is_invested_without_positions_or_without_equity() -> None:
    assert invested_shares(stakes(), [0, 24, 48], [10.0, 10.0]) == [0.0, 0.0]
    assert invested_shares(stakes((0, 48, 10.0)), [0, 24, 48], [0.0, 10.0]) == [0.0, 0.0]
    assert mean_share([]) is None
    assert mean_share([0.1, 0.3]) == pytest.approx(0.2)


@given(
    st.lists(
        st.tuples(st.integers(-40, 130), st.integers(0, 90), st.floats(0.0, 1e4)).map(
            lambda row: (row[0], row[0] + row[1], row[2])
        ),
        max_size=8,
    )
)
def test_the_shares_of_all_days_add_up_to_the_hours_of_all_positions_inside_the_range(
    rows: list[tuple[int, int, float]],
) -> None:
    edges = [0, 24, 48, 72, 96]
    found = invested_shares(stakes(*rows), edges, [100.0] * 4)
    hours = sum(max(0, min(end, 96) - max(entry, 0)) * paid / 100.0 for entry, end, paid in rows)
    assert sum(found) * 24 == pytest.approx(hours)
