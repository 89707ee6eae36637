"""`throughline models`, `promote`, `rollback`, `canary` and `train`: the models of an experiment, and deciding by hand.

Belongs here: which experiment and model are meant, and handing what was asked to the lifecycle. Does not belong here:
who may serve (`throughline.learning.lifecycle`), gates and judge, how it is said (model_words).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from throughline.cli import model_words
from throughline.cli.interrupt import nothing_stays
from throughline.cli.options import Options, common
from throughline.cli.screen import Bar, echo, note, out_json
from throughline.cli.wiring import Looked, Shown
from throughline.errors import MissingPredecessor, UnknownRecord

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from throughline.experiment.identity import Experiment
    from throughline.learning.cash import RuleJudgement
    from throughline.learning.events import ServingState
    from throughline.learning.lifecycle import Change
    from throughline.learning.nightly import Challenger
    from throughline.registry.consistency import ConsistencyResult
    from throughline.registry.consistency import Report as ConsistencyReport
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database

REFUSED = 4
"""Exit code of `train` where a gate did not let the model through."""
_PARTS = 100
"""Parts of the bar of a training."""
Command = TypeVar("Command", bound=Callable[..., Any])


def which(command: Command) -> Command:
    """Give a command the options that say which experiment is meant."""
    for option in (
        click.option("--experiment", metavar="ID", help="Use this experiment (8 or more digits of its ID)."),
        click.option(
            "--mode",
            type=click.Choice(["demo", "backtest"]),
            default="backtest",
            show_default=True,
            help="Use the active experiment of this mode.",
        ),
    ):
        command = option(command)
    return command


@click.command(short_help="List the models of an experiment, or show one.")
@click.argument("id_", metavar="[ID]", required=False)
@which
@common
def models(options: Options, id_: str | None, mode: str, experiment: str | None) -> int:
    """List the models of an experiment, who serves, and what each decided; with ID, the card of one model.

    ID is a model ID, or its first 8 or more hex digits.
    """
    from throughline.learning.lifecycle import current
    from throughline.learning.model_cards import model_card, model_list

    with options.open() as (database, _):
        engine = database.engine("reader")
        meant = _experiment(engine, mode, experiment)
        with engine.connect() as conn:
            state = current(conn, meant.id)
            if id_ is None:
                told = model_list(conn, meant, state)
            else:
                told = model_card(conn, meant, state, _model(conn, meant, id_))
    if options.json:
        out_json(told)
    else:
        echo(model_words.listing(told) if id_ is None else model_words.card(told))
    return 0


@click.command(short_help="Make the model on trial the champion, by hand.")
@click.argument("id_", metavar="ID")
@click.option("--reason", default="by hand", show_default=True, help="Kept with the decision.")
@which
@common
def promote(options: Options, id_: str, reason: str, mode: str, experiment: str | None) -> int:
    """Promote the model on trial to champion, from the first undecided instant on. All its gates must have passed.

    The judge promotes a model by itself once the evidence suffices. This command does so earlier and records why.
    """
    from throughline.learning import lifecycle

    with options.open() as (database, artifacts):
        meant = _experiment(database.engine("reader"), mode, experiment)
        with database.engine("reader").connect() as conn:
            model = _model(conn, meant, id_)
        return _decide(options, database, artifacts, meant, lifecycle.promote, model, reason)


@click.command(short_help="Take a model out of service for good, by hand.")
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--reason", default="by hand", show_default=True, help="Kept with the decision.")
@which
@common
def rollback(options: Options, id_: str | None, reason: str, mode: str, experiment: str | None) -> int:
    """Take a model out of service for good, from the first undecided instant on.

    Without ID: the model on trial, or else the champion. The previous good champion serves again, or the rule.
    """
    from throughline.learning import lifecycle

    with options.open() as (database, artifacts):
        meant = _experiment(database.engine("reader"), mode, experiment)
        with database.engine("reader").connect() as conn:
            model = _model(conn, meant, id_) if id_ is not None else _serving(lifecycle.current(conn, meant.id))
        return _decide(options, database, artifacts, meant, lifecycle.roll_back, model, reason)


@click.command(short_help="Show the evidence for the model on trial and the rule.")
@click.option(
    "--look",
    "look_now",
    is_flag=True,
    help="Evaluate now, as of the end of the last sealed day, and apply the verdict.",
)
@which
@common
def canary(options: Options, look_now: bool, mode: str, experiment: str | None) -> int:
    """Show verdict, evidence and days to a verdict for the rule and the model on trial (or the watched champion)."""
    from throughline.learning.lifecycle import current
    from throughline.learning.model_cards import canary_card

    with options.open() as (database, artifacts):
        meant = _experiment(database.engine("reader"), mode, experiment)
        if look_now:
            _look(options, database, artifacts, meant)
        with database.engine("reader").connect() as conn:
            told = canary_card(conn, meant, current(conn, meant.id), _rule(conn, meant))
    if options.json:
        out_json(told)
    else:
        echo(model_words.canary(told))
    return 0


@click.command(short_help="Train a model and print the verdict of each gate.")
@click.option("--deploy", is_flag=True, help="Put the model on trial if every gate passed.")
@which
@common
def train(options: Options, deploy: bool, mode: str, experiment: str | None) -> int:
    """Train a model on all labels known at the end of the last sealed day, and print the verdict of each gate.

    A training on the same labels is not repeated: its recorded result is printed. Exit code 4: a gate refused the
    model, or the evidence did not suffice for a verdict ('insufficient').
    """
    from throughline.clock import SystemClock
    from throughline.learning.cycle import train_and_deploy
    from throughline.learning.model_cards import gate_json
    from throughline.learning.nightly import train_challenger
    from throughline.learning.standing import last_close
    from throughline.quality.runner import GreatExpectationsRunner

    with options.open() as (database, artifacts):
        engine = database.engine("writer")
        meant = _experiment(engine, mode, experiment)
        with engine.connect() as conn:
            as_of = last_close(conn, meant)
        note(f"Training as of {as_of:%Y-%m-%d %H:%M} UTC", options.json)
        with nothing_stays("this training"), Bar(_PARTS, "train", options.json) as bar:
            bar.at("checking the registries")
            checked = _check_registries(options, database, artifacts)
            gates, now = GreatExpectationsRunner(meant.configuration.gates), SystemClock().now()
            waiting = None
            if deploy:
                made, waiting = train_and_deploy(engine, artifacts, meant, gates, as_of, now, _training_steps(bar))
            else:
                made = train_challenger(engine, artifacts, meant, gates, as_of, now, _training_steps(bar))
        _mirror(options, database, artifacts, meant)
        why = waiting if deploy else _untried(made)
        shown = Shown(meant, challengers=((made, why),), state=True, checked=checked)
        options.wiring.show(options, database, artifacts, shown)
    told = {
        "experiment": meant.id,
        "model": made.model,
        "as_of": f"{as_of:%Y-%m-%dT%H:%M:%SZ}",
        "known": made.known,
        "fitted": made.fitted,
        "passed": made.passed,
        "deployed": deploy and made.passed and waiting is None,
        "waiting": waiting,
        "gates": [gate_json(item) for item in made.verdicts],
        "labels": made.body["labels"],
        "metrics": made.body["metrics"],
    }
    if options.json:
        out_json(told)
    else:
        echo(model_words.trained(told))
    return 0 if made.passed else REFUSED


def _training_steps(bar: Bar) -> Callable[[str, float], None]:
    """Return what a training tells of its steps: the share that is done moves the bar."""
    done = 0

    def begins(step: str, share: float) -> None:
        nonlocal done
        part = max(done, round(share * _PARTS))
        bar.step(part - done, step)
        done = part

    return begins


def _untried(made: Challenger) -> str:
    """Return why a model that was only trained does not serve."""
    if made.passed:
        return "every gate passed; `throughline train --deploy` puts it on trial"
    from throughline.learning.gates import refusal_words

    return refusal_words(made.verdicts)


def _experiment(engine: Engine, mode: str, given: str | None) -> Experiment:
    """Return the experiment that is meant (`throughline.experiment.choice`)."""
    from throughline.experiment.choice import choose

    return choose(engine, None if given else mode, given).experiment


def _model(conn: Connection, experiment: Experiment, given: str) -> str:
    """Return the ID of the model that `given` names. Raises UnknownRecord where it names none, or more than one."""
    from throughline.storage.ids import resolve_id

    return resolve_id(conn, given, "model", experiment=experiment.id).id


def _serving(state: ServingState) -> str:
    from throughline.learning.types import RULE

    if state.canary is not None:
        return state.canary
    if state.champion == RULE:
        raise UnknownRecord("no model serves: the rule decides everything, and there is nothing to roll back")
    return state.champion


def _decide(
    options: Options,
    database: Database,
    artifacts: ArtifactStore,
    experiment: Experiment,
    change: Callable[..., Change],
    model: str,
    reason: str,
) -> int:
    from throughline.learning.lifecycle import next_instant
    from throughline.learning.mirror import open_mirror
    from throughline.learning.store import read_looks

    engine = database.engine("writer")
    with engine.connect() as conn:
        at = next_instant(conn, experiment)
        looks = read_looks(conn, experiment.id, model)
    evidence = {"last_look": looks[-1][1].as_of, "verdict": looks[-1][1].verdict} if looks else {}
    made = change(
        engine,
        experiment,
        model,
        at=at,
        by="hand",
        reason=reason,
        evidence=evidence,
        mirror=open_mirror(database, options.home, artifacts),
    )
    options.wiring.show(options, database, artifacts, Shown(experiment, state=True))
    if made.mirror_problem is not None:
        note(f"MLflow does not show it yet ({made.mirror_problem}); the next call mends that.", options.json)
    if options.json:
        out_json(
            {
                "experiment": experiment.id,
                "model": model,
                "changed": made.event is not None,
                "event": None if made.event is None else made.event.hash,
                "effective_at": None if made.event is None else f"{at:%Y-%m-%dT%H:%M:%SZ}",
                "champion": made.state.champion,
                "canary": made.state.canary,
                "sentence": made.sentence,
                "mirror_problem": made.mirror_problem,
            }
        )
    else:
        echo(f"{made.sentence[0].upper()}{made.sentence[1:]}.")
    return 0


def _look(options: Options, database: Database, artifacts: ArtifactStore, experiment: Experiment) -> None:
    from throughline.flow.context import shadow_reach_days
    from throughline.learning.cycle import current_state, look, look_at_rule
    from throughline.learning.standing import last_close

    engine = database.engine("writer")
    with engine.connect() as conn:
        as_of = last_close(conn, experiment)
    reach_days = shadow_reach_days(experiment.configuration.exits)
    before = current_state(engine, experiment.id, as_of)
    told = look(engine, experiment, as_of, reach_days=reach_days)
    rule = look_at_rule(engine, experiment, as_of, reach_days=reach_days)
    _mirror(options, database, artifacts, experiment)
    looked = Looked(as_of, told, before, current_state(engine, experiment.id, as_of), rule)
    options.wiring.show(options, database, artifacts, Shown(experiment, looked=looked, state=True))


def _rule(conn: Connection, experiment: Experiment) -> RuleJudgement | None:
    """Return what is said of the rule at the end of the last sealed day, None where no day is sealed."""
    from throughline.flow.context import shadow_reach_days
    from throughline.learning.event_log import read_events
    from throughline.learning.events import serving_state
    from throughline.learning.standing import last_close, rule_judgement

    try:
        as_of = last_close(conn, experiment)
    except MissingPredecessor:
        return None
    state = serving_state(read_events(conn, experiment.id), as_of)
    return rule_judgement(conn, experiment, state, as_of, shadow_reach_days(experiment.configuration.exits))


def _mirror(options: Options, database: Database, artifacts: ArtifactStore, experiment: Experiment) -> None:
    from throughline.learning.lifecycle import mend
    from throughline.learning.mirror import open_mirror

    problem = mend(database.engine("writer"), open_mirror(database, options.home, artifacts), experiment)
    if problem is not None:
        note(f"MLflow does not show it yet ({problem}); the next call mends that.", options.json)


def _check_registries(
    options: Options, database: Database, artifacts: ArtifactStore
) -> tuple[ConsistencyResult, ConsistencyReport]:
    """Check the registries, record and return what was found: training needs a check that covers what it reads."""
    from throughline.clock import SystemClock
    from throughline.flow.registry_check import check_what_is_new
    from throughline.proof.settings import open_proof

    proof = open_proof(options.home, database.embedded)
    return check_what_is_new(database.engine("writer"), artifacts, proof, database.enforces_roles, SystemClock())
