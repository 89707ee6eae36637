"""Charts as SVG: scales, ticks, and panels to which shapes are added in units of the data.

Belongs here: geometry and classes. Does not belong here: what is drawn (the pictures of reports, models and dossiers).
A shape has a class, whose colour is the page's: light, dark and print are one drawing. Drawn by hand because it takes
a millisecond where matplotlib takes 0.25 s a picture and 0.6 s to import.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from markupsafe import Markup, escape

WIDTH = 960
"""Units of a drawing's width; a page scales it to its own."""
LINE_HEIGHT = 14
_HOURS = (0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 96, 168)
_DAYS_A_MONTH = 30.5
_NAMESPACE = "http://www.w3.org/2000/svg"
Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A scale from [low, high] in units of the data to [start, end] in units of the drawing; linear, or logarithmic.

    Example:
        >>> Axis(0.0, 10.0, 100.0, 200.0)(5.0)
        150.0
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        low, high, value = map(math.log, (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return self.start + (self.end - self.start) * (value - low) / ((high - low) or 1.0)

    def ticks(self, count: int) -> list[float]:
        """Return about `count` round values of the scale."""
        if not self.log:
            return ticks(self.low, self.high, count)
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        return [m * 10.0**p for p in powers for m in (1.0, 2.0, 5.0) if self.low <= m * 10.0**p <= self.high]


def round_step(least: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((power * item for item in (1.0, 2.0, 2.5, 5.0) if power * item >= least), power * 10.0)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return multiples of a round step in [low, high], at most `count` + 1 of them."""
    if high <= low:
        return [low]
    step = round_step((high - low) / count)
    first = math.ceil(low / step - 1e-9)
    return [place * step for place in range(first, math.floor(high / step + 1e-9) + 1)]


def decimals(values: Sequence[float]) -> int:
    """Return how many decimals the ticks need to be told apart exactly."""
    step = values[1] - values[0] if len(values) > 1 else abs(values[0]) or 1.0
    return next((k for k in range(18) if 0 < round(step * 10**k) == round(step * 10**k, 6)), 18)


def time_ticks(low: float, high: float, count: int = 8) -> list[tuple[float, str]]:
    """Return (seconds since 1970, label) of round instants in [low, high]: hours, days, months or years."""
    hours = (high - low) / 3600
    step = next((item for item in _HOURS if hours / item <= count), None)
    if step is not None:
        seconds = step * 3600
        instants = [k * seconds for k in range(math.ceil(low / seconds), math.floor(high / seconds) + 1)]
        return [(at, _instant_label(at, seconds)) for at in instants]
    months = next((m for m in (1, 2, 3, 6, 12, 24, 60, 120) if hours / 24 / _DAYS_A_MONTH / m <= count), 240)
    first, last = datetime.fromtimestamp(low, UTC), datetime.fromtimestamp(high, UTC)
    place = -(-(first.year * 12 + first.month - 1) // months) * months
    result: list[tuple[float, str]] = []
    while place <= last.year * 12 + last.month - 1:
        instant = datetime(place // 12, place % 12 + 1, 1, tzinfo=UTC)
        if low <= instant.timestamp() <= high:
            label = f"{instant:%Y}" if instant.month == 1 else f"{instant:%b}" if result else f"{instant:%b %Y}"
            result.append((instant.timestamp(), label))
        place += months
    return result


def _instant_label(at: float, seconds: float) -> str:
    instant = datetime.fromtimestamp(at, UTC)
    return f"{instant:%b} {instant.day}" if seconds >= 86_400 or instant.hour == 0 else f"{instant:%H:%M}"


def limits(values: Iterable[float], room: float = 0.05, *, zero: bool = False) -> tuple[float, float]:
    """Return the range of an axis that shows `values` with some room beside them; zero: it is in the range."""
    known = [*values, *([0.0] if zero else [])]
    low, high = min(known), max(known)
    space = (high - low) * room or abs(high) * room or 1.0
    return low - space, high + space


class Panel:
    """One pair of axes in a drawing. Shapes are added in units of the data and are drawn in that order.

    Args:
        box: left, top, right and bottom of the area within the axes, in units of the drawing.
        x: lowest and highest value of the horizontal axis.
        y: lowest and highest value of the vertical axis; a reversed pair runs downwards.
        log: whether the vertical axis is logarithmic.

    Example:
        >>> panel = Panel((60, 20, 940, 200), (0, 1), (0, 100))
        >>> panel.line([(0, 0), (1, 100)], "base")
        >>> svg = drawing("equity", 220, [panel], "A line")
    """

    def __init__(
        self, box: tuple[float, float, float, float], x: tuple[float, float], y: tuple[float, float], log: bool = False
    ) -> None:
        self.left, self.top, self.right, self.bottom = box
        self.x = Axis(*x, self.left, self.right)
        self.y = Axis(*y, self.bottom, self.top, log)
        self.parts: list[str] = []

    def title(self, text: str) -> None:
        """Write a title above the area."""
        self.write(self.left, self.top - 8, text, "title")

    def write(self, x: float, y: float, text: object, kind: str = "", anchor: str = "start") -> None:
        """Write text at a place of the drawing (not of the data)."""
        self.parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>')

    def y_ticks(self, label: Callable[[float], str], count: int = 5) -> None:
        """Draw grid lines with labels at round values of the vertical axis."""
        for value in self.y.ticks(count):
            self.level(value, "grid")
            self.write(self.left - 6, self.y(value) + 4, label(value), "tick", "end")

    def x_ticks(self, label: Callable[[float], str], count: int = 6) -> None:
        """Draw grid lines with labels at round values of the horizontal axis."""
        for value in self.x.ticks(count):
            self.instant(value, "grid")
            self.write(self.x(value), self.bottom + 16, label(value), "tick", "middle")

    def x_times(self, count: int = 8, *, labels: bool = True) -> None:
        """Draw grid lines at round instants; the horizontal axis is in seconds since 1970."""
        for value, text in time_ticks(self.x.low, self.x.high, count):
            self.instant(value, "grid")
            if labels:
                self.write(self.x(value), self.bottom + 16, text, "tick", "middle")

    def x_names(self, names: Sequence[str]) -> None:
        """Write names below the places 0, 1, 2, ... of the horizontal axis; a line feed begins a second line."""
        for place, name in enumerate(names):
            for row, line in enumerate(name.split("\n")):
                self.write(self.x(place), self.bottom + 16 + row * LINE_HEIGHT, line, "tick", "middle")

    def y_names(self, names: Sequence[str]) -> None:
        """Write names beside the places 0, 1, 2, ... of the vertical axis."""
        for place, name in enumerate(names):
            self.write(self.left - 8, self.y(place) + 4, name, "name", "end")

    def level(self, value: float, kind: str) -> None:
        """Draw a horizontal line over the whole width."""
        self._segment(self.left, self.y(value), self.right, self.y(value), kind)

    def instant(self, value: float, kind: str) -> None:
        """Draw a vertical line over the whole height."""
        self._segment(self.x(value), self.top, self.x(value), self.bottom, kind)

    def vertical(self, x: float, low: float, high: float, kind: str) -> None:
        """Draw a vertical line from `low` to `high`."""
        self._segment(self.x(x), self.y(low), self.x(x), self.y(high), kind)

    def horizontal(self, y: float, low: float, high: float, kind: str) -> None:
        """Draw a horizontal line from `low` to `high`."""
        self._segment(self.x(low), self.y(y), self.x(high), self.y(y), kind)

    def _segment(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.parts.append(f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')

    def line(self, points: Sequence[Point], kind: str, *, step: bool = False, area: float | None = None) -> None:
        """Draw a line through points in order of x.

        Args:
            points: (x, y) in units of the data.
            kind: classes of the line.
            step: each value stays until the next one, as that of an account does.
            area: fill what lies between the line and this value of y.
        """
        places = _thinned([(self.x(x), self.y(y)) for x, y in points])
        (x, y), rest = places[0], places[1:]
        path = f"M{x:.1f} {y:.1f}"
        path += "".join(f"H{x:.1f}V{y:.1f}" if step else f"L{x:.1f} {y:.1f}" for x, y in rest)
        if area is not None:
            base = self.y(area)
            self.parts.append(f'<path class="area {kind}" d="{path}V{base:.1f}H{places[0][0]:.1f}Z"/>')
        self.parts.append(f'<path class="line {kind}" d="{path}"/>')

    def bar(self, x: tuple[float, float], y: tuple[float, float], kind: str) -> None:
        """Draw a rectangle between two values of x and two of y."""
        left, right = sorted(map(self.x, x))
        top, bottom = sorted(map(self.y, y))
        self.box(left, top, right - left, bottom - top, f"bar {kind}")

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a rectangle at a place of the drawing (not of the data)."""
        self.parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>')

    def dot(self, x: float, y: float, kind: str, radius: float = 4.0) -> None:
        """Draw a point; of class `ring` it is hollow."""
        self.parts.append(f'<circle class="dot {kind}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius:g}"/>')

    def legend(self, entries: Mapping[str, str], y: float | None = None) -> None:
        """Write the names of lines (name -> classes) in their colours in one row, above the area unless y is given."""
        x, y = self.left, self.top - 8 if y is None else y
        for name, kind in entries.items():
            self.parts.append(f'<path class="line {kind}" d="M{x:.1f} {y - 4:.1f}h18"/>')
            self.write(x + 23, y, name, "key")
            x += 38 + 6.4 * len(name)


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Return points whose line looks the same: of each unit of width the first, lowest, highest and last."""
    if len(points) <= 2 * WIDTH:
        return list(points)
    columns: dict[int, list[Point]] = {}
    for point in points:
        columns.setdefault(int(point[0]), []).append(point)
    kept: list[Point] = []
    for inside in columns.values():
        order = {0, len(inside) - 1}
        for choose in (min, max):
            order.add(choose(range(len(inside)), key=lambda k: inside[k][1]))
        kept += [inside[k] for k in sorted(order)]
    return kept


def drawing(name: str, height: float, parts: Sequence[Panel | str], title: str, description: str = "") -> Markup:
    """Return an SVG for a page that has the stylesheet of charts.

    Args:
        name: class of the drawing and beginning of its element IDs; unique on a page.
        height: in units, of which the width has `WIDTH`.
        parts: panels, and markup between them.
        title: what it shows, for screen readers.
        description: the figures in words, for screen readers.
    """
    shapes = "".join("".join(part.parts) if isinstance(part, Panel) else part for part in parts)
    labels = f"{name}-title {name}-description" if description else f"{name}-title"
    described = f'<desc id="{name}-description">{escape(description)}</desc>' if description else ""
    return Markup(
        f'<svg class="chart {name}" viewBox="0 0 {WIDTH} {height:g}" role="img" '
        f'aria-labelledby="{labels}"><title id="{name}-title">{escape(title)}</title>{described}{shapes}</svg>'
    )


def stylesheet() -> str:
    """Return the colours and line widths of charts; a page may set its own colours as CSS variables."""
    return files("throughline.rendering").joinpath("templates/chart.css").read_text(encoding="utf-8")


def image_markdown(svg: str, title: str) -> str:
    """Return markdown that shows a drawing as an image of its own: with its stylesheet and on white."""
    start, shapes = str(svg).split(">", 1)
    size = start.replace("<svg ", f'<svg xmlns="{_NAMESPACE}" width="{WIDTH}" ')
    whole = f'{size}><style>{stylesheet()}</style><rect width="100%" height="100%" fill="#fff"/>{shapes}'
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(whole.encode()).decode()})"
