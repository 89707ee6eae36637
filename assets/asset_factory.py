"""What all assets share: the options of an asset, the run of its experiment, and the asset over a stage of the day.

Belongs here: from a Dagster run to a flow context and back to what Dagster shows. Does not belong here: which assets
there are (the other modules of this folder), and anything that decides.

A partitioned asset takes a time range, hands its days to its stage in order, and returns a result with zero rows too. A
day that fails its gate is data: the run stays green and the check is red. Where a stage raises, the days that it had
sealed by then are shown as materialized before the run fails, with the sentence of the error.
"""

# No `from __future__ import annotations` here: Dagster reads the types of `context` and `home` at run time.

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.checks.gates import gate_check, gate_result
from assets.partition_metadata import day_metadata, preview, sealed_before
from resources.definition_factory import ModeSpec
from resources.flow import EXPERIMENT_TAG, Flow
from resources.home import Flows
from throughline.catalogue import StageSpec, catalogue
from throughline.errors import MissingPredecessor, OutsideExperiment, RevisedData, ThroughlineError
from throughline.experiment.identity import current_code_hash

if TYPE_CHECKING:
    from throughline.flow import DayResult, FlowContext

OWNERS = ["team:throughline"]

ACTIVE_EXPERIMENT = "active_experiment"
"""The asset that shows which experiment runs of the mode work on."""

Picture = Callable[["FlowContext", Sequence["DayResult"]], str]
"""Makes markdown with a picture for the last day of a range."""


Run = dg.AssetExecutionContext | dg.OpExecutionContext


@dataclass(frozen=True)
class AssetContent:
    """What an unpartitioned asset has to show.

    Attributes:
        metadata: of the materialization.
        passed: whether its check passes; True where it has none.
        description: of the check's result.
        warns: whether a failed check is a warning instead of an error.
        details: metadata of the check's result.
    """

    metadata: dict[str, Any]
    passed: bool = True
    description: str = ""
    warns: bool = False
    details: dict[str, Any] = field(default_factory=dict)


Work = Callable[["FlowContext", Flow], AssetContent]
"""Makes what an unpartitioned asset shows."""


