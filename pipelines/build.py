"""Composition: one `Definitions` out of what assets/, sensors/ and pipelines/jobs/ hold, with an override seam.

Belongs here: putting together. Does not belong here: any definition, any decision, and any list of definitions, since a
module of these folders is found by being there (`resources.definition_factory`). Tests and commands replace resources
by their key instead of patching anything; assets, schedules and sensors alike use what they are given.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from pipelines.partitions import daily_partitions
from resources.definition_factory import AssetJob, ModeSpec, collect
from resources.home import HOME, home_resource
from resources.notifier import NOTIFIER, notifier_resource
from resources.settings import Settings
from throughline.experiment.mode import all_modes

PACKAGES = ("assets", "sensors", "pipelines.jobs")
"""Packages whose modules hold definitions."""


def build_defs(settings: Settings, *, overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return everything of the code location.

    Args:
        settings: of this machine.
        overrides: resources by key (`home`, `notifier`) that replace the default ones, for example
            `OpenFlows` over a flow that the caller opened.
    """
    with warnings.catch_warnings():
        # Backfill policies are beta and Dagster is pinned exactly; a warning per asset would hide the others.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _build(settings, overrides or {})


def _build(settings: Settings, overrides: Mapping[str, Any]) -> dg.Definitions:
    specs = [
        ModeSpec(mode, daily_partitions(settings.partitions_start, mode.end_offset), settings.chunk_days)
        for mode in all_modes()
    ]
    definitions = list(collect(PACKAGES, specs))
    assets = [item for item in definitions if isinstance(item, dg.AssetsDefinition)]  # checks are a kind of assets
    return dg.Definitions(
        assets=[item for item in assets if not isinstance(item, dg.AssetChecksDefinition)],
        asset_checks=[item for item in assets if isinstance(item, dg.AssetChecksDefinition)],
        jobs=[item for item in definitions if isinstance(item, dg.JobDefinition | AssetJob)],
        schedules=[item for item in definitions if isinstance(item, dg.ScheduleDefinition)],
        sensors=[item for item in definitions if isinstance(item, dg.SensorDefinition)],
        resources={HOME: home_resource(settings), NOTIFIER: notifier_resource(settings), **overrides},
        # Steps are short and share one process's provider and server lease; a process a step costs 20 times as much.
        executor=dg.in_process_executor,
    )
