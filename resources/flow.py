"""The flow resource: hands a run the flow context of its experiment, and runs a stage on it.

Belongs here: opening a home once per process (server lease, engine, provider, gates) and finding which experiment a run
works on. Does not belong here: what a stage does (`throughline.flow`) and how Dagster shows it (`assets`).

A run works on the experiment that its tag `throughline/experiment` names, else on the active one of its mode
(`throughline.experiment.choice` has the rule). The market data is that of the experiment's own inputs.
"""

# The domain is imported where it is used: definitions import this module, and loading them must stay quick.

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from resources.settings import Settings
from throughline.clock import SystemClock
from throughline.errors import ThroughlineError
from throughline.storage.home import Home

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from throughline.experiment.choice import Chosen
    from throughline.experiment.identity import Experiment
    from throughline.flow import DayResult, FlowContext, RunListener
    from throughline.learning.mirror import Mirror
    from throughline.learning.standing import DueRollback
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database

EXPERIMENT_TAG = "throughline/experiment"
"""Run tag: the experiment that a run works on, by its ID or the first 8 or more digits of it."""


class Flow(Protocol):
    """What definitions ask for, of one mode. Tests and commands put another in its place."""

    @property
    def mode(self) -> str:
        """Name of the mode."""
        ...

    def context(self, tags: Mapping[str, str], run_id: str) -> FlowContext:
        """Return the flow context of a run."""
        ...

    def reports_folder(self) -> Path:
        """Return the folder that tear sheets are written to."""
        ...

    def enforces_roles(self) -> bool:
        """Return whether the home's database has roles of its own, whose grants can be checked."""
        ...

    def mirror(self) -> Mirror:
        """Return where people look at models."""
        ...

    def run_stage(self, asset: str, context: FlowContext, days: Sequence[date]) -> list[DayResult]:
        """Run the stage behind `asset` for `days`."""
        ...

    def engine(self) -> Engine:
        """Return the engine with the writer role of the home's database."""
        ...

    def rollback_due(self) -> DueRollback | None:
        """Return the verdict against a model of the active experiment that nobody acted on, else None."""
        ...

    def unsealed_days(self, until: date) -> DueDays | None:
        """Return the days of the active experiment up to `until` that are not sealed to their end, None without any."""
        ...


@dataclass(frozen=True)
class DueDays:
    """Days that a schedule should run. experiment: whole ID; first, last: both included."""

    experiment: str
    first: date
    last: date


