"""A home in which models have decided: two days by the rule, two with a canary, two with it as champion; all logged.

Belongs here: building it, with at least one row in every append-only table. Built once a session (fixture
`served_home`); whoever changes it rolls back.
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from tests.integration.home_copies import open_copy
from tests.integration.learning_models import PASSED, model_body
from tests.integration.proof_home import judge
from tests.integration.small_home import TableGates
from throughline.clock import FixedClock
from throughline.configuration import CanarySettings, Configuration
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import activate, register
from throughline.features.vector import NAMES
from throughline.findings import Finding
from throughline.flow import make_context, run_range
from throughline.flow.registry_check import check_registries
from throughline.identity import canonical_bytes, hash_body
from throughline.learning import serving
from throughline.learning.files import FORMAT, METADATA
from throughline.learning.lifecycle import promote, start_canary
from throughline.learning.looks import LaterScore, insert_scores, record_look
from throughline.learning.store import Registration, TrainedModel, insert_registration, store_training
from throughline.learning.types import GateResult, Judgement, Trial
from throughline.market.simulated import SimulatedProvider
from throughline.proof.log import publish
from throughline.proof.settings import Proof, open_proof
from throughline.registry.quarantine import quarantine
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.storage.ledger import record_artifact, record_tombstone
from throughline.storage.queries import read_seals

DAY = timedelta(days=1)
T0 = datetime(2024, 3, 2, tzinfo=UTC)
HAND: dict[str, Any] = {"by": "hand", "reason": "a test"}
REFUSED = (*PASSED[:-1], replace(PASSED[-1], status="fail", reason="refused"))


@dataclass(frozen=True)
class ServedHome:
    """The open home. first: the champion; second: the canary; refused: a model that a gate refused."""

    database: Database
    store: ArtifactStore
    proof: Proof
    experiment: Experiment
    first: str
    second: str
    refused: str


class Coin:
    """A model that takes every other vector, by a feature that is always there."""

    def score(self, features: Any) -> tuple[Any, Any, Any]:
        """Return probability, expected return and whether to take."""
        assert features.shape[1] == len(NAMES)
        p = np.where(np.nansum(features, axis=1) * 1e3 % 2 < 1, 0.7, 0.3)
        return p, p - 0.5, p > 0.5


def model_file(model: str) -> bytes:
    """Return a file that names `model` and holds nothing else: enough for whoever does not build it."""
    metadata = dict.fromkeys(("schema", "names", "win", "loss", "break_even", "seed"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(METADATA, json.dumps({**metadata, "format": FORMAT, "model": model}))
    return stream.getvalue()


def record_model(
    database: Database,
    store: ArtifactStore,
    experiment: Experiment,
    as_of: datetime,
    verdicts: tuple[GateResult, ...] = PASSED,
) -> str:
    """Record a model trained on what was sealed by `as_of`, with a trial, an opening and a file of its own."""
    engine = database.engine("writer")
    with engine.connect() as conn:
        sealed = read_seals(conn, experiment.id, "trade_features")
    told = {"as_of": as_of, "experiment": experiment.id, "refused": verdicts is not PASSED}
    trial = Trial(hash_body("trial", told), {"sharpe": "0.2"})
    body = model_body(experiment, as_of, verdicts, trials=[trial.hash])
    body["identity"]["seals"] = [[day, seal.root] for day, seal in sorted(sealed.items())]
    body["identity"]["seed"] += verdicts is not PASSED
    model = hash_body("model", body["identity"])
    file = store.put(model_file(model), "model", "application/zip")
    body = json.loads(canonical_bytes({**body, "file": file.hash}))
    opening = {"first_decided": 1, "last_decided": 2, "gain": "0.01"}
    store_training(engine, TrainedModel(model, experiment.id, body, file), verdicts, [trial], opening)
    return model


def serve_home(folder: Path) -> ServedHome:
    """Build the home in `folder`."""
    database, store = open_copy(folder / "home"), ArtifactStore(folder / "artifacts")
    provider = SimulatedProvider(7)
    configuration = Configuration(model_policy="gated", canary=CanarySettings(share=0.5))
    source = provider.description.source_hash
    experiment = make_experiment("demo", T0.date(), configuration, source, 7, lock="0" * 64, code="1" * 64)
    engine = database.engine("writer")
    register(engine, experiment)
    activate(engine, experiment, {"seed": 7})
    clock = FixedClock(datetime(2024, 4, 1, tzinfo=UTC))
    context = make_context(experiment, provider, engine, store, TableGates(), clock)
    proof = open_proof(database.home, database.embedded, clock=clock)
    context = replace(context, proof=proof)
    patch = pytest.MonkeyPatch()
    patch.setattr(serving, "load_fitted", lambda *_: Coin())
    try:
        run_range(context, T0.date(), (T0 + DAY).date())
        first = record_model(database, store, experiment, T0 + 2 * DAY)
        start_canary(engine, experiment, first, at=T0 + 2 * DAY, **HAND)
        run_range(context, (T0 + 2 * DAY).date(), (T0 + 3 * DAY).date())
        promote(engine, experiment, first, at=T0 + 4 * DAY, **HAND)
        second = record_model(database, store, experiment, T0 + 4 * DAY)
        start_canary(engine, experiment, second, at=T0 + 4 * DAY, **HAND)
        run_range(context, (T0 + 4 * DAY).date(), (T0 + 5 * DAY).date())
    finally:
        patch.undo()
    told = Judgement("extend", "too little", T0 + 3 * DAY, 1, 2, 1, 0, None, 1.0, 1.0, 1.0, 1.0, 1.0, None)
    record_look(engine, experiment.id, first, told)
    refused = record_model(database, store, experiment, T0 + 4 * DAY, REFUSED)
    _fill_the_rest(database, store, experiment, refused)
    check_registries(context, "full", True)
    publish(engine, proof)
    return ServedHome(database, store, proof, experiment, first, second, refused)


def _fill_the_rest(database: Database, store: ArtifactStore, experiment: Experiment, model: str) -> None:
    """Write rows in the tables that a run of six days leaves empty."""
    engine = database.engine("writer")
    with engine.connect() as conn:
        candidates = conn.execute(text("SELECT uuid FROM candidates ORDER BY uuid LIMIT 3")).scalars().all()
        (soulprint,) = conn.execute(text("SELECT uuid FROM soulprints ORDER BY uuid LIMIT 1")).scalars()
    insert_scores(engine, [LaterScore(model, uuid.UUID(str(key)), "f" * 64, "0.6", "0.02", True) for key in candidates])
    judge(database, experiment.id, T0.date(), "d" * 64)
    gone = store.put(b"let go", "report", "text/plain")
    with engine.begin() as conn:
        insert_registration(conn, Registration(model, "run-1", "1"))
        quarantine(conn, "soulprints", soulprint, "looked odd", Finding("soulprints", "x", "odd", "inconsistent"))
        record_artifact(conn, gone.hash, gone.kind, gone.media_type, gone.bytes, gone.location)
        record_tombstone(conn, gone.hash, datetime(2024, 4, 1, tzinfo=UTC), "too old")
    store.delete(gone.hash)
