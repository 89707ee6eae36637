"""Data sets without leaks: parts in order of time, labels that see no later part, selection on the past only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from throughline.features.engineer import INDICATORS, LABELS, FeatureEngineer, label_frame, rank_features
from throughline.features.errors import FeatureError
from throughline.features.intervals import overlapping, uniqueness
from throughline.features.labels import Labels
from throughline.features.split import DAY_MS, PARTS, SplitRule, milliseconds, time_ordered_parts
from throughline.features.vector import NAMES
from throughline.learning.dataset import training_data

HOUR = 3_600_000
START = 1_600_000_000_000 // DAY_MS * DAY_MS


def made_labels(n: int, seed: int = 1, days: float = 60.0, edge: float = 0.0) -> Labels:
    """Labels of noise: decisions at random instants, up to 48 h each. edge: how much the first feature tells."""
    rng = np.random.default_rng(seed)
    decided = np.sort(START + (rng.random(n) * days * 24).astype(np.int64) * HOUR)
    t0 = decided + rng.integers(0, 2, n) * HOUR
    features = rng.normal(size=(n, len(NAMES)))
    net = rng.normal(size=n) * 0.1 + edge * features[:, 0]
    features[rng.random(features.shape) < 0.05] = np.nan
    names = tuple(f"COIN{k}" for k in rng.integers(0, 5, n).tolist())
    return Labels(
        features=features,
        net_return=net,
        decided=decided,
        t0=t0,
        t1=t0 + rng.integers(0, 49, n) * HOUR,
        stopped=net < -0.15,
        lost=net < -0.9,
        executed=np.zeros(n, np.bool_),
        candidates=tuple(f"{k:08d}" for k in range(n)),
        instruments=names,
        segments=tuple(f"{name}@20200101T000000Z" for name in names),
        seals=(),
    )


@pytest.fixture
def engineer() -> Iterator[FeatureEngineer]:
    """An engineer that is asked nothing of its database."""
    from sqlalchemy import create_engine

    nowhere = create_engine("postgresql+psycopg2://", creator=lambda: pytest.fail("the database was asked"))
    with FeatureEngineer(engine=nowhere) as made:
        yield made


def sweep(intervals: list[tuple[int, int, str]]) -> list[tuple[str, str]]:
    """Walk through all instants in order and return which parts are ever alive together (independent of the code)."""
    events = sorted([(begin, 0, part) for begin, _, part in intervals] + [(end, 1, part) for _, end, part in intervals])
    alive: dict[str, int] = dict.fromkeys(PARTS, 0)
    met = []
    for _, ends, part in events:  # closed intervals: at one instant beginnings come before ends
        alive[part] += -1 if ends else 1
        if not ends:
            met += [(part, other) for other, count in alive.items() if other != part and count > 0]
    return met


@given(st.integers(40, 400), st.integers(0, 10**6), st.floats(0.1, 0.7), st.floats(0.05, 0.25), st.integers(0, 72))
def test_no_label_of_a_part_is_alive_in_another_and_time_goes_forward(
    n: int, seed: int, train: float, validation: float, embargo: int
) -> None:
    frame = label_frame(made_labels(n, seed)).sample(frac=1.0, random_state=seed % 1000)
    rule = SplitRule(train, validation, embargo)
    try:
        parts = time_ordered_parts(frame, rule)
    except FeatureError:
        return  # too short to split; the test below holds that this is not the rule
    decided, begins, ends = (milliseconds(frame[name]) for name in ("decision_time", "t0", "t1"))
    intervals = [(int(begins[row]), int(ends[row]), name) for name in PARTS for row in parts.rows[name].tolist()]
    assert sweep(intervals) == []
    for earlier, later in pairwise(PARTS):
        assert ends[parts.rows[earlier]].max() + embargo * HOUR < decided[parts.rows[later]].min()
        days = [set((decided[parts.rows[name]] // DAY_MS).tolist()) for name in (earlier, later)]
        assert days[0].isdisjoint(days[1]), "a day stands in two parts"
    taken = np.concatenate([parts.rows[name] for name in PARTS])
    assert len(np.unique(taken)) == len(taken)
    assert len(taken) + sum(parts.purged.values()) == n


def test_the_sweep_finds_what_purging_would_have_dropped() -> None:
    frame = label_frame(made_labels(2000))
    order = np.argsort(milliseconds(frame["decision_time"]), kind="stable")
    begins, ends = milliseconds(frame["t0"])[order], milliseconds(frame["t1"])[order]
    naive = [(int(begins[k]), int(ends[k]), PARTS[min(k // 800, 2)]) for k in range(2000)]
    assert sweep(naive) != []


def test_labels_on_too_few_days_are_refused_in_words() -> None:
    with pytest.raises(FeatureError, match="run more days"):
        time_ordered_parts(label_frame(made_labels(50, days=2.0)), SplitRule())
    with pytest.raises(FeatureError, match="0 labels"):
        time_ordered_parts(label_frame(made_labels(0)), SplitRule())


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)), max_size=30),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)), max_size=30),
    st.integers(0, 6),
)
def test_overlap_is_what_comparing_all_pairs_finds(
    mine: list[tuple[int, int]], others: list[tuple[int, int]], embargo: int
) -> None:
    def arrays(told: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        begin = np.array([item[0] for item in told], np.int64)
        return begin, begin + np.array([item[1] for item in told], np.int64)

    (a0, a1), (b0, b1) = arrays(mine), arrays(others)
    expected = [
        any(p <= end and begin <= q + embargo for p, q in zip(b0, b1, strict=True))
        for begin, end in zip(a0, a1, strict=True)
    ]
    assert overlapping(a0, a1, b0, b1, embargo).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 8), st.sampled_from("AB")), min_size=1, max_size=20))
def test_uniqueness_is_the_mean_share_of_each_instant(told: list[tuple[int, int, str]]) -> None:
    t0 = np.array([item[0] for item in told], np.int64)
    t1 = t0 + np.array([item[1] for item in told], np.int64)
    segments = [item[2] for item in told]
    spans = [range(begin, max(end, begin + 1)) for begin, end in zip(t0.tolist(), t1.tolist(), strict=True)]
    expected = []
    for k, span in enumerate(spans):
        alive = [
            sum(instant in other for other, name in zip(spans, segments, strict=True) if name == segments[k])
            for instant in span
        ]
        expected.append(float(np.mean([1 / count for count in alive])))
    np.testing.assert_allclose(uniqueness(t0, t1, segments), expected, rtol=1e-9)


def test_hourly_labels_of_48_hours_are_worth_about_one_in_48() -> None:
    t0 = START + np.arange(4800, dtype=np.int64) * HOUR
    assert uniqueness(t0, t0 + 48 * HOUR, ["A"] * 4800).sum() == pytest.approx(101, rel=0.02)


def test_intervals_that_end_before_they_begin_are_refused() -> None:
    one, two = np.array([1], np.int64), np.array([2], np.int64)
    with pytest.raises(ValueError, match="ends at 1 before it begins at 2"):
        uniqueness(two, one, ["A"])
    with pytest.raises(ValueError, match="ends at 1"):
        overlapping(two, one, one, two)


def test_selection_looks_at_the_training_part_only(engineer: FeatureEngineer) -> None:
    frame = label_frame(made_labels(3000, edge=0.02))
    later = time_ordered_parts(frame, SplitRule()).rows
    rng = np.random.default_rng(5)
    other = frame.copy()
    outside = np.setdiff1d(np.arange(len(frame)), later["train"])
    other.iloc[outside, : len(NAMES)] = rng.normal(size=(len(outside), len(NAMES)))
    other.iloc[outside, frame.columns.get_loc("net_return")] = rng.normal(size=len(outside))
    _, chosen = engineer.select_features(frame, k=7)
    assert engineer.select_features(other, k=7)[1] == chosen
    assert chosen[0] == NAMES[0], "the one feature that tells something does not rank first"


def test_selecting_on_noise_before_the_split_leaks_and_here_it_does_not() -> None:
    """The seed's order, measured: the correlation that selection promises must not hold up in the test part."""
    kept, leaked = [], []
    for seed in range(12):
        frame = label_frame(made_labels(400, seed))
        rows = time_ordered_parts(frame, SplitRule()).rows
        names, target = list(NAMES), frame["net_return"].to_numpy()

        def signed(where: np.ndarray, name: str, frame: pd.DataFrame = frame) -> float:
            part = frame.iloc[where][[name, "net_return"]].dropna()
            return float(part[name].rank().corr(part["net_return"].rank()))

        for where, told in ((rows["train"], kept), (np.arange(len(frame)), leaked)):
            best = next(iter(rank_features(frame.iloc[where][names], target[where])))
            told.append(signed(rows["test"], best) * np.sign(signed(where, best)))
    assert np.mean(leaked) > 0.05
    assert np.mean(leaked) > np.mean(kept) + 0.05


