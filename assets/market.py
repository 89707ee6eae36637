"""Market assets: the bars of a day, and what the screen saw of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.pictures import funnel_svg, image
from assets.shell import Graph, stage_asset

if TYPE_CHECKING:
    from throughline.flow import DayResult, FlowContext


def funnel_picture(ctx: FlowContext, results: Sequence[DayResult]) -> str:
    """Return the funnel summed over a range, as markdown."""
    total: dict[str, dict[str, int | str]] = {}
    for result in results:
        for line in result.details.get("funnel", ()):
            into = total.setdefault(line["filter"], {"filter": line["filter"], "seen": 0, "removed": 0})
            into["seen"] = int(into["seen"]) + int(line["seen"])
            into["removed"] = int(into["removed"]) + int(line["removed"])
    return image(funnel_svg(list(total.values())), "funnel") if total else ""


def market_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """Return `market_bars` and `market_scan` of a mode."""
    return [
        stage_asset(
            graph,
            "market_bars",
            "Bars that open in the day, cleaned and sealed. Rows that are not believed are quarantined with a reason.",
            stage="market",
            kinds={"python", "parquet"},
        ),
        stage_asset(
            graph,
            "market_scan",
            "What the screen saw of the whole universe at each decision instant of the day, filter by filter.",
            stage="market",
            kinds={"python", "postgres"},
            deps=["market_bars"],
            picture=funnel_picture,
        ),
    ]
