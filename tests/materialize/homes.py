"""Homes for tests that run the flow: a real embedded PostgreSQL, the simulated market, one experiment each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from resources.settings import Settings, load_settings
from throughline.clock import FixedClock
from throughline.configuration import Configuration
from throughline.experiment import registry
from throughline.experiment.identity import make_experiment
from throughline.flow import STAGES, FlowContext, make_context
from throughline.market.panel import MarketDataProvider, MarketPanel, SourceDescription
from throughline.market.simulated import SimulatedProvider
from throughline.proof.settings import open_proof
from throughline.quality.suite import load_suite
from throughline.quality.verdict import Failure, GateRunner
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.queries import read_seals

FIRST = date(2021, 3, 1)
SEED = 7


class OpenGates:
    """A gate runner that passes every day under the shipped suites: for tests of anything but gates."""

    def suite(self, asset: str) -> tuple[str, str]:
        suite = load_suite(asset)
        return suite.name, suite.hash

    def evaluate(
        self, asset: str, rows: pd.DataFrame, days: pd.DataFrame, wanted: Sequence[date]
    ) -> Mapping[date, tuple[Failure, ...]]:
        return dict.fromkeys(wanted, ())


class FailingGates(OpenGates):
    """A gate runner that fails chosen days of chosen assets, and passes the others."""

    def __init__(self, failing: Mapping[str, Sequence[date]]) -> None:
        self._failing = failing

    def evaluate(
        self, asset: str, rows: pd.DataFrame, days: pd.DataFrame, wanted: Sequence[date]
    ) -> Mapping[date, tuple[Failure, ...]]:
        bad = self._failing.get(asset, ())
        return {day: (Failure("made_to_fail", 3, ("a", "b", "c")),) if day in bad else () for day in wanted}


class ChangedProvider:
    """The simulated market, with a change of every panel that a test asks for."""

    def __init__(self, seed: int = SEED) -> None:
        self._inner = SimulatedProvider(seed)

    @property
    def description(self) -> SourceDescription:
        return self._inner.description

    def change(self, panel: MarketPanel) -> MarketPanel:
        return panel

    def load(self, start: datetime, end: datetime) -> MarketPanel:
        return self.change(self._inner.load(start, end))


class CollapsedDay(ChangedProvider):
    """A market in which nine of ten instruments have no bar on one day: a feed that broke."""

    def __init__(self, day: date) -> None:
        super().__init__()
        self._start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000

    def change(self, panel: MarketPanel) -> MarketPanel:
        rows = (panel.open_time >= self._start) & (panel.open_time < self._start + 86_400_000)
        columns = [k for k in range(len(panel.instruments)) if k % 10]
        changed = {}
        for name in ("open", "high", "low", "close", "volume"):
            values = getattr(panel, name).copy()
            values[[[row] for row in rows.nonzero()[0]], columns] = float("nan")
            changed[name] = values
        return replace(panel, **changed)


def settings_of(home: Path, **changes: object) -> Settings:
    """Return the settings of a home, whatever the environment says."""
    return replace(load_settings({}, home=str(home)), **changes)  # type: ignore[arg-type]


@contextmanager
def opened(home: Path) -> Iterator[Database]:
    """Open a home's database for the length of a test."""
    with open_database(home) as database:
        yield database


def context_of(
    database: Database,
    *,
    epoch: date = FIRST,
    seed: int = SEED,
    provider: MarketDataProvider | None = None,
    gates: GateRunner | None = None,
    mode: str = "demo",
    model_policy: Literal["none", "gated"] = "none",
) -> FlowContext:
    """Return a flow context over a registered and active experiment. `seed` tells experiments of one home apart."""
    market = provider or SimulatedProvider(SEED)
    configuration = Configuration(model_policy=model_policy)
    experiment = make_experiment(mode, epoch, configuration, market.description.source_hash, seed, lock="0" * 64)
    engine = database.engine("writer")
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    registry.register(engine, experiment)
    registry.activate(engine, experiment, {"seed": SEED})
    return make_context(
        experiment,
        market,
        engine,
        ArtifactStore(database.home.artifacts),
        gates or OpenGates(),
        clock,
        proof=open_proof(database.home, database.embedded, clock=clock),
    )


def seals_of(context: FlowContext) -> dict[tuple[str, str], tuple[str, str]]:
    """Return (asset, day) -> (root, status) of everything sealed in the context's experiment."""
    with context.engine.connect() as conn:
        return {
            (asset, day.isoformat()): (seal.root, seal.status)
            for asset in STAGES
            for day, seal in read_seals(conn, context.experiment.id, asset).items()
        }
