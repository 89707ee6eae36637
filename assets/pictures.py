"""Small pictures for the UI, drawn as SVG by hand: a backfill of years shows one per run, in well under a millisecond.

Belongs here: drawing numbers that are given. Does not belong here: the report's pictures (`throughline.analytics`),
which may take their time. The UI shows images in markdown from data addresses.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

COLOURS = {"pessimistic": "#c0504d", "base": "#1f4e79", "optimistic": "#4f8f4f"}
_WIDTH, _HEIGHT = 640, 200


def image(svg: str, title: str) -> str:
    """Return markdown that shows the SVG."""
    data = base64.b64encode(svg.encode()).decode()
    return f"![{title}](data:image/svg+xml;base64,{data})"


def _svg(height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>'
    )


def equity_svg(days: Sequence[date], curves: Mapping[str, Sequence[float]]) -> str:
    """Return equity curves (USD) by path over the days; one value per day in each curve."""
    values = [value for curve in curves.values() for value in curve]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    left, right, top, bottom = 10, _WIDTH - 80, 24, _HEIGHT - 24

    def point(k: int, value: float) -> str:
        x = left + (right - left) * (k / max(1, len(days) - 1))
        return f"{x:.1f},{bottom - (bottom - top) * (value - low) / span:.1f}"

    parts = [
        f'<text x="{right + 6}" y="{top + 4}" fill="#444">${high:,.0f}</text>',
        f'<text x="{right + 6}" y="{bottom + 4}" fill="#444">${low:,.0f}</text>',
        f'<text x="{left}" y="{_HEIGHT - 6}" fill="#444">{days[0]}</text>',
        f'<text x="{right}" y="{_HEIGHT - 6}" fill="#444" text-anchor="end">{days[-1]}</text>',
    ]
    for place, (name, curve) in enumerate(curves.items()):
        colour = COLOURS.get(name, "#5f6b76")
        points = " ".join(point(k, value) for k, value in enumerate(curve))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{points}"/>')
        parts.append(f'<text x="{left + 100 * place}" y="14" fill="{colour}">{escape(name)}</text>')
    return _svg(_HEIGHT, parts)


def funnel_svg(funnel: Sequence[Mapping[str, Any]]) -> str:
    """Return a funnel: per filter how many instruments it saw (grey) and let pass (blue)."""
    top = max((int(line["seen"]) for line in funnel), default=0) or 1
    left, room = 130, _WIDTH - 130 - 130
    parts = []
    for place, line in enumerate(funnel):
        y = 8 + 22 * place
        seen, rest = int(line["seen"]), int(line["seen"]) - int(line["removed"])
        parts += [
            f'<text x="{left - 8}" y="{y + 12}" text-anchor="end" fill="#444">{escape(str(line["filter"]))}</text>',
            f'<rect x="{left}" y="{y}" width="{room * seen / top:.1f}" height="16" fill="#d9e2ec"/>',
            f'<rect x="{left}" y="{y}" width="{room * rest / top:.1f}" height="16" fill="{COLOURS["base"]}"/>',
            f'<text x="{left + room * seen / top + 6:.1f}" y="{y + 12}" fill="#444">{rest:,} of {seen:,} pass</text>',
        ]
    return _svg(16 + 22 * len(funnel), parts)
