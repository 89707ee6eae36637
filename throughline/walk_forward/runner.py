"""`walk_forward`: the days of a range in order, each decided by the models of its time, each closed before the next.

Belongs here: the order in which days are run, closed and learned from. Does not belong here: what a day does (flow),
what the close of a day does (learning.cycle), Dagster (pipelines).

A model is trained at the midnight of its day on nothing that was open then, and serves from that midnight on. Days are
run in long chunks while no model is on trial or watched, and one by one while the canary is evaluated every day. A
chunk ends where the rule is evaluated, on Mondays. An interrupted run goes on where the seals stop: the last sealed day
is closed again first, which does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from throughline.catalogue import LOG
from throughline.flow.context import FlowContext, shadow_reach_days
from throughline.learning.cash import look_due
from throughline.learning.cycle import Close, close_day, current_state, retrain_days
from throughline.learning.observations import midnight_after
from throughline.learning.types import Progress, no_progress
from throughline.storage.queries import sealed_days

DAY = timedelta(days=1)
CHUNK_DAYS = 30
"""Longest stretch that is run at once while nobody is on trial."""

Run = Callable[[date, date], None]
"""Runs every stage over [first, last]."""
Check = Callable[[], None]
"""Checks the registries and records the report; training asks for a recent one."""
OnClose = Callable[[Close], None]
"""Hears of the close of each day on which a model or the rule was evaluated, or a model was trained."""


@dataclass(frozen=True)
class WalkForward:
    """The result of a walk-forward.

    Args:
        closes: those with an evaluation of a model, a training or a change of the rule, in order.
        ran: number of days that were run.
    """

    closes: tuple[Close, ...]
    ran: int


def walk_forward(
    ctx: FlowContext,
    start: date,
    end: date,
    run: Run,
    check: Check,
    on_close: OnClose | None = None,
    progress: Progress = no_progress,
) -> WalkForward:
    """Run [start, end] with models of their time.

    Args:
        ctx: the run.
        start: the experiment's epoch.
        end: last day, included.
        run: runs every stage over a range.
        check: checks the registries before each training.
        on_close: hears of each close that changed or evaluated something.
        progress: hears of the steps of a training.

    Raises:
        ThroughlineError: what the stages, the training and the evaluation raise; what was sealed and decided by then
            stays.
    """
    cadence = ctx.experiment.configuration.learning.retrain
    boundaries = set(training_days(start, end, cadence, start))
    stops = boundaries | (_rule_days(start + DAY, end + DAY) if ctx.experiment.configuration.closes_rule else set())
    with ctx.engine.connect() as conn:
        sealed = set(sealed_days(conn, ctx.experiment.id, LOG))
    day = start
    while day in sealed and day <= end:
        day += DAY
    closes: list[Close] = []
    if day > start:
        _close(ctx, day - DAY, boundaries, check, closes, on_close, progress)
    ran = 0
    while day <= end:
        last = _stretch(ctx, day, end, stops)
        run(day, last)
        ran += (last - day).days + 1
        _close(ctx, last, boundaries, check, closes, on_close, progress)
        day = last + DAY
    return WalkForward(tuple(closes), ran)


def training_days(start: date, end: date, cadence: str, following: date) -> Sequence[date]:
    """Return the days on whose first midnight a walk of [start, end] trains, from `following` on.

    Args:
        start: the epoch, on whose own midnight nothing is known.
        end: the last day, whose last midnight counts.
        cadence: as in `retrain_days`.
        following: the day after the last sealed one, `start` where none is: its first midnight counts, since a run
            that goes on closes the last sealed day again.
    """
    return retrain_days(max(start + DAY, following), end + DAY, cadence)


def _rule_days(first: date, last: date) -> set[date]:
    """Return the days of [first, last] at whose first midnight the rule is evaluated."""
    days = [first + k * DAY for k in range((last - first).days + 1)]
    return {day for day in days if look_due(midnight_after(day - DAY))}


def _stretch(ctx: FlowContext, day: date, end: date, stops: set[date]) -> date:
    """Return the last day of what is run next: one day while somebody is on trial or watched.

    stops: days at whose first midnight a model is trained or the rule is evaluated.
    """
    state = current_state(ctx.engine, ctx.experiment.id, midnight_after(day - DAY))
    if state.canary is not None or state.fallback is not None:
        return day
    last = day
    while last < end and last + DAY not in stops and (last - day).days + 1 < CHUNK_DAYS:
        last += DAY
    return last


def _close(
    ctx: FlowContext,
    day: date,
    boundaries: set[date],
    check: Check,
    closes: list[Close],
    on_close: OnClose | None,
    progress: Progress,
) -> None:
    train = day + DAY in boundaries
    if train:
        check()
    close = close_day(
        ctx.engine,
        ctx.artifacts,
        ctx.experiment,
        ctx.gates,
        midnight_after(day),
        ctx.clock.now(),
        train=train,
        reach_days=shadow_reach_days(ctx.experiment.configuration.exits),
        progress=progress,
    )
    if train:
        progress("done", 1.0)
    changed = close.rule is not None and close.rule.verdict != "keep"
    if close.judgement is not None or close.challenger is not None or changed:
        closes.append(close)
        if on_close is not None:
            on_close(close)