class HomeFlow:
    """The flow of one mode in one home. Opened when first used; one open home per process and mode."""

    def __init__(self, settings: Settings, mode: str) -> None:
        self.settings = settings
        self.mode = mode
        self._database: Database | None = None
        self._context: FlowContext | None = None
        self._lock = threading.RLock()

    def context(self, tags: Mapping[str, str], run_id: str) -> FlowContext:
        """Return the flow context of a run; the provider and its market view are kept from run to run.

        Raises UnknownRecord where the tag names no experiment, SettingsError where none is tagged and the mode has no
        active one (it says how to set one), where the tagged one is of another mode, or where its market data is not
        where it was.
        """
        with self._lock:
            chosen = self._chosen(tags.get(EXPERIMENT_TAG))
            if self._context is None or self._context.experiment.id != chosen.experiment.id:
                self._context = self._make(chosen)
            return replace(self._context, run_id=run_id)

    def engine(self) -> Engine:
        """Return the engine with the writer role of the home's database."""
        return self.database().engine("writer")

    def run_stage(self, asset: str, context: FlowContext, days: Sequence[date]) -> list[DayResult]:
        """Run the stage behind `asset` for `days`, none of which may lie beyond the data."""
        from throughline.flow import run_stage

        return run_stage(asset, context, days)

    def reports_folder(self) -> Path:
        """Return the home's folder of reports."""
        return self.settings.home.reports

    def enforces_roles(self) -> bool:
        """Return whether the home's database has roles of its own."""
        return self.database().enforces_roles

    def mirror(self) -> Mirror:
        """Return the home's MLflow."""
        from throughline.learning.mirror import open_mirror

        return open_mirror(self.database(), self.settings.home, self._artifacts())

    def rollback_due(self) -> DueRollback | None:
        """Return the verdict against a model of the active experiment that nobody acted on, None where there is none.

        Raises SettingsError without an active experiment.
        """
        from throughline.learning.standing import rollback_due

        chosen = self._chosen(None)
        with self.engine().connect() as conn:
            return rollback_due(conn, chosen.experiment.id)

    def unsealed_days(self, until: date) -> DueDays | None:
        """Return the days of the active experiment that are not sealed to their end yet, up to `until`.

        None where there is none, or where the data ends before it. Raises SettingsError without an active experiment.
        """
        from throughline.experiment.choice import open_provider

        chosen = self._chosen(None)
        # A fresh provider: this process may be weeks old, and files grow.
        last = open_provider(chosen, SystemClock()).description.last_day
        return unsealed_days(self.engine(), chosen.experiment, min(until, last))

    def database(self) -> Database:
        """Return the home's database, opened once; this process holds a lease on the embedded server from then on."""
        from throughline.storage.database import open_database

        with self._lock:
            if self._database is None:
                self._database = open_database(self.settings.home, self.settings.database_url)
            return self._database

    def close(self) -> None:
        """Close the database and let go of its server."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database = self._context = None

    def _chosen(self, tagged: str | None) -> Chosen:
        from throughline.experiment.choice import choose

        return choose(self.engine(), self.mode, tagged)

    def _artifacts(self) -> ArtifactStore:
        from throughline.storage.artifacts import ArtifactStore

        return ArtifactStore(self.settings.artifacts or self.settings.home.artifacts)

    def _make(self, chosen: Chosen) -> FlowContext:
        from throughline.experiment.choice import open_provider
        from throughline.run_opening import OpenHome, open_run

        opened = OpenHome(self.settings.home, self.database(), self._artifacts(), self.settings.redis_url)
        return open_run(opened, chosen.experiment, open_provider(chosen, SystemClock()))


class GivenFlow:
    """A flow on a context that the caller made, for commands and tests.

    Args:
        context: of the run.
        home: the home that it is in.
        enforces_roles: whether the home's database has roles of its own.
        mirror: where people look at models; None shows them nowhere (a command brings MLflow up to date at its end).
        listener: hears how each stage ends.
    """

    def __init__(
        self,
        context: FlowContext,
        home: Home,
        *,
        enforces_roles: bool = True,
        mirror: Mirror | None = None,
        listener: RunListener | None = None,
    ) -> None:
        self._context = context
        self._home = home
        self._enforces_roles = enforces_roles
        self._mirror = mirror
        self._listener = listener
        self.error: ThroughlineError | None = None

    def reports_folder(self) -> Path:
        """Return the home's folder of reports."""
        return self._home.reports

    def enforces_roles(self) -> bool:
        """Return whether the home's database has roles of its own."""
        return self._enforces_roles

    def mirror(self) -> Mirror:
        """Return the given mirror, or one that shows nothing."""
        from throughline.learning.mirror import NoMirror

        return self._mirror or NoMirror()

    @property
    def mode(self) -> str:
        """Name of the mode of the context's experiment."""
        return self._context.experiment.mode

    def rollback_due(self) -> DueRollback | None:
        """Return the verdict against a model of the context's experiment that nobody acted on."""
        from throughline.learning.standing import rollback_due

        with self.engine().connect() as conn:
            return rollback_due(conn, self._context.experiment.id)

    def unsealed_days(self, until: date) -> DueDays | None:
        """Return the days of the context's experiment up to `until` that are not sealed to their end."""
        last = self._context.provider.description.last_day
        return unsealed_days(self.engine(), self._context.experiment, min(until, last))

    def engine(self) -> Engine:
        """Return the context's engine."""
        return self._context.engine

    def context(self, tags: Mapping[str, str], run_id: str) -> FlowContext:
        """Return the given context, for this run."""
        return replace(self._context, run_id=run_id)

    def run_stage(self, asset: str, context: FlowContext, days: Sequence[date]) -> list[DayResult]:
        """Run the stage behind `asset` for `days`; keep its error."""
        from throughline.flow.run import listen_to_stage, run_stage

        try:
            return listen_to_stage(asset, context, days, self._listener, run_stage)
        except ThroughlineError as error:
            self.error = error
            raise


def unsealed_days(engine: Engine, experiment: Experiment, last: date) -> DueDays | None:
    """Return the days of an experiment up to `last` that are not sealed to their end yet, None where there is none."""
    from throughline.flow import STAGES
    from throughline.storage.queries import sealed_days

    with engine.connect() as conn:
        sealed = set(sealed_days(conn, experiment.id, list(STAGES)[-1]))
    first = experiment.epoch
    while first in sealed:
        first += timedelta(days=1)
    return None if first > last else DueDays(experiment.id, first, last)
