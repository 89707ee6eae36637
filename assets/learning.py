"""Learning assets: the training set, the challenger with its gates, the canary under trial, the models, and drift.

Belongs here: when each runs and what its check says. Does not belong here: what the UI shows of it (`learning_words`),
and anything that decides (`throughline.learning`). All are unpartitioned and stand at the end of the last sealed day of
the run's experiment: what resolved by then is known, what is decided after it is not. A model that is refused, and a
canary that is rolled back, are data: the run is green and the check is red.
"""

# No `from __future__ import annotations` here: Dagster reads the type of `context` at run time and refuses text.

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets import learning_words as words
from assets.shell import OWNERS, Graph, failure, remember_experiment, run_tags
from throughline.errors import CheckOutgrown, ThroughlineError
from throughline.experiment.identity import current_code_hash

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from resources.flow import Flow
    from throughline.cli.wiring import Looked
    from throughline.experiment.identity import Experiment
    from throughline.flow import FlowContext
    from throughline.learning.events import ServingState
    from throughline.learning.nightly import Challenger

TRAINING_SET_CHECK = "training_set_passes_its_suite"
GATES_PASSED = "gates_passed"
NOT_DEGRADED = "canary_not_degraded"
NO_DRIFT = "no_drift"
CHECKED_ASSETS = ("training_set", "challenger_model", "canary_report", "drift_report")
"""The assets here that have a check."""


@dataclass(frozen=True)
class Told:
    """What an asset has to show. passed, description: of its check; warns: a failed check is a warning."""

    metadata: dict[str, Any]
    passed: bool = True
    description: str = ""
    warns: bool = False
    details: dict[str, Any] = field(default_factory=dict)


Work = Callable[["FlowContext", "Flow"], Told]


def learning_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """Return `training_set`, `challenger_model`, `canary_report`, `model_registry_state` and `drift_report`."""
    return [
        _asset(
            graph,
            "training_set",
            "The labels that a model would be trained on now: all that were known at the end of the last sealed day, "
            "weighted by uniqueness, with the verdict of their quality suite.",
            _training_set,
            deps=["trade_features"],
            check=(TRAINING_SET_CHECK, "The labels that are known now pass the suite of the training set."),
        ),
        _asset(
            graph,
            "challenger_model",
            "A model trained on the training set, with the verdict of every gate, stored once per model ID. It goes on "
            "trial as the canary only if all of them pass and the experiment's model policy is 'gated'.",
            _challenger,
            deps=["training_set", "registry_consistency"],
            check=(GATES_PASSED, "The newest challenger passed every gate. Insufficient evidence is not a pass."),
        ),
        _asset(
            graph,
            "canary_report",
            "The judge's evaluation of the model on trial (or the watched champion) and of the rule, as of the end of "
            "the last sealed day, with its reason. The verdict is applied: promotion, rollback or rejection of a "
            "model, closing or opening of the rule.",
            _canary,
            deps=["outcomes", "shadow_outcomes"],
            check=(NOT_DEGRADED, "The judge does not roll back the model on trial or the watched champion."),
        ),
        _asset(
            graph,
            "model_registry_state",
            "The serving models, computed from the experiment's events: champion, canary, fallback and barred models, "
            "and every model with its gates and trades. Updates MLflow's aliases.",
            _state,
            deps=["challenger_model", "canary_report"],
        ),
        _asset(
            graph,
            "drift_report",
            "Whether features and scores of the last days differ in distribution from those that the serving model was "
            "trained on, feature by feature, with false-discovery control.",
            _drift,
            deps=["trade_features"],
            check=(NO_DRIFT, "No feature and no score differs from the training window."),
        ),
    ]


