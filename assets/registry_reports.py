"""Assets that look at the registries as a whole: the consistency check with its report, and the analytics.

Belongs here: when they run and what the UI shows. Does not belong here: any check (`throughline.registry.consistency`)
or figure (`throughline.analytics`).
"""

# No `from __future__ import annotations` here: Dagster reads the types of `context` and `config` at run time.

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from assets.asset_factory import AssetContent, experiment_asset, experiment_run, mode_asset
from resources.definition_factory import ModeSpec, for_each_mode
from resources.flow import Flow
from resources.home import Flows
from throughline.rendering.blocks import Block, Bullets, markdown
from throughline.rendering.table import Table

if TYPE_CHECKING:
    from throughline.analytics.trade_registry.model import RegistryAnalytics
    from throughline.flow import FlowContext
    from throughline.registry.consistency import ConsistencyResult, Report

CONSISTENT = "registry_is_consistent"
DOSSIERS = 20
"""So many of the newest trades get a page of their own with each run of the analytics."""
NAMED = 50
"""At most so many findings are listed in the metadata; the report has all of them."""


class CheckConfig(dg.Config):
    """What a consistency check covers."""

    scope: Literal["daily", "full"] = Field(
        default="full", description="full: everything. daily: what was logged since the last check that passed."
    )


@for_each_mode
def registry_report_assets(spec: ModeSpec) -> list[dg.AssetsDefinition]:
    """Return `registry_consistency` and `registry_analytics` of a mode, both unpartitioned."""
    return [_consistency(spec), _analytics(spec)]


def _consistency(spec: ModeSpec) -> dg.AssetsDefinition:
    key = spec.key("registry_consistency")
    check = "The registries agree with each other, with the chain and with the seal log."

    @mode_asset(
        spec,
        "registry_consistency",
        group="proof",
        description="Checks every hash, link (in both directions), seal, guard and artifact of the home's "
        "registries, and the seal log against its key and anchor. A finding fails the run and blocks training.",
        deps=("registry_seals",),
        kinds=("python", "json"),
        checks=(dg.AssetCheckSpec(CONSISTENT, asset=key, description=check),),
        tier="gate",
    )
    def registry_consistency(
        context: dg.AssetExecutionContext, config: CheckConfig, home: dg.ResourceParam[Flows]
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        from throughline.flow.registry_check import check_registries, log_what_is_new

        with experiment_run(context, home, spec.name) as (ctx, flow):
            unlogged = log_what_is_new(ctx)
            result, report = check_registries(ctx, config.scope, flow.enforces_roles())
        metadata = consistency_metadata(result, report)
        verdict = consistency_check(key, result, report)
        if report.ok and unlogged is None:
            yield dg.MaterializeResult(metadata=metadata, check_results=[verdict])
            return
        context.log_event(dg.AssetMaterialization(key, metadata=metadata))
        yield verdict
        raise dg.Failure(_sentence(result) if not report.ok else str(unlogged), allow_retries=False)

    return registry_consistency


def _sentence(result: "ConsistencyResult") -> str:
    covered = f"{result.rows:,} rows of {result.trades:,} trades"
    if result.ok:
        return f"{covered}: no finding"
    first = result.findings[0]
    count = len(result.findings) + result.omitted
    return f"{covered}: {count} finding(s), the first {first.table} {first.row}: {first.problem}"


def consistency_check(key: dg.AssetKey, result: "ConsistencyResult", report: "Report") -> dg.AssetCheckResult:
    """Return the verdict of a check of the registries."""
    return dg.AssetCheckResult(
        passed=report.ok,
        check_name=CONSISTENT,
        asset_key=key,
        description=_sentence(result),
        metadata={"report": report.report, "scope": report.scope},
    )


def consistency_metadata(result: "ConsistencyResult", report: "Report") -> dict[str, Any]:
    """Return what `registry_consistency` shows of a check."""
    blocks: list[Block] = [f"**{report.scope} check of {report.checked_at:%Y-%m-%d %H:%M} UTC**: {_sentence(result)}."]
    if result.sentences:
        blocks.append(Bullets(list(result.sentences)))
    if result.findings:
        rows = [(item.kind, item.table, item.row, item.problem, item.repair) for item in result.findings[:NAMED]]
        blocks.append(Table(("what", "table", "row", "problem", "repair"), rows, left=range(5)))
    metadata: dict[str, Any] = {
        "preview": dg.MetadataValue.md(markdown(blocks)),
        "ok": report.ok,
        "scope": report.scope,
        "rows": report.rows,
        "trades": result.trades,
        "findings": report.findings,
        "tree_size": report.tree_size,
        "root": report.root,
        "report": report.report,
        "seconds": round(result.seconds, 3),
    }
    if result.findings:
        metadata["by_kind"] = dg.MetadataValue.json(result.as_json()["by_kind"])
    return metadata


def _analytics(spec: ModeSpec) -> dg.AssetsDefinition:
    return experiment_asset(
        spec,
        "registry_analytics",
        "Figures from the registries: by strategy, hour, weekday and bucket, whether a bucket's past predicts its "
        "future, how soulprints relate to returns, coverage and links. Blocked where the last consistency check "
        "failed.",
        _analytics_content,
        group="reports",
        deps=("canonical_trades", "soulprints", "profit_buckets"),
        kinds=("python",),
    )


def _analytics_content(ctx: "FlowContext", flow: Flow) -> AssetContent:
    # Imported here: the libraries take seconds, which only this asset should pay.
    from throughline.analytics.trade_registry.analytics import registry_analytics
    from throughline.registry.consistency import refuse_failed

    with ctx.engine.connect() as conn:
        refuse_failed(conn)
        analytics = registry_analytics(conn, ctx.experiment.id)
    metadata = analytics_metadata(ctx.experiment.id, analytics)
    return AssetContent(metadata | _dossiers(ctx, flow.reports_folder() / "dossiers"))


def analytics_metadata(experiment: str, analytics: "RegistryAnalytics") -> dict[str, Any]:
    """Return what `registry_analytics` shows of an experiment's figures."""
    from throughline.analytics.trade_registry.page import registry_blocks

    return {
        "preview": dg.MetadataValue.md(markdown(registry_blocks(analytics))),
        "experiment": experiment,
        "trades": analytics.trades,
        "figures": dg.MetadataValue.json(analytics.as_json()),
    }


def _dossiers(ctx: "FlowContext", folder: Path) -> dict[str, Any]:
    """Write the dossiers of the newest trades; return, as metadata, where each of them is."""
    from throughline.dossier.page import write_dossiers
    from throughline.registry.index_loading import load_index
    from throughline.storage.queries import newest_trades

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ctx.engine.connect() as conn:
        newest = newest_trades(conn, ctx.experiment.id, DOSSIERS)
        loaded = load_index(conn, ctx.experiment.id)
    pages = write_dossiers(ctx.engine, ctx.artifacts, ctx.proof, [str(row.uuid) for row in newest], folder, loaded)
    records = []
    for row in newest:
        columns = row.columns
        records.append(
            dg.TableRecord(
                {
                    "closed": f"{columns['closed_at']:%Y-%m-%d %H:%M}",
                    "symbol": columns["symbol"],
                    "net_percent": float(columns["profit_percentage"]),
                    "reason": columns["termination_reason"],
                    "dossier": pages[str(row.uuid)].as_uri(),
                }
            )
        )
    if not records:
        return {}
    return {"dossiers": dg.MetadataValue.table(records), "dossiers_folder": dg.MetadataValue.path(folder)}
