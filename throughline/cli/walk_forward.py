"""`throughline walk-forward`: a backtest in which models are trained, gated, tried and replaced as time goes on.

Belongs here: from the command line to a walk, and its models as text. Does not belong here: the walk itself
(`throughline.walk_forward`), the report (backtest).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from throughline.cli.backtest import (
    SEED,
    Task,
    open_context,
    open_market,
    perform,
    require_inside,
)
from throughline.cli.days import Day, produces
from throughline.cli.interrupt import first_unsealed
from throughline.cli.market_data import MarketCommand, MarketData
from throughline.cli.options import Options, common
from throughline.cli.screen import Bar, note
from throughline.cli.walk_settings import policy_words, walk_configuration
from throughline.cli.wiring import Shown

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from throughline.experiment.identity import Experiment
    from throughline.flow import RunSummary
    from throughline.learning.cycle import Close
    from throughline.learning.types import Progress
    from throughline.run_opening import OpenHome

TRAINING_PARTS = 400
"""Parts of the progress bar that a training counts for; a stage of a day counts for one."""


@click.command("walk-forward", cls=MarketCommand, short_help="Backtest with models trained as time goes on.")
@click.option("--start", required=True, type=Day(), help="First day: the epoch, before which the portfolio is flat.")
@click.option("--end", required=True, type=Day(), help="Last day, included. A later one continues the same experiment.")
@click.option(
    "--retrain",
    type=click.Choice(["monthly", "weekly", "never"]),
    help="Train a challenger on the first of each month, on Mondays, or never. Default: learning.retrain (monthly).",
)
@click.option("--config", type=click.Path(path_type=Path), help="TOML configuration of strategy, exits, gates, models.")
@click.option(
    "--seed", default=SEED, show_default=True, type=click.IntRange(0, 2**53 - 1), help="Seed of models and baselines."
)
@click.option("--allow-blocked", is_flag=True, help="Exit with 0 even if a data gate blocks days.")
@produces
@common
def walk_forward(
    options: Options,
    market: MarketData,
    start: date,
    end: date,
    retrain: Literal["monthly", "weekly", "never"] | None,
    config: Path | None,
    seed: int,
    allow_blocked: bool,
    use: bool,
    dossiers: int,
) -> int:
    """Backtest with models that are trained as time goes on.

    Each model is trained on the trades that were closed by then, must pass every gate, and is tried as a canary on a
    share of the trades before it decides.

    Sets model_policy = "gated": models that passed every gate decide, the rule decides where there is none, and with
    cash_policy = "close" (the default) the rule is closed while its candidates are shown to lose. A configuration that
    says model_policy = "none" is refused.
    """
    from throughline.configuration import load_configuration
    from throughline.run_opening import RunSettings

    configuration, changed = walk_configuration(load_configuration(config), config, retrain)
    for sentence in changed:
        note(sentence, options.json)
    watch = options.stopwatch()
    provider = open_market(options, market)
    require_inside(provider, start, end)
    watch.lap("market_data")
    settings = RunSettings(market.mode.name, provider, configuration, market.inputs, start, seed)
    return perform(options, Task(settings, end, watch, walk=True, use=use, dossiers=dossiers), allow_blocked)


def run_walk(
    options: Options, opened: OpenHome, task: Task, experiment: Experiment
) -> tuple[RunSummary, dict[str, Any]]:
    """Walk from the epoch to the task's last day; return the results of its days and the story of its models."""
    from throughline.cli.stage_progress import StageProgress
    from throughline.flow import STAGES
    from throughline.flow.registry_check import check_what_is_new
    from throughline.learning.lifecycle import mend
    from throughline.learning.mirror import open_mirror
    from throughline.walk_forward.runner import training_days
    from throughline.walk_forward.runner import walk_forward as walk

    context = open_context(options, opened, task, experiment)
    first = first_unsealed(context.engine, experiment.id, list(STAGES), task.start, task.end)
    following = task.end + timedelta(days=1) if first is None else first
    days = (task.end - following).days + 1
    trainings = training_days(task.start, task.end, experiment.configuration.learning.retrain, following)
    progress = StageProgress()
    with (
        Bar(days * len(STAGES) + len(trainings) * TRAINING_PARTS or None, "walk-forward", options.json) as bar,
        options.wiring.open_range(options, context, progress) as run_range,
    ):
        progress.bar = bar

        def check() -> None:
            bar.at("checking the registries")
            assert context.proof is not None
            roles = opened.database.enforces_roles
            check_what_is_new(context.engine, opened.artifacts, context.proof, roles, context.clock)

        def show(close: Close) -> None:
            for line in _close_lines(close):
                bar.note(line)
            if close.challenger is not None:
                bar.at(f"showing the model of {close.as_of:%Y-%m-%d}")
                trained = Shown(experiment, challengers=((close.challenger, close.waiting),))
                options.wiring.show(options, opened.database, opened.artifacts, trained)

        bar.at("reading the bars")
        walk(context, task.start, task.end, run_range, check, show, training_progress(bar))
    problem = mend(context.engine, open_mirror(opened.database, opened.home, opened.artifacts), experiment)
    if problem is not None:
        note(f"MLflow does not show the models yet ({problem}); the next `throughline train` shows them", options.json)
    return progress, lifecycle_story(context.engine, experiment)


