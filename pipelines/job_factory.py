"""What the jobs of all modes share: a job over assets of a mode, and a schedule of a job.

Belongs here: tags, time zone, whether a schedule runs by default. Does not belong here: which jobs there are (`jobs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import dagster as dg

from resources.definition_factory import AssetJob, ModeSpec

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the run tags that make a run cover the partitions of [first, last]."""
    return {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}


def asset_job(
    spec: ModeSpec, name: str, assets: Iterable[str], description: str, config: Mapping[str, Any] | None = None
) -> AssetJob:
    """Return a job that materializes assets of a mode.

    Args:
        spec: the mode.
        name: of the job.
        assets: names of assets, without the prefix of the mode.
        description: for the UI.
        config: run configuration that is used where a run gives none.
    """
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*(spec.key(asset) for asset in assets)),
        description=description,
        config=None if config is None else dict(config),
        tags=spec.tags,
    )


def op_job(spec: ModeSpec, name: str, operation: dg.OpDefinition) -> dg.JobDefinition:
    """Return a job of one operation, with the operation's description."""

    @dg.job(name=name, description=operation.description, tags=spec.tags)
    def job() -> None:
        operation()

    return job


def schedule(
    spec: ModeSpec,
    name: str,
    job: str,
    cron: str,
    description: str,
    *,
    config: Mapping[str, Any] | None = None,
) -> dg.ScheduleDefinition:
    """Return a schedule of a job of a mode.

    Args:
        spec: the mode; it says whether the schedule runs by default.
        name: without the prefix of the mode.
        job: name of the job.
        cron: times, in UTC.
        description: for the UI.
        config: run configuration of each run.
    """
    return dg.ScheduleDefinition(
        name=f"{spec.name}_{name}",
        job_name=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        run_config=None if config is None else dict(config),
        default_status=spec.schedule_status(name),
        description=description,
    )
