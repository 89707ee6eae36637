"""What was known about each candidate."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="research_snapshots",
    group="decisions",
    description="Everything that was known about each candidate at its decision instant, with source, event time and "
    "availability time of each input, frozen and hashed.",
    run="throughline.flow.research:write_research",
    upstream=("trade_candidates", "market_bars"),
    gate="soft",
    blockable=True,
)
