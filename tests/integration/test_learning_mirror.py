"""The mirror in MLflow, on the home's own PostgreSQL: it follows the ledger, and can be lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url, text

from tests.integration.learning_models import DAY, PASSED, T0, gated_experiment, store_model
from throughline.experiment.identity import Experiment
from throughline.learning.lifecycle import heal, promote, roll_back, start_canary
from throughline.learning.mirror import Mirror, open_mirror, registered_name
from throughline.learning.mlflow_mirror import numbers
from throughline.learning.store import read_registrations
from throughline.learning.types import RULE, GateResult
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.cluster import ADMIN
from throughline.storage.database import Database, open_database

HAND: dict[str, Any] = {"by": "hand", "reason": "a test"}


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.engine("writer")


@pytest.fixture
def artifacts(database: Database) -> ArtifactStore:
    return ArtifactStore(database.home.artifacts)


@pytest.fixture
def mirror(database: Database, artifacts: ArtifactStore) -> Mirror:
    return open_mirror(database, database.home, artifacts)


@contextmanager
def mlflow_client(database: Database) -> Iterator[Any]:
    from throughline.learning.mlflow_mirror import _client

    with _client(database.url("mlflow")) as client:
        yield client


def shown(database: Database, experiment: Experiment) -> dict[str, str]:
    """Return alias -> model id, as MLflow says it."""
    name = registered_name(experiment)
    with mlflow_client(database) as client:
        aliases = client.get_registered_model(name).aliases
        return {alias: client.get_model_version(name, version).tags["model_id"] for alias, version in aliases.items()}


@contextmanager
def beside_mlflow(database: Database) -> Iterator[Connection]:
    """A connection of the test's own to MLflow's database."""
    engine = create_engine(database.url("mlflow"), poolclass=NullPool)
    with engine.begin() as conn:
        yield conn


def sessions(database: Database) -> int:
    with beside_mlflow(database) as conn:
        query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
        deadline = time.monotonic() + 5
        while (count := conn.execute(text(query)).scalar_one()) and time.monotonic() < deadline:
            time.sleep(0.02)  # a backend takes a moment to go
        return int(count)


def test_aliases_follow_the_ledger_through_promotion_and_rollback_and_no_connection_stays(
    database: Database, engine: Engine, artifacts: ArtifactStore, mirror: Mirror
) -> None:
    experiment = gated_experiment(engine)
    first, second = (store_model(engine, experiment, T0 + k * DAY, artifacts=artifacts) for k in (1, 2))
    start_canary(engine, experiment, first, at=T0, mirror=mirror, **HAND)
    assert shown(database, experiment) == {"canary": first}
    promote(engine, experiment, first, at=T0, mirror=mirror, **HAND)
    start_canary(engine, experiment, second, at=T0, mirror=mirror, **HAND)
    assert shown(database, experiment) == {"champion": first, "canary": second}
    promote(engine, experiment, second, at=T0, mirror=mirror, **HAND)
    roll_back(engine, experiment, second, at=T0, mirror=mirror, **HAND)
    assert shown(database, experiment) == {"champion": first}
    change = roll_back(engine, experiment, first, at=T0, mirror=mirror, **HAND)
    assert (shown(database, experiment), change.state.champion, change.mirror_problem) == ({}, RULE, None)
    assert sessions(database) == 0


def test_a_model_is_shown_with_its_figures_its_file_and_what_refused_it(
    database: Database, engine: Engine, artifacts: ArtifactStore, mirror: Mirror
) -> None:
    experiment = gated_experiment(engine)
    verdicts = (*PASSED, GateResult("pbo", "insufficient", None, 0.2, "too few trials"))
    model = store_model(engine, experiment, T0, verdicts=verdicts, artifacts=artifacts, file=b"the very bytes")
    heal(engine, mirror, experiment)
    heal(engine, mirror, experiment)
    with engine.connect() as conn:
        place = read_registrations(conn, experiment.id)[model]
    with mlflow_client(database) as client:
        versions = client.search_model_versions(f"name = '{registered_name(experiment)}'")
        assert [(str(item.version), item.run_id) for item in versions] == [(place.version, place.run)]
        run = client.get_run(place.run)
        assert run.data.metrics == {"r2": 0.12, "roc_auc": 0.61, "taken": 300.0}
        assert run.data.params["seed"] == "7"
        assert run.data.tags["gates"] == "pbo: insufficient"
        assert run.data.tags["experiment"] == experiment.id
        folder = Path(run.info.artifact_uri.removeprefix("file://"))
    assert folder.is_relative_to(database.home.artifacts)
    assert (folder / "model.skops").read_bytes() == b"the very bytes"
    assert (folder / "card.json").is_file()


def test_an_mlflow_that_was_emptied_is_filled_again_from_the_ledger(
    database: Database, engine: Engine, artifacts: ArtifactStore, mirror: Mirror
) -> None:
    experiment = gated_experiment(engine)
    models = [store_model(engine, experiment, T0 + k * DAY, artifacts=artifacts) for k in range(2)]
    start_canary(engine, experiment, models[1], at=T0, mirror=mirror, **HAND)
    with engine.connect() as conn:
        before = read_registrations(conn, experiment.id)
    with beside_mlflow(database) as conn:
        for table in ("registered_model_aliases", "model_version_tags", "model_versions", "registered_models", "runs"):
            conn.execute(text(f"TRUNCATE {table} CASCADE"))
    assert heal(engine, mirror, experiment).canary == models[1]
    assert shown(database, experiment) == {"canary": models[1]}
    with engine.connect() as conn:
        assert read_registrations(conn, experiment.id) == before  # where it was shown first; versions are the same
    with mlflow_client(database) as client:
        found = client.search_model_versions(f"name = '{registered_name(experiment)}'")
        assert {item.tags["model_id"]: str(item.version) for item in found} == {
            model: before[model].version for model in models
        }


def test_a_dropped_mlflow_is_made_again_and_nothing_keeps_it_from_being_dropped(
    database: Database, engine: Engine, artifacts: ArtifactStore, mirror: Mirror
) -> None:
    experiment = gated_experiment(engine)
    model = store_model(engine, experiment, T0, artifacts=artifacts)
    start_canary(engine, experiment, model, at=T0, mirror=mirror, **HAND)
    admin = make_url(database.url("mlflow")).set(username=ADMIN, database="postgres")
    drop = create_engine(admin, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with drop.connect() as conn:
        conn.execute(text("DROP DATABASE mlflow"))  # refused while anybody is connected
    with open_database(database.home) as again:
        heal(again.engine("writer"), open_mirror(again, again.home, artifacts), experiment)
        assert shown(again, experiment) == {"canary": model}


def test_a_mirror_that_cannot_be_reached_holds_up_no_decision(engine: Engine) -> None:
    class Broken:
        def reflect(self, *_: object) -> dict[str, Any]:
            raise OSError("MLflow is away")

    experiment = gated_experiment(engine)
    model = store_model(engine, experiment, T0)
    change = start_canary(engine, experiment, model, at=T0, mirror=Broken(), **HAND)
    assert change.state.canary == model
    assert change.mirror_problem == "OSError: MLflow is away"


def test_only_single_numbers_of_a_record_become_metrics() -> None:
    told = {"a": "0.5", "b": 3, "c": None, "d": "1" * 64, "e": ["0.1"], "f": True, "g": "12e4", "h": "-0.25"}
    assert numbers(told) == {"a": 0.5, "b": 3.0, "h": -0.25}
