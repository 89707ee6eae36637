"""The pictures of a report: equity, funnel, drawdown and distribution of daily returns, as SVG.

Belongs here: drawing numbers that are given. Does not belong here: geometry (`throughline.rendering.chart`) and where
the numbers come from. The tear sheet and the previews of the UI show the same drawings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from statistics import fmean
from typing import Any

from markupsafe import Markup

from throughline.rendering.chart import WIDTH, Panel, drawing, limits
from throughline.rendering.formats import percent_tick, words

PATH_KINDS = {"pessimistic": "pessimistic", "base": "base strong", "optimistic": "optimistic"}
"""Classes of the curves of the three fill models; every other curve is a baseline and dashed."""
_BASELINES = {
    "equal_weight": ("equal-weight universe", "muted"),
    "equal_weight_same_exposure": ("the same at the strategy's exposure", "soft"),
    "benchmark": ("benchmark", "benchmark"),
}
_LOG_FROM = 5.0
"""A curve that grew by more than this factor would press all others flat on a linear scale."""
_BINS = 41
_TALL = 330


def _instants(days: Sequence[date]) -> list[float]:
    return [datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() for day in days]


def _span(instants: Sequence[float]) -> tuple[float, float]:
    """Return the range of the time axis; a single day gets a day on either side."""
    if len(instants) > 1:
        return instants[0], instants[-1]
    return instants[0] - 86_400.0, instants[0] + 86_400.0


def equity_chart(dates: Sequence[date], curves: Mapping[str, Sequence[float]]) -> Markup:
    """Return daily curves in USD.

    Args:
        dates: the days.
        curves: name of a fill model or baseline -> one value per day.
    """
    values = [value for curve in curves.values() for value in curve]
    low, high = limits(values, 0.03)
    log = min(values) > 0 and max(values) > _LOG_FROM * min(values)
    if log:
        low = min(values) * 0.95
    instants = _instants(dates)
    panel = Panel((78, 40, WIDTH - 12, _TALL - 26), _span(instants), (low, high), log)
    panel.y_ticks(lambda value: f"${value:,.0f}")
    panel.x_times()
    if log:
        panel.write(panel.right, panel.top - 8, "log scale", "remark", "end")
    legend = {}
    for name, curve in curves.items():
        label, kind = _BASELINES.get(name, (name, ""))
        kind = PATH_KINDS.get(name) or f"{kind} dashed"
        legend[label] = kind
        points = list(zip(instants, curve, strict=True))
        panel.line(points, kind)
        if len(points) == 1:
            panel.dot(*points[0], kind)
    panel.legend(legend, 18)
    ends = ", ".join(f"{words(name)} ${curve[-1]:,.0f}" for name, curve in curves.items())
    return drawing("equity", _TALL, [panel], "Daily equity", f"{dates[0]} to {dates[-1]}; at the end {ends}")


def funnel_chart(funnel: Sequence[Mapping[str, Any]]) -> Markup:
    """Return a funnel: per filter how many instruments it saw (grey) and let pass, summed over the scans.

    Args:
        funnel: {filter, seen, removed, missing} in the order of the filters.
    """
    top = max((int(row["seen"]) for row in funnel), default=0) or 1
    height = 12 + 22 * max(len(funnel), 1)
    panel = Panel((120, 6, WIDTH - 290, height - 6), (0, top), (len(funnel) or 1, 0))
    for place, row in enumerate(funnel):
        seen, left = int(row["seen"]), int(row["seen"]) - int(row["removed"])
        for count, kind in ((seen, "soft pale"), (left, "base")):
            panel.bar((0, count), (place + 0.12, place + 0.88), kind)
        middle = panel.y(place + 0.5) + 4
        missing = f" ({int(row['missing']):,} without a value)" if row.get("missing") else ""
        panel.write(panel.left - 8, middle, words(row["filter"]), "name", "end")
        panel.write(panel.x(seen) + 8, middle, f"{left:,} of {seen:,} pass{missing}", "remark")
    return drawing("funnel", height, [panel], "How many instruments each filter let pass")


def drawdown_chart(dates: Sequence[date], falls: Sequence[float]) -> Markup:
    """Return how far equity lay below its highest value so far, at the end of each day. falls: fractions, >= 0."""
    instants = _instants(dates)
    low = min(-max(falls) * 1.06, -0.001)
    panel = Panel((78, 26, WIDTH - 12, 190), _span(instants), (low, 0.0))
    panel.title("Drawdown at the end of each day (dashed: mean)")
    panel.y_ticks(percent_tick, 4)
    panel.x_times()
    panel.line([(at, -fall) for at, fall in zip(instants, falls, strict=True)], "loss", area=0.0)
    panel.level(-fmean(falls), "line muted dashed")
    return drawing("drawdown", 216, [panel], "Drawdown", f"at most {max(falls):.2%}, on average {fmean(falls):.2%}")


def returns_chart(returns: Sequence[float]) -> Markup:
    """Return a histogram of daily returns with their mean. returns: fractions that are not all equal."""
    low, high = min(returns), max(returns)
    width = (high - low) / _BINS
    edges = [low + k * width for k in range(_BINS)] + [high]
    counts = [0] * _BINS
    for value in returns:
        counts[min(_BINS - 1, int((value - low) / width))] += 1
    panel = Panel((78, 26, WIDTH - 12, 220), limits((low, high), 0.02), (0, max(counts) * 1.08))
    panel.title(f"Distribution of {len(returns):,} daily returns: days in each class (dashed: mean)")
    panel.y_ticks(lambda value: f"{value:g}", 4)
    panel.x_ticks(percent_tick, 9)
    for (start, end), count in zip(pairwise(edges), counts, strict=True):
        if count:
            panel.bar((start + 0.06 * width, end - 0.06 * width), (0, count), "gain" if start + end > 0 else "loss")
    panel.instant(fmean(returns), "line muted dashed")
    return drawing("returns", 246, [panel], "Distribution of daily returns", f"mean {fmean(returns):+.3%} a day")
