"""The mirror: what people see of models in MLflow. It follows the ledger and is never asked who serves.

Belongs here: what is shown, and the mirror of whoever wants none. Does not belong here: MLflow (mlflow_mirror), who
serves (events), when the mirror is brought up to date (lifecycle).

Everything in the mirror can be made again from the ledger: a lost MLflow database is rebuilt by the next `heal`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from throughline.experiment.identity import Experiment
from throughline.learning.events import ServingState
from throughline.learning.types import RULE, GateResult
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.storage.home import Home

if TYPE_CHECKING:
    from throughline.learning.store import Registration


@dataclass(frozen=True)
class Shown:
    """One model as people see it. file_hash: of its artifact, None where it has no file."""

    model: str
    body: Mapping[str, Any]
    verdicts: tuple[GateResult, ...]
    file_hash: str | None


class Mirror(Protocol):
    """Where people look at models."""

    def reflect(
        self, experiment: Experiment, models: Sequence[Shown], aliases: Mapping[str, str]
    ) -> Mapping[str, Registration]:
        """Show `models`, in this order, under exactly these aliases (alias -> model); return where each is shown.

        What is shown already stays; an alias that is not given goes. Doing it again changes nothing.
        """
        ...


class NoMirror:
    """Shows nothing: for walks, which are mirrored at their end, and for tests."""

    def reflect(
        self, experiment: Experiment, models: Sequence[Shown], aliases: Mapping[str, str]
    ) -> Mapping[str, Registration]:
        """Do nothing."""
        return {}


def registered_name(experiment: Experiment) -> str:
    """Return the name of an experiment's models in MLflow."""
    return f"throughline-{experiment.mode}-{experiment.id[:12]}"


def aliases_of(state: ServingState) -> dict[str, str]:
    """Return alias -> model: the champion (none while the rule is it) and the canary."""
    named = {"champion": None if state.champion == RULE else state.champion, "canary": state.canary}
    return {alias: model for alias, model in named.items() if model is not None}


def open_mirror(database: Database, home: Home, artifacts: ArtifactStore) -> Mirror:
    """Return the MLflow of a home: its tables in the home's PostgreSQL, its files in the home's artifact folder.

    Nothing is opened before something is shown, and nothing stays open after it.
    """
    from throughline.learning.mlflow_mirror import MlflowMirror

    return MlflowMirror(lambda: database.url("mlflow"), home.artifacts / "mlflow", artifacts)
