"""What a person sees of a range of days of some stages, beside its counts: a picture or a table, as markdown.

Belongs here: one function for each asset that shows more than its counts. Does not belong here: drawing
(`throughline.analytics`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from throughline.analytics.report_pictures import equity_chart, funnel_chart
from throughline.rendering.chart import image_markdown
from throughline.rendering.formats import percent_points, words
from throughline.rendering.table import Table

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
    return image_markdown(funnel_chart(list(total.values())), "funnel") if total else ""


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
    return image_markdown(equity_chart([day for day, _ in equity], curves), "equity")


def trades_table(ctx: FlowContext, results: Sequence[DayResult]) -> str:
    """Return the newest trades of a range as markdown, each with the command that opens its dossier."""
    from throughline.storage.queries import read_rows

    with ctx.engine.connect() as conn:
        rows = read_rows(conn, "canonical_trades", ctx.experiment.id, results[0].day, results[-1].day)
    if not rows:
        return ""
    newest = sorted(rows, key=lambda row: row.columns["closed_at"], reverse=True)[:SHOWN]
    cells = [
        (
            f"{row.columns['closed_at']:%Y-%m-%d %H:%M}",
            row.columns["symbol"],
            percent_points(row.columns["profit_percentage"]),
            words(row.columns["termination_reason"]),
            f"`throughline trade {row.uuid} --html trade.html`",
        )
        for row in newest
    ]
    return Table(("closed (UTC)", "symbol", "net", "why it ended", "dossier"), cells, left=(0, 1, 3, 4)).markdown()


PREVIEWS: Mapping[str, Picture] = {
    "market_scan": funnel_picture,
    "portfolio_state": equity_picture,
    "canonical_trades": trades_table,
}
"""Asset -> what shows a range of its days."""