def _asset(
    graph: Graph,
    name: str,
    description: str,
    work: Work,
    *,
    deps: Sequence[str],
    check: tuple[str, str] | None = None,
) -> dg.AssetsDefinition:
    key = graph.key(name)

    @dg.asset(
        key=key,
        description=description,
        deps=[graph.key(item) for item in deps],
        check_specs=[dg.AssetCheckSpec(check[0], asset=key, description=check[1])] if check else None,
        required_resource_keys={graph.flow_key},
        code_version=current_code_hash(),
        group_name=graph.mode,
        kinds={"python", "postgres"},
        owners=OWNERS,
        tags={"stage": "learning"},
    )
    def run(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        flow = getattr(context.resources, graph.flow_key)
        try:
            ctx = flow.context(run_tags(context), context.run.run_id)
            remember_experiment(context, ctx.experiment.id)
            told = work(ctx, flow)
        except ThroughlineError as error:
            raise failure(error, graph.mode) from error
        result = check_result(key, check[0], ctx.experiment.id, told) if check else None
        metadata = {"experiment": ctx.experiment.id, **told.metadata}
        return dg.MaterializeResult(metadata=metadata, check_results=[result] if result else None)

    return run


def check_result(key: dg.AssetKey, name: str, experiment: str, told: Told) -> dg.AssetCheckResult:
    """Return what the check `name` of the asset `key` says."""
    return dg.AssetCheckResult(
        passed=told.passed,
        check_name=name,
        asset_key=key,
        description=told.description,
        severity=dg.AssetCheckSeverity.WARN if told.warns else dg.AssetCheckSeverity.ERROR,
        metadata={"experiment": experiment, **told.details},
    )


def _training_set(ctx: "FlowContext", flow: "Flow") -> Told:
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
    return Told(
        words.training_set(data, read, as_of, settings),
        verdict.status == "pass",
        verdict.reason,
        details={"suite": suite, "suite_hash": suite_hash, "labels": len(data)},
    )


def _challenger(ctx: "FlowContext", flow: "Flow") -> Told:
    from throughline.flow.registry_check import check_what_is_new
    from throughline.learning.cycle import train_and_deploy
    from throughline.learning.standing import last_close

    with ctx.engine.connect() as conn:
        as_of = last_close(conn, ctx.experiment)

    def train() -> "tuple[Challenger, str | None]":
        return train_and_deploy(ctx.engine, ctx.artifacts, ctx.experiment, ctx.gates, as_of, ctx.clock.now())

    try:
        made, waiting = train()
    except CheckOutgrown:
        # Another process sealed days between the job's check and here: they are checked, then read.
        assert ctx.proof is not None
        check_what_is_new(ctx.engine, ctx.artifacts, ctx.proof, flow.enforces_roles(), ctx.clock)
        made, waiting = train()
    return told_of_challenger(ctx.engine, made, waiting)


def told_of_challenger(engine: "Engine", made: "Challenger", waiting: str | None) -> Told:
    """Return what `challenger_model` shows of a model. waiting: why it does not serve, None where it does."""
    refused = [item for item in made.verdicts if item.status != "pass"]
    return Told(
        words.challenger(engine, made, waiting),
        made.passed,
        words.gates_sentence(made),
        warns=bool(refused) and all(item.status == "insufficient" for item in refused),
        details={"model": made.model, "refused_by": ", ".join(item.gate for item in refused)},
    )


def _canary(ctx: "FlowContext", flow: "Flow") -> Told:
    from throughline.cli.wiring import Looked
    from throughline.flow.context import shadow_reach_days
    from throughline.learning.cycle import current_state, look, look_at_rule
    from throughline.learning.standing import last_close

    with ctx.engine.connect() as conn:
        as_of = last_close(conn, ctx.experiment)
    before = current_state(ctx.engine, ctx.experiment.id, as_of)
    reach_days = shadow_reach_days(ctx.experiment.configuration.exits)
    told = look(ctx.engine, ctx.experiment, as_of, reach_days=reach_days)
    rule = look_at_rule(ctx.engine, ctx.experiment, as_of, reach_days=reach_days)
    after = current_state(ctx.engine, ctx.experiment.id, as_of)
    return told_of_look(ctx.experiment, Looked(as_of, told, before, after, rule))


def told_of_look(experiment: "Experiment", looked: "Looked") -> Told:
    """Return what `canary_report` shows of a look of the judge."""
    told, before, after, as_of = looked.judgement, looked.before, looked.after, looked.as_of
    rule = {} if looked.rule is None else words.rule(looked.rule, experiment)
    if told is None:
        nobody = "nobody is on trial, and no promoted champion is watched"
        return Told(words.nobody_on_trial(as_of, after) | rule, True, nobody)
    model = before.canary or before.champion
    return Told(
        words.judgement(told, model, before, after, experiment.configuration.canary) | rule,
        told.verdict != "roll_back",
        told.reason,
        details={"model": model, "verdict": told.verdict, "as_of": told.as_of.isoformat()},
    )


def _state(ctx: "FlowContext", flow: "Flow") -> Told:
    from throughline.learning.lifecycle import heal

    state = heal(ctx.engine, flow.mirror(), ctx.experiment)
    return told_of_state(ctx.engine, ctx.experiment.id, state)


def told_of_state(engine: "Engine", experiment: str, state: "ServingState") -> Told:
    """Return what `model_registry_state` shows: who serves, and every model and event of the experiment."""
    from throughline.learning.store import read_events, read_models, read_verdicts, trades_by_model

    with engine.connect() as conn:
        events = read_events(conn, experiment)
        trades = trades_by_model(conn, experiment)
        models = [(item, read_verdicts(conn, item.id)) for item in read_models(conn, experiment)]
    return Told(words.registry_state(state, models, events, trades))


def _drift(ctx: "FlowContext", flow: "Flow") -> Told:
    from throughline.learning.cycle import current_state
    from throughline.learning.drift_windows import find_drift
    from throughline.learning.standing import last_close

    with ctx.engine.connect() as conn:
        as_of = last_close(conn, ctx.experiment)
    state = current_state(ctx.engine, ctx.experiment.id, as_of)
    with ctx.engine.connect() as conn:
        found = find_drift(conn, ctx.artifacts, ctx.experiment.id, state, as_of)
    return Told(words.drift(found), not found.drifted, words.drift_sentence(found), warns=True)
