"""The trading session of a day."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="portfolio_state",
    group="trading",
    description="The trading session of the day: positions, timers and cash at its end, on three fill paths. It starts "
    "from the state of the day before and refuses to run without it.",
    run="throughline.flow.session:run_session",
    upstream=("market_bars", "trade_candidates", "research_snapshots"),
    follows_itself=True,
    kinds=("python", "postgres", "numba"),
)
