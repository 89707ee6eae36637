"""Which rows drift is looked for in: the last days against what the serving model was trained on.

Belongs here: the two windows, one row an episode, and the model's scores beside the features. Does not belong here: the
tests (drift), when they are made.

Hourly signals of one coin are nearly one observation, so of each episode its first signal counts and no other. Features
are compared with those of the model's training labels that lie before the window. Scores are not: a model is surer of
what it was fitted on. Their reference is what it said of decisions between its training and the window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection

from throughline.features.labels import Labels, read_labels
from throughline.features.vector import NAMES
from throughline.identity import parse_time, time_to_ms
from throughline.learning.drift import Drift, drift_report
from throughline.learning.episodes import LastSignal, episode_of
from throughline.learning.events import ServingState
from throughline.learning.serving import load_fitted
from throughline.learning.store import ModelFile, model_files, read_models
from throughline.learning.types import I64, RULE
from throughline.storage.artifacts import ArtifactStore

WINDOW_DAYS = 30
"""Length of the window that is compared. A strategy of a few trades a day needs as long to say anything."""
SCORES = ("score: probability", "score: expected return")
DAY_MS = 86_400_000
FEATURES_LEVEL, SCORES_LEVEL = 0.04, 0.01
"""Chance of any alarm without drift, of all features together and of both scores; 5 % in all."""


@dataclass(frozen=True)
class DriftFound:
    """Drift of every feature and score. model: whose training is the reference, None where none was trained yet.

    since: beginning of the window, which ends at `as_of`; reference, current: episodes on either side; scored: episodes
    whose scores are the reference of scores.
    """

    model: str | None
    since: datetime
    as_of: datetime
    reference: int
    current: int
    scored: int
    columns: tuple[Drift, ...]

    @property
    def drifted(self) -> tuple[Drift, ...]:
        """What has left the reference."""
        return tuple(item for item in self.columns if item.drifted)


def find_drift(
    conn: Connection,
    artifacts: ArtifactStore,
    experiment: str,
    state: ServingState,
    as_of: datetime,
    window_days: int = WINDOW_DAYS,
) -> DriftFound:
    """Return the drift of the `window_days` up to `as_of` (a midnight) from what the model in charge was trained on.

    That is the champion, else the newest model with a file, else none: then all labels before the window are the
    reference. Raises as `throughline.features.labels.read_labels`.
    """
    since = as_of - timedelta(days=window_days)
    known = read_labels(conn, experiment, as_of=as_of)
    begins = time_to_ms(since)
    first = first_of_episodes(known)
    current = first[known.decided[first] >= begins]
    before = first[known.decided[first] < begins]
    files = model_files(conn, experiment)
    chosen = _in_charge(conn, experiment, state, files)
    scored = before[:0]
    if chosen is None:
        model, reference = None, before
    else:
        model, trained, start = chosen
        reference = before[(known.t1[before] <= trained) & (known.t1[before] >= start)]
        scored = before[known.decided[before] >= trained]
    day = known.decided // DAY_MS
    columns = list(
        drift_report(
            known.features[reference],
            known.features[current],
            NAMES,
            (day[reference], day[current]),
            FEATURES_LEVEL,
        )
    )
    if model is not None:
        fitted = load_fitted(artifacts, files[model])
        sides = [np.column_stack(fitted.score(known.features[rows])[:2]) for rows in (scored, current)]
        columns += drift_report(sides[0], sides[1], SCORES, (day[scored], day[current]), SCORES_LEVEL)
    return DriftFound(model, since, as_of, len(reference), len(current), len(scored), tuple(columns))


def first_of_episodes(known: Labels) -> I64:
    """Return the positions of the labels that begin an episode, in order of decision, one of each candidate."""
    last: dict[str, LastSignal] = {}
    places = []
    for place, (segment, decided) in enumerate(zip(known.segments, known.decided.tolist(), strict=True)):
        before = last.get(segment)
        episode = episode_of(segment, decided, before)
        if before is None or episode != before.episode:
            places.append(place)
        last[segment] = LastSignal(decided, episode)
    return np.array(places, np.int64)


def _in_charge(
    conn: Connection, experiment: str, state: ServingState, files: Mapping[str, ModelFile]
) -> tuple[str, int, int] | None:
    """Return the model, the instant of its training and the beginning of its training window (ms)."""
    trained = [item for item in read_models(conn, experiment) if item.id in files]
    if not trained:
        return None
    chosen = next((item for item in trained if item.id == state.champion and state.champion != RULE), trained[-1])
    window = chosen.body["window"]
    start = time_to_ms(parse_time(f"{window['first']}T00:00:00.000000Z")) if window else 0
    return chosen.id, time_to_ms(parse_time(chosen.body["identity"]["as_of"])), start
