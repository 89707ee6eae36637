"""`throughline backtest` and `throughline demo`: run a range of days, verify it, report it.

Belongs here: the steps from the command line to the summary. Does not belong here: the stages (flow), the figures
(analytics), Dagster (wiring).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from throughline.cli.answer import answer
from throughline.cli.days import DOSSIERS, Day, produces
from throughline.cli.interrupt import days_stay, first_unsealed, nothing_stays
from throughline.cli.market_data import MarketCommand, MarketData
from throughline.cli.options import REDIS_VARIABLE, Options, common
from throughline.cli.screen import Bar, note
from throughline.cli.wiring import Shown
from throughline.errors import SettingsError
from throughline.experiment.modes.demo import DAYS, LAST_DAY

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from throughline.analytics.published import PublishedReport
    from throughline.configuration import Configuration
    from throughline.experiment.identity import Experiment
    from throughline.experiment.registry import Revision
    from throughline.flow.context import FlowContext
    from throughline.market.panel import MarketDataProvider
    from throughline.storage.database import Database

SEED = 7


@click.command(cls=MarketCommand, short_help="Run the strategy on real data and report it.")
@click.option("--start", required=True, type=Day(), help="First day: the epoch, before which the portfolio is flat.")
@click.option("--end", required=True, type=Day(), help="Last day, included. A later one continues the same experiment.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML configuration of strategy, exits, costs, gates.")
@click.option(
    "--seed", default=SEED, show_default=True, type=click.IntRange(0, 2**53 - 1), help="Seed of random baselines."
)
@click.option("--allow-blocked", is_flag=True, help="Exit with 0 even if a data gate blocks days.")
@produces
@common
def backtest(
    options: Options,
    market: MarketData,
    start: date,
    end: date,
    config: Path | None,
    seed: int,
    allow_blocked: bool,
    use: bool,
    dossiers: int,
) -> int:
    """Run the strategy on an archive of real data, day by day, and report its trades, returns and baselines."""
    from throughline.configuration import load_configuration

    configuration = load_configuration(config)
    provider = open_market(options, market)
    require_inside(provider, start, end)
    task = Task(market.mode.name, provider, configuration, market.inputs, start, end, seed, use=use, dossiers=dossiers)
    return perform(options, task, allow_blocked)


@click.command(cls=MarketCommand, short_help="Run the whole chain on an invented market.")
@click.option(
    "--seed", default=SEED, show_default=True, type=click.IntRange(0, 2**53 - 1), help="Seed of the invented market."
)
@click.option(
    "--days",
    default=DAYS,
    show_default=True,
    type=click.IntRange(1, 1500),
    help=f"Number of days, ending on {LAST_DAY}.",
)
@click.option("--allow-blocked", is_flag=True, help="Exit with 0 even if a data gate blocks days.")
@produces
@common
def demo(
    options: Options, market: MarketData, seed: int, days: int, allow_blocked: bool, use: bool, dossiers: int
) -> int:
    """Run the whole chain on an invented market: nothing to download, nothing to configure."""
    from throughline.configuration import Configuration

    start = LAST_DAY - timedelta(days=days - 1)
    mode, inputs = market.mode.name, market.inputs
    task = Task(mode, market.open(), Configuration(), inputs, start, LAST_DAY, seed, use=use, dossiers=dossiers)
    return perform(options, task, allow_blocked)


@dataclass(frozen=True)
class Task:
    """What is to be run: a mode, its market data and settings, and the days from the epoch to the last.

    walk: day by day with the models of each time (`throughline walk-forward`), instead of the days alone. use: make the
    experiment the active one of its mode. dossiers: how many of the best and of the worst trades get a page.
    """

    mode: str
    provider: MarketDataProvider
    configuration: Configuration
    inputs: Mapping[str, Any]
    start: date
    end: date
    seed: int
    walk: bool = False
    use: bool = False
    dossiers: int = DOSSIERS


def open_market(options: Options, market: MarketData) -> MarketDataProvider:
    """Return the opened provider, with a progress bar while its files are read."""
    with Bar(None, "reading", options.json) as bar:
        bar.at(market.place)
        return market.open()


def require_inside(provider: MarketDataProvider, start: date, end: date) -> None:
    """Raise SettingsError unless [start, end] lies within the source's complete days and is not empty."""
    source = provider.description
    if end < start:
        raise SettingsError(f"--end {end} lies before --start {start}: the range needs at least one day")
    for name, day in (("--start", start), ("--end", end)):
        if not source.first_day <= day <= source.last_day:
            after = f" ({source.after_last_day})" if source.after_last_day and day > source.last_day else ""
            raise SettingsError(
                f"{name} {day} lies outside the archive '{source.name}', which holds {source.first_day} to "
                f"{source.last_day}{after}"
            )


