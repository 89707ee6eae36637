"""`throughline backtest` and `throughline demo`: run a range of days, verify it, report it.

Belongs here: the steps from the command line to the summary. Does not belong here: the stages (flow), the figures
(analytics), Dagster (wiring).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from throughline.cli.answer import print_answer
from throughline.cli.days import DOSSIERS, Day, produces
from throughline.cli.interrupt import days_stay, first_unsealed, nothing_stays
from throughline.cli.market_data import MarketCommand, MarketData
from throughline.cli.options import Options, common
from throughline.cli.screen import Bar, note
from throughline.cli.wiring import Shown
from throughline.errors import SettingsError
from throughline.experiment.modes.demo import DAYS, LAST_DAY

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from throughline.analytics.published import PublishedReport
    from throughline.cli.stopwatch import Stopwatch
    from throughline.cli.stored_answer import Answer
    from throughline.experiment.identity import Experiment
    from throughline.experiment.registry import Revision
    from throughline.flow import FlowContext, RunSummary
    from throughline.market.panel import MarketDataProvider
    from throughline.run_opening import OpenHome, RunSettings

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
    from throughline.run_opening import RunSettings

    configuration = load_configuration(config)
    watch = options.stopwatch()
    provider = open_market(options, market)
    require_inside(provider, start, end)
    watch.lap("market_data")
    settings = RunSettings(market.mode.name, provider, configuration, market.inputs, start, seed)
    return perform(options, Task(settings, end, watch, use=use, dossiers=dossiers), allow_blocked)


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
    from throughline.run_opening import RunSettings

    start = LAST_DAY - timedelta(days=days - 1)
    settings = RunSettings(market.mode.name, market.open(), Configuration(), market.inputs, start, seed)
    task = Task(settings, LAST_DAY, options.stopwatch(), use=use, dossiers=dossiers)
    return perform(options, task, allow_blocked)


@dataclass(frozen=True)
class Task:
    """The run of a command.

    Args:
        settings: of the experiment, with its market data and epoch.
        end: last day, included.
        watch: measures where the time goes.
        walk: day by day with the models of each time (`throughline walk-forward`), instead of the days alone.
        use: make the experiment the active one of its mode.
        dossiers: how many of the best and of the worst trades get a page.
    """

    settings: RunSettings
    end: date
    watch: Stopwatch
    walk: bool = False
    use: bool = False
    dossiers: int = DOSSIERS

    @property
    def mode(self) -> str:
        """The mode of the experiment."""
        return self.settings.mode

    @property
    def start(self) -> date:
        """The epoch."""
        return self.settings.start

    @property
    def provider(self) -> MarketDataProvider:
        """The market data."""
        return self.settings.provider


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
    from throughline.run_opening import OpenHome, record_experiment

    watch = task.watch
    for sentence in filters_without_data(task.provider.description, task.settings.configuration):
        note(f"throughline: {sentence}", options.json)
    for sentence in (*task.provider.description.left_out, *task.provider.description.doubts):
        note(sentence, options.json)
    with options.open() as (database, artifacts):
        opened = OpenHome(options.home, database, artifacts, options.redis_url)
        _note_lost_anchor(opened)
        _warm_up(options, opened, task)
        with nothing_stays("this run"), Bar(None, task.mode, options.json) as bar:
            bar.at("comparing what is sealed with the data")
            recorded = record_experiment(opened, task.settings, use=task.use)
        experiment = recorded.experiment
        if recorded.activated:
            options.wiring.show_active(options, database, task.mode)
        revision = _revision_figures(recorded.revision)
        if revision is not None:
            note(revision_sentence(revision, experiment.id), options.json)
        watch.lap("opening")
        walked = None
        with days_stay(database.engine("writer"), experiment, task.start, task.end, walk=task.walk):
            if task.walk:
                from throughline.cli.walk_forward import run_walk

                summary, walked = run_walk(options, opened, task, experiment)
            else:
                summary = _run_days(options, opened, task, experiment)
            watch.lap("orchestration", within=summary.seconds)
            keeps = not task.walk and revision is None
            answer = _kept_answer(opened, task, experiment) if keeps and not summary.days else None
            published = None if answer is not None else _publish(opened, task, experiment, revision)
        if published is not None:
            shown = Shown(experiment, report=published, state=task.walk)
            options.wiring.show(options, database, artifacts, shown)
            options.wiring.show_active(options, database, task.mode)  # its days, trades and return are others now
            answer = _new_answer(opened, task, experiment, published, keep=keeps)
        assert answer is not None
        current = _active(database.engine("writer"), task.mode)
        watch.lap("user_interface")
    return print_answer(options, task.mode, answer, watch.seconds, allow_blocked, walked, current)


def _warm_up(options: Options, opened: OpenHome, task: Task) -> None:
    """Start what validates, which takes seconds to import, unless all days of the experiment are sealed already."""
    from throughline.flow import STAGES
    from throughline.run_opening import own_experiment

    experiment = own_experiment(task.settings).id
    if first_unsealed(opened.database.engine("writer"), experiment, list(STAGES), task.start, task.end) is not None:
        options.wiring.validator()


def _kept_answer(opened: OpenHome, task: Task, experiment: Experiment) -> Answer | None:
    """Return the answer of an earlier run that still holds, after all records were recomputed; None without one."""
    from throughline.cli.stored_answer import answer_key, read_answer
    from throughline.verification import verify

    result = verify(opened.database.engine("reader"), None, experiments=[experiment.id])
    chain = {"checked": result.rows, "broken": result.broken}
    key = answer_key(opened, experiment, task.start, task.end, task.dossiers, chain)
    answer = read_answer(opened, key)
    task.watch.lap("report")
    return answer


def _new_answer(
    opened: OpenHome, task: Task, experiment: Experiment, published: PublishedReport, *, keep: bool
) -> Answer:
    """Return the answer of a report. keep: the same command with nothing to do may print it again."""
    from throughline.cli.stored_answer import Answer, answer_key, keep_answer
    from throughline.cli.summary import summary

    report = published.report
    answer = Answer(report.as_json(), summary(report))
    if keep and not report.chain["broken"]:
        key = answer_key(opened, experiment, task.start, task.end, task.dossiers, report.chain)
        keep_answer(opened, key, answer, published)
    return answer


def _publish(
    opened: OpenHome, task: Task, experiment: Experiment, revision: Mapping[str, Any] | None
) -> PublishedReport:
    """Build the report of the task's days and write its files."""
    from throughline.analytics.published import publish_report
    from throughline.analytics.report import build_report
    from throughline.proof.settings import open_proof

    engine = opened.database.engine("writer")
    report = build_report(engine, opened.artifacts, task.provider, experiment, task.start, task.end, revision=revision)
    task.watch.lap("report")
    proof = open_proof(opened.home, opened.database.embedded)
    published = publish_report(engine, opened.artifacts, proof, report, opened.home.reports, dossiers=task.dossiers)
    task.watch.lap("pages")
    return published


