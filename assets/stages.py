"""The partitioned assets: one for each stage of the catalogue, with its description, its edges and its gate.

An asset that stands on its own day before, as the trading session does, is no output of a multi_asset: as outputs of
one, sessions, executions and outcomes ran before their inputs in daemon backfills, depending on the hash seed.
"""

from __future__ import annotations

import dagster as dg

from assets.asset_factory import stage_asset
from assets.previews import PREVIEWS
from resources.definition_factory import ModeSpec, for_each_mode
from throughline.catalogue import catalogue


@for_each_mode
def stage_assets(spec: ModeSpec) -> list[dg.AssetsDefinition]:
    """Return the assets of all stages of a mode, in the order of the day."""
    return [stage_asset(spec, stage, picture=PREVIEWS.get(stage.asset)) for stage in catalogue().stages.values()]
