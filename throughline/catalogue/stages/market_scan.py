"""The screen of the whole universe, filter by filter."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="market_scan",
    group="market",
    description="What the screen saw of the whole universe at each decision instant of the day, filter by filter.",
    run="throughline.flow.scan:scan_market",
    upstream=("market_bars",),
    gate="soft",
    blockable=True,
)
