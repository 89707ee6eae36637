"""Schedules: the daily pipeline of each mode, the checks of the registries, and learning. Stopped until started.

A tick of the pipeline asks for every day that is not yet sealed, from the first gap to yesterday, as one range: a
machine that slept through a tick catches up by itself, and a session never lacks its predecessor. No more than one
chunk per tick.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Literal

import dagster as dg

from pipelines.jobs import (
    canary_job_name,
    drift_job_name,
    pipeline_job_name,
    registry_check_job_name,
    train_job_name,
)
from resources.flow import EXPERIMENT_TAG, DueDays
from throughline.errors import ThroughlineError

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

Unsealed = Callable[[date], DueDays | None]
"""Returns the active experiment with its unsealed days up to a day, None where there is none. Raises ThroughlineError
for a mode without an active experiment."""


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the run tags that make a run cover the partitions of [first, last]."""
    return {RANGE_START: first.isoformat(), RANGE_END: last.isoformat()}


def daily_schedule(mode: str, unsealed: Unsealed, chunk_days: int) -> dg.ScheduleDefinition:
    """Return the schedule that brings a mode's assets up to yesterday, at 00:15 UTC."""

    @dg.schedule(
        name=f"{mode}_daily",
        job_name=pipeline_job_name(mode),
        cron_schedule="15 0 * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Every unsealed day of the active experiment of mode '{mode}' up to yesterday, as one range.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        yesterday = context.scheduled_execution_time.date() - timedelta(days=1)
        try:
            days = unsealed(yesterday)
        except ThroughlineError as error:
            return dg.SkipReason(str(error))
        if days is None:
            return dg.SkipReason(f"all days up to {yesterday} for which there is data are sealed")
        first, last = days.first, min(days.last, days.first + timedelta(days=chunk_days - 1))
        # The run names its experiment: another one may be active by the time it leaves the queue.
        return dg.RunRequest(
            run_key=f"{days.experiment[:12]}:{first}..{last}@{yesterday}",
            tags={EXPERIMENT_TAG: days.experiment, **range_tags(first, last)},
        )

    return tick


CHECK_TIMES = {"daily": "45 0 * * *", "full": "30 3 * * 0"}
"""After the night's pipeline, and on Sundays: a full check reads everything ever written."""


def registry_check_schedule(mode: str, scope: Literal["daily", "full"]) -> dg.ScheduleDefinition:
    """Return the schedule that checks the registries: every day what is new, every week all of it (UTC)."""
    return dg.ScheduleDefinition(
        name=f"{mode}_registry_{'daily' if scope == 'daily' else 'weekly'}",
        job_name=registry_check_job_name(mode),
        cron_schedule=CHECK_TIMES[scope],
        execution_timezone="UTC",
        run_config={"ops": {f"{mode}__registry_consistency": {"config": {"scope": scope}}}},
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Checks the registries of the home {'since the last check' if scope == 'daily' else 'in full'}.",
    )


def learning_schedules(mode: str) -> list[dg.ScheduleDefinition]:
    """Return nightly training, hourly canary evaluation and the weekly drift report (UTC).

    Training comes after the night's pipeline and the daily check of the registries. A look at an instant is made once:
    in modes whose days close at midnight the looks of an hour find nothing new, and act on what a crash left.
    """
    told = (
        (f"{mode}_training_nightly", train_job_name(mode), "30 1 * * *", "Trains a challenger on all known labels."),
        (f"{mode}_canary_hourly", canary_job_name(mode), "0 * * * *", "Evaluates the canary, or the watched champion."),
        (f"{mode}_drift_weekly", drift_job_name(mode), "30 2 * * 1", "Drift of features and scores, on Mondays."),
    )
    return [
        dg.ScheduleDefinition(
            name=name,
            job_name=job,
            cron_schedule=cron,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.STOPPED,
            description=description,
        )
        for name, job, cron, description in told
    ]
