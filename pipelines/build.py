"""Composition: one `Definitions` out of assets, checks, jobs, schedules, sensors and resources, with an override seam.

Belongs here: putting together. Does not belong here: any decision. Tests and commands replace resources by name instead
of patching anything.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.decisions import decision_assets
from assets.market import market_assets
from assets.registry import registry_assets
from assets.registry_reports import registry_report_assets
from assets.reports import report_assets
from assets.shell import Graph
from assets.trading import trading_assets
from pipelines.jobs import pipeline_job, registry_check_job, report_job
from pipelines.partitions import daily_partitions
from pipelines.schedules import daily_schedule, registry_check_schedule
from resources.flow import HomeFlow
from resources.settings import MODES, Settings
from sensors.run_failure import run_failure_notifier


def build_defs(settings: Settings, *, overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return everything of the code location.

    settings: of this machine. overrides: resources by name (`flow_demo`, `flow_backtest`) that replace the default
    ones, for example a `GivenFlow` over a context that the caller made.
    """
    with warnings.catch_warnings():
        # Backfill policies are beta and Dagster is pinned exactly; a warning per asset would hide the others.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _build(settings, overrides or {})


def _build(settings: Settings, overrides: Mapping[str, Any]) -> dg.Definitions:
    partitions = daily_partitions(settings.partitions_start)
    flows: dict[str, Any] = {f"flow_{mode}": HomeFlow(settings, mode) for mode in MODES}
    resources = {**flows, **overrides}
    graphs = [Graph(mode, partitions, settings.chunk_days) for mode in MODES]
    return dg.Definitions(
        assets=[
            asset
            for graph in graphs
            for build in (
                market_assets,
                decision_assets,
                trading_assets,
                registry_assets,
                registry_report_assets,
                report_assets,
            )
            for asset in build(graph)
        ],
        jobs=[job for mode in MODES for job in (pipeline_job(mode), report_job(mode), registry_check_job(mode))],
        schedules=[
            schedule
            for mode in MODES
            for schedule in (
                daily_schedule(mode, flows[f"flow_{mode}"].unsealed_days, settings.chunk_days),
                registry_check_schedule(mode, "daily"),
                registry_check_schedule(mode, "full"),
            )
        ],
        sensors=[run_failure_notifier(settings.webhook_url, allow_private=settings.webhook_private)],
        resources=resources,
        # Steps are short and share one process's provider and server lease; a process a step costs 20 times as much.
        executor=dg.in_process_executor,
    )
