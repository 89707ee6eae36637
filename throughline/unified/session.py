"""What a pipeline has open while it runs: home, experiment, stages, registries; and the questions it asks of them.

Belongs here: running days that are not sealed yet, and reading what they came to. Does not belong here: the clock and
the shape of the answers (pipeline).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from sqlalchemy import text

from throughline.clock import Clock
from throughline.configuration import Configuration
from throughline.experiment.choice import settle
from throughline.experiment.identity import Experiment, lock_hash, make_experiment
from throughline.experiment.registry import register, resolve
from throughline.flow import STAGES, FlowContext, make_context, run_range
from throughline.identity import time_to_ms
from throughline.market.panel import MarketDataProvider
from throughline.proof.settings import open_proof
from throughline.quality.verdict import GateRunner
from throughline.registry.coordinator import RegistryCoordinator
from throughline.registry.opening import configured_artifacts, open_configured
from throughline.storage.database import Database
from throughline.storage.home import Home
from throughline.storage.queries import sealed_days

_CLOSED = text(
    "SELECT content_hash, profit_usd FROM current_canonical_trades WHERE experiment = :experiment "
    "AND partition BETWEEN :first AND :last ORDER BY closed_at, uuid"
)
_COUNTS = text(
    "SELECT (SELECT count(*) FROM current_candidates WHERE experiment = :experiment AND partition = :day), "
    "(SELECT count(*) FROM current_executions WHERE experiment = :experiment AND partition = :day)"
)
_EQUITY = text(
    "SELECT equity_usd FROM current_portfolio_states WHERE experiment = :experiment AND partition <= :day "
    "ORDER BY partition DESC LIMIT 1"
)


@dataclass(frozen=True)
class ClosedTrades:
    """Trades that closed in some days, by exit. profit_usd: their exact sum."""

    hashes: list[str]
    wins: int
    profit_usd: Decimal


@dataclass
class Session:
    """An open home with one experiment. sealed: the days that every stage has sealed."""

    database: Database
    experiment: Experiment
    context: FlowContext
    registry: RegistryCoordinator
    sealed: set[date]

    def close(self) -> None:
        """Give the home back."""
        self.registry.close()
        self.database.close()

    def run(self, days: Sequence[date]) -> None:
        """Run every stage over those of `days` (in order, without holes) that are not sealed yet. Raises as they do."""
        waiting = [day for day in days if day not in self.sealed]
        if waiting:
            run_range(self.context, waiting[0], waiting[-1])
            self.sealed.update(waiting)

    def instruments(self, opened: datetime) -> int:
        """Return how many instruments have a believed bar that opens at this instant."""
        panel = self.context.view.panel(opened.date(), opened.date())
        row = int(np.searchsorted(panel.open_time, time_to_ms(opened)))
        return int(np.count_nonzero(~np.isnan(panel.close[row])))

    def trades(self, first: date, last: date) -> ClosedTrades:
        """Return the trades that closed from `first` to `last`, both included."""
        parameters = {"experiment": self.experiment.id, "first": first, "last": last}
        with self.context.engine.connect() as connection:
            rows = connection.execute(_CLOSED, parameters).all()
        profits = [Decimal(row.profit_usd) for row in rows]
        return ClosedTrades(
            [row.content_hash for row in rows], sum(profit > 0 for profit in profits), sum(profits, Decimal(0))
        )

    def day_counts(self, day: date) -> dict[str, int]:
        """Return how many candidates and executions a day has."""
        with self.context.engine.connect() as connection:
            found = connection.execute(_COUNTS, {"experiment": self.experiment.id, "day": day}).one()
        return {"candidates": int(found[0]), "executions": int(found[1])}

    def equity(self, day: date) -> float:
        """Return the portfolio's equity in USD at the end of `day`; before the first day, what it starts with."""
        with self.context.engine.connect() as connection:
            found = connection.execute(_EQUITY, {"experiment": self.experiment.id, "day": day}).scalar()
        return self.experiment.configuration.sizing.small_fund_usd if found is None else float(found)


def open_session(
    home: Home,
    mode: str,
    provider: MarketDataProvider,
    configuration: Configuration,
    inputs: Mapping[str, Any],
    start: date,
    seed: int,
    clock: Clock,
    gates: GateRunner | None,
) -> Session:
    """Open `home` and record the experiment of these settings (or its fork, where sealed data changed).

    It becomes the active one of its mode only where the mode has none yet.
    """
    database = open_configured(home)
    try:
        engine, artifacts = database.engine("writer"), configured_artifacts(home)
        base = make_experiment(mode, start, configuration, provider.description.source_hash, seed, lock=lock_hash())
        experiment, _ = resolve(engine, base, provider, artifacts)
        register(engine, experiment)
        settle(engine, experiment, inputs)
        proof = open_proof(home, database.embedded, clock=clock)
        judge = gates or _great_expectations(experiment)
        context = make_context(experiment, provider, engine, artifacts, judge, clock, proof=proof)
        with engine.connect() as connection:
            sealed = [set(sealed_days(connection, experiment.id, asset)) for asset in STAGES]
        registry = RegistryCoordinator(home.path, engine=engine, clock=clock, proof=proof)
        return Session(database, experiment, context, registry, set.intersection(*sealed))
    except BaseException:
        database.close()
        raise


def _great_expectations(experiment: Experiment) -> GateRunner:
    from throughline.quality.runner import GreatExpectationsRunner

    return GreatExpectationsRunner(experiment.configuration.gates)
