"""`build_report`: the results of a range of an experiment, with its baselines and assumptions.

Belongs here: putting the parts together. Reads the ledger and the provider, writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Engine

from throughline.analytics.assumptions import assumptions, filters_without_data, filters_without_values
from throughline.analytics.cash import cash_report
from throughline.analytics.entry_times import read_entry_times
from throughline.analytics.exposure import invested_shares
from throughline.analytics.fund import stopped_funds
from throughline.analytics.ledger import LedgerRange, read_range
from throughline.analytics.market_baselines import measure_baselines
from throughline.analytics.model import Curves, Report
from throughline.analytics.performance import performance, signs_flip
from throughline.analytics.trade_registry.analytics import registry_analytics
from throughline.analytics.trades import read_trades
from throughline.catalogue import catalogue
from throughline.errors import SettingsError
from throughline.experiment.identity import Experiment
from throughline.flow.market_view import DAY, day_ms
from throughline.market.panel import MarketDataProvider
from throughline.quality.gate import require_gate
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.queries import read_seals
from throughline.verification import verify


def build_report(
    engine: Engine,
    artifacts: ArtifactStore,
    provider: MarketDataProvider,
    experiment: Experiment,
    start: date,
    end: date,
    *,
    seconds: Mapping[str, float] | None = None,
    revision: Mapping[str, Any] | None = None,
    check_chain: bool = True,
) -> Report:
    """Return the report of [start, end], both days included.

    engine: may read. provider: the experiment's market data, for the baselines. seconds: stage -> seconds, passed
    through. revision: what changed against the parent where the experiment is a fork, passed through. check_chain:
    recompute every record of the experiment (without reading artifacts again); else `chain` has 0 checked.
    Raises SettingsError for a range outside the experiment, MissingPredecessor for a day without a session,
    GateClosed where executions or outcomes failed their gate.
    """
    if start < experiment.epoch or end < start:
        raise SettingsError(
            f"a report from {start} to {end} is not possible: the experiment starts at {experiment.epoch} and a range "
            "ends no earlier than it starts"
        )
    settings = experiment.configuration
    with engine.connect() as connection:
        for asset in catalogue().hard:  # figures of a ledger that failed its own gate would be no figures
            sealed = read_seals(connection, experiment.id, asset, start, end)
            roots = {day: seal.root for day, seal in sealed.items() if seal.status == "sealed"}
            require_gate(connection, experiment.id, asset, roots)
        ledger = read_range(connection, experiment.id, settings.sizing.small_fund_usd, start, end)
        registry = registry_analytics(connection, experiment.id, last_day=end)
        cash = cash_report(connection, experiment, start, end)
        entries = read_entry_times(connection, experiment, start, end)
        closed = read_trades(connection, experiment.id, exact=True, partitions=(start, end))
    curves = Curves(
        dates=ledger.days,
        equity={path: item.equity for path, item in ledger.paths.items()},
        cash={path: item.cash for path, item in ledger.paths.items()},
        starting={path: item.starting for path, item in ledger.paths.items()},
    )
    edges = [day_ms(day) for day in (*ledger.days, end + DAY)]
    invested = {
        path: invested_shares(item.stakes, edges, curves.with_start(path)[:-1]) for path, item in ledger.paths.items()
    }
    paths = {
        path: performance(curves.with_start(path), invested[path], item.pnl) for path, item in ledger.paths.items()
    }
    market = measure_baselines(
        provider,
        settings,
        start,
        end,
        entries,
        paths["base"].total_return,
        _mean_return(closed["return_percent"]),
        invested["base"],
        experiment.seed,
        ledger.bars_blocked,
    )
    checked, broken = 0, 0
    if check_chain:
        result = verify(engine, None, experiments=[experiment.id])
        checked, broken = result.rows, result.broken
    return Report(
        experiment=experiment.id,
        mode=experiment.mode,
        start=start,
        end=end,
        instruments=market.instruments,
        bars=ledger.bars,
        funnel=ledger.funnel,
        candidates=ledger.candidates,
        trades=paths["base"].trades,
        paths=paths,
        termination_reasons=ledger.reasons,
        dispositions=ledger.dispositions,
        blocked_days=ledger.blocked,
        baselines=market.figures,
        open_positions=_open_positions(ledger),
        assumptions=assumptions(provider.description, settings, ledger.funnel, ledger.ambiguous),
        quarantined={"rules": ledger.quarantined, "total": sum(ledger.quarantined.values())},
        seals=ledger.seals,
        data_notes=ledger.data_notes,
        chain={"checked": checked, "broken": broken},
        seconds=dict(seconds or {}),
        sign_flips=signs_flip([item.total_return for item in paths.values()]),
        doubtful=_doubtful(ledger),
        stopped=stopped_funds(ledger.days, ledger.paths, settings.sizing),
        minimum_position_usd=settings.sizing.minimum_position_usd,
        curves=Curves(curves.dates, curves.equity, curves.cash, curves.starting, market.curves),
        revision=revision,
        registry=registry,
        warnings=filters_without_data(provider.description, settings)
        or filters_without_values(settings, ledger.funnel),
        cash=cash,
        trade_list=closed.to_dict("records"),
    )


def _mean_return(percents: Sequence[str]) -> float | None:
    """Return the mean of the net returns of trades as a fraction. percents: exact texts."""
    return math.fsum(map(float, percents)) / len(percents) / 100.0 if len(percents) else None


def _doubtful(ledger: LedgerRange) -> dict[str, Any]:
    """Trades that crossed a doubtful price jump, by exit, and how many ends are no labels for it."""
    names = ("instrument", "exit_time", "realized_pnl_usd", "pnl_low_usd", "pnl_high_usd")
    rows = [{"candidate": body["candidate"]["uuid"]} | {name: body[name] for name in names} for body in ledger.doubtful]
    trades = sorted(rows, key=lambda row: (row["exit_time"], row["candidate"]))
    return {"labels_left_out": ledger.unlabelled, "trades": trades}


def _open_positions(ledger: LedgerRange) -> Sequence[Mapping[str, Any]]:
    """Positions of the base path at the end of the last day, marked at their last price, before exit costs."""
    rows = []
    for item in ledger.last["paths"]["base"]["positions"]:
        sold = float(item["exit_value"]) - float(item["exit_fees"]) - float(item["attrition"])
        value = float(item["quantity"]) * float(item["last_price"]) + sold
        rows.append(
            {
                "candidate": item["key"],
                "instrument": item["instrument"],
                "segment": item["segment"],
                "entry_time": item["entry_time"],
                "entry_price": item["entry_price"],
                "last_price": item["last_price"],
                "quantity": item["quantity"],
                "notional_usd": item["notional"],
                "value_usd": value,
                "unrealized_pnl_usd": value - float(item["notional"]) - float(item["entry_fee"]),
            }
        )
    return sorted(rows, key=lambda row: (row["entry_time"], row["candidate"]))
