"""The report of a backtest as plain data: what ``backtest --json`` prints and the tear sheet draws.

Belongs here: names, units and the JSON form. Does not belong here: how the figures are found (report) or shown
(tearsheet, text).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from throughline.analytics.cash import CashReport
from throughline.analytics.performance import Performance
from throughline.analytics.trade_registry.model import RegistryAnalytics


@dataclass(frozen=True)
class Curves:
    """Daily curves, one value per day end, USD. dates: the days; equity: path -> marked-to-market equity; cash: path ->
    cash; market: baseline name -> what the starting cash would be worth in it. start: equity at the start of the first
    day (the same on every curve of `market`), per path in `starting`."""

    dates: Sequence[date]
    equity: Mapping[str, Sequence[float]]
    cash: Mapping[str, Sequence[float]]
    starting: Mapping[str, float]
    market: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def with_start(self, path: str) -> list[float]:
        """Return the path's equity with its starting value in front (days + 1 values)."""
        return [self.starting[path], *self.equity[path]]


@dataclass(frozen=True)
class Report:
    """The results of a range of an experiment.

    Fractions unless said otherwise. `trades`, `win_rate`, `sharpe`, `max_drawdown`, `termination_reasons` and
    `open_positions` are of the base path, which is the one in the ledger. funnel: [{filter, seen, removed,
    missing}] summed over the scans of the range. seals: asset -> `range_root` of its day seals. blocked_days:
    [{day, asset, rule, rows}]. quarantined: {total, rules {rule: rows}}. chain: {checked, broken} records. seconds:
    stage -> seconds, as handed in. data_notes: facts about rows that are no faults: {untraded rows, doubtful_jumps
    and corporate_actions, each [{instrument, time, detail}]}. doubtful: trades that crossed a doubtful price jump,
    {trades: [{candidate, instrument, exit_time, realized_pnl_usd, pnl_low_usd, pnl_high_usd}], labels_left_out}.
    stopped: path -> the day from whose end on it could not pay the smallest position. minimum_position_usd: that
    size. revision: what changed in the data where this experiment is a fork, else None. registry: figures of the
    registries of the experiment from its epoch to `end`, None where they were not read. warnings: sentences that
    must stand before every figure: filters that remove every instrument for want of data. cash: when the rule was
    closed or would have been, None where that was not asked. trade_list: the closed trades of the range by exit,
    with the exact columns of `trades.COLUMNS`; dossiers: trade ID -> path of its page, for those that have one.
    """

    experiment: str
    mode: str
    start: date
    end: date
    instruments: int
    bars: int
    funnel: Sequence[Mapping[str, Any]]
    candidates: int
    trades: int
    paths: Mapping[str, Performance]
    termination_reasons: Mapping[str, int]
    dispositions: Mapping[str, int]
    blocked_days: Sequence[Mapping[str, Any]]
    baselines: Mapping[str, Any]
    open_positions: Sequence[Mapping[str, Any]]
    assumptions: Sequence[str]
    quarantined: Mapping[str, Any]
    seals: Mapping[str, str]
    chain: Mapping[str, int]
    seconds: Mapping[str, float]
    sign_flips: bool
    curves: Curves
    revision: Mapping[str, Any] | None = None
    doubtful: Mapping[str, Any] = field(default_factory=lambda: {"trades": [], "labels_left_out": 0})
    stopped: Mapping[str, date] = field(default_factory=dict)
    minimum_position_usd: float = 0.0
    tear_sheet: str | None = None
    registry: RegistryAnalytics | None = None
    data_notes: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    cash: CashReport | None = None
    trade_list: Sequence[Mapping[str, Any]] = ()
    dossiers: Mapping[str, str] = field(default_factory=dict)

    def best_trades(self, count: int) -> list[str]:
        """Return the IDs of the trades with the highest profit, at most `count`, best first."""
        ordered = sorted(self.trade_list, key=lambda row: (-float(row["pnl_usd"]), row["id"]))
        return [str(row["id"]) for row in ordered[:count]]

    def worst_trades(self, count: int) -> list[str]:
        """Return the IDs of the trades with the lowest profit, at most `count`, worst first."""
        ordered = sorted(self.trade_list, key=lambda row: (float(row["pnl_usd"]), row["id"]))
        return [str(row["id"]) for row in ordered[:count]]

    def trade(self, name: str) -> dict[str, Any]:
        """Return a closed trade by its ID, with the path of its dossier (None without one). KeyError for another ID."""
        listed = next((row for row in self.trade_list if row["id"] == name), None)
        if listed is None:
            raise KeyError(name)
        return {**listed, "dossier": self.dossiers.get(name)}

    @property
    def returns(self) -> dict[str, float]:
        """Total return by path."""
        return {name: figures.total_return for name, figures in self.paths.items()}

    def as_json(self) -> dict[str, Any]:
        """Return the object that ``backtest --json`` prints (curves left out: they are in the tear sheet)."""
        base = self.paths["base"]
        return {
            "experiment": self.experiment,
            "mode": self.mode,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "instruments": self.instruments,
            "bars": self.bars,
            "funnel": [dict(row) for row in self.funnel],
            "candidates": self.candidates,
            "trades": self.trades,
            "best_trade": next((self.trade(name) for name in self.best_trades(1)), None),
            "worst_trade": next((self.trade(name) for name in self.worst_trades(1)), None),
            "win_rate": base.win_rate,
            "returns": self.returns,
            "sign_flips": self.sign_flips,
            "sharpe": base.sharpe,
            "max_drawdown": base.max_drawdown,
            "paths": {name: asdict(figures) for name, figures in self.paths.items()},
            "termination_reasons": dict(self.termination_reasons),
            "dispositions": dict(self.dispositions),
            "doubtful": {**self.doubtful, "trades": [dict(row) for row in self.doubtful["trades"]]},
            "stopped": {name: day.isoformat() for name, day in self.stopped.items()},
            "blocked_days": [dict(row) for row in self.blocked_days],
            "baselines": dict(self.baselines),
            "open_positions": [dict(row) for row in self.open_positions],
            "assumptions": list(self.assumptions),
            "quarantined": dict(self.quarantined),
            "data_notes": dict(self.data_notes),
            "seals": dict(self.seals),
            "chain": dict(self.chain),
            "seconds": dict(self.seconds),
            "revision": dict(self.revision) if self.revision else None,
            "tear_sheet": self.tear_sheet,
            "registry": self.registry.as_json() if self.registry else None,
            "warnings": list(self.warnings),
            "cash": self.cash.as_json() if self.cash else None,
        }
