"""The whole flow over a range of days without an orchestrator: for tests, benchmarks and scripts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from throughline.flow.context import DayResult, FlowContext
from throughline.flow.stages import STAGES

Progress = Callable[[str, date, date], None]


def chunks(start: date, end: date, days: int) -> list[list[date]]:
    """Return the days of [start, end] in runs of at most `days`."""
    wanted = [start + timedelta(days=k) for k in range((end - start).days + 1)]
    return [wanted[k : k + days] for k in range(0, len(wanted), days)]


def run_range(
    ctx: FlowContext, start: date, end: date, chunk_days: int = 60, progress: Progress | None = None
) -> list[DayResult]:
    """Run every stage over [start, end], chunk by chunk. Raises what the stages raise."""
    results: list[DayResult] = []
    for chunk in chunks(start, end, chunk_days):
        for asset, stage in STAGES.items():
            results += stage(ctx, chunk)
            if progress:
                progress(asset, chunk[0], chunk[-1])
    return results
