"""Tells someone that a gate failed: a red check of a gated asset, of a training set, of a challenger, of a canary.

Belongs here: which checks, and what the message says. Does not belong here: how it is delivered (`notifier`). A failed
gate is data and its run is green, so run status says nothing of it: the log of check evaluations is read from where the
last tick stopped, and each failed evaluation is told once. A sensor that has never run begins at the log's end: what
was red before is in the UI.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import dagster as dg

from sensors.notifier import TEXT_LIMIT, Notifier

READ_AT_ONCE = 500
"""At most so many evaluations are read in a tick: a backfill of years writes thousands."""
TOLD_AT_ONCE = 8
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


def gate_failure_notifier(
    assets: Collection[dg.AssetKey], url: str | None, *, allow_private: bool = False
) -> dg.SensorDefinition:
    """Return the sensor that watches every check of `assets`.

    url: where to post, None to log only. allow_private: whether that may be a private address (`resources.webhook`).
    """
    watched = frozenset(assets)
    notifier = Notifier(url, allow_private)

    @dg.sensor(
        name="gate_failed",
        description="Logs each failed check of a gated asset, a training set, a challenger or a canary, and posts it "
        "to THROUGHLINE_WEBHOOK_URL, if that is set.",
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=30,
    )
    def gate_failed(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if context.cursor is None:
            newest = _evaluations(context.instance, None, 1)
            context.update_cursor(str(newest[0].storage_id if newest else 0))
            return dg.SkipReason("watching from now on: what failed before is in the UI")
        told = 0
        for record in _evaluations(context.instance, int(context.cursor), READ_AT_ONCE):
            evaluation = _evaluation(record)
            if not evaluation.passed and evaluation.asset_key in watched:
                if told == TOLD_AT_ONCE:
                    break  # the next tick goes on here
                message = failed_gate_message(record.run_id, evaluation)
                notifier.tell(context.log, message, f"the gate of {message['asset']} in run {record.run_id}")
                told += 1
            context.update_cursor(str(record.storage_id))
        return dg.SkipReason(f"told of {told} failed gate(s)" if told else "no gate failed since the last tick")

    return gate_failed


def _evaluations(instance: dg.DagsterInstance, after: int | None, limit: int) -> Sequence[dg.EventLogRecord]:
    """Return evaluations of checks: the oldest ones after a storage id, or the newest where that is None."""
    wanted = dg.EventRecordsFilter(event_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION, after_cursor=after)
    return instance.event_log_storage.get_event_records(wanted, limit=limit, ascending=after is not None)


def _evaluation(record: dg.EventLogRecord) -> dg.AssetCheckEvaluation:
    event = record.event_log_entry.dagster_event
    assert event is not None
    assert isinstance(event.event_specific_data, dg.AssetCheckEvaluation)
    return event.event_specific_data
