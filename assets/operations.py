"""Operations that are no assets: roll a model back, and walk forward through history with models of their time.

Belongs here: what a person configures, and what the UI shows of it. Does not belong here: the decision
(`throughline.learning.lifecycle`), the order of a walk (`throughline.walk_forward`), the jobs (`pipelines`).

A walk is one operation, since each day is decided by the models that the days before trained: as assets, every day and
every training would be a run of its own (hundreds of them), and a run cannot loop over a selection. So the operation
itself reports the materializations and checks that the assets' own runs would have reported.
"""

# No `from __future__ import annotations` here: Dagster reads the types of `context` and `config` at run time.

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from assets import learning_metadata
from assets.asset_factory import experiment_run
from assets.checks.gates import CHECK_NAME, gate_result
from assets.partition_metadata import day_metadata, preview, sealed_before
from resources.definition_factory import ModeSpec
from resources.flow import Flow
from resources.home import Flows
from throughline.catalogue import catalogue
from throughline.errors import SettingsError, ThroughlineError, shown

if TYPE_CHECKING:
    from throughline.flow import DayResult, FlowContext
    from throughline.learning.cycle import Close
    from throughline.learning.events import ServingState


class RollBackConfig(dg.Config):
    """Which model to roll back, and why."""

    reason: str = Field(description="Why the model is rolled back. It is recorded.")
    model: str | None = Field(
        default=None,
        description="ID of the model, or the beginning of it. None: the model on trial, else the champion.",
    )
    by: Literal["hand", "judge"] = Field(
        default="hand", description="Who decided it: a person (hand), or the judge of the canary."
    )


class WalkForwardConfig(dg.Config):
    """Which days to walk."""

    end: str = Field(description="Last day, for example 2022-12-31.")
    start: str | None = Field(default=None, description="First day. None: the experiment's epoch.")


def roll_back_op_name(mode: str) -> str:
    """Return the name of a mode's rollback."""
    return f"roll_back_{mode}_model"


def roll_back_job_name(mode: str) -> str:
    """Return the name of the job of a mode's rollback."""
    return f"{roll_back_op_name(mode)}_job"


def roll_back_op(spec: ModeSpec) -> dg.OpDefinition:
    """Return the operation that takes the canary or the champion of a mode's experiment out of service."""

    @dg.op(
        name=roll_back_op_name(spec.name),
        out=dg.Out(dg.Nothing),
        description="Takes a model out of service for good, from the first undecided day on; the previous good "
        "champion serves again, or the rule. Where the model is out of service already, nothing happens.",
    )
    def roll_back_model(context: dg.OpExecutionContext, config: RollBackConfig, home: dg.ResourceParam[Flows]) -> None:
        with experiment_run(context, home, spec.name) as (ctx, flow):
            context.add_output_metadata(_rolled_back(ctx, flow, config))

    return roll_back_model


def _rolled_back(ctx: "FlowContext", flow: Flow, config: RollBackConfig) -> dict[str, Any]:
    from throughline.learning.lifecycle import current, next_instant, roll_back

    with ctx.engine.connect() as conn:
        state = current(conn, ctx.experiment.id)
        at = next_instant(conn, ctx.experiment)
    model = _model_of(state, config.model)
    change = roll_back(
        ctx.engine, ctx.experiment, model, at=at, by=config.by, reason=config.reason, mirror=flow.mirror()
    )
    return {
        "sentence": change.sentence,
        "model": model,
        "champion": change.state.champion,
        "changed": change.event is not None,
        **({"mirror_problem": change.mirror_problem} if change.mirror_problem else {}),
    }


def _model_of(state: "ServingState", given: str | None) -> str:
    """Return the full ID of the model. Raises SettingsError where nothing, or more than one, is."""
    from throughline.learning.types import RULE

    serving = [model for model in (state.canary, state.champion) if model is not None and model != RULE]
    if given is None:
        if not serving:
            raise SettingsError(
                "no model serves in this experiment: the rule decides alone, and there is nothing to roll back"
            )
        return serving[0]
    matches = sorted({model for model in (*serving, *state.barred) if model.startswith(given)})
    if len(matches) != 1:
        what = f"{len(matches)} of the models that serve or served"
        raise SettingsError(f"{what} begin with {shown(given)}: write an ID of `throughline models` in full")
    return matches[0]


