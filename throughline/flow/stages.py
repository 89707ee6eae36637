"""The stages in the order of the flow, by the name of their asset.

Each is loaded when it first runs: with pandas and the compiled engine they would double what loading the Dagster code
location costs (benchmarks/load.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from importlib import import_module
from typing import cast

from throughline.flow.context import DayResult, FlowContext, Stage


def _stage(module: str, function: str) -> Stage:
    def run(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
        return cast(Stage, getattr(import_module(f"throughline.flow.{module}"), function))(ctx, days)

    return run


STAGES: Mapping[str, Stage] = {
    "market_bars": _stage("bars", "seal_market_bars"),
    "market_scan": _stage("scan", "scan_market"),
    "trade_candidates": _stage("candidates", "create_candidates"),
    "research_snapshots": _stage("research", "write_research"),
    "portfolio_state": _stage("session", "run_session"),
    "executions": _stage("ledger_checks", "check_executions"),
    "outcomes": _stage("ledger_checks", "check_outcomes"),
    "shadow_outcomes": _stage("shadows", "resolve_shadows"),
    "trade_features": _stage("trade_features", "label_features"),
    "canonical_trades": _stage("registry", "register_trades"),
    "soulprints": _stage("registry", "check_soulprints"),
    "profit_buckets": _stage("registry", "check_profit_buckets"),
    "registry_seals": _stage("log", "log_seals"),
}
