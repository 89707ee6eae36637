"""The entries that the session took, judged and sealed."""

from __future__ import annotations

from throughline.catalogue.stage import StageSpec

STAGE = StageSpec(
    asset="executions",
    group="trading",
    description="Entries whose fill bar opens in the day: order, fill, size, costs, latency.",
    run="throughline.flow.ledger_checks:check_executions",
    upstream=("portfolio_state",),
    written_by="portfolio_state",
    gate="hard",
)
