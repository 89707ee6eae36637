"""The tables of models: what was trained and what its gates said, trials, holdouts, events, scores, looks. SQL only.

Belongs here: inserting once and reading back in one order. Does not belong here: whether a model may serve
(lifecycle), who serves (events), what MLflow shows (mirror).

It is the door to all of them: the log of events (event_log) and the looks and later scores (looks) can be had from here
too. Every table is append-only. Writing the same again does nothing; something else under the same name raises
LedgerConflict, which names both. Functions that take an engine make their own transaction, with the writer's role.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select, text

from throughline.identity import canonical_bytes, content_hash, score_text
from throughline.learning.event_log import append_event, decided_until, events_lock, read_events
from throughline.learning.looks import LaterScore, insert_scores, read_look, read_looks, read_scores, record_look
from throughline.learning.once import insert_once, require_same
from throughline.learning.types import GateResult, Trial
from throughline.storage import tables
from throughline.storage.artifacts import ArtifactRef
from throughline.storage.queries import record_artifacts
from throughline.storage.row_log import insert_listed

__all__ = [
    "LaterScore",
    "ModelFile",
    "Registration",
    "StoredModel",
    "TrainedModel",
    "append_event",
    "decided_until",
    "events_lock",
    "insert_model",
    "insert_registration",
    "insert_scores",
    "insert_trials",
    "insert_verdicts",
    "model_files",
    "open_holdout",
    "read_events",
    "read_holdout",
    "read_look",
    "read_looks",
    "read_model",
    "read_models",
    "read_openings",
    "read_registrations",
    "read_scores",
    "read_trials",
    "read_verdicts",
    "record_look",
    "store_training",
    "trades_by_model",
]


@dataclass(frozen=True)
class TrainedModel:
    """A model to be recorded. body: without floats; its `identity` gives the id. file: None where it has none."""

    id: str
    experiment: str
    body: Mapping[str, Any]
    file: ArtifactRef | None


@dataclass(frozen=True)
class ModelFile:
    """The file of a model. hash: of its artifact, as the model's row has it.

    recorded: the hash that the model's record names; None in a record of a release that named none, whose file does not
    say which model it is.
    """

    model: str
    hash: str
    recorded: str | None


@dataclass(frozen=True)
class StoredModel:
    """A recorded model. file_hash: of its artifact."""

    id: str
    experiment: str
    body: Mapping[str, Any]
    file_hash: str | None

    @property
    def file(self) -> ModelFile | None:
        """Its file, None where it has none."""
        return None if self.file_hash is None else ModelFile(self.id, self.file_hash, self.body.get("file"))


@dataclass(frozen=True)
class Registration:
    """Under which run and version MLflow first showed a model."""

    model: str
    run: str
    version: str


def store_training(
    engine: Engine,
    record: TrainedModel,
    verdicts: Sequence[GateResult],
    trials: Sequence[Trial],
    holdout: Mapping[str, Any] | None,
) -> None:
    """Record a training in one transaction: model, file, verdicts, trials and the opening of its holdout.

    Raises LedgerConflict where the model is recorded with another body, verdict or holdout.
    """
    with engine.begin() as conn:
        insert_model(conn, record)
        insert_verdicts(conn, record.id, verdicts)
        insert_trials(conn, record.experiment, trials)
        if holdout is not None:
            opened = open_holdout(conn, record.id, holdout)
            require_same("holdout_openings", record.id, canonical_bytes(opened), canonical_bytes(holdout))


def insert_model(conn: Connection, record: TrainedModel) -> bool:
    """Record a model and its file; return False where it is known. The file of the first training stays.

    Raises LedgerConflict where the model is recorded with another body. Its file does not count: two dumps differ.
    """
    if record.file is not None:
        record_artifacts(conn, [record.file])
    body = canonical_bytes(record.body)
    row = {
        "id": record.id,
        "experiment": record.experiment,
        "content_hash": content_hash("model_record", body),
        "body": body,
        "file_hash": record.file.hash if record.file is not None else None,
    }
    if insert_listed(conn, tables.models, [row]):
        return True
    known = read_model(conn, record.id)
    recorded = {} if known is None else known.body
    require_same("models", record.id, *(canonical_bytes({**item, "file": None}) for item in (recorded, record.body)))
    return False


def read_model(conn: Connection, model: str) -> StoredModel | None:
    """Return the model of this id, None where there is none."""
    row = conn.execute(select(tables.models).where(tables.models.c.id == model)).one_or_none()
    return None if row is None else _stored(row)


def read_models(conn: Connection, experiment: str) -> tuple[StoredModel, ...]:
    """Return the models of an experiment by the instant they were trained as of, then id."""
    rows = conn.execute(select(tables.models).where(tables.models.c.experiment == experiment))
    return tuple(sorted(map(_stored, rows), key=lambda item: (item.body["identity"]["as_of"], item.id)))


def _stored(row: Any) -> StoredModel:
    return StoredModel(row.id, row.experiment, json.loads(bytes(row.body)), row.file_hash)


def model_files(conn: Connection, experiment: str) -> dict[str, ModelFile]:
    """Return model id -> its file, for the models of an experiment that have one."""
    return {item.id: item.file for item in read_models(conn, experiment) if item.file is not None}


def insert_verdicts(conn: Connection, model: str, verdicts: Sequence[GateResult]) -> None:
    """Record what each gate said of a model, once."""
    rows = [
        {
            "model": model,
            "gate": item.gate,
            "status": item.status,
            "value": None if item.value is None else score_text(item.value),
            "threshold": None if item.threshold is None else score_text(item.threshold),
            "reason": item.reason,
        }
        for item in verdicts
    ]
    insert_once(conn, tables.model_verdicts, rows, "status", "value", "threshold", "reason")


def read_verdicts(conn: Connection, model: str) -> tuple[GateResult, ...]:
    """Return what the gates said of a model, in the order in which its record names them."""
    c = tables.model_verdicts.c
    result = conn.execute(select(c.gate, c.status, c.value, c.threshold, c.reason).where(c.model == model)).all()
    stored = read_model(conn, model)
    named = [item["gate"] for item in stored.body.get("verdicts", ())] if stored is not None else []
    place = {gate: k for k, gate in enumerate(named)}
    rows = sorted(result, key=lambda row: (place.get(row.gate, len(place)), row.gate))
    return tuple(
        GateResult(
            row.gate,
            row.status,
            None if row.value is None else float(row.value),
            None if row.threshold is None else float(row.threshold),
            row.reason,
        )
        for row in rows
    )


def insert_trials(conn: Connection, experiment: str, trials: Sequence[Trial]) -> int:
    """Record trials; return how many were new. A rerun of the same trial adds none."""
    bodies = {trial.hash: canonical_bytes(trial.body) for trial in trials}
    rows = [{"experiment": experiment, "trial": trial, "body": body} for trial, body in bodies.items()]
    return insert_once(conn, tables.model_trials, rows, "body")


def read_trials(conn: Connection, experiment: str | None) -> tuple[Trial, ...]:
    """Return the trials of an experiment by their hash; None = those of the whole home, each hash once."""
    c = tables.model_trials.c
    statement = select(c.trial, c.body).order_by(c.trial, c.experiment.desc())
    if experiment is not None:
        statement = statement.where(c.experiment == experiment)
    bodies = {trial: bytes(body) for trial, body in conn.execute(statement)}
    return tuple(Trial(trial, json.loads(body)) for trial, body in bodies.items())


def open_holdout(conn: Connection, model: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Record what a model's holdout said at its opening; return the first opening, whatever a second one says."""
    table = tables.holdout_openings
    insert_listed(conn, table, [{"model": model, "body": canonical_bytes(body)}])
    stored = conn.execute(select(table.c.body).where(table.c.model == model)).scalar_one()
    opened: Mapping[str, Any] = json.loads(bytes(stored))
    return opened


