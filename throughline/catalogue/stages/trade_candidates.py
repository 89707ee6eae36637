"""The trade opportunities of a day."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="trade_candidates",
    group="decisions",
    description="Trade opportunities whose decision instant lies in the day: each the head of a UUID chain.",
    run="throughline.flow.candidates:create_candidates",
    upstream=("market_scan", "market_bars"),
    gate="soft",
    blockable=True,
)
