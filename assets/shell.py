"""The shell around a stage: from a Dagster range of partitions to a call of the flow, and back to what Dagster shows.

Belongs here: what all partitioned assets share. Does not belong here: which assets there are (`throughline.catalogue`),
and anything that decides.

Every asset takes a time range, hands its days to its stage in order, and returns a result with zero rows too. A day
that fails its gate is data: the run stays green and the check is red. Where a stage raises, the days that it had sealed
by then are shown as materialized before the run fails, with the sentence of the error.
"""

# No `from __future__ import annotations` here: Dagster reads the type of `context` at run time and refuses text.

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.checks.gates import gate_check, gate_result
from assets.presentation import day_metadata, preview, sealed_before
from resources.flow import EXPERIMENT_TAG
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


@dataclass(frozen=True)
class Graph:
    """What the assets of one mode share. chunk_days: days per run of a backfill."""

    mode: str
    partitions: dg.TimeWindowPartitionsDefinition
    chunk_days: int

    def key(self, name: str) -> dg.AssetKey:
        """Return the key of an asset of this mode."""
        return dg.AssetKey([self.mode, name])

    @property
    def flow_key(self) -> str:
        """Name of the resource that opens the home."""
        return f"flow_{self.mode}"


def stage_asset(graph: Graph, spec: StageSpec, *, picture: Picture | None = None) -> dg.AssetsDefinition:
    """Return the partitioned asset over a stage. picture: shows a range of its days."""
    name, gated = spec.asset, spec.gated
    key = graph.key(name)
    deps: list[dg.AssetKey | dg.AssetDep] = [graph.key(above) for above in catalogue().direct_upstream[name]]
    if spec.follows_itself:
        yesterday = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)
        deps.append(dg.AssetDep(key, partition_mapping=yesterday))

    @dg.asset(
        key=key,
        description=f"{spec.description} {which_experiment(graph.mode)}",
        deps=deps,
        partitions_def=graph.partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(graph.chunk_days),
        check_specs=[gate_check(key)] if gated else None,
        required_resource_keys={graph.flow_key},
        code_version=current_code_hash(),
        group_name=graph.mode,
        kinds=set(spec.kinds),
        owners=OWNERS,
        tags={"stage": spec.group, **({"tier": "gate"} if gated else {})},
    )
    def run(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        flow = getattr(context.resources, graph.flow_key)
        days = [date.fromisoformat(text) for text in context.partition_keys]
        try:
            ctx = flow.context(run_tags(context), context.run.run_id)
            remember_experiment(context, ctx.experiment.id)
        except ThroughlineError as error:
            raise failure(error, graph.mode) from error
        try:
            results = flow.run_stage(name, ctx, days)
        except ThroughlineError as error:
            for day, metadata in sealed_before(ctx, name, days):
                metadata = {"experiment": ctx.experiment.id, **metadata}
                context.log_event(dg.AssetMaterialization(key, metadata=metadata, partition=day.isoformat()))
            if gated:
                yield gate_result(ctx, key, name)
            raise failure(error, graph.mode) from error
        for result in results:
            told = {"experiment": ctx.experiment.id, **day_metadata(result)}
            context.add_asset_metadata(told, partition_key=result.day.isoformat())
        shown: dict[str, Any] = {"preview": dg.MetadataValue.md(preview(results, picture and picture(ctx, results)))}
        context.add_asset_metadata(shown, partition_key=results[-1].day.isoformat())
        yield dg.MaterializeResult(check_results=[gate_result(ctx, key, name)] if gated else None)

    return run


def failure(error: ThroughlineError, mode: str) -> dg.Failure:
    """Return the failure of a run for an error of the domain; where another experiment may be meant, it says how."""
    words = str(error)
    if isinstance(error, MissingPredecessor | OutsideExperiment | RevisedData):
        words += (
            f". To use another experiment: {mode}/{ACTIVE_EXPERIMENT} shows which one is active, `throughline use"
            f" ID` makes another one active, and the tag {EXPERIMENT_TAG} selects one for a single run or backfill"
        )
    return dg.Failure(words, allow_retries=False)


def run_tags(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Mapping[str, str]:
    """Return the run's tags as they are now: the first step of a run may have added the experiment."""
    run = context.instance.get_run_by_id(context.run.run_id)
    return run.tags if run is not None else context.run.tags


def which_experiment(mode: str) -> str:
    """Return the sentence that says which experiment a run of this mode works on."""
    return (
        f"Uses the active experiment of mode '{mode}', which the asset {mode}/{ACTIVE_EXPERIMENT} shows, or the one "
        f"that the tag {EXPERIMENT_TAG} of the run or backfill names (its ID, or the first 8 or more digits)."
    )


def remember_experiment(context: dg.AssetExecutionContext | dg.OpExecutionContext, experiment: str) -> None:
    """Tag the run with the whole ID of its experiment: later steps use the same whatever becomes active meanwhile."""
    if run_tags(context).get(EXPERIMENT_TAG) != experiment:
        context.instance.add_run_tags(context.run.run_id, {EXPERIMENT_TAG: experiment})