def test_selection_keeps_labels_index_and_values_and_k_may_be_larger_than_there_are(engineer: FeatureEngineer) -> None:
    frame = label_frame(made_labels(500))
    selected, chosen = engineer.select_features(frame, k=500)
    assert set(chosen) == {*NAMES, *INDICATORS}
    pd.testing.assert_frame_equal(selected, frame[[*chosen, *LABELS]])


def test_features_that_do_not_vary_or_are_hardly_there_are_never_selected(engineer: FeatureEngineer) -> None:
    frame = label_frame(made_labels(500))
    frame[NAMES[3]] = 1.0
    frame.loc[frame.index[9:], NAMES[4]] = np.nan
    _, chosen = engineer.select_features(frame, k=500)
    assert {NAMES[3], NAMES[4]}.isdisjoint(chosen)


def test_the_data_set_is_neither_imputed_nor_scaled(engineer: FeatureEngineer) -> None:
    frame = label_frame(made_labels(1000))
    selected, chosen = engineer.select_features(frame, k=10)
    data = engineer.prepare_ml_dataset(selected)
    assert data.names == tuple(chosen)
    for part in (data.train, data.validation, data.test):
        told = frame.loc[part.features.index]
        pd.testing.assert_frame_equal(part.features, told[chosen])
        assert (part.win == (told["net_return"] > 0).to_numpy()).all()
        assert (part.net_return == told["net_return"].to_numpy()).all()
        assert (part.weight == told["weight"].to_numpy()).all()
        assert not set(part.features.columns) & set(LABELS)
    assert any(data.train.features[name].isna().any() for name in chosen)
    sizes = [len(data.train), len(data.validation), len(data.test)]
    assert sum(sizes) + sum(data.purged.values()) == 1000
    assert data.purged["train"] > 0
    assert data.purged["test"] == 0


