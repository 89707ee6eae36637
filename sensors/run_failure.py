"""Tells someone that a run failed: one line in the log, and a message to the configured webhook.

Belongs here: what the message says. Does not belong here: how it is delivered (`notifier`). A run that only blocked
days did not fail; its check is red, and `gate_failed` tells of that.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from resources.flow import EXPERIMENT_TAG
from sensors.notifier import TEXT_LIMIT, Notifier


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
    """Return why a run failed, in one sentence where a step said one."""
    for step in steps:
        data = step.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return str(data.user_failure_data.description)
        if data.error is not None:
            return str((data.error.cause or data.error).message).strip()
    return event.message or "the run ended without a word"


def run_failure_notifier(url: str | None, *, allow_private: bool = False) -> dg.SensorDefinition:
    """Return the sensor that watches all runs of the code location.

    url: where to post, None to log only. allow_private: whether that may be a private address (`resources.webhook`).
    """
    notifier = Notifier(url, allow_private)

    @dg.run_failure_sensor(
        name="on_run_failure",
        description="Logs each failed run and posts it to THROUGHLINE_WEBHOOK_URL, if that is set.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
    )
    def notify(context: dg.RunFailureSensorContext) -> None:
        message = failure_message(
            context.dagster_run, failure_reason(context.failure_event, list(context.get_step_failure_events()))
        )
        notifier.tell(context.log, message, f"the failure of run {context.dagster_run.run_id}")

    return notify
