"""Trading assets: the session of a day and what it wrote.

`portfolio_state` runs the session and writes executions, outcomes and dispositions beside the new state, one
transaction per day; `executions` and `outcomes` judge and seal those rows. Not a multi_asset: with the three as outputs
of one, daemon backfills ran before their inputs depending on the hash seed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg

from assets.pictures import equity_svg, image
from assets.shell import Graph, stage_asset

if TYPE_CHECKING:
    from throughline.flow import DayResult, FlowContext

CURVE_DAYS = 365
"""How far back the equity curve of a day reaches."""


def equity_picture(ctx: FlowContext, results: Sequence[DayResult]) -> str:
    """Return the equity curves of the year up to the last day of a range, as markdown."""
    from throughline.storage.queries import read_seals

    last = results[-1].day
    with ctx.engine.connect() as conn:
        seals = read_seals(conn, ctx.experiment.id, "portfolio_state", last - timedelta(days=CURVE_DAYS), last)
    told = [(day, json.loads(seal.details)["equity_usd"]) for day, seal in seals.items()]
    if not told:
        return ""
    paths = list(told[-1][1])
    curves = {path: [float(equity[path]) for _, equity in told] for path in paths}
    return image(equity_svg([day for day, _ in told], curves), "equity")


def trading_assets(graph: Graph) -> list[dg.AssetsDefinition]:
    """Return `portfolio_state`, `executions`, `outcomes`, `shadow_outcomes` and `trade_features` of a mode."""
    yesterday = dg.AssetDep(
        graph.key("portfolio_state"),
        partition_mapping=dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1),
    )
    return [
        stage_asset(
            graph,
            "portfolio_state",
            "The trading session of the day: positions, timers and cash at its end, on three fill paths. It starts "
            "from the state of the day before and refuses to run without it.",
            stage="trading",
            kinds={"python", "postgres", "numba"},
            deps=["research_snapshots", yesterday],
            picture=equity_picture,
        ),
        stage_asset(
            graph,
            "executions",
            "Entries whose fill bar opens in the day: order, fill, size, costs, latency.",
            stage="trading",
            kinds={"python", "postgres"},
            deps=["portfolio_state"],
        ),
        stage_asset(
            graph,
            "outcomes",
            "Trades whose exit bar opens in the day: exit, return, time in market, why it ended.",
            stage="trading",
            kinds={"python", "postgres"},
            deps=["executions"],
        ),
        stage_asset(
            graph,
            "shadow_outcomes",
            "What the same exit rules would have given each candidate at a fixed size, taken or not, once resolved.",
            stage="trading",
            kinds={"python", "postgres", "numba"},
            deps=["portfolio_state"],
        ),
        stage_asset(
            graph,
            "trade_features",
            "The features of each decision beside its label, on the day that the label was known: what models learn "
            "from. One row per shadow, and one per real trade.",
            stage="learning",
            kinds={"python", "postgres"},
            deps=["outcomes", "shadow_outcomes", "research_snapshots"],
        ),
    ]
