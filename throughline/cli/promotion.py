"""`throughline promote` and `rollback`: decisions about models by hand.

Belongs here: which model is selected, and what the command prints. Does not belong here: which model may serve
(`throughline.learning.lifecycle`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from throughline.cli.anchored import anchor_rows
from throughline.cli.model_choice import choose_experiment, choose_model, which
from throughline.cli.options import Options, common
from throughline.cli.screen import echo, note, out_json
from throughline.cli.wiring import Shown
from throughline.errors import UnknownRecord

if TYPE_CHECKING:
    from throughline.experiment.identity import Experiment
    from throughline.learning.events import ServingState
    from throughline.learning.lifecycle import Change
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import Database


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
        meant = choose_experiment(database.engine("reader"), mode, experiment)
        with database.engine("reader").connect() as conn:
            model = choose_model(conn, meant, id_)
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
        meant = choose_experiment(database.engine("reader"), mode, experiment)
        with database.engine("reader").connect() as conn:
            model = choose_model(conn, meant, id_) if id_ is not None else _serving(lifecycle.current(conn, meant.id))
        return _decide(options, database, artifacts, meant, lifecycle.roll_back, model, reason)


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
    outcome = change(
        engine,
        experiment,
        model,
        at=at,
        by="hand",
        reason=reason,
        evidence=evidence,
        mirror=open_mirror(database, options.home, artifacts),
    )
    anchor_rows(options, database)
    options.wiring.show(options, database, artifacts, Shown(experiment, state=True))
    if outcome.mirror_problem is not None:
        note(f"MLflow does not show it yet ({outcome.mirror_problem}); the next call mends that.", options.json)
    if options.json:
        out_json(
            {
                "experiment": experiment.id,
                "model": model,
                "changed": outcome.event is not None,
                "event": None if outcome.event is None else outcome.event.hash,
                "effective_at": None if outcome.event is None else f"{at:%Y-%m-%dT%H:%M:%SZ}",
                "champion": outcome.state.champion,
                "canary": outcome.state.canary,
                "sentence": outcome.sentence,
                "mirror_problem": outcome.mirror_problem,
            }
        )
    else:
        echo(f"{outcome.sentence[0].upper()}{outcome.sentence[1:]}.")
    return 0
