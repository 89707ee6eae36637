"""Small pictures for previews: an equity curve and a funnel, as PNG bytes.

Belongs here: drawing. Does not belong here: where the numbers come from. matplotlib is imported when first used and
drawn with the Agg canvas alone: no window system, no global state of pyplot.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "base": "#1f4e79",
    "pessimistic": "#c0504d",
    "optimistic": "#4f8f4f",
    "equal_weight": "#5f6b76",
    "equal_weight_same_exposure": "#9aa5b1",
    "benchmark": "#c9771a",
}
_LOG_FROM = 5.0  # a curve that grew more than this would press all others flat on a linear scale
LABELS = {
    "equal_weight": "equal-weight universe",
    "equal_weight_same_exposure": "the same at the strategy's exposure",
    "benchmark": "benchmark",
}


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def equity_png(dates: Sequence[date], curves: Mapping[str, Sequence[float]], width: float = 7.5) -> bytes:
    """Return a PNG of daily curves (USD). curves: name -> one value per date; the path names have fixed colours."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    figure, axes = _figure(width, width * 0.4)
    places = [float(date2num(day)) for day in dates]  # type: ignore[no-untyped-call]
    for name, values in curves.items():
        axes.plot(
            places,
            list(values),
            label=LABELS.get(name, name),
            color=COLOURS.get(name),
            linewidth=1.8 if name == "base" else 1.3,
            linestyle="--" if name in LABELS else "-",
            marker="o" if len(dates) == 1 else None,
            zorder=3 if name == "base" else 2,
        )
    locator = AutoDateLocator(minticks=2, maxticks=8)  # type: ignore[no-untyped-call]
    if len(dates) == 1:
        axes.set_xlim(places[0] - 1.0, places[0] + 1.0)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    values = [value for curve in curves.values() for value in curve]
    if values and min(values) > 0 and max(values) > _LOG_FROM * min(values):
        from matplotlib.ticker import LogLocator, NullFormatter

        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_ylabel("log scale", fontsize=8, color="#66727f")
    axes.yaxis.set_major_formatter(lambda value, _: f"${value:,.0f}")
    axes.grid(axis="y", alpha=0.25)
    axes.margins(x=0.01)
    if curves:
        axes.legend(fontsize=8, frameon=False, loc="best")
    return _png(figure)


def funnel_png(funnel: Sequence[Mapping[str, Any]], width: float = 7.5) -> bytes:
    """Return a PNG of a funnel: per filter how many it saw and how many it removed (counts over the scans)."""
    rows = list(funnel)
    figure, axes = _figure(width, 0.8 + 0.28 * max(len(rows), 1))
    names = [str(row["filter"]).replace("_", " ") for row in rows]
    seen = [int(row["seen"]) for row in rows]
    left = [int(row["seen"]) - int(row["removed"]) for row in rows]
    places = list(range(len(rows)))
    axes.barh(places, seen, color="#d9e2ec", height=0.7)
    axes.barh(places, left, color=COLOURS["base"], height=0.7)
    top = max(seen, default=1) or 1
    for place, row, rest in zip(places, rows, left, strict=True):
        missing = f" ({int(row['missing']):,} without a value)" if row.get("missing") else ""
        axes.text(
            top * 1.01,
            place,
            f"{rest:,} of {int(row['seen']):,} left{missing}",
            va="center",
            fontsize=8,
            color="#444444",
        )
    axes.set_yticks(places, names)
    axes.set_xlim(0, top * 1.45)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    return _png(figure)
