"""The daily assets of a mode as one job, and the schedule that brings them up to yesterday.

A tick asks for every day that is not yet sealed, from the first gap to yesterday, as one range: a machine that slept
through a tick catches up by itself, and a session never lacks its predecessor. A tick asks for one chunk at most.
"""

# No `from __future__ import annotations` here: Dagster reads the types of `context` and `home` at run time.

from datetime import timedelta

import dagster as dg

from assets.asset_factory import which_experiment
from pipelines.job_factory import asset_job, range_tags
from resources.definition_factory import Definition, ModeSpec, for_each_mode
from resources.flow import EXPERIMENT_TAG
from resources.home import Flows
from throughline.catalogue import catalogue
from throughline.errors import ThroughlineError


def pipeline_job_name(mode: str) -> str:
    """Return the name of a mode's pipeline job."""
    return f"run_{mode}_pipeline_job"


@for_each_mode
def daily_definitions(spec: ModeSpec) -> list[Definition]:
    """Return the job that takes a mode's daily assets from bars to outcomes, and its schedule at 00:15 UTC."""
    mode = spec.name
    job = asset_job(
        spec,
        pipeline_job_name(mode),
        catalogue().stages,
        f"All daily assets of mode '{mode}', in order. For history, backfill the assets and not this job: a backfill "
        f"of the job would run a chunk beside the one before it. {which_experiment(mode)}",
    )

    @dg.schedule(
        name=f"{mode}_daily",
        job_name=pipeline_job_name(mode),
        cron_schedule="15 0 * * *",
        execution_timezone="UTC",
        default_status=spec.schedule_status("daily"),
        description=f"Every unsealed day of the active experiment of mode '{mode}' up to yesterday, as one range.",
    )
    def daily(context: dg.ScheduleEvaluationContext, home: dg.ResourceParam[Flows]) -> dg.RunRequest | dg.SkipReason:
        yesterday = context.scheduled_execution_time.date() - timedelta(days=1)
        try:
            due = home.flow(mode).unsealed_days(yesterday)
        except ThroughlineError as error:
            return dg.SkipReason(str(error))
        if due is None:
            return dg.SkipReason(f"all days up to {yesterday} for which there is data are sealed")
        first, last = due.first, min(due.last, due.first + timedelta(days=spec.chunk_days - 1))
        # The run names its experiment: another one may be active by the time it leaves the queue.
        return dg.RunRequest(
            run_key=f"{due.experiment[:12]}:{first}..{last}@{yesterday}",
            tags={EXPERIMENT_TAG: due.experiment, **range_tags(first, last)},
        )

    return [job, daily]
