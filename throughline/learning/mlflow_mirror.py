"""MLflow as the mirror of models: one run and one version each, files beside them, aliases as the ledger says.

Belongs here: what MLflow is told, and closing what it opened. Does not belong here: when (lifecycle), what is true
(events). It imports mlflow, so it is imported where something is shown and nowhere else.

A run and a version are found again by their tag `model_id`, so a reflection that was broken off is finished by the next
one, and a database that was emptied is filled again, in the same order and so with the same versions.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from throughline.experiment.identity import Experiment
from throughline.identity import canonical_bytes, parse_time, time_to_ms
from throughline.learning.mirror import Shown, registered_name
from throughline.learning.store import Registration
from throughline.storage.artifacts import ArtifactStore

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_ID = "model_id"
CARD = "card.json"
FILE = "model.skops"
_TAG_LIMIT = 500
_PAGE = 1_000
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,40})?")


class MlflowMirror:
    """Shows models in MLflow. url: gives the URL of its database, made where it is missing; folder: of its files."""

    def __init__(self, url: Callable[[], str], folder: Path, artifacts: ArtifactStore) -> None:
        self._url = url
        self._folder = folder
        self._artifacts = artifacts

    def reflect(
        self, experiment: Experiment, models: Sequence[Shown], aliases: Mapping[str, str]
    ) -> Mapping[str, Registration]:
        """Show `models` in this order under exactly these aliases; return where each is shown."""
        name = registered_name(experiment)
        with _client(self._url()) as client:
            home = _experiment(client, name, self._folder)
            runs = {run.data.tags.get(MODEL_ID): run for run in client.search_runs([home], max_results=_PAGE)}
            versions = _versions(client, name)
            for item in models:
                if item.model in versions:
                    continue
                run = runs.get(item.model)
                run_id = run.info.run_id if run is not None else self._start(client, home, experiment, item)
                self._log(client, run_id, item)
                version = client.create_model_version(
                    name, f"{client.get_run(run_id).info.artifact_uri}/{FILE}", run_id, tags=_tags(experiment, item)
                )
                versions[item.model] = (run_id, str(version.version))
            _alias(client, name, {alias: versions[model][1] for alias, model in aliases.items()})
        return {item.model: Registration(item.model, *versions[item.model]) for item in models}

    def _start(self, client: MlflowClient, home: str, experiment: Experiment, item: Shown) -> str:
        trained = time_to_ms(parse_time(item.body["identity"]["as_of"]))
        run = client.create_run(home, start_time=trained, tags=_tags(experiment, item), run_name=f"{item.model[:12]}")
        return str(run.info.run_id)

    def _log(self, client: MlflowClient, run_id: str, item: Shown) -> None:
        """Log what is known of a model; logging the same again is the same."""
        from mlflow.entities import Metric, Param

        trained = time_to_ms(parse_time(item.body["identity"]["as_of"]))
        shaped = {**item.body["identity"]["hyper_parameters"], "seed": item.body["identity"]["seed"]}
        params = [Param(key, _text(value)) for key, value in sorted(shaped.items())]
        metrics = [Metric(key, number, trained, 0) for key, number in sorted(numbers(item.body["metrics"]).items())]
        client.log_batch(run_id, metrics=metrics, params=params)
        with TemporaryDirectory() as folder:
            card = Path(folder) / CARD
            card.write_bytes(canonical_bytes(item.body))
            client.log_artifact(run_id, str(card))
            if item.file_hash is not None:
                file = Path(folder) / FILE
                file.write_bytes(self._artifacts.get(item.file_hash))
                client.log_artifact(run_id, str(file))
        client.set_terminated(run_id, "FINISHED", trained)


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of a model's record that are single numbers, by name; hashes and lists are none."""
    return {
        name: float(value)
        for name, value in metrics.items()
        if not isinstance(value, bool) and isinstance(value, int | str) and _NUMBER.fullmatch(str(value))
    }


def _tags(experiment: Experiment, item: Shown) -> dict[str, str]:
    refused = [f"{verdict.gate}: {verdict.status}" for verdict in item.verdicts if verdict.status != "pass"]
    return {
        MODEL_ID: item.model,
        "experiment": experiment.id,
        "file_sha256": item.file_hash or "none",
        "gates": "; ".join(refused)[:_TAG_LIMIT] or ("all passed" if item.verdicts else "none recorded"),
    }


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text[:_TAG_LIMIT]


def _experiment(client: MlflowClient, name: str, folder: Path) -> str:
    """Return the id of MLflow's experiment, with the registered model of the same name, made where missing."""
    from mlflow.exceptions import MlflowException

    existing = client.get_experiment_by_name(name)
    home = (
        str(existing.experiment_id)
        if existing is not None
        else client.create_experiment(name, f"{folder.as_uri()}/{name}")
    )
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        client.create_registered_model(name, description="A mirror of throughline's ledger: change nothing here.")
    return str(home)


def _versions(client: MlflowClient, name: str) -> dict[str, tuple[str, str]]:
    """Return model -> (run, version)."""
    versions: dict[str, tuple[str, str]] = {}
    token: str | None = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", max_results=_PAGE, page_token=token)
        for item in page:
            if MODEL_ID in item.tags:
                versions[item.tags[MODEL_ID]] = (str(item.run_id), str(item.version))
        token = page.token
        if not token:
            return versions


def _alias(client: MlflowClient, name: str, versions: Mapping[str, str]) -> None:
    now = {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}
    for alias in sorted(now.keys() - versions.keys()):
        client.delete_registered_model_alias(name, alias)
    for alias, version in sorted(versions.items()):
        if now.get(alias) != version:
            client.set_registered_model_alias(name, alias, version)


@contextmanager
def _client(url: str) -> Iterator[MlflowClient]:
    """Yield a client on `url`, and close its connections: an idle one would keep the database from being dropped."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient
    from mlflow.store.db.utils import _all_tables_exist, _initialize_tables

    for noisy in ("mlflow.store.db.utils", "mlflow.store.model_registry.abstract_store", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    client = MlflowClient(tracking_uri=url, registry_uri=url)
    stores = (client._tracking_client.store, client._get_registry_client().store)  # type: ignore[no-untyped-call]
    try:
        # MLflow looks once a process whether its tables are there, and the database may be another one by now.
        if not _all_tables_exist(stores[0].engine):  # type: ignore[no-untyped-call]
            _initialize_tables(stores[0].engine)  # type: ignore[no-untyped-call]
        yield client
    finally:
        for store in stores:
            store.engine.dispose()
