"""Reports each failed run: one line in the log, and a message to the configured webhook.

Belongs here: what the message says. Does not belong here: how it is delivered (`resources.notifier`). A run that only
blocked days did not fail; its check is red, and `gate_failed` reports that.
"""

# No `from __future__ import annotations` here: Dagster reads the types of `context` and `notifier` at run time.

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.definition_factory import ModeSpec, for_location
from resources.flow import EXPERIMENT_TAG
from resources.notifier import TEXT_LIMIT, NotifierResource


def failure_message(run: dg.DagsterRun, reason: str) -> dict[str, Any]:
    """Return the message about a failed run: text for people, and the same as fields."""
    first, last = run.tags.get("dagster/asset_partition_range_start"), run.tags.get("dagster/asset_partition_range_end")
    single = run.tags.get("dagster/partition")
    days = f"{first} to {last}" if first else single
    about = f" for {days}" if days else ""
    return {
        "text": f"Throughline: {run.job_name}{about} failed: {reason}"[:TEXT_LIMIT],
        "job": run.job_name,
        "run_id": run.run_id,
        "partitions": days,
        "experiment": run.tags.get(EXPERIMENT_TAG),
        "reason": reason[:TEXT_LIMIT],
    }


def failure_reason(event: dg.DagsterEvent, steps: list[dg.DagsterEvent]) -> str:
    """Return why a run failed, in one sentence where a step gives one."""
    for step in steps:
        data = step.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return str(data.user_failure_data.description)
        if data.error is not None:
            return str((data.error.cause or data.error).message).strip()
    return event.message or "the run gives no reason"


@for_location
def run_failure_sensors(specs: Sequence[ModeSpec]) -> list[dg.SensorDefinition]:
    """Return the sensor that watches all runs of the code location."""

    @dg.run_failure_sensor(
        name="on_run_failure",
        description="Logs each failed run and posts it to THROUGHLINE_WEBHOOK_URL, if that is set.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
    )
    def on_run_failure(context: dg.RunFailureSensorContext, notifier: NotifierResource) -> None:
        run, steps = context.dagster_run, list(context.get_step_failure_events())
        message = failure_message(run, failure_reason(context.failure_event, steps))
        notifier.notify(context.log, message, f"the failure of run {run.run_id}")

    return [on_run_failure]
