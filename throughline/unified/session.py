"""What a pipeline has open while it runs: home, experiment, stages and registries.

Belongs here: running days that are not sealed yet, and reading their results. Does not belong here: the clock and the
shape of the answers (pipeline).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import numpy as np
from sqlalchemy import text

from throughline.clock import Clock
from throughline.experiment.identity import Experiment
from throughline.flow import STAGES, FlowContext, run_days, stage_runner
from throughline.identity import time_to_ms
from throughline.quality.verdict import GateRunner
from throughline.registry.coordinator import RegistryCoordinator
from throughline.registry.opening import configured_artifacts, configured_redis, open_configured
from throughline.run_opening import OpenHome, RunSettings, open_run, record_experiment
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
    """Trades that closed in some days.

    Args:
        hashes: of the trades, by exit.
        wins: how many made a profit.
        profit_usd: their exact sum.
    """

    hashes: list[str]
    wins: int
    profit_usd: Decimal


@dataclass
class Session:
    """An open home with one experiment.

    Args:
        database: of the home.
        experiment: the one that is run.
        context: what its stages need.
        registry: the registries of the home.
        sealed: the days that every stage has sealed.
    """

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
        unsealed = [day for day in days if day not in self.sealed]
        if unsealed:
            run_days(unsealed, stage_runner(self.context))
            self.sealed.update(unsealed)

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
            candidates, executions = connection.execute(_COUNTS, {"experiment": self.experiment.id, "day": day}).one()
        return {"candidates": int(candidates), "executions": int(executions)}

    def equity(self, day: date) -> float:
        """Return the portfolio's equity in USD at the end of `day`; before the first day, what it starts with."""
        with self.context.engine.connect() as connection:
            equity = connection.execute(_EQUITY, {"experiment": self.experiment.id, "day": day}).scalar()
        return self.experiment.configuration.sizing.small_fund_usd if equity is None else float(equity)


def open_session(home: Home, settings: RunSettings, clock: Clock, gates: GateRunner | None) -> Session:
    """Open `home` and record the experiment of these settings (or its fork, where sealed data changed).

    It becomes the active one of its mode only where the mode has none yet. gates: None is Great Expectations.
    """
    database = open_configured(home)
    try:
        opened = OpenHome(home, database, configured_artifacts(home), configured_redis())
        experiment = record_experiment(opened, settings).experiment
        context = open_run(opened, experiment, settings.provider, gates, clock)
        with context.engine.connect() as connection:
            sealed = [set(sealed_days(connection, experiment.id, asset)) for asset in STAGES]
        registry = RegistryCoordinator(home.path, engine=context.engine, clock=clock, proof=context.proof)
        return Session(database, experiment, context, registry, set.intersection(*sealed))
    except BaseException:
        database.close()
        raise