def walk_forward_op(spec: ModeSpec) -> dg.OpDefinition:
    """Return the operation that walks forward through the days of a mode's experiment."""

    @dg.op(
        name=f"walk_forward_{spec.name}",
        out=dg.Out(dg.Nothing),
        description="Runs every daily asset of the experiment in order and trains models as time goes on: the canary "
        "is evaluated at the end of each day, and a challenger is trained at each midnight of the schedule on the "
        "trades that were closed by then. The days appear as partitions of the assets. Sealed days are not run again.",
    )
    def walk(context: dg.OpExecutionContext, config: WalkForwardConfig, home: dg.ResourceParam[Flows]) -> None:
        with experiment_run(context, home, spec.name) as (ctx, flow):
            context.add_output_metadata(_Walk(spec, context, flow, ctx).over(config))

    return walk


class _Walk:
    """One walk: runs stages through the flow, and shows days, gates and trainings in Dagster as they come."""

    def __init__(self, spec: ModeSpec, context: dg.OpExecutionContext, flow: Flow, ctx: "FlowContext") -> None:
        self._spec = spec
        self._context = context
        self._flow = flow
        self._ctx = ctx

    def over(self, config: WalkForwardConfig) -> dict[str, Any]:
        """Walk, and return the metadata of the result."""
        from throughline.learning.lifecycle import heal
        from throughline.walk_forward.runner import walk_forward

        experiment = self._ctx.experiment
        if experiment.configuration.model_policy != "gated":
            raise SettingsError(
                f"experiment {experiment.id[:12]} lets no model decide (model_policy is 'none'), so there is nothing "
                "to walk forward with: make one with `throughline walk-forward`, or set model_policy = 'gated' in the "
                "configuration of `throughline backtest`"
            )
        start = _day("start", config.start) or experiment.epoch
        end = _day("end", config.end) or experiment.epoch
        if not experiment.epoch <= start <= end:
            raise SettingsError(
                f"days from {start} to {end}: start on the experiment's epoch {experiment.epoch} or after it, and end "
                "no earlier"
            )
        done = walk_forward(self._ctx, start, end, self._run, self._check, self._show_close)
        state = heal(self._ctx.engine, self._flow.mirror(), experiment)
        trained = [close.challenger for close in done.closes if close.challenger is not None]
        return {
            "days_run": done.ran,
            "trained": len(trained),
            "passed": sum(challenger.passed for challenger in trained),
            "champion": state.champion,
            **({"canary": state.canary} if state.canary else {}),
        }

    def _run(self, first: date, last: date) -> None:
        from throughline.flow.run import days_between, run_days, stage_runner

        try:
            run_days(days_between(first, last), stage_runner(self._ctx, self, self._flow.run_stage))
        finally:
            self._show_gates()

    def finished(self, asset: str, results: Sequence["DayResult"]) -> None:
        """Show the days that a stage has sealed."""
        for result in results:
            metadata = day_metadata(result)
            if result is results[-1]:
                metadata["preview"] = dg.MetadataValue.md(preview(results, None))
            self._materialized(asset, metadata, result.day)

    def failed(self, asset: str, days: Sequence[date], error: ThroughlineError) -> None:
        """Show the days that a stage had sealed before it raised."""
        for day, metadata in sealed_before(self._ctx, asset, days):
            self._materialized(asset, metadata, day)

    def _check(self) -> None:
        from throughline.flow.registry_check import check_what_is_new

        ctx = self._ctx
        assert ctx.proof is not None
        check_what_is_new(ctx.engine, ctx.artifacts, ctx.proof, self._flow.enforces_roles(), ctx.clock)

    def _show_close(self, close: "Close") -> None:
        if close.challenger is not None:
            metadata = learning_metadata.challenger(self._ctx.engine, close.challenger, close.waiting)
            self._materialized("challenger_model", metadata)
            self._context.log.info(
                f"{close.as_of:%Y-%m-%d}: model {close.challenger.model[:12]} was trained; "
                f"{learning_metadata.gates_sentence(close.challenger)}"
            )
        if close.judgement is not None:
            judgement = close.judgement
            self._context.log.info(f"{close.as_of:%Y-%m-%d}: {judgement.verdict.replace('_', ' ')}: {judgement.reason}")

    def _materialized(self, name: str, metadata: dict[str, Any], day: date | None = None) -> None:
        metadata = {"experiment": self._ctx.experiment.id, **metadata}
        partition = None if day is None else day.isoformat()
        self._context.log_event(dg.AssetMaterialization(self._spec.key(name), metadata=metadata, partition=partition))

    def _show_gates(self) -> None:
        """Show how each gate stands, as the assets' own runs do."""
        for name in catalogue().gated:
            key = self._spec.key(name)
            result = gate_result(self._ctx, key, name)
            self._context.instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    key,
                    CHECK_NAME,
                    result.passed,
                    metadata=result.metadata,
                    severity=result.severity,
                    description=result.description,
                )
            )


def _day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{name} is {shown(text)}: write a day such as 2022-12-31") from None
