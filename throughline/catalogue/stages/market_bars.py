"""The bars of a day, cleaned and sealed."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="market_bars",
    group="market",
    description="Bars that open in the day, cleaned and sealed. Implausible rows are quarantined, each with a reason.",
    run="throughline.flow.bars:seal_market_bars",
    gate="soft",
    kinds=("python", "parquet"),
)
