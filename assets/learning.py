"""Learning assets: the training set, the challenger with its gates, the canary under trial, the models, and drift.

Belongs here: when each runs and the result of its check. Does not belong here: what the UI shows of it
(`learning_metadata`), and anything that decides (`throughline.learning`). All are unpartitioned and stand at the end of
the last sealed day of the run's experiment: what resolved by then is known, what is decided after it is not. A model
that is refused, and a canary that is rolled back, are data: the run is green and the check is red.
"""

# No `from __future__ import annotations` here: Dagster reads the type of `context` at run time and refuses text.

from typing import TYPE_CHECKING

import dagster as dg

from assets import learning_metadata
from assets.asset_factory import AssetContent, experiment_asset
from resources.definition_factory import ModeSpec, for_each_mode
from resources.flow import Flow
from throughline.errors import CheckOutgrown

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from throughline.cli.wiring import Looked
    from throughline.experiment.identity import Experiment
    from throughline.flow import FlowContext
    from throughline.learning.events import ServingState
    from throughline.learning.nightly import Challenger

TRAINING_SET_CHECK = "training_set_passes_its_suite"
GATES_PASSED = "gates_passed"
NOT_DEGRADED = "canary_not_degraded"
NO_DRIFT = "no_drift"


@for_each_mode
def learning_assets(spec: ModeSpec) -> list[dg.AssetsDefinition]:
    """Return `training_set`, `challenger_model`, `canary_report`, `model_registry_state` and `drift_report`."""
    return [
        experiment_asset(
            spec,
            "training_set",
            "The labels that a model would be trained on now: all that were known at the end of the last sealed day, "
            "weighted by uniqueness, with the verdict of their quality suite.",
            _training_set,
            group="learning",
            deps=("trade_features",),
            check=(TRAINING_SET_CHECK, "The labels that are known now pass the suite of the training set."),
        ),
        experiment_asset(
            spec,
            "challenger_model",
            "A model trained on the training set, with the verdict of every gate, stored once per model ID. It goes on "
            "trial as the canary only if all of them pass and the experiment's model policy is 'gated'.",
            _challenger,
            group="learning",
            deps=("training_set", "registry_consistency"),
            check=(GATES_PASSED, "The newest challenger passed every gate. Insufficient evidence is not a pass."),
        ),
        experiment_asset(
            spec,
            "canary_report",
            "The judge's evaluation of the model on trial (or the watched champion) and of the rule, as of the end of "
            "the last sealed day, with its reason. The verdict is applied: promotion, rollback or rejection of a "
            "model, closing or opening of the rule.",
            _canary,
            group="learning",
            deps=("outcomes", "shadow_outcomes"),
            check=(NOT_DEGRADED, "The judge does not roll back the model on trial or the watched champion."),
        ),
        experiment_asset(
            spec,
            "model_registry_state",
            "The serving models, computed from the experiment's events: champion, canary, fallback and barred models, "
            "and every model with its gates and trades. Updates MLflow's aliases.",
            _state,
            group="learning",
            deps=("challenger_model", "canary_report"),
        ),
        experiment_asset(
            spec,
            "drift_report",
            "Whether features and scores of the last days differ in distribution from those that the serving model was "
            "trained on, feature by feature, with false-discovery control.",
            _drift,
            group="learning",
            deps=("trade_features",),
            check=(NO_DRIFT, "No feature and no score differs from the training window."),
        ),
    ]


def _training_set(ctx: "FlowContext", flow: Flow) -> AssetContent:
    from throughline.learning.dataset import read_training_data
    from throughline.learning.nightly import judge_training_set
    from throughline.learning.standing import last_close
    from throughline.quality.suite import TRAINING_SET

    settings = ctx.experiment.configuration.learning
    with ctx.engine.connect() as conn:
        as_of = last_close(conn, ctx.experiment)
        data, read = read_training_data(conn, ctx.experiment.id, as_of=as_of, window_days=settings.window_days)
    verdict = judge_training_set(ctx.gates, data, as_of)
    suite, suite_hash = ctx.gates.suite(TRAINING_SET)
    return AssetContent(
        learning_metadata.training_set(data, read, as_of, settings),
        verdict.status == "pass",
        verdict.reason,
        details={"suite": suite, "suite_hash": suite_hash, "labels": len(data)},
    )


