"""Decision assets: the candidates of a day, and everything that was known about each when it was decided."""

from __future__ import annotations

import dagster as dg

from assets.shell import Graph, stage_asset


def decision_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """Return `trade_candidates` and `research_snapshots` of a mode."""
    return [
        stage_asset(
            graph,
            "trade_candidates",
            "Trade opportunities whose decision instant lies in the day: each the head of a UUID chain.",
            stage="decisions",
            kinds={"python", "postgres"},
            deps=["market_scan"],
        ),
        stage_asset(
            graph,
            "research_snapshots",
            "Everything that was known about each candidate at its decision instant, with source, event time and "
            "availability time of each input, frozen and hashed.",
            stage="decisions",
            kinds={"python", "postgres"},
            deps=["trade_candidates"],
        ),
    ]
