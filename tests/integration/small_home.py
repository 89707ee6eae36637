"""A small sealed experiment for tests: a few days of the simulated market, gates judged by a table in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from throughline.clock import FixedClock
from throughline.configuration import Configuration
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import activate, register
from throughline.flow import make_context, run_range
from throughline.market.simulated import SimulatedProvider
from throughline.proof.settings import open_proof
from throughline.quality.suite import load_suite
from throughline.quality.verdict import Failure
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database

START, END = date(2024, 3, 2), date(2024, 3, 9)


@dataclass
class TableGates:
    """A gate runner that fails exactly the (asset, day) pairs it is told to; it saves loading Great Expectations."""

    failing: Mapping[tuple[str, date], Failure] = field(default_factory=dict)

    def suite(self, asset: str) -> tuple[str, str]:
        suite = load_suite(asset)
        return suite.name, suite.hash

    def evaluate(self, asset: str, rows: Any, days: Any, wanted: Sequence[date]) -> dict[date, tuple[Failure, ...]]:
        return {day: (self.failing[asset, day],) if (asset, day) in self.failing else () for day in wanted}


def seal_experiment(
    database: Database,
    store: ArtifactStore,
    seed: int = 7,
    start: date = START,
    end: date = END,
    failing: Mapping[tuple[str, date], Failure] | None = None,
) -> Experiment:
    """Run every stage over [start, end] of the simulated market of `seed` and return the experiment."""
    provider, configuration = SimulatedProvider(seed), Configuration()
    source = provider.description.source_hash
    experiment = make_experiment("demo", start, configuration, source, seed, lock="0" * 64, code="1" * 64)
    engine = database.engine("writer")
    register(engine, experiment)
    activate(engine, experiment, {"seed": seed})
    clock = FixedClock(datetime(2024, 4, 1, tzinfo=UTC))
    context = make_context(experiment, provider, engine, store, TableGates(failing or {}), clock)
    context = replace(context, proof=open_proof(database.home, database.embedded, clock=clock))
    run_range(context, start, end)
    return experiment
