"""A range of days through Dagster in this process: what `throughline backtest` and `demo` run.

Belongs here: cutting the range into chunks and handing each to the mode's pipeline job, so that the UI shows the same
partitions, metadata and checks as a backfill launched there. Does not belong here: what a day does
(`throughline.flow`).

`execute_in_process` with range tags ignores `multi_run(N)`, so the range is cut here. One instance, one set of
definitions and one flow context serve all chunks; errors of a stage come out as the `ThroughlineError` that it raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import dagster as dg

from pipelines.build import build_defs
from pipelines.job_factory import range_tags
from pipelines.jobs.daily import pipeline_job_name
from resources.dagster_instance import make_instance
from resources.flow import EXPERIMENT_TAG, GivenFlow
from resources.home import HOME, OpenFlows
from resources.settings import START_VARIABLE, Settings
from throughline.errors import SettingsError, ThroughlineError
from throughline.flow import STAGES, DayResult, FlowContext
from throughline.flow.run import chunks
from throughline.storage.home import Home

Progress = Callable[[str, date, date], None]
"""Called after each stage of each chunk with the asset and the chunk's first and last day."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class RangeResult:
    """What a range came to. days: one result per asset and day, without details; seconds: asset -> seconds."""

    days: list[DayResult] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def blocked(self) -> list[DayResult]:
        """Results of blocked days, and of days that failed their own gate."""
        return [
            day for day in self.days if day.status == "blocked" or (day.verdict is not None and not day.verdict.passed)
        ]


class _WatchedFlow(GivenFlow):
    """A given flow that reports each stage and keeps results without their details: memory stays flat."""

    def __init__(self, context: FlowContext, home: Home, result: RangeResult, progress: Progress | None) -> None:
        super().__init__(context, home)
        self._result = result
        self._progress = progress
        self.error: ThroughlineError | None = None

    def run_stage(self, asset: str, context: FlowContext, days: Any) -> list[DayResult]:
        try:
            results = super().run_stage(asset, context, days)
        except ThroughlineError as error:
            self.error = error
            raise
        self.results.clear()
        self._result.days += [replace(item, details={}) for item in results]
        self._result.seconds[asset] = self._result.seconds.get(asset, 0.0) + sum(item.seconds for item in results)
        if self._progress:
            self._progress(asset, days[0], days[-1])
        return results


def materialize_range(
    settings: Settings,
    context: FlowContext,
    start: date,
    end: date,
    *,
    chunk_days: int | None = None,
    progress: Progress | None = None,
    instance: dg.DagsterInstance | None = None,
) -> RangeResult:
    """Materialize every daily asset of the context's mode over [start, end], chunk by chunk, in order.

    Args:
        settings: where the home is; `chunk_days` of them is the default length of a chunk.
        context: the flow context of the experiment; its mode says which assets.
        start: first day.
        end: last day, included.
        chunk_days: days per run.
        progress: called after each stage of each chunk.
        instance: a Dagster instance to use instead of the home's own.

    Returns:
        The results of all days. A day that was sealed before is a no-op and is returned as sealed.

    Raises:
        ThroughlineError: what a stage raised; the days that it had sealed by then are materialized.
        SettingsError: the range lies outside the partitions.
    """
    with open_range(settings, context, chunk_days=chunk_days, progress=progress, instance=instance) as (run, result):
        run(start, end)
    return result


@contextmanager
def open_range(
    settings: Settings,
    context: FlowContext,
    *,
    chunk_days: int | None = None,
    progress: Progress | None = None,
    instance: dg.DagsterInstance | None = None,
) -> Iterator[tuple[Callable[[date, date], None], RangeResult]]:
    """Yield a function that materializes a range as `materialize_range` does, and the result that it adds to.

    Definitions, job and instance are made once: a walk-forward runs hundreds of short ranges.
    """
    mode = context.experiment.mode
    result = RangeResult(seconds=dict.fromkeys(STAGES, 0.0))
    flow = _WatchedFlow(context, settings.home, result, progress)
    job = build_defs(settings, overrides={HOME: OpenFlows(flow)}).resolve_job_def(pipeline_job_name(mode))
    with ExitStack() as stack:
        used = instance or stack.enter_context(make_instance(settings.home, settings.database_url))

        def run(start: date, end: date) -> None:
            if start < settings.partitions_start:
                raise SettingsError(
                    f"{start} lies before the first partition {settings.partitions_start}: set "
                    f"{START_VARIABLE}={start} in the environment (and in .env, for the UI), for this home and for good"
                )
            if end < start:
                raise SettingsError(f"the range ends on {end}, before it starts on {start}")
            _run_chunks(job, used, flow, chunks(start, end, chunk_days or settings.chunk_days))

        yield run, result


def _run_chunks(
    job: dg.JobDefinition, instance: dg.DagsterInstance, flow: _WatchedFlow, parts: list[list[date]]
) -> None:
    experiment = flow.context({}, "").experiment.id
    for days in parts:
        tags: Mapping[str, str] = {
            EXPERIMENT_TAG: experiment,
            "throughline/mode": flow.context({}, "").experiment.mode,
            **range_tags(days[0], days[-1]),
        }
        try:
            job.execute_in_process(instance=instance, tags=dict(tags), run_config=_QUIET, raise_on_error=True)
        except dg.Failure as failure:
            raise flow.error or ThroughlineError(failure.description or "the run failed") from failure
