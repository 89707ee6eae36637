"""Joins as of an instant never show what was not known, and never lose a row, whatever was backfilled when."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.features.asof import asof_join

NAMES = ("A", "B", "C")
rows = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 12), st.integers(0, 12)), min_size=0, max_size=25
)  # name, event, known
questions = st.lists(st.tuples(st.sampled_from((*NAMES, "unheard of")), st.integers(0, 14)), min_size=0, max_size=25)


def right_of(told: list[tuple[str, int, int]]) -> pd.DataFrame:
    frame = pd.DataFrame(told, columns=["instrument", "event_time", "known_time"])
    frame = frame.astype({"event_time": "int64", "known_time": "int64", "instrument": "object"})
    frame["value"] = np.arange(len(told), dtype=float)
    return frame


def left_of(asked: list[tuple[str, int]]) -> pd.DataFrame:
    frame = pd.DataFrame(asked, columns=["instrument", "time"]).astype({"time": "int64", "instrument": "object"})
    frame.index = pd.Index([f"row {k}" for k in range(len(asked))], dtype=object)
    return frame


def by_hand(right: pd.DataFrame, name: str, at: int, exact: bool) -> tuple[int, int] | None:
    """The rule itself: of what is known, the latest event, and of equal ones the last known."""
    best = None
    for row in right.itertuples():
        usable = max(row.event_time, row.known_time)
        if row.instrument == name and (usable < at or (exact and usable == at)):
            key = (row.event_time, row.known_time)
            best = key if best is None or key > best else best
    return best


@given(told=rows, asked=questions, exact=st.booleans())
def test_the_join_is_the_rule_for_any_backfills(
    told: list[tuple[str, int, int]], asked: list[tuple[str, int]], exact: bool
) -> None:
    left, right = left_of(asked), right_of(told)
    joined = asof_join(left, right, exact=exact)
    assert joined[["instrument", "time"]].equals(left), "rows of the left side were moved, dropped or repeated"
    for row in joined.itertuples():
        expected = by_hand(right, row.instrument, row.time, exact)
        if expected is None:
            assert np.isnan(row.value)
        else:
            assert (row.event_time, row.known_time) == expected
            source = right.iloc[int(row.value)]
            assert (source.instrument, source.event_time, source.known_time) == (row.instrument, *expected)


@given(told=rows, asked=questions, added=rows, at=st.integers(0, 14))
def test_rows_that_become_known_later_change_no_earlier_answer(
    told: list[tuple[str, int, int]], asked: list[tuple[str, int]], added: list[tuple[str, int, int]], at: int
) -> None:
    earlier = left_of([item for item in asked if item[1] <= at])
    late = [(name, event, max(known, at)) for name, event, known in added]
    before = asof_join(earlier, right_of(told))
    after = asof_join(earlier, right_of(told + late))
    pd.testing.assert_frame_equal(before, after, check_dtype=False)


def test_a_late_backfill_of_an_old_event_does_not_hide_a_newer_one() -> None:
    right = right_of([("A", 5, 5), ("A", 1, 10)])  # a plain merge_asof on max(event, known) answers with the old one
    assert asof_join(left_of([("A", 11)]), right)["event_time"].tolist() == [5]


def test_what_becomes_known_at_the_very_instant_is_not_known_unless_asked_for() -> None:
    left, right = left_of([("A", 5)]), right_of([("A", 2, 5)])
    assert asof_join(left, right)["value"].isna().all()
    assert asof_join(left, right, exact=True)["value"].tolist() == [0.0]


def test_a_row_without_an_instant_stays_and_gets_nothing() -> None:
    left = pd.DataFrame({"instrument": ["A", "A"], "time": pd.to_datetime([None, "2021-01-02"], utc=True)})
    right = pd.DataFrame(
        {
            "instrument": ["A"],
            "event_time": pd.to_datetime(["2021-01-01"], utc=True),
            "known_time": pd.to_datetime(["2021-01-01T12:00:00"], utc=True),
            "value": [1.5],
        }
    )
    joined = asof_join(left, right)
    assert joined["value"].isna().tolist() == [True, False]
    assert joined["event_time"].dtype == right["event_time"].dtype


def test_instants_in_other_units_and_zones_are_the_same_instants() -> None:
    left = pd.DataFrame({"instrument": ["A"], "time": pd.to_datetime(["2021-01-02T01:00:00+02:00"]).as_unit("ms")})
    right = pd.DataFrame(
        {
            "instrument": ["A", "A"],
            "event_time": pd.to_datetime(["2021-01-01T22:59:59", "2021-01-01T23:00:00"], utc=True).as_unit("s"),
            "known_time": pd.to_datetime(["2021-01-01T22:59:59", "2021-01-01T23:00:00"], utc=True).as_unit("us"),
            "value": [1.0, 2.0],
        }
    )
    assert asof_join(left, right)["value"].tolist() == [1.0]


def test_texts_and_flags_keep_their_values() -> None:
    right = right_of([("A", 1, 1)]).assign(hash=["x"], flag=[True])
    joined = asof_join(left_of([("A", 2), ("B", 2)]), right)
    assert joined["hash"].tolist()[0] == "x"
    assert pd.isna(joined["hash"].tolist()[1])


@pytest.mark.parametrize(
    ("left", "right", "named"),
    [
        (left_of([("A", 1)]).drop(columns="time"), right_of([]), "'time'"),
        (left_of([("A", 1)]), right_of([]).drop(columns="known_time"), "'known_time'"),
        (left_of([("A", 1)]).assign(value=1), right_of([]), "'value'"),
        (left_of([("A", 1)]), right_of([("A", 1, 1)]).assign(known_time=[pd.NaT]), "without known_time"),
        (left_of([("A", 1)]), right_of([("A", 1, 1)]).assign(known_time=[1.5]), "float64"),
        (
            left_of([("A", 1)]),
            right_of([("A", 1, 1)]).assign(event_time=pd.to_datetime(["2021-01-01"], utc=True)),
            "different kinds",
        ),
    ],
)
def test_frames_that_cannot_be_joined_are_refused_with_the_column(
    left: pd.DataFrame, right: pd.DataFrame, named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        asof_join(left, right)
