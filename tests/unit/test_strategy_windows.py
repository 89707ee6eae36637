"""Windows: sums that depend on their rows alone, and rounding to ten digits."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from throughline.identity import score_text, sig10
from throughline.strategy.windows import last_row_with, round_sig10, shift, take_rows, trailing_sum

measured = st.floats(1e-12, 1e22) | st.floats(-1e22, -1e-12)
grids = npst.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.floats(-1e6, 1e6))


def _near_half(value: float) -> bool:
    """Say whether the exact value lies within two doubles' spacing of the middle between two ten-digit numbers."""
    exact = Decimal(value)
    unit = Decimal(1).scaleb(exact.adjusted() - 9)
    rest = abs(exact) % unit
    return abs(rest - unit / 2) <= 2 * Decimal(float(np.spacing(abs(value))))


@given(measured)
def test_round_sig10_is_decimal_rounding_except_within_two_spacings_of_the_middle(value: float) -> None:
    rounded = float(round_sig10(np.array([value]))[0])
    if _near_half(value):
        unit = Decimal(1).scaleb(Decimal(value).adjusted() - 9)
        assert abs(Decimal(repr(rounded)) - Decimal(repr(value))) <= unit
    else:
        assert rounded == sig10(value)
    assert float(score_text(rounded)) == rounded, "the recorded text must read back as what the thresholds saw"


@given(st.floats(-1e308, 1e308) | st.sampled_from([math.nan, math.inf, -math.inf]))
def test_round_sig10_is_idempotent_and_takes_every_double(value: float) -> None:
    once = round_sig10(np.array([value]))
    np.testing.assert_array_equal(round_sig10(once), once)
    if np.isfinite(value) and value:
        assert abs(Decimal(float(once[0])) - Decimal(value)) <= abs(Decimal(value)) * Decimal("5.01e-10") + Decimal(
            "5e-324"
        )
    else:
        np.testing.assert_array_equal(once, [value])


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(0.09999999999, 0.09999999999), (0.099999999999, 0.1), (0.0999999999949, 0.09999999999), (5e-324, 5e-324)],
)
def test_round_sig10_by_hand(value: float, rounded: float) -> None:
    assert round_sig10(np.array([value]))[0] == rounded


@given(npst.arrays(np.float64, 7, elements=st.floats(-1e9, 1e9)))
def test_round_sig10_of_a_cell_does_not_depend_on_its_neighbours(values: np.ndarray) -> None:
    together = round_sig10(values)
    assert together.tolist() == [float(round_sig10(values[k : k + 1])[0]) for k in range(len(values))]


def test_the_grid_given_is_not_changed() -> None:
    values = np.array([[1 / 3]])
    round_sig10(values)
    assert values[0, 0] == 1 / 3


@given(grids, st.integers(1, 12), st.data())
def test_trailing_sums_are_the_same_bits_wherever_the_grid_starts(
    values: np.ndarray, rows: int, data: st.DataObject
) -> None:
    segment = np.sort(data.draw(npst.arrays(np.int64, values.shape, elements=st.integers(0, 2))), axis=0)
    whole = trailing_sum(values, rows, segment)
    first = data.draw(st.integers(0, len(values) - 1))
    part = trailing_sum(values[first:], rows, segment[first:])
    complete = rows - 1  # rows nearer to the start than that look back over it
    assert part[complete:].tobytes() == whole[first + complete :].tobytes()
    for row in range(len(values)):
        for column in range(values.shape[1]):
            expected = 0.0
            for back in range(max(0, row - rows + 1), row + 1):
                expected += values[back, column] if segment[back, column] == segment[row, column] else 0.0
            assert whole[row, column] == expected


def test_shift_looks_back_and_fills_the_start() -> None:
    grid = np.array([[1.0], [2.0], [3.0]])
    assert shift(grid, 1, np.nan)[1:, 0].tolist() == [1.0, 2.0]
    assert np.isnan(shift(grid, 1, np.nan)[0, 0])
    assert np.isnan(shift(grid, 5, np.nan)).all()
    assert shift(grid, 0, np.nan).tolist() == grid.tolist()


def test_the_last_valid_row_is_never_a_later_one() -> None:
    valid = np.array([[False], [True], [False], [True]])
    rows = last_row_with(valid)
    assert rows[:, 0].tolist() == [-1, 1, 1, 3]
    taken = take_rows(np.array([[0.0], [10.0], [20.0], [30.0]]), rows, np.nan)
    assert np.isnan(taken[0, 0])
    assert taken[1:, 0].tolist() == [10.0, 10.0, 30.0]
