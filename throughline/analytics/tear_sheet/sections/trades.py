"""Section of the tear sheet: the best and the worst trades with links to their dossiers, and a table of all.

Belongs here: which trades the page lists, and their cells. Does not belong here: reading them (analytics.trades), and
writing the dossiers (analytics.published).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from throughline.analytics.model import Report
from throughline.rendering.blocks import Block, Details, Heading, Paragraph, Section
from throughline.rendering.formats import minute, percent_points, usd, words
from throughline.rendering.markup import code
from throughline.rendering.table import Table

SHOWN = 1000
"""At most so many trades are listed: half of them the best, half the worst. 1,000 rows are about 400 kB."""
EXTREMES = 5
"""So many of the best and of the worst trades stand above the others."""

_HEADER = (
    "instrument",
    "entry (UTC)",
    "exit (UTC)",
    "notional",
    "pnl",
    "interval",
    "return",
    "ended by",
    "flags",
    "ID",
)
_EXPLAINED = Markup(
    "Trades of the base path. The ID of a trade is that of its candidate: a link opens the dossier beside this page, "
    "and <code>throughline trade ID --html FILE</code> writes that of any other trade. "
    "<code>throughline trades --experiment {} --csv FILE</code> exports all, also those closed outside this range."
)


def _trades(report: Report) -> Iterator[Block]:
    ordered = sorted(report.trade_list, key=lambda row: (-float(row["pnl_usd"]), row["id"]))
    if not ordered:
        yield "No trade was closed."
        return
    total = len(ordered)
    best = ordered[: min(EXTREMES, -(-total // 2))]
    worst = ordered[max(len(best), total - EXTREMES) :]
    yield Heading("Best")
    yield _table(best, report.dossiers, "The best trades")
    if worst:
        yield Heading("Worst")
        yield _table(worst[::-1], report.dossiers, "The worst trades")
    yield Paragraph(_EXPLAINED.format(report.experiment[:12]), "sub")
    listed = ordered if total <= SHOWN else [*ordered[: SHOWN // 2], *ordered[-(SHOWN // 2) :]]
    title = f"All {total:,} closed trades, best first"
    if len(listed) < total:
        title = f"The {SHOWN // 2:,} best and the {SHOWN // 2:,} worst of {total:,} closed trades"
    yield Details(title, [_table(listed, report.dossiers, "Closed trades")])


def _table(rows: Sequence[Mapping[str, Any]], dossiers: Mapping[str, str], caption: str) -> Table:
    cells = [_cells(row, dossiers.get(str(row["id"]))) for row in rows]
    return Table(_HEADER, cells, left=(0, 1, 2, 7, 8, 9), wrap=(8, 9), caption=caption, narrow=True)


def _cells(row: Mapping[str, Any], dossier: str | None) -> tuple[object, ...]:
    low, high = float(row["pnl_low_usd"]), float(row["pnl_high_usd"])
    name = row["id"]
    if dossier is not None:
        page = Path(dossier)
        name = Markup('<a href="{}/{}">{}</a>').format(page.parent.name, page.name, name)
    return (
        row["instrument"],
        minute(row["entry_time"]),
        minute(row["exit_time"]),
        usd(row["notional_usd"]),
        usd(row["pnl_usd"]),
        "" if low == high else f"{usd(low)} to {usd(high)}",
        percent_points(row["return_percent"]),
        words(row["reason"]),
        words(", ".join(str(row["flags"]).split())),
        code(name),
    )


SECTIONS = (Section("Trades", 70, _trades),)
