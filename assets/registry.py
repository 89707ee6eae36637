"""Registry assets: every closed trade as one canonical entry, tied to its soulprint and its buckets, and the seal log.

`canonical_trades` writes all three registries in one transaction per day; `soulprints` and `profit_buckets` judge and
seal their rows; `registry_seals` lies below everything and writes the day's seals to the log and its anchor.
"""

from __future__ import annotations

import dagster as dg

from assets.shell import Graph, stage_asset


def registry_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """Return `canonical_trades`, `soulprints`, `profit_buckets` and `registry_seals` of a mode."""
    return [
        stage_asset(
            graph,
            "canonical_trades",
            "One entry per trade that closed in the day, keyed by the SHA-256 of all of it, with its soulprint and its "
            "profit buckets written in the same transaction.",
            stage="registry",
            kinds={"python", "postgres"},
            deps=["outcomes"],
        ),
        stage_asset(
            graph,
            "soulprints",
            "The vector of what the market looked like when each of the day's trades was decided.",
            stage="registry",
            kinds={"python", "postgres"},
            deps=["canonical_trades"],
        ),
        stage_asset(
            graph,
            "profit_buckets",
            "The cells of similar decisions that each of the day's trades lies in, wins and losses alike.",
            stage="registry",
            kinds={"python", "postgres"},
            deps=["canonical_trades"],
        ),
        stage_asset(
            graph,
            "registry_seals",
            "The seals of the day under one, appended to the signed seal log and copied to the anchor.",
            stage="registry",
            kinds={"python", "postgres"},
            deps=["shadow_outcomes", "soulprints", "profit_buckets"],
        ),
    ]
