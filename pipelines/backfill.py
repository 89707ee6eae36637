"""A range of days through Dagster in this process: what `throughline backtest` and `demo` run.

Belongs here: running the mode's pipeline job for each chunk, so that the UI shows the same partitions, metadata and
checks as a backfill launched there. Does not belong here: cutting a range into chunks (`throughline.flow.run`;
`execute_in_process` with range tags ignores `multi_run(N)`), and what a day does (`throughline.flow`).

One instance, one set of definitions and one flow context serve all chunks; an error of a stage is raised as the
`ThroughlineError` that the stage raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date

import dagster as dg

from pipelines.build import build_defs
from pipelines.job_factory import range_tags
from pipelines.jobs.daily import pipeline_job_name
from resources.dagster_instance import make_instance
from resources.flow import EXPERIMENT_TAG, GivenFlow
from resources.home import HOME, OpenFlows
from resources.settings import START_VARIABLE, Settings
from throughline.errors import SettingsError, ThroughlineError
from throughline.flow import FlowContext, RunListener, RunSummary, run_days
from throughline.flow.run import CHUNK_DAYS, chunk_length, days_between

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialize_range(
    settings: Settings,
    context: FlowContext,
    start: date,
    end: date,
    *,
    chunk_days: int | None = None,
    instance: dg.DagsterInstance | None = None,
) -> RunSummary:
    """Materialize every daily asset of the context's mode over [start, end], chunk by chunk, in order.

    Args:
        settings: where the home is; `chunk_days` of them is the length of a chunk, unless it is the default.
        context: the flow context of the experiment; its mode says which assets.
        start: first day.
        end: last day, included.
        chunk_days: days per run; None leaves it to the settings, else to the size of the market (`chunk_length`).
        instance: a Dagster instance to use instead of the home's own.

    Returns:
        The results of all days. A day that was sealed before is a no-op and is returned as sealed.

    Raises:
        ThroughlineError: what a stage raised; the days that it had sealed by then are materialized.
        SettingsError: the range lies outside the partitions.
    """
    summary = RunSummary()
    with ExitStack() as stack:
        used = instance or stack.enter_context(make_instance(settings.home, settings.database_url))
        range_runner(settings, context, summary, used, chunk_days=chunk_days)(start, end)
    return summary


def range_runner(
    settings: Settings,
    context: FlowContext,
    listener: RunListener,
    instance: dg.DagsterInstance,
    *,
    chunk_days: int | None = None,
) -> Callable[[date, date], None]:
    """Return a function that materializes a range as `materialize_range` does.

    Definitions and job are made once: a walk-forward runs hundreds of short ranges.
    """
    experiment = context.experiment
    flow = GivenFlow(context, settings.home, listener=listener)
    job = build_defs(settings, overrides={HOME: OpenFlows(flow)}).resolve_job_def(pipeline_job_name(experiment.mode))
    length = chunk_days or (chunk_length(context) if settings.chunk_days == CHUNK_DAYS else settings.chunk_days)

    def run_chunk(days: Sequence[date]) -> None:
        tags = {
            EXPERIMENT_TAG: experiment.id,
            "throughline/mode": experiment.mode,
            **range_tags(days[0], days[-1]),
        }
        try:
            job.execute_in_process(instance=instance, tags=tags, run_config=_QUIET, raise_on_error=True)
        except dg.Failure as failure:
            raise flow.error or ThroughlineError(failure.description or "the run failed") from failure

    def run(start: date, end: date) -> None:
        if start < settings.partitions_start:
            raise SettingsError(
                f"{start} lies before the first partition {settings.partitions_start}: set "
                f"{START_VARIABLE}={start} in the environment (and in .env, for the UI), for this home and for good"
            )
        if end < start:
            raise SettingsError(f"the range ends on {end}, before it starts on {start}")
        run_days(days_between(start, end), run_chunk, chunk_days=length)

    return run
