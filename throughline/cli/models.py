"""`throughline models`, `canary` and `train`: the models of an experiment, their evaluation and their training.

Belongs here: calling the learning package, and what the UI is shown of it. Does not belong here: decisions by hand
(promotion), which experiment and model are selected (model_choice), gates and judge, how it is printed (model_text).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from throughline.cli import model_text
from throughline.cli.anchored import anchor_rows
from throughline.cli.interrupt import nothing_stays
from throughline.cli.model_choice import choose_experiment, choose_model, which
from throughline.cli.options import Options, common
from throughline.cli.screen import Bar, echo, note, out_json
from throughline.cli.wiring import Looked, Shown
from throughline.errors import MissingPredecessor

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from throughline.experiment.identity import Experiment
    from throughline.learning.cash import RuleJudgement
    from throughline.learning.nightly import Challenger
    from throughline.registry.consistency import ConsistencyResult
    from throughline.registry.consistency import Report as ConsistencyReport
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database

REFUSED = 4
"""Exit code of `train` where a gate did not let the model through."""
_PARTS = 100
"""Parts of the bar of a training."""


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
        meant = choose_experiment(engine, mode, experiment)
        with engine.connect() as conn:
            state = current(conn, meant.id)
            if id_ is None:
                answer = model_list(conn, meant, state)
            else:
                answer = model_card(conn, meant, state, choose_model(conn, meant, id_))
    if options.json:
        out_json(answer)
    else:
        echo(model_text.listing(answer) if id_ is None else model_text.model_card(answer))
    return 0


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
        meant = choose_experiment(database.engine("reader"), mode, experiment)
        if look_now:
            _look(options, database, artifacts, meant)
        with database.engine("reader").connect() as conn:
            answer = canary_card(conn, meant, current(conn, meant.id), _rule(conn, meant))
    if options.json:
        out_json(answer)
    else:
        echo(model_text.canary(answer))
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
        meant = choose_experiment(engine, mode, experiment)
        with engine.connect() as conn:
            as_of = last_close(conn, meant)
        note(f"Training as of {as_of:%Y-%m-%d %H:%M} UTC", options.json)
        with nothing_stays("this training"), Bar(_PARTS, "train", options.json) as bar:
            bar.at("checking the registries")
            checked = _check_registries(options, database, artifacts)
            gates, now = GreatExpectationsRunner(meant.configuration.gates), SystemClock().now()
            waiting, steps = None, _training_steps(bar)
            if deploy:
                challenger, waiting = train_and_deploy(engine, artifacts, meant, gates, as_of, now, steps)
            else:
                challenger = train_challenger(engine, artifacts, meant, gates, as_of, now, steps)
        _mirror(options, database, artifacts, meant)
        why = waiting if deploy else _untried(challenger)
        shown = Shown(meant, challengers=((challenger, why),), state=True, checked=checked)
        options.wiring.show(options, database, artifacts, shown)
    answer = {
        "experiment": meant.id,
        "model": challenger.model,
        "as_of": f"{as_of:%Y-%m-%dT%H:%M:%SZ}",
        "known": challenger.known,
        "fitted": challenger.fitted,
        "passed": challenger.passed,
        "deployed": deploy and challenger.passed and waiting is None,
        "waiting": waiting,
        "gates": [gate_json(item) for item in challenger.verdicts],
        "labels": challenger.body["labels"],
        "metrics": challenger.body["metrics"],
    }
    if options.json:
        out_json(answer)
    else:
        echo(model_text.trained(answer))
    return 0 if challenger.passed else REFUSED


def _training_steps(bar: Bar) -> Callable[[str, float], None]:
    """Return the progress callback of a training: the share that is done moves the bar."""
    done = 0

    def begins(step: str, share: float) -> None:
        nonlocal done
        part = max(done, round(share * _PARTS))
        bar.step(part - done, step)
        done = part

    return begins


def _untried(challenger: Challenger) -> str:
    """Return why a model that was only trained does not serve."""
    if challenger.passed:
        return "every gate passed; `throughline train --deploy` puts it on trial"
    from throughline.learning.gates import refusal_words

    return refusal_words(challenger.verdicts)


def _look(options: Options, database: Database, artifacts: ArtifactStore, experiment: Experiment) -> None:
    from throughline.flow.context import shadow_reach_days
    from throughline.learning.cycle import current_state, look, look_at_rule
    from throughline.learning.standing import last_close

    engine = database.engine("writer")
    with engine.connect() as conn:
        as_of = last_close(conn, experiment)
    reach_days = shadow_reach_days(experiment.configuration.exits)
    before = current_state(engine, experiment.id, as_of)
    answer = look(engine, experiment, as_of, reach_days=reach_days)
    rule = look_at_rule(engine, experiment, as_of, reach_days=reach_days)
    _mirror(options, database, artifacts, experiment)
    looked = Looked(as_of, answer, before, current_state(engine, experiment.id, as_of), rule)
    options.wiring.show(options, database, artifacts, Shown(experiment, looked=looked, state=True))


def _rule(conn: Connection, experiment: Experiment) -> RuleJudgement | None:
    """Return the judgement of the rule at the end of the last sealed day, None where no day is sealed."""
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
    anchor_rows(options, database)


def _check_registries(
    options: Options, database: Database, artifacts: ArtifactStore
) -> tuple[ConsistencyResult, ConsistencyReport]:
    """Check the registries, record and return what was found: training needs a check that covers what it reads."""
    from throughline.clock import SystemClock
    from throughline.flow.registry_check import check_what_is_new
    from throughline.proof.settings import open_proof

    proof = open_proof(options.home, database.embedded)
    return check_what_is_new(database.engine("writer"), artifacts, proof, database.enforces_roles, SystemClock())
