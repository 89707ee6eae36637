"""A walk over the archive of examples/planted_edge.py in a home of its own, without an orchestrator. For tests only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from examples.planted_edge import Plan, write_archive
from tests.integration.home_copies import open_copy
from tests.integration.small_home import TableGates
from throughline.clock import FixedClock
from throughline.configuration import CanarySettings, Configuration, LearningSettings
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import activate, register
from throughline.flow import FlowContext, make_context, run_range
from throughline.flow.registry_check import check_registries
from throughline.market.archive import open_archive
from throughline.proof.settings import open_proof
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.walk_forward.runner import WalkForward, walk_forward

CLOCK = FixedClock(datetime(2030, 1, 1, tzinfo=UTC))


@dataclass(frozen=True)
class Walked:
    """A home that was walked in: its database is open."""

    database: Database
    context: FlowContext
    result: WalkForward

    @property
    def experiment(self) -> Experiment:
        return self.context.experiment


def settings(learning: LearningSettings, canary: CanarySettings) -> Configuration:
    return Configuration(model_policy="gated", learning=learning, canary=canary)


def archive(folder: Path, plan: Plan) -> Path:
    """Write the archive, return its description."""
    return write_archive(folder, plan)


@contextmanager
def walked(home: Path, description: Path, configuration: Configuration, start: date, *ends: date) -> Iterator[Walked]:
    """Walk from `start` to each of `ends`, each with a context of its own: all but the first go on where it stopped."""
    store = ArtifactStore(home / "artifacts")
    with open_copy(home) as database:
        for end in ends:
            provider = open_archive(description, description.parent)
            source = provider.description.source_hash
            experiment = make_experiment("backtest", start, configuration, source, 7, lock="1" * 64, code="2" * 64)
            engine = database.engine("writer")
            register(engine, experiment)
            activate(engine, experiment, {"archive": str(description), "data": str(description.parent)})
            context = make_context(experiment, provider, engine, store, TableGates(), CLOCK)
            context = replace(context, proof=open_proof(database.home, database.embedded, clock=CLOCK))
            result = walk(context, start, end)
        yield Walked(database, context, result)


def walk(context: FlowContext, start: date, end: date) -> WalkForward:
    def run(first: date, last: date) -> None:
        run_range(context, first, last)

    def check() -> None:
        check_registries(context, "daily", True)

    return walk_forward(context, start, end, run, check)
