"""What a person sees of a range of days of some stages, beside its counts: a picture or a table, as markdown.

Belongs here: one function for each asset that shows more than its counts. Does not belong here: drawing (`pictures`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from assets.pictures import equity_svg, funnel_svg, image

if TYPE_CHECKING:
    from assets.asset_factory import Picture
    from throughline.flow import DayResult, FlowContext

CURVE_DAYS = 365
"""How far back the equity curve of a day reaches."""
SHOWN = 20
"""At most so many trades are listed."""


def funnel_picture(ctx: FlowContext, results: Sequence[DayResult]) -> str:
    """Return the funnel summed over a range, as markdown."""
    total: dict[str, dict[str, int | str]] = {}
    for result in results:
        for line in result.details.get("funnel", ()):
            into = total.setdefault(line["filter"], {"filter": line["filter"], "seen": 0, "removed": 0})
            into["seen"] = int(into["seen"]) + int(line["seen"])
            into["removed"] = int(into["removed"]) + int(line["removed"])
    return image(funnel_svg(list(total.values())), "funnel") if total else ""


def equity_picture(ctx: FlowContext, results: Sequence[DayResult]) -> str:
    """Return the equity curves of the year up to the last day of a range, as markdown."""
    from throughline.storage.queries import read_seals

    last = results[-1].day
    with ctx.engine.connect() as conn:
        seals = read_seals(conn, ctx.experiment.id, "portfolio_state", last - timedelta(days=CURVE_DAYS), last)
    equity = [(day, json.loads(seal.details)["equity_usd"]) for day, seal in seals.items()]
    if not equity:
        return ""
    paths = list(equity[-1][1])
    curves = {path: [float(usd[path]) for _, usd in equity] for path in paths}
    return image(equity_svg([day for day, _ in equity], curves), "equity")


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
        columns = row.columns
        lines.append(
            f"| {columns['closed_at']:%Y-%m-%d %H:%M} | {columns['symbol'].replace('|', '')} | "
            f"{columns['profit_percentage']:+.2f} % | {columns['termination_reason'].replace('_', ' ')} | "
            f"`throughline trade {row.uuid} --html trade.html` |"
        )
    return "\n".join(lines)


PREVIEWS: Mapping[str, Picture] = {
    "market_scan": funnel_picture,
    "portfolio_state": equity_picture,
    "canonical_trades": trades_table,
}
"""Asset -> what shows a range of its days."""
