"""Models for tests of the lifecycle: recorded as training records them, without training anything."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, insert

from throughline.configuration import Configuration
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import register
from throughline.identity import hash_body, score_text, seal_of, time_text
from throughline.learning.store import TrainedModel, store_training
from throughline.learning.types import GateResult
from throughline.storage import tables
from throughline.storage.artifacts import ArtifactRef, ArtifactStore

EPOCH = date(2024, 1, 1)
T0 = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LEARNING_TABLES = tuple(
    table.name
    for table in tables.APPEND_ONLY
    if table not in tables.LEDGER and ("model" in table.columns or table.name in ("models", "model_trials"))
)
"""The tables of models and what is said of them."""
PASSED = (
    GateResult("r2", "pass", 0.12, 0.0, "out-of-fold R2 is above zero"),
    GateResult("holdout", "pass", 0.01, 0.0, "no harm on the holdout"),
)


def gated_experiment(engine: Engine, policy: str = "gated", mode: str = "demo", **settings: Any) -> Experiment:
    """Register a fresh experiment that lets models decide."""
    configuration = Configuration(model_policy=policy, **settings)  # type: ignore[arg-type]
    source = uuid.uuid4().hex * 2
    made = make_experiment(mode, EPOCH, configuration, source, 7, lock="0" * 64, code="1" * 64)
    register(engine, made)
    return made


def model_body(experiment: Experiment, as_of: datetime, verdicts: Sequence[GateResult], **more: Any) -> dict[str, Any]:
    """Return the record of a model, as training writes it."""
    return {
        "dropped": {},
        "identity": {
            "against": "rule",
            "as_of": time_text(as_of),
            "code": experiment.code_hash,
            "experiment": experiment.id,
            "feature_schema": "2" * 64,
            "hyper_parameters": {"folds": 5, "grid": [{"max_iter": 40}]},
            "lock": experiment.lock_hash,
            "seals": [],
            "seed": experiment.seed,
        },
        "labels": {"effective": "240.5", "executed": 20, "labels": 1200, "segments": 40},
        "metrics": {"chosen": "3" * 64, "r2": "0.12", "roc_auc": "0.61", "taken": 300},
        "schema_version": 1,
        "trials": [],
        "verdicts": [
            {
                "gate": item.gate,
                "reason": item.reason,
                "status": item.status,
                "threshold": None if item.threshold is None else score_text(item.threshold),
                "value": None if item.value is None else score_text(item.value),
            }
            for item in verdicts
        ],
        "window": None,
        **more,
    }


def store_model(
    engine: Engine,
    experiment: Experiment,
    as_of: datetime,
    *,
    verdicts: Sequence[GateResult] = PASSED,
    recorded: Sequence[GateResult] | None = None,
    artifacts: ArtifactStore | None = None,
    file: bytes = b"a model file",
) -> str:
    """Record a model trained as of an instant and return its id. recorded: the verdict rows (None = `verdicts`)."""
    body = model_body(experiment, as_of, verdicts)
    model = hash_body("model", body["identity"])
    ref = (
        artifacts.put(file, "model", "application/zip")
        if artifacts is not None
        else ArtifactRef(uuid.uuid4().hex * 2, "model", "application/zip", 1, "nowhere")
    )
    record = TrainedModel(model, experiment.id, body, ref)
    store_training(engine, record, verdicts if recorded is None else recorded, (), None)
    return model


def seal_candidates(engine: Engine, experiment: str, day: date) -> None:
    """Seal an empty day of candidates, so that all before its end is decided."""
    with engine.begin() as conn:
        conn.execute(
            insert(tables.partition_seals).values(
                experiment=experiment,
                asset="trade_candidates",
                partition=day,
                root=seal_of([]),
                leaves=0,
                status="sealed",
                details="{}",
            )
        )
