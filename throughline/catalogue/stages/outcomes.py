"""The trades that the session closed, judged and sealed."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="outcomes",
    group="trading",
    description="Trades whose exit bar opens in the day: exit, return, time in market, why it ended.",
    run="throughline.flow.ledger_checks:check_outcomes",
    upstream=("portfolio_state", "executions"),
    written_by="portfolio_state",
    gate="hard",
)
