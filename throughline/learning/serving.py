"""Serving: what the models of an experiment say of a candidate at its decision instant, and which of them decides.

Belongs here: who scores (champion, canary, and the last good champion while a new one is watched), the arm of the
episode, and the decision as it stands in the candidate. Does not belong here: who became champion and why (events,
judge), the models themselves (models, files).

Who serves at an instant follows from the experiment's events alone. A challenger that fails to score is recorded as
failed, the champion decides, and the judge's guard counts it; a champion that fails stops the stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from throughline.errors import ThroughlineError
from throughline.features.vector import FeatureVector, feature_schema
from throughline.identity import score_text, time_to_ms
from throughline.learning.episodes import LastSignal, bucket_of, episode_of
from throughline.learning.events import ModelEvent, ServingState, state_at, unfold
from throughline.learning.types import RULE, Score
from throughline.storage.artifacts import ArtifactStore

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from throughline.experiment.identity import Experiment
    from throughline.learning.models import FittedModel
    from throughline.learning.store import ModelFile


class ScoringFailed(ThroughlineError):
    """A model could not score a vector; the message names the model and the reason."""


def open_server(conn: Connection, experiment: Experiment, artifacts: ArtifactStore) -> Server:
    """Return the server of an experiment as its events and models stand in the database now."""
    from throughline.learning.event_log import read_events
    from throughline.learning.store import model_files

    share = experiment.configuration.canary.share
    return Server(read_events(conn, experiment.id), model_files(conn, experiment.id), artifacts, share)


@dataclass(frozen=True)
class Decision:
    """What decides a candidate. model: the deciding one; arm: 'champion' or 'canary'; body: as the candidate has it."""

    model: str
    arm: str
    take: bool
    body: Mapping[str, Any]


class Server:
    """The models of one experiment at their instants. files: model id -> its file."""

    def __init__(
        self,
        events: Sequence[ModelEvent],
        files: Mapping[str, ModelFile],
        artifacts: ArtifactStore,
        share: float,
    ) -> None:
        self._states = unfold(events)
        self._files = dict(files)
        self._artifacts = artifacts
        self._share = share

    def state(self, at: datetime) -> ServingState:
        """Return who serves at `at`."""
        return state_at(self._states, at)

    def decide(self, vector: FeatureVector, segment: str, at: datetime, last: LastSignal | None) -> Decision:
        """Return the decision on a candidate of `segment` at the instant `at`; last: the segment's signal before."""
        state = self.state(at)
        episode = episode_of(segment, time_to_ms(at), last)
        bucket = bucket_of(state.rollout, episode) if state.canary is not None and state.rollout else None
        scores = {"champion": self._score(state.champion, vector, state)}
        failed: str | None = None
        if state.canary is not None:
            try:
                scores["canary"] = self._score(state.canary, vector, state)
            except ScoringFailed as error:
                failed = str(error)
        if state.fallback is not None:
            scores["fallback"] = self._score(state.fallback, vector, state)
        arm = "canary" if bucket is not None and bucket < self._share and failed is None else "champion"
        lines = [_line(role, score) for role, score in sorted(scores.items())]
        if failed is not None:
            lines.append(
                {
                    "error": failed,
                    "expected_return": None,
                    "model": state.canary,
                    "probability": None,
                    "role": "canary",
                    "take": None,
                }
            )
        decided = scores[arm]
        body = {
            "bucket": None if bucket is None else score_text(bucket),
            "episode": episode,
            "events_head": state.head,
            "missing_features": sum(text is None for text in vector.values.values()),
            "scores": lines,
            "take": decided.take,
        }
        return Decision(decided.model, arm, decided.take, body)

    def _score(self, model: str, vector: FeatureVector, state: ServingState) -> Score:
        if model == RULE:
            return Score(RULE, not state.rule_closed)  # a rule that is closed holds cash, and is compared as that
        file = self._files.get(model)
        if file is None:
            raise ScoringFailed(f"model {model[:12]} serves, but this home has no file of it: restore its artifact")
        fitted = load_fitted(self._artifacts, file)
        return score_one(fitted, model, vector)


def score_one(fitted: FittedModel, model: str, vector: FeatureVector) -> Score:
    """Return what a fitted model says of one vector. Raises ScoringFailed where it gives no numbers."""
    try:
        probability, expected, take = fitted.score(vector.numbers()[None, :])
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ScoringFailed(f"model {model[:12]} cannot score ({type(error).__name__}: {error})") from error
    if not np.isfinite(probability[0]) or not np.isfinite(expected[0]):
        raise ScoringFailed(f"model {model[:12]} gives no number for this vector")
    return Score(model, bool(take[0]), float(probability[0]), float(expected[0]))


def _line(role: str, score: Score) -> dict[str, Any]:
    return {
        "error": None,
        "expected_return": None if score.expected_return is None else score_text(score.expected_return),
        "model": score.model,
        "probability": None if score.probability is None else score_text(score.probability),
        "role": role,
        "take": score.take,
    }


def load_fitted(artifacts: ArtifactStore, file: ModelFile) -> FittedModel:
    """Return the model in a file of the store.

    Raises ModelRefused where the model's record names another file, where the file is another model's, and for another
    hash, feature schema or an unknown type.
    """
    from throughline.learning.files import ModelRefused

    if file.recorded is not None and file.recorded != file.hash:
        raise ModelRefused(
            f"the row of model {file.model[:12]} names the file {file.hash[:12]}, its record {file.recorded[:12]}: run "
            "`throughline verify`, then restore the row from a backup"
        )
    return _loaded(artifacts, file.hash, feature_schema(), file.model if file.recorded is not None else None)


@lru_cache(maxsize=16)  # by content: what the hash names cannot change, and a file takes tens of milliseconds
def _loaded(artifacts: ArtifactStore, digest: str, schema: str, model: str | None) -> FittedModel:
    from throughline.learning.files import load_model

    return load_model(artifacts.get(digest), digest, schema, model)