def perform(options: Options, task: Task, allow_blocked: bool) -> int:
    """Run the task's days, verify and report them; return the exit code."""
    from throughline.analytics.assumptions import filters_without_data
    from throughline.analytics.sentences import revision_sentence
    from throughline.experiment.choice import settle

    for sentence in filters_without_data(task.provider.description, task.configuration):
        note(f"throughline: {sentence}", options.json)
    for sentence in (*task.provider.description.left_out, *task.provider.description.doubts):
        note(sentence, options.json)
    with options.open() as (database, artifacts):
        engine = database.engine("writer")
        _note_lost_anchor(options, database, engine)
        with nothing_stays("this run"), Bar(None, task.mode, options.json) as bar:
            bar.at("comparing what is sealed with the data")
            experiment, revision = _experiment(engine, artifacts, task)
        if settle(engine, experiment, task.inputs, use=task.use):
            options.wiring.show_active(options, database, task.mode)
        changed = _revision_figures(revision)
        if changed is not None:
            note(revision_sentence(changed, experiment.id), options.json)
        walked = None
        with days_stay(engine, experiment, task.start, task.end, walk=task.walk):
            if task.walk:
                from throughline.cli.walk_forward import run_walk

                seconds, walked = run_walk(options, database, artifacts, task, experiment)
            else:
                seconds = _run_days(options, database, artifacts, task, experiment)
            published = _publish(options, database, artifacts, task, experiment, seconds, changed)
        options.wiring.show(options, database, artifacts, Shown(experiment, report=published, state=task.walk))
        options.wiring.show_active(options, database, task.mode)  # its days, trades and return are others now
        current = _active(engine, task.mode)
    return answer(options, task.mode, published.report, allow_blocked, walked, current)


def _publish(
    options: Options,
    database: Database,
    artifacts: Any,
    task: Task,
    experiment: Experiment,
    seconds: Mapping[str, float],
    changed: Mapping[str, Any] | None,
) -> PublishedReport:
    """Build the report of the task's days and write its files."""
    from throughline.analytics.published import publish_report
    from throughline.analytics.report import build_report
    from throughline.proof.settings import open_proof

    engine = database.engine("writer")
    report = build_report(
        engine, artifacts, task.provider, experiment, task.start, task.end, seconds=seconds, revision=changed
    )
    proof = open_proof(options.home, database.embedded)
    return publish_report(engine, artifacts, proof, report, options.home.reports, dossiers=task.dossiers)


def _active(engine: Engine, mode: str) -> str:
    """Return the ID of the active experiment of a mode that has one."""
    from throughline.storage.queries import get_active

    with engine.connect() as connection:
        found = get_active(connection, mode)
    assert found is not None  # the first experiment of a mode becomes the active one
    return found.experiment


def _note_lost_anchor(options: Options, database: Database, engine: Engine) -> None:
    """Say so where the seal log has no anchor any more: a run with nothing left to do never asks for it."""
    from throughline.proof.anchoring import anchor_problem
    from throughline.proof.settings import open_proof

    anchor = open_proof(options.home, database.embedded).anchor
    with engine.connect() as connection:
        problem = anchor_problem(connection, anchor)
    if problem is not None:
        note(f"throughline: {problem}")


def _experiment(engine: Engine, artifacts: Any, task: Task) -> tuple[Experiment, Revision | None]:
    """Return the experiment to go on with, recorded, and the revision if it is a fork."""
    from throughline.experiment.identity import lock_hash, make_experiment
    from throughline.experiment.registry import register, resolve

    source = task.provider.description.source_hash
    base = make_experiment(task.mode, task.start, task.configuration, source, task.seed, lock=lock_hash())
    experiment, revision = resolve(engine, base, task.provider, artifacts)
    register(engine, experiment)
    return experiment, revision


def flow_context(
    options: Options, database: Database, artifacts: Any, task: Task, experiment: Experiment
) -> FlowContext:
    """Return the flow context of a command: the task's market data on the home's storage, gates and proof."""
    from throughline.clock import SystemClock
    from throughline.features.hot import open_hot_store
    from throughline.flow import make_context
    from throughline.proof.settings import open_proof
    from throughline.quality.runner import GreatExpectationsRunner

    gates = GreatExpectationsRunner(experiment.configuration.gates)
    clock = SystemClock()
    proof = open_proof(options.home, database.embedded, clock=clock)
    engine = database.engine("writer")
    hot = open_hot_store(os.environ.get(REDIS_VARIABLE, "").strip() or None, engine, experiment.id)
    return make_context(experiment, task.provider, engine, artifacts, gates, clock, proof=proof, hot=hot)


def _run_days(
    options: Options, database: Database, artifacts: Any, task: Task, experiment: Experiment
) -> dict[str, float]:
    """Run what is not sealed yet of [start, end]; return asset -> seconds (zeros where nothing was left to do)."""
    from throughline.flow import STAGES

    engine = database.engine("writer")
    first = first_unsealed(engine, experiment.id, list(STAGES), task.start, task.end)
    if first is None:
        note(f"All days to {task.end} are sealed already; nothing was run.", options.json)
        return dict.fromkeys(STAGES, 0.0)
    if first > task.start:
        note(f"Sealed up to {first - timedelta(days=1)} already; going on from {first}.", options.json)
    context = flow_context(options, database, artifacts, task, experiment)
    days = (task.end - first).days + 1
    with Bar(days * len(STAGES), task.mode, options.json) as bar:
        bar.at(f"reading the bars from {first} on")
        ran = options.wiring.run_range(options, context, first, task.end, stage_progress(bar))
    return dict(ran)


def stage_progress(bar: Bar) -> Callable[[str, date, date], None]:
    """Return what a run of days calls after each stage of each chunk: a day of a stage is a part of the bar's total."""

    def step(asset: str, first: date, last: date) -> None:
        bar.step((last - first).days + 1, f"{asset.replace('_', ' ')} to {last}")

    return step


def _revision_figures(revision: Revision | None) -> dict[str, Any] | None:
    if revision is None:
        return None
    return {
        "parent": revision.parent,
        "days": [day.isoformat() for day in revision.days],
        "added": revision.added,
        "changed": revision.changed,
        "removed": revision.removed,
        "instruments": list(revision.instruments),
    }