def training_progress(bar: Bar) -> Progress:
    """Return what a training calls at each step: a training is `TRAINING_PARTS` parts of the bar's total."""
    counted = 0

    def step(name: str, share: float) -> None:
        nonlocal counted
        reached = round(share * TRAINING_PARTS)
        bar.step(max(0, reached - counted), f"training, {name}")
        counted = 0 if share >= 1.0 else max(counted, reached)

    return step


def _close_lines(close: Close) -> Iterator[str]:
    """Yield what happened to models at the close of a day, a line each."""
    day = f"{close.as_of:%Y-%m-%d}"
    if close.challenger is not None:
        name = close.challenger.model[:12]
        if not close.challenger.fitted:
            yield f"{day}  no model was trained (recorded as {name}): {close.waiting}"
        else:
            word = "went on trial" if close.deployed else f"does not serve: {close.waiting or 'it serves already'}"
            yield f"{day}  model {name} was trained and {word}"
    if close.rule is not None and close.rule.verdict != "keep":
        word = "closed" if close.rule.verdict == "close" else "opened again"
        yield f"{day}  the rule is {word}: {close.rule.reason}"
    if close.judgement is not None and close.judgement.verdict != "extend":
        yield f"{day}  {close.judgement.verdict.replace('_', ' ')}: {close.judgement.reason}"


def lifecycle_story(engine: Engine, experiment: Experiment) -> dict[str, Any]:
    """Return the models of an experiment (`model_list`), each with its gates, and their events in order."""
    from throughline.learning.event_log import read_events
    from throughline.learning.lifecycle import current
    from throughline.learning.model_cards import event_json, gate_json, model_list
    from throughline.learning.store import read_verdicts

    with engine.connect() as conn:
        story = model_list(conn, experiment, current(conn, experiment.id))
        for row in story["models"]:
            row["gates"] = [gate_json(verdict) for verdict in read_verdicts(conn, row["id"])]
        events = [event_json(event) | {"model": event.model} for event in read_events(conn, experiment.id)]
    return story | {"cash_policy": experiment.configuration.cash_policy, "events": events}


def walk_text(story: Mapping[str, Any]) -> str:
    """Return the models of a walk and their events, as text for the terminal. story: of `lifecycle_story`."""
    lines = ["", f'model_policy = "{story["policy"]}": {policy_words(story["cash_policy"])}.', ""]
    lines.append("Models, each trained only on what was closed by its midnight")
    if not story["models"]:
        lines.append("  none: no midnight of the cadence lies inside the range")
    for model in story["models"]:
        verdict = "passed every gate" if model["passed"] else f"refused by {len(model['refused_by'])} gate(s)"
        if not model["fitted"]:
            verdict = "no model was trained"
        lines.append(
            f"  {model['as_of'][:10]}  {model['id'][:12]}  {model['labels']:,} labels worth "
            f"{float(model['effective']):,.0f}  {verdict}"
        )
        # Where nothing was trained every later gate repeats it; `throughline models ID` lists them all.
        refusals = [gate for gate in model["gates"] if gate["status"] != "pass"]
        named = [gate for gate in refusals if not gate["reason"].startswith("no model was trained")]
        lines += [f"      {gate['gate']}: {gate['reason']}" for gate in named]
    moves = story["events"]
    served = any(event["model"] != "rule" for event in moves)
    lines += ["", "Events of the models" if served else "No model ever served: every trade was decided by the rule."]
    for event in moves:
        name = "" if event["model"] == "rule" else f"  {event['model'][:12]}"
        what = f"{event['kind'].replace('_', ' ')}{name}: {event['reason']}"
        lines.append(f"  {event['effective_at'][:10]}  {what}")
    counts = [f"{model['id'][:12]} {model['trades']}" for model in story["models"] if model["trades"]]
    counts.append(f"the rule {story['trades_by_rule']}")
    lines.append(f"Closed trades by deciding model: {', '.join(counts)}")
    return "\n".join(lines)
