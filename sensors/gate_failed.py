"""Reports each failed asset check: of a gated asset, the registries, a training set, a challenger, a canary, or drift.

Belongs here: which checks, and what the message says. Does not belong here: how it is delivered (`resources.notifier`).
A failed gate is data and its run is green, so the status of a run does not show it. The sensor reads the log of check
evaluations from where the last tick stopped, and reports each failed evaluation once. A sensor that has never run
begins at the end of the log: earlier failures are in the UI.
"""

# No `from __future__ import annotations` here: Dagster reads the types of `context` and `notifier` at run time.

from collections.abc import Sequence
from typing import Any

import dagster as dg

from resources.definition_factory import ModeSpec, for_location
from resources.notifier import TEXT_LIMIT, NotifierResource

READ_AT_ONCE = 500
"""At most so many evaluations are read in a tick: a backfill of years writes thousands."""
REPORTED_AT_ONCE = 8
"""At most so many messages are posted in a tick. Each may wait for the webhook, and Dagster ends a tick after 60 s."""


def failed_gate_message(run_id: str, evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    """Return the message about a failed check: text for people, and the same as fields."""
    asset = evaluation.asset_key.to_user_string()
    reason = evaluation.description or "the check gives no reason"
    experiment = evaluation.metadata.get("experiment")
    return {
        "text": f"Throughline: gate {evaluation.check_name} of {asset} failed: {reason}"[:TEXT_LIMIT],
        "asset": asset,
        "check": evaluation.check_name,
        "severity": evaluation.severity.value,
        "run_id": run_id,
        "experiment": None if experiment is None else str(experiment.value),
        "reason": reason[:TEXT_LIMIT],
    }


@for_location
def gate_failed_sensors(specs: Sequence[ModeSpec]) -> list[dg.SensorDefinition]:
    """Return the sensor that watches every check of the modes' assets."""
    modes = {spec.name for spec in specs}

    @dg.sensor(
        name="gate_failed",
        description="Logs each failed check of an asset, and posts it to THROUGHLINE_WEBHOOK_URL, if that is set.",
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
    )
    def gate_failed(context: dg.SensorEvaluationContext, notifier: NotifierResource) -> dg.SkipReason:
        if context.cursor is None:
            newest = _evaluations(context.instance, None, 1)
            context.update_cursor(str(newest[0].storage_id if newest else 0))
            return dg.SkipReason("watching from now on: earlier failures are in the UI")
        reported = 0
        for record in _evaluations(context.instance, int(context.cursor), READ_AT_ONCE):
            evaluation = _evaluation(record)
            if not evaluation.passed and evaluation.asset_key.path[0] in modes:
                if reported == REPORTED_AT_ONCE:
                    break  # the next tick goes on here
                message = failed_gate_message(record.run_id, evaluation)
                notifier.notify(context.log, message, f"the gate of {message['asset']} in run {record.run_id}")
                reported += 1
            context.update_cursor(str(record.storage_id))
        return dg.SkipReason(
            f"reported {reported} failed gate(s)" if reported else "no gate failed since the last tick"
        )

    return [gate_failed]


def _evaluations(instance: dg.DagsterInstance, after: int | None, limit: int) -> Sequence[dg.EventLogRecord]:
    """Return evaluations of checks: the oldest ones after a storage id, or the newest where that is None."""
    checks = dg.EventRecordsFilter(event_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION, after_cursor=after)
    return instance.event_log_storage.get_event_records(checks, limit=limit, ascending=after is not None)


def _evaluation(record: dg.EventLogRecord) -> dg.AssetCheckEvaluation:
    event = record.event_log_entry.dagster_event
    assert event is not None
    assert isinstance(event.event_specific_data, dg.AssetCheckEvaluation)
    return event.event_specific_data