def _challenger(ctx: "FlowContext", flow: Flow) -> AssetContent:
    from throughline.flow.registry_check import check_what_is_new
    from throughline.learning.cycle import train_and_deploy
    from throughline.learning.standing import last_close

    with ctx.engine.connect() as conn:
        as_of = last_close(conn, ctx.experiment)

    def train() -> "tuple[Challenger, str | None]":
        return train_and_deploy(ctx.engine, ctx.artifacts, ctx.experiment, ctx.gates, as_of, ctx.clock.now())

    try:
        challenger, waiting = train()
    except CheckOutgrown:
        # Another process sealed days between the job's check and here: they are checked, then read.
        assert ctx.proof is not None
        check_what_is_new(ctx.engine, ctx.artifacts, ctx.proof, flow.enforces_roles(), ctx.clock)
        challenger, waiting = train()
    return challenger_content(ctx.engine, challenger, waiting)


def challenger_content(engine: "Engine", challenger: "Challenger", waiting: str | None) -> AssetContent:
    """Return what `challenger_model` shows of a model. waiting: why it does not serve, None where it does."""
    refused = [item for item in challenger.verdicts if item.status != "pass"]
    return AssetContent(
        learning_metadata.challenger(engine, challenger, waiting),
        challenger.passed,
        learning_metadata.gates_sentence(challenger),
        warns=bool(refused) and all(item.status == "insufficient" for item in refused),
        details={"model": challenger.model, "refused_by": ", ".join(item.gate for item in refused)},
    )


def _canary(ctx: "FlowContext", flow: Flow) -> AssetContent:
    from throughline.cli.wiring import Looked
    from throughline.flow.context import shadow_reach_days
    from throughline.learning.cycle import current_state, look, look_at_rule
    from throughline.learning.standing import last_close

    with ctx.engine.connect() as conn:
        as_of = last_close(conn, ctx.experiment)
    before = current_state(ctx.engine, ctx.experiment.id, as_of)
    reach_days = shadow_reach_days(ctx.experiment.configuration.exits)
    judgement = look(ctx.engine, ctx.experiment, as_of, reach_days=reach_days)
    rule = look_at_rule(ctx.engine, ctx.experiment, as_of, reach_days=reach_days)
    after = current_state(ctx.engine, ctx.experiment.id, as_of)
    return canary_content(ctx.experiment, Looked(as_of, judgement, before, after, rule))


def canary_content(experiment: "Experiment", looked: "Looked") -> AssetContent:
    """Return what `canary_report` shows of a look of the judge."""
    judgement, before, after, as_of = looked.judgement, looked.before, looked.after, looked.as_of
    rule = {} if looked.rule is None else learning_metadata.rule(looked.rule, experiment)
    if judgement is None:
        reason = "nobody is on trial, and no promoted champion is watched"
        return AssetContent(learning_metadata.nobody_on_trial(as_of, after) | rule, True, reason)
    model = before.canary or before.champion
    return AssetContent(
        learning_metadata.judgement(judgement, model, before, after, experiment.configuration.canary) | rule,
        judgement.verdict != "roll_back",
        judgement.reason,
        details={"model": model, "verdict": judgement.verdict, "as_of": judgement.as_of.isoformat()},
    )


def _state(ctx: "FlowContext", flow: Flow) -> AssetContent:
    from throughline.learning.lifecycle import heal

    state = heal(ctx.engine, flow.mirror(), ctx.experiment)
    return registry_state_content(ctx.engine, ctx.experiment.id, state)


def registry_state_content(engine: "Engine", experiment: str, state: "ServingState") -> AssetContent:
    """Return what `model_registry_state` shows: who serves, and every model and event of the experiment."""
    from throughline.learning.store import read_events, read_models, read_verdicts, trades_by_model

    with engine.connect() as conn:
        events = read_events(conn, experiment)
        trades = trades_by_model(conn, experiment)
        models = [(item, read_verdicts(conn, item.id)) for item in read_models(conn, experiment)]
    return AssetContent(learning_metadata.registry_state(state, models, events, trades))


def _drift(ctx: "FlowContext", flow: Flow) -> AssetContent:
    from throughline.learning.cycle import current_state
    from throughline.learning.drift_windows import find_drift
    from throughline.learning.standing import last_close

    with ctx.engine.connect() as conn:
        as_of = last_close(conn, ctx.experiment)
    state = current_state(ctx.engine, ctx.experiment.id, as_of)
    with ctx.engine.connect() as conn:
        report = find_drift(conn, ctx.artifacts, ctx.experiment.id, state, as_of)
    return AssetContent(
        learning_metadata.drift(report), not report.drifted, learning_metadata.drift_sentence(report), warns=True
    )
