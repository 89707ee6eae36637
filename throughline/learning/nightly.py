"""Training a challenger as of an instant: what is read, what names the model, which gates it passed, what is stored.

Belongs here: the order of the steps and the model's record. Does not belong here: estimators, folds and gates
(training), SQL (store), when training happens (cycle, Dagster).

A model is named by what it was made from: the seals of the partitions it read, the feature schema, hyper-parameters,
seed, code, lock file, the experiment and the champion that it was held against. So a rerun finds it and does nothing:
its gates, its trials and the opening of its holdout are recorded once. Another model opens a holdout of its own, whose
days may be the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Engine

from throughline.experiment.identity import Experiment
from throughline.features.labels import ASSET as LABELS
from throughline.features.vector import feature_schema
from throughline.identity import SCHEMA_VERSION, hash_body, score_text, time_text, time_to_ms
from throughline.learning.dataset import read_training_data
from throughline.learning.effective import effective_number
from throughline.learning.event_log import read_events
from throughline.learning.events import serving_state
from throughline.learning.later import record_later_scores
from throughline.learning.serving import load_fitted
from throughline.learning.store import (
    ModelFile,
    TrainedModel,
    model_files,
    read_model,
    read_openings,
    read_trials,
    read_verdicts,
    store_training,
)
from throughline.learning.types import CASH, RULE, GateResult, Progress, TrainingData, no_progress
from throughline.quality.gate import gate_standings
from throughline.quality.suite import TRAINING_SET
from throughline.quality.verdict import GateRunner
from throughline.registry.consistency import Reading, require_registry
from throughline.storage.artifacts import ArtifactStore

if TYPE_CHECKING:
    from throughline.learning.types import Mask


REGISTRY_HOLDS = GateResult(
    "registry_consistency", "pass", 0.0, 0.0, "the newest check of the registries found nothing"
)
"""Recorded with every model: without it nothing is trained."""
_AGAINST = {RULE: "the rule", CASH: "cash (the rule is closed)"}


@dataclass(frozen=True)
class Challenger:
    """A training and what its gates said. model: id of its record; known: it was recorded before, nothing was done."""

    model: str
    verdicts: tuple[GateResult, ...]
    body: Mapping[str, Any]
    known: bool

    @property
    def passed(self) -> bool:
        """Whether every gate says pass. 'Insufficient' is no pass."""
        return all(item.status == "pass" for item in self.verdicts)

    @property
    def fitted(self) -> bool:
        """Whether there was enough to train a model on; without, the record holds verdicts alone."""
        return bool(self.body["metrics"])

    @property
    def refusals(self) -> tuple[GateResult, ...]:
        """The gates that did not say pass."""
        return tuple(item for item in self.verdicts if item.status != "pass")


def train_challenger(
    engine: Engine,
    artifacts: ArtifactStore,
    experiment: Experiment,
    gates: GateRunner,
    as_of: datetime,
    now: datetime,
    progress: Progress = no_progress,
) -> Challenger:
    """Train and judge a challenger on what was resolved by `as_of` (a midnight, UTC).

    engine: with the writer role. gates: judges the training set. now: of the wall clock, which only says whether the
    registries' check is recent. progress: told of each step.
    Raises GateClosed where the registries were not found consistent (that is no verdict on a model, and none is
    recorded), CheckOutgrown where the newest check does not cover the days that are read, ThroughlineError where labels
    of another feature schema stand in the window.
    """
    progress("reading the labels", 0.0)
    with engine.connect() as conn:
        state = serving_state(read_events(conn, experiment.id), as_of)
        settings = experiment.configuration.learning
        data, read = read_training_data(conn, experiment.id, as_of=as_of, window_days=settings.window_days)
        against = CASH if state.champion == RULE and state.rule_closed else state.champion
        identity = _identity(experiment, as_of, read, against)
        model = hash_body("model", identity)
        stored = read_model(conn, model)
        known = None if stored is None else Challenger(model, read_verdicts(conn, model), stored.body, True)
    if known is not None:
        record_later_scores(engine, artifacts, experiment.id, model, data)
        return known
    with engine.connect() as conn:
        require_registry(conn, now, Reading(experiment.id, LABELS, read))
        outside = (_data_quality(conn, experiment.id, read), judge_training_set(gates, data, as_of), REGISTRY_HOLDS)
        files = model_files(conn, experiment.id)
        earlier = read_trials(conn, experiment.id)
        others = read_trials(conn, None)
        openings = read_openings(conn, experiment.id)
    from throughline.learning.files import dump_model
    from throughline.learning.training import train

    trained = train(
        data,
        settings,
        experiment.seed,
        champion_takes=lambda part: _takes(artifacts, files, against, part),
        against=_AGAINST.get(against, "the champion"),
        earlier_trials=earlier,
        home_trials=others,
        earlier_openings=openings,
        stake_share=1.0 / experiment.configuration.sizing.max_positions,
        progress=progress,
    )
    progress("storing the model", 0.97)
    verdicts = (*trained.gates, *outside)
    file = None
    if trained.model is not None:
        file = artifacts.put(dump_model(trained.model, model), "model", "application/zip")
    body = {
        "dropped": trained.dropped,
        "file": None if file is None else file.hash,
        "identity": identity,
        "labels": _counts(data),
        "metrics": trained.metrics,
        "schema_version": SCHEMA_VERSION,
        "trials": [trial.hash for trial in trained.trials],
        "verdicts": [_verdict(item) for item in verdicts],
        "window": {"first": read[0][0], "last": read[-1][0]} if read else None,
    }
    record = TrainedModel(model, experiment.id, body, file)
    store_training(engine, record, verdicts, trained.trials, trained.holdout)
    record_later_scores(engine, artifacts, experiment.id, model, data)
    return Challenger(model, verdicts, body, False)


def _identity(
    experiment: Experiment, as_of: datetime, read: Sequence[tuple[date, str]], against: str
) -> dict[str, Any]:
    from throughline.learning.trials import hyper_parameters

    return {
        "against": against,
        "as_of": time_text(as_of),
        "code": experiment.code_hash,
        "experiment": experiment.id,
        "feature_schema": feature_schema(),
        "hyper_parameters": hyper_parameters(experiment.configuration.learning),
        "lock": experiment.lock_hash,
        "seals": [[day, root] for day, root in read],
        "seed": experiment.seed,
    }


def _takes(artifacts: ArtifactStore, files: Mapping[str, ModelFile], champion: str, data: TrainingData) -> Mask:
    if champion in (RULE, CASH):
        return np.full(len(data), champion == RULE)
    _, _, take = load_fitted(artifacts, files[champion]).score(data.features)
    return take


def _data_quality(conn: Connection, experiment: str, read: Sequence[tuple[date, str]]) -> GateResult:
    """The days that were read passed the suite of `trade_features`."""
    days = [day for day, _ in read]
    standings = gate_standings(conn, experiment, "trade_features", days, dict(read))
    closed = [state for state in standings.values() if not state.open]
    if not days:
        return GateResult("data_quality", "insufficient", None, None, "no day of labelled features is sealed yet")
    if closed:
        reason = f"{len(closed)} of {len(days)} days did not pass; {closed[0].sentence}"
        return GateResult("data_quality", "fail", float(len(closed)), 0.0, reason)
    return GateResult("data_quality", "pass", 0.0, 0.0, f"all {len(days)} days of labelled features passed their suite")


def judge_training_set(gates: GateRunner, data: TrainingData, as_of: datetime) -> GateResult:
    """Return what the suite of the training set says of `data`, all of it resolved by `as_of`."""
    day = (as_of - timedelta(microseconds=1)).date()
    rows = pd.DataFrame(
        {
            "partition": [day] * len(data),
            "key": list(data.candidates),
            "source": np.where(data.executed, "executed", "shadow"),
            "net_return": data.net_return,
            "weight": data.weight,
            "decided": data.decided,
            "t0": data.t0,
            "t1": data.t1,
            "as_of": time_to_ms(as_of),
        }
    )
    days = pd.DataFrame([{"partition": day, "labels": len(data)}])
    failures = gates.evaluate(TRAINING_SET, rows, days, [day])[day]
    if failures:
        broken = "; ".join(f"{item.rule} is broken by {item.rows} rows" for item in failures)
        return GateResult("training_set_quality", "fail", float(sum(item.rows for item in failures)), 0.0, broken)
    return GateResult("training_set_quality", "pass", 0.0, 0.0, f"all {len(data)} labels passed their suite")


def _counts(data: TrainingData) -> dict[str, Any]:
    worth = effective_number(data)
    return {
        "cluster": score_text(worth.cluster),
        "correlation": score_text(worth.correlation),
        "effective": score_text(worth.effective),
        "executed": int(data.executed.sum()),
        "labels": len(data),
        "segments": len(set(data.segments)),
        "unique": score_text(worth.unique),
    }


def _verdict(item: GateResult) -> dict[str, Any]:
    return {
        "gate": item.gate,
        "reason": item.reason,
        "status": item.status,
        "threshold": None if item.threshold is None else score_text(item.threshold),
        "value": None if item.value is None else score_text(item.value),
    }
