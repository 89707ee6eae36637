"""Keeps the asset `<mode>/active_experiment` true: its days, trades and return follow whatever was sealed.

Belongs here: comparing, and the materialisation. Does not belong here: what the asset shows (`assets.active`) and which
experiment is active (`throughline.experiment.choice`).

A command materialises the asset when it ends. A backfill in the UI does not, nor does a run that was interrupted or
killed, nor a notebook. This sensor compares what the asset shows with the ledger and reports a materialisation where
they differ. It launches no run.
"""

# No `from __future__ import annotations` here: Dagster reads the types of `context` and `home` at run time.

from typing import Any

import dagster as dg

from assets.asset_factory import ACTIVE_EXPERIMENT
from resources.definition_factory import ModeSpec, for_each_mode
from resources.home import Flows
from throughline.errors import ThroughlineError

INTERVAL_SECONDS = 30
"""The asset may be this much behind."""


@for_each_mode
def active_experiment_sensors(spec: ModeSpec) -> list[dg.SensorDefinition]:
    """Return the sensor of a mode."""
    key = spec.key(ACTIVE_EXPERIMENT)

    @dg.sensor(
        name=f"active_experiment_{spec.name}",
        description=f"Updates the asset {key.to_user_string()} when days, trades or the choice have changed.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=INTERVAL_SECONDS,
    )
    def sensor(context: dg.SensorEvaluationContext, home: dg.ResourceParam[Flows]) -> dg.SensorResult | dg.SkipReason:
        from assets.active import active_metadata

        try:
            metadata = active_metadata(home.flow(spec.name).engine(), spec.name)
        except ThroughlineError as error:
            return dg.SkipReason(str(error))
        current = dg.AssetMaterialization(key, metadata=metadata)
        if current.metadata == _shown(context.instance, key):
            return dg.SkipReason("the asset shows the active experiment as it is")
        return dg.SensorResult(asset_events=[current])

    return [sensor]


def _shown(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, Any] | None:
    """Return the metadata of the newest materialisation of an asset, None where it has none."""
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        return None
    return dict(event.asset_materialization.metadata)
