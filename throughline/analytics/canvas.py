"""A blank figure, plain axes, and the PNG of a figure: what the pictures of reports and assets share.

Does not belong here: anything that knows what is drawn. matplotlib is imported when first used and drawn with the Agg
canvas alone: no window system, no global state of pyplot.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.2  # inches at 110 dots: what the Dagster page shows without scaling
DPI = 110
INK, MUTED, BLANK = "#1d2733", "#66727f", "#eef1f5"


def figure_of(height: float) -> Figure:
    """Return a figure of the common width and `height` inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def plain(axes: Axes, title: str) -> None:
    """Take the frame off axes and give them a title on the left."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.set_title(title, fontsize=9, loc="left", color=INK)


def png_of(figure: Figure) -> bytes:
    """Return the figure as PNG bytes, equal for equal figures."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
