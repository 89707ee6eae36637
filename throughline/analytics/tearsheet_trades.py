"""The trades of a tear sheet: the best and the worst with links to their dossiers, and a table of all.

Belongs here: which trades the page lists, and their cells. Does not belong here: reading them (trades), the page
(tearsheet), and writing the dossiers (published).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from throughline.analytics.model import Report
from throughline.analytics.words import usd

SHOWN = 1000
"""At most so many trades are listed: half of them the best, half the worst. 1,000 rows are about 350 kB."""
EXTREMES = 5
"""So many of the best and of the worst trades stand above the others."""

_HEAD = ("instrument", "entry (UTC)", "exit (UTC)", "notional", "pnl", "interval", "return", "ended by", "flags", "ID")
_TEXT = (0, 1, 2, 7, 8, 9)
_FLAGS = 8
"""The one column whose text may take several lines: a trade may have many flags, and the ID must stay in sight."""


def trades_html(report: Report, links: Mapping[str, str]) -> str:
    """Return the section. links: trade ID -> address of its dossier, relative to the page."""
    ordered = sorted(report.trade_list, key=lambda row: (-float(row["pnl_usd"]), row["id"]))
    if not ordered:
        return '<p class="sub">No trade was closed.</p>'
    total = len(ordered)
    best = ordered[: min(EXTREMES, -(-total // 2))]
    worst = ordered[max(len(best), total - EXTREMES) :]
    parts = ["<h3>Best</h3>", _table(best, links)]
    if worst:
        parts += ["<h3>Worst</h3>", _table(worst[::-1], links)]
    parts.append(
        f'<p class="sub">Trades of the base path. The ID of a trade is that of its candidate: a link opens the dossier '
        f"beside this page, and <code>throughline trade ID --html FILE</code> writes that of any other trade. "
        f"<code>throughline trades --experiment {html.escape(report.experiment[:12])} --csv FILE</code> exports all, "
        "also those closed outside this range.</p>"
    )
    kept = ordered if total <= SHOWN else [*ordered[: SHOWN // 2], *ordered[-(SHOWN // 2) :]]
    title = f"All {total:,} closed trades, best first"
    if len(kept) < total:
        title = f"The {SHOWN // 2:,} best and the {SHOWN // 2:,} worst of {total:,} closed trades"
    parts.append(f"<details><summary>{title}</summary>{_table(kept, links)}</details>")
    return "".join(parts)


def _table(rows: Sequence[Mapping[str, Any]], links: Mapping[str, str]) -> str:
    head = "".join(_cell(name, k, "th") for k, name in enumerate(_HEAD))
    body = "".join("<tr>" + "".join(_row(row, links)) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(row: Mapping[str, Any], links: Mapping[str, str]) -> list[str]:
    low, high = float(row["pnl_low_usd"]), float(row["pnl_high_usd"])
    cells = [
        str(row["instrument"]),
        _minute(row["entry_time"]),
        _minute(row["exit_time"]),
        usd(float(row["notional_usd"])),
        usd(float(row["pnl_usd"])),
        "" if low == high else f"{usd(low)} to {usd(high)}",
        f"{float(row['return_percent']):+.2f} %",
        str(row["reason"]).replace("_", " "),
        ", ".join(str(row["flags"]).split()).replace("_", " "),
    ]
    made = [_cell(text, k, "td") for k, text in enumerate(cells)]
    name = html.escape(str(row["id"]))
    link = links.get(str(row["id"]))
    shown = name if link is None else f'<a href="{html.escape(link)}">{name}</a>'
    return [*made, f'<td class="text id">{shown}</td>']


def _cell(text: str, column: int, tag: str) -> str:
    kind = ' class="text wrap"' if column == _FLAGS else ' class="text"' if column in _TEXT else ""
    return f"<{tag}{kind}>{html.escape(text)}</{tag}>"


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")
