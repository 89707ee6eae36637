"""The flow: one stage per asset, from bars to shadow outcomes, without any orchestrator.

Belongs here: the order of the stages, what each reads, writes and seals, and what blocks it. Does not belong here: how
a signal is found (strategy), how a fill is priced (trading), how rows are stored (storage), Dagster (assets).
"""

from throughline.flow.context import DayResult, FlowContext, Stage, make_context
from throughline.flow.run import RunListener, RunSummary, run_days, run_range, run_stage, stage_runner
from throughline.flow.stages import STAGES

__all__ = [
    "STAGES",
    "DayResult",
    "FlowContext",
    "RunListener",
    "RunSummary",
    "Stage",
    "make_context",
    "run_days",
    "run_range",
    "run_stage",
    "stage_runner",
]
