"""Episodes and arms: what belongs together, and which share a challenger decides."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from throughline.learning.episodes import GAP_MS, LastSignal, bucket_of, episode_of

HOUR = 3_600_000
SEGMENT = "AAA@20210101T000000Z"


def episodes(moments: list[int], segment: str = SEGMENT) -> list[str]:
    """The episodes of signals in order."""
    names: list[str] = []
    last: LastSignal | None = None
    for moment in moments:
        names.append(episode_of(segment, moment, last))
        last = LastSignal(moment, names[-1])
    return names


def test_signals_up_to_48_hours_apart_are_one_episode_however_long_it_grows() -> None:
    moments = [k * 48 * HOUR for k in range(10)]
    assert len(set(episodes(moments))) == 1


def test_more_than_48_hours_without_a_signal_begin_another_episode() -> None:
    assert len(set(episodes([0, GAP_MS, 2 * GAP_MS + 1]))) == 2


def test_two_segments_never_share_an_episode() -> None:
    assert episode_of(SEGMENT, 0, None) != episode_of("AAA@20210301T000000Z", 0, None)


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=30, unique=True))
def test_the_episode_of_a_signal_does_not_depend_on_later_ones(hours: list[int]) -> None:
    moments = [hour * HOUR for hour in sorted(hours)]
    whole = episodes(moments)
    for k in range(1, len(moments) + 1):
        assert episodes(moments[:k]) == whole[:k]


def test_a_tenth_of_many_episodes_falls_below_a_tenth() -> None:
    names = [str(uuid.UUID(int=k)) for k in range(20_000)]
    share = sum(bucket_of("salt", name) < 0.10 for name in names) / len(names)
    assert abs(share - 0.10) < 0.007  # three standard errors


def test_the_same_episode_falls_into_the_same_bucket_again_and_another_rollout_assigns_anew() -> None:
    names = [str(k) for k in range(2_000)]
    first, second = ([bucket_of(salt, name) < 0.5 for name in names] for salt in ("one", "two"))
    assert first == [bucket_of("one", name) < 0.5 for name in names]
    agree = sum(a == b for a, b in zip(first, second, strict=True)) / len(names)
    assert 0.45 < agree < 0.55
