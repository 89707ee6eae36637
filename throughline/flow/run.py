"""Running days: one stage, or every stage over a range, with or without an orchestrator.

Belongs here: the one loop over days that commands, Dagster, walks, notebooks and tests share, and the rules that hold
for a stage wherever it runs. Does not belong here: what a stage does, and how Dagster shows it (assets).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Protocol

from throughline.errors import SettingsError, ThroughlineError
from throughline.flow.context import DayResult, FlowContext, shadow_reach_days
from throughline.flow.market_view import DAY
from throughline.flow.stages import STAGES
from throughline.storage.queries import read_seals

CHUNK_DAYS = 60
"""Days that are run at once where nobody says otherwise: memory is bounded by the chunk."""
CHUNK_CELLS = 600_000
"""Bars of all instruments that a longer chunk may hold with the days that it looks back: a grid of 5 MB."""
LONGEST_CHUNK_DAYS = 250
_READ_DAYS_BEFORE = ("market_scan", "trade_candidates", "research_snapshots")
"""Stages that read bars of days before their own."""


class RunListener(Protocol):
    """Hears how the stages of a run end.

    Example:
        >>> class Progress:
        ...     def finished(self, asset, results):
        ...         print(asset, results[-1].day)
        ...
        ...     def failed(self, asset, days, error):
        ...         print(asset, error)
        >>> run_days(days, stage_runner(context, Progress()))
    """

    def finished(self, asset: str, results: Sequence[DayResult]) -> None:
        """A stage has sealed its days."""

    def failed(self, asset: str, days: Sequence[date], error: ThroughlineError) -> None:
        """A stage raised; days before the one at fault may be sealed."""


@dataclass
class RunSummary:
    """A `RunListener` that keeps the results of a run without their details: memory stays flat.

    Args:
        days: one result per asset and day.
        seconds: asset -> seconds.
        error: what a stage raised.
    """

    days: list[DayResult] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    error: ThroughlineError | None = None

    @property
    def blocked(self) -> list[DayResult]:
        """Results of blocked days, and of days that failed their own gate."""
        return [
            day for day in self.days if day.status == "blocked" or (day.verdict is not None and not day.verdict.passed)
        ]

    def finished(self, asset: str, results: Sequence[DayResult]) -> None:
        """Keep the results and add their seconds."""
        self.days += [replace(item, details={}) for item in results]
        self.seconds[asset] = self.seconds.get(asset, 0.0) + sum(item.seconds for item in results)

    def failed(self, asset: str, days: Sequence[date], error: ThroughlineError) -> None:
        """Keep the error."""
        self.error = error


def chunk_length(ctx: FlowContext) -> int:
    """Return how many days to run at once: more than `CHUNK_DAYS` where the market is small.

    Each chunk loads the days that it looks back again and validates each of its frames once, so longer chunks are
    faster.
    """
    source = ctx.provider.description
    cells_a_day = max(1, source.instruments) * (86_400_000 // source.interval_ms)
    if source.instruments == 0:
        return CHUNK_DAYS
    before = ctx.view.reach + shadow_reach_days(ctx.experiment.configuration.exits)
    return max(CHUNK_DAYS, min(LONGEST_CHUNK_DAYS, CHUNK_CELLS // cells_a_day - before))


RunStage = Callable[[str, FlowContext, Sequence[date]], list[DayResult]]
"""Runs the stage behind an asset for an unbroken range of days, as `run_stage`."""
RunChunk = Callable[[Sequence[date]], None]
"""Runs every stage over the days of a chunk."""


def day_chunks(days: Sequence[date], length: int) -> list[Sequence[date]]:
    """Return days in order, cut into runs of at most `length`."""
    return [days[k : k + length] for k in range(0, len(days), length)]


def days_between(start: date, end: date) -> list[date]:
    """Return the days of [start, end], both included."""
    return [start + timedelta(days=k) for k in range((end - start).days + 1)]


def run_days(days: Sequence[date], run_chunk: RunChunk, *, chunk_days: int = CHUNK_DAYS) -> None:
    """Run days in order, chunk by chunk.

    Args:
        days: an unbroken range, in order.
        run_chunk: runs every stage over a chunk: that of `stage_runner`, or a run of Dagster's job.
        chunk_days: days that are run at once.

    Raises:
        ThroughlineError: what a stage raised; what was sealed by then stays.
    """
    for chunk in day_chunks(days, chunk_days):
        run_chunk(chunk)


def run_range(ctx: FlowContext, start: date, end: date, chunk_days: int = CHUNK_DAYS) -> list[DayResult]:
    """Run every stage over [start, end] in this process; return all results, with their details.

    Raises:
        ThroughlineError: what a stage raised; what was sealed by then stays.
    """
    results = _Results()
    run_days(days_between(start, end), stage_runner(ctx, results), chunk_days=chunk_days)
    return results.days


def stage_runner(ctx: FlowContext, listener: RunListener | None = None, run_one: RunStage | None = None) -> RunChunk:
    """Return a function that runs every stage over a chunk in this process, in the order of the flow.

    Args:
        ctx: the run.
        listener: hears how each stage ends.
        run_one: runs one stage; None is `run_stage`.
    """

    def run_chunk(days: Sequence[date]) -> None:
        for asset in STAGES:
            listen_to_stage(asset, ctx, days, listener, run_one or run_stage)

    return run_chunk


def listen_to_stage(
    asset: str, ctx: FlowContext, days: Sequence[date], listener: RunListener | None, run_one: RunStage
) -> list[DayResult]:
    """Run a stage and tell the listener how it ended. Raises what the stage raises."""
    try:
        results = run_one(asset, ctx, days)
    except ThroughlineError as error:
        if listener is not None:
            listener.failed(asset, days, error)
        raise
    if listener is not None:
        listener.finished(asset, results)
    return results


class _Results:
    """Keeps all results, with their details."""

    def __init__(self) -> None:
        self.days: list[DayResult] = []

    def finished(self, asset: str, results: Sequence[DayResult]) -> None:
        self.days += results

    def failed(self, asset: str, days: Sequence[date], error: ThroughlineError) -> None:
        """Do nothing: the error is raised."""


def run_stage(asset: str, ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Run the stage behind `asset` for `days`; the seconds of its results add up to what the call took.

    Scan and research read bars of days before their own, which Dagster does not know of (edges are same-day): chunks of
    a backfill run side by side, and the neighbour that seals those days may not have reached them yet. They are sealed
    here then; whoever comes second finds the same bars and writes nothing.

    Raises:
        SettingsError: a day lies after the last complete day of the data: sealed as empty or as half a day now, it
            would be a revision once the rest comes.
        ThroughlineError: what the stage raises.
    """
    started = time.perf_counter()
    source = ctx.provider.description
    late = [day for day in days if day > source.last_day]
    if late:
        after = f"; {source.after_last_day}" if source.after_last_day else ""
        raise SettingsError(
            f"{late[0]} lies after the last complete day of {source.name} ({source.last_day}{after}): "
            "choose partitions up to that day"
        )
    if asset in _READ_DAYS_BEFORE:
        unsealed = unsealed_days_before(ctx, days)
        if unsealed:
            STAGES["market_bars"](ctx, unsealed)
    results = STAGES[asset](ctx, days)
    rest = time.perf_counter() - started - sum(item.seconds for item in results)
    return [replace(item, seconds=item.seconds + rest / len(results)) for item in results]


def unsealed_days_before(ctx: FlowContext, days: Sequence[date]) -> list[date]:
    """Return, as one unbroken range, the days within reach from the epoch on whose bars are not sealed."""
    first = max(ctx.experiment.epoch, min(days) - DAY * ctx.view.reach)
    before = days_between(first, min(days) - DAY)
    if not before:
        return []
    with ctx.engine.connect() as conn:
        sealed = read_seals(conn, ctx.experiment.id, "market_bars", before[0], before[-1])
    unsealed = [day for day in before if day not in sealed]
    return days_between(unsealed[0], unsealed[-1]) if unsealed else []
