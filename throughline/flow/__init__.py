"""The flow: one function per asset, from bars to shadow outcomes, without any orchestrator.

Belongs here: the order of the stages, what each reads, writes and seals, and what blocks it. Does not belong here: how
a signal is found (strategy), how a fill is priced (trading), how rows are stored (storage), Dagster (assets).
"""

from __future__ import annotations

from throughline.flow.bars import seal_market_bars
from throughline.flow.candidates import create_candidates
from throughline.flow.context import DayResult, FlowContext, Stage, make_context
from throughline.flow.ledger_checks import check_executions, check_outcomes
from throughline.flow.research import write_research
from throughline.flow.run import run_range
from throughline.flow.scan import scan_market
from throughline.flow.session import run_session
from throughline.flow.shadows import resolve_shadows
from throughline.flow.stages import STAGES

__all__ = [
    "STAGES",
    "DayResult",
    "FlowContext",
    "Stage",
    "check_executions",
    "check_outcomes",
    "create_candidates",
    "make_context",
    "resolve_shadows",
    "run_range",
    "run_session",
    "scan_market",
    "seal_market_bars",
    "write_research",
]
