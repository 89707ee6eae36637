"""Folds: an independent sweep finds no label that sees into a test, and every label is tested when it should be."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.learning.splits import DAY_MS, HOUR_MS, Fold, holdout_split, purged_partition, walk_forward_folds
from throughline.learning.types import I64

Labels = tuple[I64, I64, I64]


@st.composite
def label_intervals(draw: st.DrawFn) -> Labels:
    """Labels in order of decision: hours of decision, hours until the fill, hours until the exit."""
    told = draw(
        st.lists(st.tuples(st.integers(0, 40 * 24), st.integers(0, 3), st.integers(0, 72)), min_size=1, max_size=120)
    )
    hours = np.array(sorted(told), dtype=np.int64).reshape(-1, 3) * HOUR_MS
    return hours[:, 0], hours[:, 0] + hours[:, 1], hours[:, 0] + hours[:, 1] + hours[:, 2]


def clashes(fold: Fold, t0: I64, t1: I64, embargo_ms: int) -> int:
    """Sweep over instants with two heaps of open intervals: how many train labels meet a test label or its embargo."""
    events = [(int(t0[k]), False, int(t1[k]), int(k)) for k in fold.train]
    events += [(int(t0[k]), True, int(t1[k]) + embargo_ms, int(k)) for k in fold.test]
    open_train: list[tuple[int, int]] = []
    open_test: list[tuple[int, int]] = []
    met: set[int] = set()
    for begin, is_test, end, label in sorted(events):
        for heap in (open_train, open_test):
            while heap and heap[0][0] < begin:
                heapq.heappop(heap)
        if is_test:
            met.update(place for _, place in open_train)
            open_train.clear()  # each clash counts once
            heapq.heappush(open_test, (end, label))
        elif open_test:
            met.add(label)
        else:
            heapq.heappush(open_train, (end, label))
    return len(met)


def test_the_sweep_finds_a_planted_overlap() -> None:
    t0, t1 = np.array([0, 10, 20]), np.array([12, 15, 30])
    assert clashes(Fold(np.array([0, 2]), np.array([1]), 0), t0, t1, 0) == 1
    assert clashes(Fold(np.array([0, 2]), np.array([1]), 0), t0, t1, 5) == 2


@given(label_intervals(), st.integers(2, 7), st.integers(0, 48))
def test_a_partition_tests_every_label_once_and_no_training_label_meets_its_block(
    told: Labels, folds: int, embargo: int
) -> None:
    decided, t0, t1 = told
    made = purged_partition(decided, t0, t1, folds, embargo)
    assert sorted(np.concatenate([fold.test for fold in made]).tolist()) == list(range(len(decided)))
    for fold in made:
        assert clashes(fold, t0, t1, embargo * HOUR_MS) == 0
        assert len(fold.train) + len(fold.test) + fold.purged == len(decided)


@given(label_intervals(), st.integers(2, 7))
def test_walk_forward_trains_only_on_what_was_resolved_before_the_first_tested_decision(
    told: Labels, folds: int
) -> None:
    decided, t0, t1 = told
    made = walk_forward_folds(decided, t0, t1, folds)
    assert len(made) <= folds
    tested = np.concatenate([np.zeros(0, np.int64), *(fold.test for fold in made)])
    assert len(set(tested.tolist())) == len(tested)
    for fold in made:
        assert clashes(fold, t0, t1, 0) == 0
        assert (t1[fold.train] < decided[fold.test].min()).all()
        expected = {k for k in range(fold.test[0]) if t1[k] < decided[fold.test[0]]}
        assert set(fold.train.tolist()) == expected  # nothing usable is thrown away
    days = [set((decided[fold.test] // DAY_MS).tolist()) for fold in made]
    assert sum(map(len, days)) == len(set().union(*days))  # a day is never torn apart


@given(label_intervals(), st.floats(0.05, 0.45), st.integers(0, 48))
def test_the_holdout_is_the_last_share_of_days_an_embargo_after_everything_before(
    told: Labels, share: float, embargo: int
) -> None:
    decided, t0, t1 = told
    fold = holdout_split(decided, t0, t1, share, embargo)
    days = np.unique(decided // DAY_MS)
    held = np.unique(decided[fold.test] // DAY_MS)
    assert len(held) == int(np.ceil(share * len(days)))
    assert held.tolist() == days[-len(held) :].tolist()
    assert clashes(fold, t0, t1, 0) == 0
    assert (t1[fold.train] + embargo * HOUR_MS < decided[fold.test].min()).all()


def test_folds_hold_about_equally_many_labels() -> None:
    decided = np.arange(1200, dtype=np.int64) * HOUR_MS
    sizes = [len(fold.test) for fold in walk_forward_folds(decided, decided, decided + HOUR_MS, 5)]
    assert len(sizes) == 5
    assert max(sizes) - min(sizes) <= 24


def test_a_label_resolved_in_the_very_instant_of_the_first_tested_decision_does_not_train() -> None:
    decided = np.arange(4, dtype=np.int64) * DAY_MS
    t0, t1 = decided + 1, decided + np.array([2, 2, DAY_MS, 2])
    (last,) = walk_forward_folds(decided, t0, t1, 3)[2:]
    assert (last.train.tolist(), last.test.tolist(), last.purged) == ([0, 1], [3], 1)
    held = holdout_split(decided, t0, t1 - 1, 0.25, 0)
    assert held.train.tolist() == [0, 1, 2]
    assert holdout_split(decided, t0, t1, 0.25, 0).train.tolist() == [0, 1]


def test_labels_out_of_order_are_refused() -> None:
    decided = np.array([2, 1], dtype=np.int64)
    with pytest.raises(ValueError, match="label 1 was decided before label 0"):
        walk_forward_folds(decided, decided, decided, 2)
