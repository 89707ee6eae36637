"""The outcome of every candidate, taken or not."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="shadow_outcomes",
    group="trading",
    description="What the same exit rules would have given each candidate at a fixed size, taken or not, once it is "
    "resolved. It starts from the shadows that were open at the end of the day before.",
    run="throughline.flow.shadows:resolve_shadows",
    upstream=("portfolio_state", "market_bars", "trade_candidates"),
    follows_itself=True,
    kinds=("python", "postgres", "numba"),
)
