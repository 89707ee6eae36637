"""Report assets: the result of an experiment over all its sealed days.

Belongs here: when a report is written and what the UI shows of it. Does not belong here: any figure
(`throughline.analytics`).
"""

# No `from __future__ import annotations` here: Dagster reads the type of `context` at run time and refuses text.

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.asset_factory import AssetContent, experiment_asset
from resources.definition_factory import ModeSpec, for_each_mode
from resources.flow import Flow
from throughline.catalogue import catalogue
from throughline.errors import MissingPredecessor

if TYPE_CHECKING:
    from throughline.analytics.model import Report
    from throughline.analytics.published import PublishedReport
    from throughline.flow import FlowContext


EXTREMES = 5
"""So many of the best and of the worst trades are listed."""


@for_each_mode
def report_assets(spec: ModeSpec) -> list[dg.AssetsDefinition]:
    """Return `backtest_report` of a mode: unpartitioned, over the days from the epoch that are sealed throughout."""
    return [
        experiment_asset(
            spec,
            "backtest_report",
            "Figures, baselines, assumptions and a tear sheet over all sealed days of the active experiment.",
            _report_content,
            group="reports",
            deps=("outcomes", "shadow_outcomes", "portfolio_state"),
            kinds=("python", "html"),
        )
    ]


def _report_content(ctx: "FlowContext", flow: Flow) -> AssetContent:
    # Imported here: the report's libraries take seconds, which only this asset should pay.
    from throughline.analytics.published import publish_report
    from throughline.analytics.report import build_report
    from throughline.storage.queries import sealed_days

    experiment = ctx.experiment
    with ctx.engine.connect() as conn:
        sealed = set.intersection(*(set(sealed_days(conn, experiment.id, name)) for name in catalogue().stages))
    if not sealed:
        raise MissingPredecessor(
            f"no day of experiment {experiment.id[:12]} is sealed throughout: materialize its assets from "
            f"{experiment.epoch} on, then the report"
        )
    report = build_report(ctx.engine, ctx.artifacts, ctx.provider, experiment, experiment.epoch, max(sealed))
    published = publish_report(ctx.engine, ctx.artifacts, ctx.proof, report, flow.reports_folder())
    return AssetContent(report_metadata(published))


def report_metadata(published: "PublishedReport") -> dict[str, Any]:
    """Return what `backtest_report` shows of a report."""
    report = published.report
    base = report.paths["base"]
    return {
        "preview": dg.MetadataValue.md(_preview(report)),
        "tear_sheet": dg.MetadataValue.path(published.page),
        "tear_sheet_hash": published.artifact.hash,
        "experiment": report.experiment,
        "start": str(report.start),
        "end": str(report.end),
        "candidates": report.candidates,
        "trades": report.trades,
        "return_base": float(base.total_return),
        "max_drawdown": float(base.max_drawdown),
        "blocked_days": len(report.blocked_days),
        "records_checked": report.chain["checked"],
        "records_broken": report.chain["broken"],
        **_extremes(report),
    }


def _extremes(report: "Report") -> dict[str, Any]:
    """Return the best and the worst trades with their dossiers as a table."""
    names = list(dict.fromkeys((*report.best_trades(EXTREMES), *reversed(report.worst_trades(EXTREMES)))))
    if not names:
        return {}
    rows = [report.trade(name) for name in names]
    records = [
        dg.TableRecord(
            {
                "id": str(row["id"]),
                "instrument": str(row["instrument"]),
                "closed": str(row["exit_time"])[:16].replace("T", " "),
                "pnl_usd": float(row["pnl_usd"]),
                "return_percent": float(row["return_percent"]),
                "reason": str(row["reason"]),
                "dossier": "" if row["dossier"] is None else Path(row["dossier"]).as_uri(),
            }
        )
        for row in rows
    ]
    return {"best_and_worst_trades": dg.MetadataValue.table(records)}


def _preview(report: "Report") -> str:
    """Return the figures by fill path as markdown, with the pictures and the assumptions below."""
    from throughline.analytics.report_pictures import equity_chart, funnel_chart
    from throughline.analytics.report_tables import path_table
    from throughline.rendering.blocks import Block, Bullets, Picture, markdown

    blocks: list[Block] = [f"**{report.mode} {report.start} to {report.end}**", path_table(report)]
    if report.sign_flips:
        blocks.append("The sign of the return depends on the fill path.")
    blocks += [
        Bullets(list(report.assumptions)),
        Picture(equity_chart(report.curves.dates, report.curves.equity), "equity"),
        Picture(funnel_chart(report.funnel), "funnel"),
    ]
    return markdown(blocks)