def read_holdout(conn: Connection, model: str) -> Mapping[str, Any] | None:
    """Return what a model's holdout said, None where it is unopened."""
    table = tables.holdout_openings
    body = conn.execute(select(table.c.body).where(table.c.model == model)).scalar_one_or_none()
    return None if body is None else json.loads(bytes(body))


def read_openings(conn: Connection, experiment: str) -> tuple[Mapping[str, Any], ...]:
    """Return what the holdouts said that models of an experiment opened, by model id."""
    c, m = tables.holdout_openings.c, tables.models.c
    statement = select(c.body).join(tables.models, m.id == c.model).where(m.experiment == experiment).order_by(c.model)
    return tuple(json.loads(bytes(body)) for body in conn.execute(statement).scalars())


def insert_registration(conn: Connection, given: Registration) -> bool:
    """Record where MLflow first shows a model; return False where that is known."""
    row = {"model": given.model, "mlflow_run": given.run, "mlflow_version": given.version}
    return bool(insert_listed(conn, tables.model_registrations, [row]))


def read_registrations(conn: Connection, experiment: str) -> dict[str, Registration]:
    """Return model id -> where MLflow first showed it, for the models of an experiment."""
    c = tables.model_registrations.c
    statement = select(c.model, c.mlflow_run, c.mlflow_version).join(tables.models, tables.models.c.id == c.model)
    rows = conn.execute(statement.where(tables.models.c.experiment == experiment))
    return {row.model: Registration(*row) for row in rows}


def trades_by_model(conn: Connection, experiment: str) -> dict[str, int]:
    """Return deciding model -> closed trades, for an experiment; the rule counts as a model."""
    return {row.model_version: row.trades for row in conn.execute(_CLOSED, {"experiment": experiment})}


_CLOSED = text(
    "SELECT c.model_version, count(*) AS trades FROM outcomes o JOIN candidates c ON c.uuid = o.candidate_uuid "
    "WHERE o.experiment = :experiment AND o.supersedes IS NULL GROUP BY c.model_version ORDER BY c.model_version"
)
