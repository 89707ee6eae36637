"""Keeps the asset `<mode>/active_experiment` true: its days, trades and return follow whatever was sealed.

Belongs here: asking, and the materialisation. Does not belong here: what the asset shows (`assets.active`) and which
experiment is active (`throughline.experiment.choice`).

A command materialises the asset when it ends. A backfill in the UI does not, nor does a run that was interrupted or
killed, nor a notebook. This sensor compares what the asset shows with the ledger and reports a materialisation where
they differ. It launches no run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.shell import ACTIVE_EXPERIMENT
from throughline.errors import ThroughlineError

if TYPE_CHECKING:
    from sqlalchemy import Engine

INTERVAL_SECONDS = 30
"""The asset may be this much behind."""


def active_experiment_sensor(mode: str, engine: Callable[[], Engine]) -> dg.SensorDefinition:
    """Return the sensor of a mode. engine: opens the home; may read."""
    key = dg.AssetKey([mode, ACTIVE_EXPERIMENT])

    @dg.sensor(
        name=f"active_experiment_{mode}",
        description=f"Updates the asset {mode}/{ACTIVE_EXPERIMENT} when days, trades or the choice have changed.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=INTERVAL_SECONDS,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from assets.active import active_metadata

        try:
            metadata = active_metadata(engine(), mode)
        except ThroughlineError as error:
            return dg.SkipReason(str(error))
        current = dg.AssetMaterialization(key, metadata=metadata)
        if current.metadata == _shown(context.instance, key):
            return dg.SkipReason("the asset shows the active experiment as it is")
        return dg.SensorResult(asset_events=[current])

    return sensor


def _shown(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, Any] | None:
    """Return what the newest materialisation of an asset says, None where it has none."""
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        return None
    return dict(event.asset_materialization.metadata)
