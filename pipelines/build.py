"""Composition: one `Definitions` out of assets, checks, jobs, schedules, sensors and resources, with an override seam.

Belongs here: putting together. Does not belong here: any decision. Tests and commands replace resources by name instead
of patching anything.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.active import active_assets
from assets.learning import CHECKED_ASSETS, learning_assets
from assets.operations import roll_back_op_name
from assets.registry_reports import registry_report_assets
from assets.reports import report_assets
from assets.shell import Graph
from assets.stages import stage_assets
from pipelines.jobs import (
    canary_job,
    drift_job,
    pipeline_job,
    registry_check_job,
    report_job,
    roll_back_job,
    roll_back_job_name,
    train_job,
    walk_forward_job,
)
from pipelines.partitions import daily_partitions
from pipelines.schedules import daily_schedule, learning_schedules, registry_check_schedule
from resources.flow import HomeFlow
from resources.settings import Settings
from sensors.active_experiment import active_experiment_sensor
from sensors.canary_degraded import canary_degraded
from sensors.gate_failed import gate_failure_notifier
from sensors.run_failure import run_failure_notifier
from throughline.catalogue import catalogue
from throughline.experiment.mode import find_mode, mode_names

NOTIFIED_ASSETS = (*catalogue().gated, "registry_consistency", *CHECKED_ASSETS)
"""Assets whose failed checks are told."""


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
    names = mode_names()
    flows: dict[str, Any] = {f"flow_{mode}": HomeFlow(settings, mode) for mode in names}
    resources = {**flows, **overrides}
    graphs = [Graph(mode, partitions, settings.chunk_days) for mode in names]
    return dg.Definitions(
        assets=[
            asset
            for graph in graphs
            for build in (
                active_assets,
                stage_assets,
                registry_report_assets,
                learning_assets,
                report_assets,
            )
            for asset in build(graph)
        ],
        jobs=[job for graph in graphs for job in _jobs(graph)],
        schedules=[
            schedule
            for mode in names
            for schedule in (
                daily_schedule(mode, flows[f"flow_{mode}"].unsealed_days, settings.chunk_days),
                registry_check_schedule(mode, "daily"),
                registry_check_schedule(mode, "full"),
                *learning_schedules(mode),
            )
        ],
        sensors=[
            run_failure_notifier(settings.webhook_url, allow_private=settings.webhook_private),
            gate_failure_notifier(
                [graph.key(name) for graph in graphs for name in NOTIFIED_ASSETS],
                settings.webhook_url,
                allow_private=settings.webhook_private,
            ),
            *(active_experiment_sensor(mode, flows[f"flow_{mode}"].engine) for mode in names),
            *(
                canary_degraded(
                    mode, roll_back_job_name(mode), roll_back_op_name(mode), flows[f"flow_{mode}"].rollback_due
                )
                for mode in names
            ),
        ],
        resources=resources,
        # Steps are short and share one process's provider and server lease; a process a step costs 20 times as much.
        executor=dg.in_process_executor,
    )


def _jobs(graph: Graph) -> list[Any]:
    mode = graph.mode
    assets = [build(mode) for build in (pipeline_job, report_job, registry_check_job, train_job, canary_job, drift_job)]
    walks = [walk_forward_job(graph)] if find_mode(mode).allows("walk-forward") else []
    return [*assets, roll_back_job(graph), *walks]
