"""Features beside labels."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="trade_features",
    group="learning",
    description="The features of each decision beside its label, on the day that the label was known: what models "
    "learn from. One row per shadow, and one per real trade.",
    run="throughline.flow.trade_features:label_features",
    upstream=("outcomes", "shadow_outcomes"),
    gate="soft",
)
