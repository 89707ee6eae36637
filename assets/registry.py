"""Registry assets: every closed trade as one canonical entry, tied to its soulprint and its buckets, and the seal log.

`canonical_trades` writes all three registries in one transaction per day; `soulprints` and `profit_buckets` judge and
seal their rows; `registry_seals` lies below everything and writes the day's seals to the log and its anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from assets.shell import Graph, stage_asset

if TYPE_CHECKING:
    from throughline.flow import DayResult, FlowContext

SHOWN = 20
"""At most so many trades are listed."""


def trades_table(ctx: FlowContext, results: Sequence[DayResult]) -> str:
    """Return the newest trades of a range as markdown, each with the command that opens its dossier."""
    from throughline.storage.queries import read_rows

    with ctx.engine.connect() as conn:
        rows = read_rows(conn, "canonical_trades", ctx.experiment.id, results[0].day, results[-1].day)
    if not rows:
        return ""
    newest = sorted(rows, key=lambda row: row.columns["closed_at"], reverse=True)[:SHOWN]
    lines = ["| closed (UTC) | symbol | net | why it ended | dossier |", "| --- | --- | ---: | --- | --- |"]
    for row in newest:
        told = row.columns
        lines.append(
            f"| {told['closed_at']:%Y-%m-%d %H:%M} | {told['symbol'].replace('|', '')} | "
            f"{told['profit_percentage']:+.2f} % | {told['termination_reason'].replace('_', ' ')} | "
            f"`throughline trade {row.uuid} --html trade.html` |"
        )
    return "\n".join(lines)


def registry_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """Return `canonical_trades`, `soulprints`, `profit_buckets` and `registry_seals` of a mode."""
    return [
        stage_asset(
            graph,
            "canonical_trades",
            "One entry per trade that closed in the day, keyed by the SHA-256 of all of it, with its soulprint and its "
            "profit buckets written in the same transaction.",
            stage="registry",
            kinds={"python", "postgres"},
            deps=["outcomes"],
            picture=trades_table,
        ),
        stage_asset(
            graph,
            "soulprints",
            "The vector of what the market looked like when each of the day's trades was decided.",
            stage="registry",
            kinds={"python", "postgres"},
            deps=["canonical_trades"],
        ),
        stage_asset(
            graph,
            "profit_buckets",
            "The cells of similar decisions that each of the day's trades lies in, wins and losses alike.",
            stage="registry",
            kinds={"python", "postgres"},
            deps=["canonical_trades"],
        ),
        stage_asset(
            graph,
            "registry_seals",
            "The seals of the day under one, appended to the signed seal log and copied to the anchor.",
            stage="registry",
            kinds={"python", "postgres"},
            deps=["trade_features", "soulprints", "profit_buckets"],
        ),
    ]
