"""`throughline walk-forward`: a backtest in which models are trained, gated, tried and replaced as time goes on.

Belongs here: from the command line to a walk, and what it came to in words. Does not belong here: the walk itself
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
    flow_context,
    open_market,
    perform,
    require_inside,
    stage_progress,
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
    from throughline.learning.cycle import Close
    from throughline.learning.types import Progress
    from throughline.storage.database import Database

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

    configuration, changed = walk_configuration(load_configuration(config), config, retrain)
    for sentence in changed:
        note(sentence, options.json)
    provider = open_market(options, market)
    require_inside(provider, start, end)
    task = Task(
        market.mode.name,
        provider,
        configuration,
        market.inputs,
        start,
        end,
        seed,
        walk=True,
        use=use,
        dossiers=dossiers,
    )
    return perform(options, task, allow_blocked)


def run_walk(
    options: Options, database: Database, artifacts: Any, task: Task, experiment: Experiment
) -> tuple[dict[str, float], dict[str, Any]]:
    """Walk from the epoch to the task's last day; return asset -> seconds and what happened to the models."""
    from throughline.flow import STAGES
    from throughline.flow.registry_check import check_what_is_new
    from throughline.learning.lifecycle import mend
    from throughline.learning.mirror import open_mirror
    from throughline.walk_forward.runner import training_days
    from throughline.walk_forward.runner import walk_forward as walk

    context = flow_context(options, database, artifacts, task, experiment)
    first = first_unsealed(context.engine, experiment.id, list(STAGES), task.start, task.end)
    following = task.end + timedelta(days=1) if first is None else first
    days = (task.end - following).days + 1
    trainings = training_days(task.start, task.end, experiment.configuration.learning.retrain, following)
    seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
    with (
        Bar(days * len(STAGES) + len(trainings) * TRAINING_PARTS or None, "walk-forward", options.json) as bar,
        options.wiring.open_range(options, context, stage_progress(bar)) as run_range,
    ):

        def run(first: date, last: date) -> None:
            seconds.update(run_range(first, last))

        def check() -> None:
            bar.at("checking the registries")
            assert context.proof is not None
            check_what_is_new(context.engine, artifacts, context.proof, database.enforces_roles, context.clock)

        def told(close: Close) -> None:
            for line in _close_words(close):
                bar.note(line)
            if close.challenger is not None:
                bar.at(f"showing the model of {close.as_of:%Y-%m-%d}")
                trained = Shown(experiment, challengers=((close.challenger, close.waiting),))
                options.wiring.show(options, database, artifacts, trained)

        bar.at("reading the bars")
        walk(
            context,
            task.start,
            task.end,
            run,
            check,
            told,
            training_progress(bar),
        )
    problem = mend(context.engine, open_mirror(database, options.home, artifacts), experiment)
    if problem is not None:
        note(f"MLflow does not show the models yet ({problem}); the next `throughline train` shows them", options.json)
    return seconds, lifecycle_story(context.engine, experiment)


def training_progress(bar: Bar) -> Progress:
    """Return what a training calls at each step: a training is `TRAINING_PARTS` parts of the bar's total."""
    counted = 0

    def step(name: str, share: float) -> None:
        nonlocal counted
        reached = round(share * TRAINING_PARTS)
        bar.step(max(0, reached - counted), f"training, {name}")
        counted = 0 if share >= 1.0 else max(counted, reached)

    return step


def _close_words(close: Close) -> Iterator[str]:
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
    """Return what became of an experiment's models: `model_list`, with each model's gates, and all events in order."""
    from throughline.learning.event_log import read_events
    from throughline.learning.lifecycle import current
    from throughline.learning.model_cards import event_json, gate_json, model_list
    from throughline.learning.store import read_verdicts

    with engine.connect() as conn:
        told = model_list(conn, experiment, current(conn, experiment.id))
        for row in told["models"]:
            row["gates"] = [gate_json(verdict) for verdict in read_verdicts(conn, row["id"])]
        events = [event_json(event) | {"model": event.model} for event in read_events(conn, experiment.id)]
    return told | {"cash_policy": experiment.configuration.cash_policy, "events": events}


def walk_words(told: Mapping[str, Any]) -> str:
    """Return the models of a walk and what became of them, as text for the terminal."""
    lines = ["", f'model_policy = "{told["policy"]}": {policy_words(told["cash_policy"])}.', ""]
    lines.append("Models, each trained only on what was closed by its midnight")
    if not told["models"]:
        lines.append("  none: no midnight of the cadence lies inside the range")
    for model in told["models"]:
        verdict = "passed every gate" if model["passed"] else f"refused by {len(model['refused_by'])} gate(s)"
        if not model["fitted"]:
            verdict = "no model was trained"
        lines.append(
            f"  {model['as_of'][:10]}  {model['id'][:12]}  {model['labels']:,} labels worth "
            f"{float(model['effective']):,.0f}  {verdict}"
        )
        # where nothing was trained every later gate says so; once is enough here, `throughline models ID` has all
        refusals = [gate for gate in model["gates"] if gate["status"] != "pass"]
        told_once = [gate for gate in refusals if not gate["reason"].startswith("no model was trained")]
        lines += [f"      {gate['gate']}: {gate['reason']}" for gate in told_once]
    moves = told["events"]
    served = any(event["model"] != "rule" for event in moves)
    lines += ["", "Events of the models" if served else "No model ever served: every trade was decided by the rule."]
    for event in moves:
        name = "" if event["model"] == "rule" else f"  {event['model'][:12]}"
        what = f"{event['kind'].replace('_', ' ')}{name}: {event['reason']}"
        lines.append(f"  {event['effective_at'][:10]}  {what}")
    counts = [f"{model['id'][:12]} {model['trades']}" for model in told["models"] if model["trades"]]
    counts.append(f"the rule {told['trades_by_rule']}")
    lines.append(f"Closed trades by deciding model: {', '.join(counts)}")
    return "\n".join(lines)
