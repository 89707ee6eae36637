"""`UnifiedTradingPipeline`: market, signals, trades and registries behind the method names of the seed document.

Belongs here: a simulated clock over the same stages that Dagster and the commands run, and its results. Does not belong
here: anything that decides (flow) or is recorded (registry).

A cycle is one bar of the market. The stages work on whole days, so a day's candidates, trades and registry entries
exist when its last bar has closed; nothing is ever decided on a bar that the clock has not reached. Sealed days are not
run again: the same pipeline over the same home returns the same results.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from throughline.clock import Clock, SystemClock
from throughline.configuration import Configuration, load_configuration
from throughline.errors import SettingsError
from throughline.experiment.mode import find_mode
from throughline.experiment.modes.demo import MODE as DEMO
from throughline.experiment.provider import plain_inputs, read_options
from throughline.quality.verdict import GateRunner
from throughline.run_opening import RunSettings
from throughline.storage.home import Home
from throughline.unified.market_clock import MarketClock
from throughline.unified.session import Session, open_session

SEED = 7


class UnifiedTradingPipeline:
    """A run of the whole system over simulated time. Use it as a context manager, call `close`, or let it go at exit.

    Nothing is opened before the first question.

    Args:
        mode: name of a mode.
        home: folder of the home; None is THROUGHLINE_HOME or the default.
        configuration: settings, or the path of their file; None is the defaults.
        seed: of the simulated market, of random baselines and models.
        start: the epoch; None is that of `throughline demo`, or the first day of the data.
        clock: of what is written; None is the operating system's.
        gates: evaluates the suites; None is Great Expectations.
        inputs: options of the market data provider: none for 'demo' (a simulated market of `seed`); `archive`, `data`
            and, where needed, `data_also` for 'backtest' (`throughline.experiment.providers.archive`); and `provider`
            for another provider than the mode's own.

    Raises:
        SettingsError: another mode, or missing inputs.

    Example:
        >>> with UnifiedTradingPipeline("demo", home="/tmp/home") as pipeline:
        ...     asyncio.run(pipeline.run_backtest(duration_seconds=48))
    """

    def __init__(
        self,
        mode: str = DEMO.name,
        home: str | os.PathLike[str] | None = None,
        *,
        configuration: Configuration | str | os.PathLike[str] | None = None,
        seed: int = SEED,
        start: date | None = None,
        clock: Clock | None = None,
        gates: GateRunner | None = None,
        **inputs: object,
    ) -> None:
        kind = find_mode(mode)
        self.mode = mode
        self._home = home
        self._seed = seed
        spec, options = read_options(kind, inputs, seed=seed)
        self._inputs = plain_inputs(kind, spec, options)
        if isinstance(configuration, Configuration):
            self._configuration = configuration
        else:
            self._configuration = load_configuration(None if configuration is None else Path(configuration))
        self._clock = clock or SystemClock()
        self._provider = spec.open(options, self._clock)
        source = self._provider.description
        self.start = start or kind.first_day or source.first_day
        if not source.first_day <= self.start <= source.last_day:
            raise SettingsError(
                f"start {self.start} lies outside '{source.name}', which holds {source.first_day} to {source.last_day}"
            )
        self._market = MarketClock(self.start, source.last_day, timedelta(milliseconds=source.interval_ms))
        self._gates = gates
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._finalizer: weakref.finalize[[], UnifiedTradingPipeline] | None = None

    def __enter__(self) -> UnifiedTradingPipeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the home back; the next question opens it again, where the clock stands."""
        with self._lock:
            if self._finalizer is not None:
                self._finalizer()
            self._session, self._finalizer = None, None

    async def run_trading_cycle(self) -> dict[str, Any]:
        """Go on by one bar; where it is the last of its day, run the day's stages. Returns what happened.

        Keys: cycle (bars since the start), bar_open, bar_close (instants, text), instruments (with a believed bar),
        day_closed; candidates, executions (of the day) and trades (hashes of those that it closed), None while the day
        is not over; and the totals of `run_backtest` over all days since the start.
        """
        return await asyncio.to_thread(self._cycle)

    async def run_backtest(self, duration_seconds: float = 3600, cycle_interval: float = 1.0) -> dict[str, Any]:
        """Go on by duration_seconds / cycle_interval bars of simulated time; return the results of the closed days.

        Keys: mode, experiment, cycles_completed, days_closed, simulated_start, simulated_end (instants, text), trades
        (hashes, by exit), total_trades, winning_trades, success_rate (0.0 without a trade), total_profit (USD),
        portfolio_value (USD, at the end of the last closed day). The last day's bars count as cycles even where they do
        not fill it. Raises SettingsError where the market ends before, ValueError for steps that are not positive.
        """
        if not duration_seconds > 0 or not cycle_interval > 0 or not duration_seconds >= cycle_interval:
            raise ValueError(f"{duration_seconds} s in steps of {cycle_interval} s: give at least one step")
        # 0.3 / 0.1 is a hair below three: what rounding took is given back.
        return await asyncio.to_thread(self._advance, int(duration_seconds / cycle_interval + 1e-9))

    def get_performance_analytics(self) -> dict[str, Any]:
        """Return the figures of this experiment's trades (`RegistryCoordinator.get_performance_analytics`)."""
        with self._lock:
            session = self._opened()
            return session.registry.get_performance_analytics(experiment=session.experiment.id)

    def get_registry_statistics(self) -> dict[str, Any]:
        """Return entries, roots and linkage of this experiment (`RegistryCoordinator.get_registry_statistics`)."""
        with self._lock:
            session = self._opened()
            return session.registry.get_registry_statistics(experiment=session.experiment.id)

    def validate_registry_consistency(self) -> dict[str, Any]:
        """Check all registries of the home (`RegistryCoordinator.validate_registry_consistency`)."""
        with self._lock:
            return self._opened().registry.validate_registry_consistency()

    @property
    def simulated_time(self) -> str:
        """The instant up to which bars have closed."""
        return self._market.now.isoformat()

    def _opened(self) -> Session:
        if self._session is None:
            settings = RunSettings(self.mode, self._provider, self._configuration, self._inputs, self.start, self._seed)
            self._session = open_session(Home.locate(self._home), settings, self._clock, self._gates)
            self._finalizer = weakref.finalize(self, self._session.close)
        return self._session

    def _cycle(self) -> dict[str, Any]:
        with self._lock:
            session = self._opened()
            before = self._market
            after, closed = before.advanced(1)
            result = {
                "cycle": after.bars,
                "bar_open": before.now.isoformat(),
                "bar_close": after.now.isoformat(),
                "instruments": session.instruments(before.now),
                "day_closed": bool(closed),
                "candidates": None,
                "executions": None,
                "trades": None,
            }
            session.run(closed)
            self._market = after
            result |= self._totals(session, self.start, after.today - timedelta(days=1))
            for day in closed:
                result |= session.day_counts(day) | {"trades": session.trades(day, day).hashes}
            return result

    def _advance(self, bars: int) -> dict[str, Any]:
        with self._lock:
            session = self._opened()
            before = self._market
            after, closed = before.advanced(bars)
            session.run(closed)
            self._market = after
            first, last = before.today, after.today - timedelta(days=1)
            return {
                "mode": self.mode,
                "experiment": session.experiment.id,
                "cycles_completed": bars,
                "days_closed": len(closed),
                "simulated_start": before.now.isoformat(),
                "simulated_end": after.now.isoformat(),
                "trades": session.trades(first, last).hashes,
                **self._totals(session, first, last),
            }

    def _totals(self, session: Session, first: date, last: date) -> dict[str, Any]:
        closed = session.trades(first, last)
        return {
            "total_trades": len(closed.hashes),
            "winning_trades": closed.wins,
            "success_rate": closed.wins / len(closed.hashes) if closed.hashes else 0.0,
            "total_profit": float(closed.profit_usd),
            "portfolio_value": session.equity(last),
        }
