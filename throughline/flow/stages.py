"""The stages in the order of the flow, by the name of their asset."""

from __future__ import annotations

from collections.abc import Mapping

from throughline.flow.bars import seal_market_bars
from throughline.flow.candidates import create_candidates
from throughline.flow.context import Stage
from throughline.flow.ledger_checks import check_executions, check_outcomes
from throughline.flow.research import write_research
from throughline.flow.scan import scan_market
from throughline.flow.session import run_session
from throughline.flow.shadows import resolve_shadows

STAGES: Mapping[str, Stage] = {
    "market_bars": seal_market_bars,
    "market_scan": scan_market,
    "trade_candidates": create_candidates,
    "research_snapshots": write_research,
    "portfolio_state": run_session,
    "executions": check_executions,
    "outcomes": check_outcomes,
    "shadow_outcomes": resolve_shadows,
}
