"""The partitioned assets: one for each stage of the catalogue, with its description, its edges and its gate.

An asset that stands on its own day before, as the trading session does, is no output of a multi_asset: as outputs of
one, sessions, executions and outcomes ran before their inputs in daemon backfills, depending on the hash seed.
"""

from __future__ import annotations

import dagster as dg

from assets.previews import PREVIEWS
from assets.shell import Graph, stage_asset
from throughline.catalogue import catalogue


def stage_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """Return the assets of all stages of a mode, in the order of the day."""
    return [stage_asset(graph, spec, picture=PREVIEWS.get(spec.asset)) for spec in catalogue().stages.values()]