def test_indicators_say_what_is_missing() -> None:
    frame = label_frame(made_labels(200))
    for name, indicator in zip(NAMES, INDICATORS, strict=True):
        assert (frame[indicator] == frame[name].isna()).all()


def test_frames_of_another_make_are_refused_with_the_column(engineer: FeatureEngineer) -> None:
    frame = label_frame(made_labels(200))
    with pytest.raises(FeatureError, match="'future_return', which is no feature"):
        engineer.prepare_ml_dataset(frame.assign(future_return=1.0))
    with pytest.raises(FeatureError, match="lacks 't1'"):
        engineer.select_features(frame.drop(columns="t1"))
    with pytest.raises(ValueError, match="at least one"):
        engineer.select_features(frame, k=0)


def test_a_split_that_leaves_no_test_is_refused() -> None:
    with pytest.raises(ValueError, match="share for the test"):
        SplitRule(0.8, 0.2)
    with pytest.raises(ValueError, match="below 0"):
        SplitRule(embargo_hours=-1)


def test_training_data_carries_the_labels_with_their_uniqueness() -> None:
    labels = made_labels(300)
    data = training_data(labels)
    assert data.names == NAMES
    assert len(data) == 300
    frame = label_frame(labels)
    assert (data.weight == frame["weight"].to_numpy()).all()
    assert ((data.weight > 0) & (data.weight <= 1)).all()
    assert (data.decided == milliseconds(frame["decision_time"])).all()
    assert frame["decision_time"].iloc[0] == datetime.fromtimestamp(int(data.decided[0]) / 1000, UTC)


def test_db_path_and_home_together_are_refused() -> None:
    with pytest.raises(ValueError, match="one of them"):
        FeatureEngineer("trades.db", home="other")
