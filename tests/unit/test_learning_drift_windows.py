"""Drift is looked for in one row an episode: hourly signals of one coin are nearly one observation."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from throughline.features.labels import Labels
from throughline.learning.drift_windows import first_of_episodes
from throughline.learning.episodes import GAP_MS

HOUR = 3_600_000


def labels(rows: list[tuple[str, int]]) -> Labels:
    """Return labels of (segment, hour of decision)."""
    n = len(rows)
    decided = np.array([hour * HOUR for _, hour in rows], np.int64)
    return Labels(
        features=np.zeros((n, 1)),
        net_return=np.zeros(n),
        decided=decided,
        t0=decided,
        t1=decided + HOUR,
        stopped=np.zeros(n, np.bool_),
        lost=np.zeros(n, np.bool_),
        executed=np.zeros(n, np.bool_),
        candidates=tuple(f"{segment}@{hour}" for segment, hour in rows),
        instruments=tuple(segment for segment, _ in rows),
        segments=tuple(segment for segment, _ in rows),
        seals=(),
    )


def test_of_each_episode_only_the_first_signal_counts() -> None:
    rows = [("A", 0), ("B", 1), ("A", 6), ("A", 54), ("A", 103), ("B", 200)]
    assert first_of_episodes(labels(rows)).tolist() == [0, 1, 4, 5], "48 h without a signal begin another one"


def test_a_trade_beside_its_shadow_is_one_observation() -> None:
    assert first_of_episodes(labels([("A", 0), ("A", 0), ("A", 90), ("A", 90)])).tolist() == [0, 2]


def test_without_labels_there_is_no_episode() -> None:
    assert first_of_episodes(labels([])).tolist() == []


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 2000)), max_size=60))
def test_two_rows_of_one_segment_never_lie_within_a_gap_unless_a_signal_less_stretch_parts_them(
    rows: list[tuple[str, int]],
) -> None:
    ordered = sorted(rows, key=lambda row: row[1])
    found = first_of_episodes(labels(ordered))
    for segment in "ABC":
        hours = sorted({hour for name, hour in ordered if name == segment})
        starts = [hour for k, hour in enumerate(hours) if k == 0 or (hour - hours[k - 1]) * HOUR > GAP_MS]
        assert [ordered[k][1] for k in found.tolist() if ordered[k][0] == segment] == starts
