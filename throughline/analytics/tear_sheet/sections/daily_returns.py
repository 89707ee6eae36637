"""Sections of the tear sheet: statistics and charts of the base path's daily returns."""

from __future__ import annotations

from collections.abc import Iterator

from throughline.analytics.daily_statistics import statistics_rows
from throughline.analytics.model import Report
from throughline.analytics.performance import daily_returns, drawdowns
from throughline.analytics.report_pictures import drawdown_chart, returns_chart
from throughline.rendering.blocks import Block, Columns, Picture, Section
from throughline.rendering.table import Table

MINIMUM_DAYS = 5
"""Below this many days a distribution or a drawdown table means nothing."""


def _own(report: Report) -> list[float]:
    return daily_returns(report.curves.with_start("base"))


def _refusal(report: Report) -> str | None:
    """Return why there are no statistics; None where there are."""
    if len(report.curves.dates) < MINIMUM_DAYS:
        return f"fewer than {MINIMUM_DAYS} days"
    return None if any(_own(report)) else "equity never moved"


def _statistics(report: Report) -> Iterator[Block]:
    if why := _refusal(report):
        yield f"No statistics of daily returns: {why} in this range."
        return
    worth = report.curves.market.get("benchmark")
    market = daily_returns([report.curves.starting["base"], *worth]) if worth else None
    header: tuple[str, ...] = ("", "base path")
    rows: list[tuple[str, ...]] = [*statistics_rows(_own(report), market)]
    if market is not None and any(market):
        name = str((report.baselines.get("benchmark") or {}).get("name", "benchmark"))
        header = ("", name, "base path")
        other = dict(statistics_rows(market))
        rows = [(label, other.get(label, ""), own) for label, own in rows]
    half = (len(rows) + 1) // 2
    yield Columns([Table(header, part, caption="Statistics of daily returns") for part in (rows[:half], rows[half:])])


def _charts(report: Report) -> Iterator[Block]:
    if _refusal(report) is None:
        returns = _own(report)
        falls = drawdowns(report.curves.with_start("base"))[1:]
        yield Picture(drawdown_chart(report.curves.dates, falls), "drawdown")
        yield Picture(returns_chart(returns), "distribution of daily returns")


SECTIONS = (
    Section("Statistics of daily returns", 110, _statistics),
    Section("Charts of daily returns", 120, _charts),
)