def mode_asset(
    spec: ModeSpec,
    name: str,
    *,
    group: str,
    description: str,
    deps: Sequence[str | dg.AssetDep] = (),
    kinds: Sequence[str] = ("python", "postgres"),
    checks: Sequence[dg.AssetCheckSpec] = (),
    tier: str | None = None,
    **more: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return `dagster.asset` with what all assets of a mode have.

    Args:
        spec: the mode.
        name: without the prefix of the mode.
        group: part of the system that it belongs to: market, decisions, trading, learning, registry, proof, reports.
        description: for the UI.
        deps: names of assets of the same mode, or edges with a partition mapping.
        kinds: what it runs on.
        checks: its checks.
        tier: "gate" where the asset's check stops what is downstream of it.
        more: other arguments of `dagster.asset`.
    """
    decorator: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(
        key=spec.key(name),
        description=description,
        deps=[spec.key(item) if isinstance(item, str) else item for item in deps],
        check_specs=list(checks) or None,
        code_version=current_code_hash(),
        group_name=spec.group(group),
        kinds=set(kinds),
        owners=OWNERS,
        tags={"stage": group, **({"tier": tier} if tier else {})},
        **more,
    )
    return decorator


@contextmanager
def experiment_run(context: Run, home: Flows, mode: str) -> Iterator[tuple["FlowContext", Flow]]:
    """Yield the flow context of a run's experiment with the flow of its mode.

    An error of the domain becomes the failure of the run, with its sentence. The run is tagged with the whole ID of the
    experiment, so that its later steps use the same one whatever becomes active meanwhile.
    """
    try:
        flow = home.flow(mode)
        ctx = flow.context(run_tags(context), context.run.run_id)
        if run_tags(context).get(EXPERIMENT_TAG) != ctx.experiment.id:
            context.instance.add_run_tags(context.run.run_id, {EXPERIMENT_TAG: ctx.experiment.id})
        yield ctx, flow
    except ThroughlineError as error:
        raise failure(error, mode) from error


def experiment_asset(
    spec: ModeSpec, name: str, description: str, work: Work, *, check: tuple[str, str] | None = None, **options: Any
) -> dg.AssetsDefinition:
    """Return an unpartitioned asset over the sealed days of the run's experiment.

    Args:
        spec: the mode.
        name: without the prefix of the mode.
        description: for the UI.
        work: makes what it shows.
        check: name and description of its check; None = it has none.
        options: more arguments of `mode_asset`.
    """
    key = spec.key(name)
    checks = [dg.AssetCheckSpec(check[0], asset=key, description=check[1])] if check else []

    @mode_asset(spec, name, description=description, checks=checks, **options)
    def run(context: dg.AssetExecutionContext, home: dg.ResourceParam[Flows]) -> dg.MaterializeResult:  # type: ignore[type-arg]
        with experiment_run(context, home, spec.name) as (ctx, flow):
            content = work(ctx, flow)
        result = check_result(key, check[0], ctx.experiment.id, content) if check else None
        metadata = {"experiment": ctx.experiment.id, **content.metadata}
        return dg.MaterializeResult(metadata=metadata, check_results=[result] if result else None)

    return run


def check_result(key: dg.AssetKey, name: str, experiment: str, content: AssetContent) -> dg.AssetCheckResult:
    """Return the result of the check `name` of the asset `key`."""
    return dg.AssetCheckResult(
        passed=content.passed,
        check_name=name,
        asset_key=key,
        description=content.description,
        severity=dg.AssetCheckSeverity.WARN if content.warns else dg.AssetCheckSeverity.ERROR,
        metadata={"experiment": experiment, **content.details},
    )


def stage_asset(spec: ModeSpec, stage: StageSpec, *, picture: Picture | None = None) -> dg.AssetsDefinition:
    """Return the partitioned asset over a stage of the day.

    Args:
        spec: the mode.
        stage: the stage, as the catalogue declares it.
        picture: shows a range of its days.
    """
    name, gated = stage.asset, stage.gated
    key = spec.key(name)
    deps: list[str | dg.AssetDep] = list(catalogue().direct_upstream[name])
    if stage.follows_itself:
        yesterday = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
        deps.append(dg.AssetDep(key, partition_mapping=yesterday))

    @mode_asset(
        spec,
        name,
        group=stage.group,
        description=f"{stage.description} {which_experiment(spec.name)}",
        deps=deps,
        kinds=stage.kinds,
        checks=[gate_check(key)] if gated else [],
        tier="gate" if gated else None,
        partitions_def=spec.partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(spec.chunk_days),
    )
    def run(
        context: dg.AssetExecutionContext, home: dg.ResourceParam[Flows]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        days = [date.fromisoformat(text) for text in context.partition_keys]
        with experiment_run(context, home, spec.name) as (ctx, flow):
            try:
                results = flow.run_stage(name, ctx, days)
            except ThroughlineError:
                for day, metadata in sealed_before(ctx, name, days):
                    metadata = {"experiment": ctx.experiment.id, **metadata}
                    context.log_event(dg.AssetMaterialization(key, metadata=metadata, partition=day.isoformat()))
                if gated:
                    yield gate_result(ctx, key, name)
                raise
        for result in results:
            metadata = {"experiment": ctx.experiment.id, **day_metadata(result)}
            context.add_asset_metadata(metadata, partition_key=result.day.isoformat())
        shown: dict[str, Any] = {"preview": dg.MetadataValue.md(preview(results, picture and picture(ctx, results)))}
        context.add_asset_metadata(shown, partition_key=results[-1].day.isoformat())
        yield dg.MaterializeResult(check_results=[gate_result(ctx, key, name)] if gated else None)

    return run


def failure(error: ThroughlineError, mode: str) -> dg.Failure:
    """Return the failure of a run for an error of the domain; it explains how another experiment is chosen."""
    sentence = str(error)
    if isinstance(error, MissingPredecessor | OutsideExperiment | RevisedData):
        sentence += (
            f". To use another experiment: {mode}/{ACTIVE_EXPERIMENT} shows which one is active, `throughline use"
            f" ID` makes another one active, and the tag {EXPERIMENT_TAG} selects one for a single run or backfill"
        )
    return dg.Failure(sentence, allow_retries=False)


def run_tags(context: Run) -> Mapping[str, str]:
    """Return the run's tags as they are now: the first step of a run may have added the experiment."""
    if EXPERIMENT_TAG in context.run.tags:  # as in runs of commands: each question to the database counts in a walk
        return context.run.tags
    run = context.instance.get_run_by_id(context.run.run_id)
    return run.tags if run is not None else context.run.tags


def which_experiment(mode: str) -> str:
    """Return the sentence on which experiment a run of this mode works on."""
    return (
        f"Uses the active experiment of mode '{mode}', which the asset {mode}/{ACTIVE_EXPERIMENT} shows, or the one "
        f"that the tag {EXPERIMENT_TAG} of the run or backfill names (its ID, or the first 8 or more digits)."
    )
