"""`FeatureEngineer`: features, selection and data sets of one home, with the method names of the seed document.

Belongs here: opening the home, which experiment is meant, and frames for people. Does not belong here: what features
are (vector), which labels count (labels), where parts begin (split), and training, which reads its own data (learning).

Two things differ from the seed on purpose. Selection ranks on the training part only: the seed selected on everything
before it split, which scores an AUC of 0.66 on pure noise. And nothing is imputed or scaled here: that belongs inside
the folds of training. Missing stays NaN; every feature has an indicator column beside it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, cast, func, select
from sqlalchemy.dialects.postgresql import JSON

from throughline.features.errors import FeatureError
from throughline.features.intervals import uniqueness
from throughline.features.labels import Labels, read_labels
from throughline.features.split import PARTS, SplitRule, time_ordered_parts
from throughline.features.vector import NAMES
from throughline.registry.opening import open_configured
from throughline.registry.reading import choose_experiment
from throughline.storage.database import Database
from throughline.storage.home import Home
from throughline.storage.tables import research_docs

MISSING = "_missing"
INDICATORS = tuple(name + MISSING for name in NAMES)
"""Columns that say 1 where the feature is missing, 0 elsewhere."""
LABELS = (
    "net_return",
    "win",
    "stopped",
    "lost",
    "decision_time",
    "t0",
    "t1",
    "weight",
    "source",
    "instrument",
    "segment",
)
"""Columns of a frame that are no features: a model never sees them."""
_LEAST = 10
"""A feature that fewer training rows have cannot be ranked."""


@dataclass(frozen=True)
class Part:
    """One part of a data set. features: frame [n, k], NaN = missing; win: [n] whether the net return is above zero;
    net_return: [n]; weight: [n] uniqueness; labels: the other columns of these rows."""

    features: pd.DataFrame
    win: NDArray[np.bool_]
    net_return: NDArray[np.float64]
    weight: NDArray[np.float64]
    labels: pd.DataFrame

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class MLDataset:
    """Train, validation and test in order of time, neither imputed nor scaled. purged: labels dropped from each part
    because they end after the next one begins, or within the embargo before that."""

    names: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    purged: dict[str, int]


class FeatureEngineer:
    """The labelled features of one home. Use it as a context manager or call `close`.

    db_path: folder of the home, as the seed calls it; home: the same. None = THROUGHLINE_HOME or the default. engine:
    an engine instead of a home. experiment: ID or 8 or more digits of it; None = the active one of mode backtest, else
    of mode demo. as_of: only labels that were resolved by the end of the day before (aware); None = all. split: where
    `select_features` and `prepare_ml_dataset` cut: one rule for both, so that what selection saw is never outside the
    training part.
    """

    def __init__(
        self,
        db_path: str | os.PathLike[str] | None = None,
        *,
        home: str | os.PathLike[str] | None = None,
        engine: Engine | None = None,
        experiment: str | None = None,
        as_of: datetime | None = None,
        split: SplitRule | None = None,
    ) -> None:
        if db_path is not None and home is not None:
            raise ValueError("db_path and home name the same thing: give one of them")
        self._database: Database | None = None
        if engine is None:
            self._database = open_configured(Home.locate(db_path if db_path is not None else home))
            engine = self._database.engine("reader")
        self._engine, self._experiment = engine, experiment
        self._as_of, self._split = as_of, split or SplitRule()

    def __enter__(self) -> FeatureEngineer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the home back."""
        if self._database is not None:
            self._database.close()

    def extract_all_features(self) -> pd.DataFrame:
        """Return one row per resolved label: its features, their indicators, and the columns `LABELS`.

        Indexed by candidate, in order of decision; a traded candidate has two rows, one for each source.
        `attrs`: experiment; seals (day, root) that were read; left_out: documents without a label ('unlabelled':
        not resolved yet, or never filled) and those written by hand, which hold no features ('by_hand').
        Raises as `throughline.features.labels.read_labels`, and UnknownRecord for an unknown experiment.
        """
        with self._engine.connect() as conn:
            name = choose_experiment(conn, self._experiment).experiment
            labels = read_labels(conn, name, as_of=self._as_of)
            frame = label_frame(labels)
            frame.attrs = {"experiment": name, "left_out": _left_out(conn, name, labels), "seals": labels.seals}
        return frame

    def select_features(self, df: pd.DataFrame, k: int = 50) -> tuple[pd.DataFrame, list[str]]:
        """Return `df` with the `k` features that rank highest on its training part, and their names in that order.

        Features are ranked by the absolute rank correlation with the net return over the training rows that have them
        (equal ones by name); constant ones and those that fewer than ten rows have are never selected. Raises
        FeatureError for a frame that is none of ours or too short to split, ValueError for k below 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}: select at least one feature")
        names = _features_of(df)
        train = df.iloc[time_ordered_parts(df, self._split).rows["train"]]
        ranks = rank_features(train[names], train["net_return"].to_numpy(np.float64))
        chosen = list(ranks)[:k]
        if not chosen:
            raise FeatureError("no feature varies in the training part: there is nothing to select; run more days")
        kept = df[[*chosen, *LABELS]].copy()
        kept.attrs = dict(df.attrs)
        return kept, chosen

    def prepare_ml_dataset(self, selected_df: pd.DataFrame) -> MLDataset:
        """Return the frame cut into train, validation and test in order of time, purged by label intervals.

        Raises FeatureError for a frame that is none of ours or too short to split.
        """
        names = _features_of(selected_df)
        parts = time_ordered_parts(selected_df, self._split)
        parts_of = {name: _part(selected_df.iloc[parts.rows[name]], names) for name in PARTS}
        return MLDataset(tuple(names), parts_of["train"], parts_of["validation"], parts_of["test"], parts.purged)


def label_frame(labels: Labels) -> pd.DataFrame:
    """Return labels as the frame of `FeatureEngineer.extract_all_features`, without its attributes."""
    index = pd.Index(labels.candidates, name="candidate", dtype=object)
    features = pd.DataFrame(labels.features, columns=list(NAMES), index=index)
    indicators = pd.DataFrame(np.isnan(labels.features).astype(np.float64), columns=list(INDICATORS), index=index)
    values = {
        "net_return": labels.net_return,
        "win": labels.net_return > 0.0,
        "stopped": labels.stopped,
        "lost": labels.lost,
        "decision_time": pd.to_datetime(labels.decided, unit="ms", utc=True),
        "t0": pd.to_datetime(labels.t0, unit="ms", utc=True),
        "t1": pd.to_datetime(labels.t1, unit="ms", utc=True),
        "weight": uniqueness(labels.t0, labels.t1, labels.segments),
        "source": np.where(labels.executed, "executed", "shadow"),
        "instrument": list(labels.instruments),
        "segment": list(labels.segments),
    }
    return pd.concat([features, indicators, pd.DataFrame(values, index=index)], axis=1)


def rank_features(features: pd.DataFrame, target: NDArray[np.float64]) -> dict[str, float]:
    """Return |Spearman's rho| with the target of each column that varies, best first (equal ones by name).

    Each column is judged over the rows that have it, where those are at least ten.
    """
    correlations: dict[str, float] = {}
    for name in features.columns:
        column = features[name].to_numpy(np.float64)
        has = ~np.isnan(column)
        if has.sum() < _LEAST:
            continue
        a, b = (pd.Series(values[has]).rank().to_numpy() for values in (column, target))
        a, b = a - a.mean(), b - b.mean()
        scale = float(np.sqrt((a @ a) * (b @ b)))
        if (a @ a) > 0.0:
            correlations[str(name)] = abs(float(a @ b)) / scale if scale > 0.0 else 0.0
    return dict(sorted(correlations.items(), key=lambda item: (-item[1], item[0])))


def _features_of(frame: pd.DataFrame) -> list[str]:
    """Return the feature columns of a frame in their order. Raises FeatureError for a frame that is none of ours."""
    absent = [name for name in LABELS if name not in frame.columns]
    strange = [str(name) for name in frame.columns if name not in {*LABELS, *NAMES, *INDICATORS}]
    if absent or strange:
        problem = f"lacks {absent[0]!r}" if absent else f"has {strange[0]!r}, which is no feature of this version"
        raise FeatureError(f"the frame {problem}: give the frame of extract_all_features or select_features")
    return [str(name) for name in frame.columns if name not in LABELS]


def _part(rows: pd.DataFrame, names: Sequence[str]) -> Part:
    return Part(
        features=rows[list(names)],
        win=rows["win"].to_numpy(np.bool_),
        net_return=rows["net_return"].to_numpy(np.float64),
        weight=rows["weight"].to_numpy(np.float64),
        labels=rows[list(LABELS)],
    )


def _left_out(conn: Connection, experiment: str, labels: Labels) -> dict[str, int]:
    """Return how many current documents hold no features, and how many of the others have no label."""
    r = research_docs.c
    later = research_docs.alias("later")
    current = ~select(1).where(later.c.supersedes == r.uuid).exists()
    total = select(func.count()).select_from(research_docs).where(r.experiment == experiment, current)
    kind = func.json_typeof(cast(func.convert_from(r.body, "UTF8"), JSON)["features"])
    documents = conn.execute(total).scalar_one()
    by_hand = conn.execute(total.where(func.coalesce(kind, "null") == "null")).scalar_one()
    return {"by_hand": by_hand, "unlabelled": documents - by_hand - len(set(labels.candidates))}