def _active(engine: Engine, mode: str) -> str:
    """Return the ID of the active experiment of a mode that has one."""
    from throughline.storage.queries import get_active

    with engine.connect() as connection:
        active = get_active(connection, mode)
    assert active is not None  # the first experiment of a mode becomes the active one
    return active.experiment


def _note_lost_anchor(opened: OpenHome) -> None:
    """Say so where the seal log has no anchor any more: a run with nothing left to do never asks for it."""
    from throughline.proof.anchoring import anchor_problem
    from throughline.proof.settings import open_proof

    anchor = open_proof(opened.home, opened.database.embedded).anchor
    with opened.database.engine("writer").connect() as connection:
        problem = anchor_problem(connection, anchor)
    if problem is not None:
        note(f"throughline: {problem}")


def open_context(options: Options, opened: OpenHome, task: Task, experiment: Experiment) -> FlowContext:
    """Return the flow context of a command; the wiring says who runs Great Expectations."""
    from throughline.quality.runner import GreatExpectationsRunner
    from throughline.run_opening import open_run

    gates = GreatExpectationsRunner(experiment.configuration.gates, options.wiring.validator())
    return open_run(opened, experiment, task.provider, gates)


def _run_days(options: Options, opened: OpenHome, task: Task, experiment: Experiment) -> RunSummary:
    """Run what is not sealed yet of [start, end]; the summary is empty where nothing was left to do."""
    from throughline.cli.stage_progress import StageProgress
    from throughline.flow import STAGES

    first = first_unsealed(opened.database.engine("writer"), experiment.id, list(STAGES), task.start, task.end)
    progress = StageProgress()
    if first is None:
        note(f"All days to {task.end} are sealed already; nothing was run.", options.json)
        return progress
    if first > task.start:
        note(f"Sealed up to {first - timedelta(days=1)} already; going on from {first}.", options.json)
    context = open_context(options, opened, task, experiment)
    days = (task.end - first).days + 1
    with (
        Bar(days * len(STAGES), task.mode, options.json) as progress.bar,
        options.wiring.open_range(options, context, progress) as run_range,
    ):
        progress.bar.at(f"reading the bars from {first} on")
        run_range(first, task.end)
    return progress


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
