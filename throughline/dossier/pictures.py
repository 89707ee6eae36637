"""The two pictures of a dossier, as SVG: the price path with its barriers, and the spans of the trade.

Belongs here: geometry. Does not belong here: figures (read) and colours, which are the page's: every
shape has a class, so that light, dark and print are one drawing. All text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from markupsafe import Markup, escape

from throughline.dossier.prices import PriceBar
from throughline.dossier.read import Dossier
from throughline.identity import parse_time
from throughline.rendering.chart import WIDTH, Axis, decimals, drawing, time_ticks
from throughline.rendering.formats import significant

HEIGHT = 400
LEFT, RIGHT, TOP, BOTTOM = 78, 176, 34, 34
ROW = 30
LABEL = 14
"""Least distance of two labels at the right edge, in units of the drawing."""
EARLIEST = timedelta(days=4)
"""How far before the decision the spans reach at most: a listing of years ago would leave no room for the trade."""


def price_chart(dossier: Dossier) -> Markup:
    """Return the price path as SVG: bars, entry, stop, target, time limit and exit. Needs at least one bar."""
    bars = [_Drawn.of(bar, dossier.prices.interval_seconds or 0) for bar in dossier.prices.bars]
    marks = list(_marks(dossier))
    levels = [value for _, value, _ in marks]
    levels += [float(price) for level in dossier.levels for _, price in level.points if price]
    low, high = min([*(bar.low for bar in bars), *levels]), max([*(bar.high for bar in bars), *levels])
    room = (high - low) * 0.04 or high * 0.01
    x = Axis(_seconds(bars[0].opened), _seconds(bars[-1].closed), LEFT, WIDTH - RIGHT)
    y = Axis(low - room, high + room, HEIGHT - BOTTOM, TOP)
    holding = _holding(dossier)
    parts = [
        *_grid(x, y),
        *_band(x, holding),
        *_candles(bars, x, y, holding),
        *_levels(marks, y),
        *_instants(dossier, x),
    ]
    parts += [*_moving_levels(dossier, x, y, holding), *_fills(dossier, x, y)]
    what = f"Price of {dossier.prices.instrument} around the trade"
    levels_text = ", ".join(f"{name} {significant(value, 6)}" for name, value, _ in marks)
    span = f"{len(bars)} bars from {_day_hour(bars[0].opened)} to {_day_hour(bars[-1].closed)} UTC"
    return drawing("price", HEIGHT, parts, what, f"{span}; {levels_text}" if levels_text else span)


def spans_chart(dossier: Dossier) -> Markup:
    """Return what happened when as SVG: a bar per span, decision and time limit as lines. Needs a decision."""
    spans = list(_spans(dossier))
    decided = parse_time(str(dossier.chain.decided_at))
    first, last = min(item[1] for item in spans), max(item[2] for item in spans)
    first = max(first, decided - EARLIEST)
    height = TOP + ROW * len(spans) + BOTTOM
    x = Axis(_seconds(first), _seconds(last), 210, WIDTH - 40)
    parts = [*_time_ticks(x, TOP, height - BOTTOM)]
    for place, (name, start, end, kind) in enumerate(spans):
        top = TOP + ROW * place
        left, right = x(_seconds(max(start, first))), x(_seconds(end))
        clipped = " &#9664;" if start < first else ""
        parts.append(f'<text class="name" x="200" y="{top + 19}" text-anchor="end">{escape(name)}{clipped}</text>')
        width = max(3.0, right - left)
        box = f'x="{left:.1f}" y="{top + 7}" width="{width:.1f}" height="16" rx="3"'
        parts.append(f'<rect class="span {kind}" {box}/>')
    parts += _instants(dossier, x, bottom=height - BOTTOM)
    what = "When it was known, decided, held and resolved"
    described = "; ".join(f"{name} {_day_hour(start)} to {_day_hour(end)}" for name, start, end, _ in spans)
    return drawing("spans", height, parts, what, described)


def _spans(dossier: Dossier) -> Iterator[tuple[str, datetime, datetime, str]]:
    decided = parse_time(str(dossier.chain.decided_at))
    events = [parse_time(item.event_time) for item in dossier.knowledge.inputs if item.event_time]
    if events:
        yield "inputs known", min(*events, decided), decided, "known"
    holding = _holding(dossier)
    if holding:
        ended = "held, base path" if dossier.chain.outcome else "held" if dossier.chain.trade else "held so far"
        yield ended, *holding, "held"
    entry = dossier.chain.execution
    for end in dossier.paths:
        if entry and end.exit_time and end.path != "base":
            filled = parse_time(entry.body["fill_time"])
            yield f"{end.path} path", filled, parse_time(end.exit_time), "path"
    shadow = dossier.chain.shadow
    if shadow and shadow.body.get("entry_time") and shadow.body.get("exit_time"):
        yield "shadow outcome", parse_time(shadow.body["entry_time"]), parse_time(shadow.body["exit_time"]), "shadow"
    if not events and not holding and not shadow:
        yield "decision", decided, decided, "known"


@dataclass(frozen=True)
class _Drawn:
    """A bar as numbers; open is None where the source has closes only."""

    opened: datetime
    closed: datetime
    open: float | None
    high: float
    low: float
    close: float

    @classmethod
    def of(cls, bar: PriceBar, seconds: int) -> _Drawn:
        opened, close = parse_time(bar.open_time), float(bar.close)
        return cls(
            opened,
            opened + timedelta(seconds=seconds),
            None if bar.open is None else float(bar.open),
            close if bar.high is None else float(bar.high),
            close if bar.low is None else float(bar.low),
            close,
        )


def _marks(dossier: Dossier) -> Iterator[tuple[str, float, str]]:
    """Yield (label, price, class) of each level."""
    limits = dossier.barriers
    if limits:
        yield f"target {limits.take_profit:+.0%}", float(limits.target), "target"
        yield f"stop {-limits.stop_loss:+.0%}", float(limits.stop), "stop"
    filled = _filled(dossier)
    if filled:
        yield "entry", filled[1], "entry"
    ended = _ended(dossier)
    if ended:
        yield "exit", ended[1], "exit"


def _filled(dossier: Dossier) -> tuple[datetime, float] | None:
    entry = dossier.chain.execution
    return (parse_time(entry.body["fill_time"]), float(entry.body["entry_price"])) if entry else None


def _ended(dossier: Dossier) -> tuple[datetime, float] | None:
    ended = dossier.chain.outcome
    return (parse_time(ended.body["exit_time"]), float(ended.body["exit_price"])) if ended else None


def _holding(dossier: Dossier) -> tuple[datetime, datetime] | None:
    """Return from when to when the trade was held; an open one up to the last bar of the path."""
    filled, ended = _filled(dossier), _ended(dossier)
    if filled and ended:
        return filled[0], ended[0]
    if filled and dossier.prices.bars:
        last = parse_time(dossier.prices.bars[-1].open_time)
        return filled[0], max(filled[0], last + timedelta(seconds=dossier.prices.interval_seconds or 0))
    trade = dossier.chain.trade
    return (parse_time(trade.body["opened_at"]), parse_time(trade.body["closed_at"])) if trade else None


def _grid(x: Axis, y: Axis) -> list[str]:
    parts = []
    values = y.ticks(6)
    digits = decimals(values)
    for value in values:
        place = f"{y(value):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place}" y2="{place}"/>')
        text = f"{value:,.{digits}f}"
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{text}</text>')
    return parts + _time_ticks(x, TOP, HEIGHT - BOTTOM)


def _time_ticks(x: Axis, top: float, bottom: float) -> list[str]:
    parts = []
    for at, text in time_ticks(x.low, x.high):
        place = f"{x(at):.1f}"
        parts.append(f'<line class="grid" x1="{place}" x2="{place}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{place}" y="{bottom + 18}" text-anchor="middle">{text}</text>')
    return parts


def _band(x: Axis, holding: tuple[datetime, datetime] | None) -> list[str]:
    if holding is None:
        return []
    left, right = x(_seconds(holding[0])), min(x(_seconds(holding[1])), float(WIDTH - RIGHT))
    width = max(2.0, right - left)
    return [f'<rect class="band" x="{left:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>']


def _candles(bars: Sequence[_Drawn], x: Axis, y: Axis, holding: tuple[datetime, datetime] | None) -> list[str]:
    """Bars as candles, or closes as lines; what came after the end is drawn faint."""
    if any(bar.open is None for bar in bars):
        return _closes(bars, x, y, holding)
    parts = []
    for bar in bars:
        assert bar.open is not None
        left, right = x(_seconds(bar.opened)), x(_seconds(bar.closed))
        middle, gap = (left + right) / 2, (right - left) * 0.18
        kind = ("up" if bar.close >= bar.open else "down") + (" later" if holding and bar.opened >= holding[1] else "")
        top, bottom = y(max(bar.open, bar.close)), y(min(bar.open, bar.close))
        wick = f'x1="{middle:.1f}" x2="{middle:.1f}" y1="{y(bar.high):.1f}" y2="{y(bar.low):.1f}"'
        width, height = max(0.8, right - left - 2 * gap), max(0.8, bottom - top)
        box = f'x="{left + gap:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
        parts.append(f'<g class="bar {kind}"><line {wick}/><rect {box}/></g>')
    return parts


def _closes(bars: Sequence[_Drawn], x: Axis, y: Axis, holding: tuple[datetime, datetime] | None) -> list[str]:
    """One line from each close to the next, none over missing bars."""
    parts = []
    for before, bar in pairwise(bars):
        if bar.opened == before.closed:
            kind = "closes later" if holding and before.closed >= holding[1] else "closes"
            start, end = (f"{x(_seconds(item.closed)):.1f},{y(item.close):.1f}" for item in (before, bar))
            parts.append(f'<polyline class="{kind}" points="{start} {end}"/>')
    return parts


def _levels(marks: Sequence[tuple[str, float, str]], y: Axis) -> list[str]:
    """Lines of the levels with their labels at the right edge, pushed apart where they would overlap."""
    parts = []
    last = -LABEL * 1.0
    for label, value, kind in sorted(marks, key=lambda item: -item[1]):
        place = y(value)
        parts.append(f'<line class="level {kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{place:.1f}" y2="{place:.1f}"/>')
        last = max(place, last + LABEL)
        text = f"{escape(label)} {significant(value, 6)}"
        parts.append(f'<text class="label {kind}" x="{WIDTH - RIGHT + 8}" y="{last + 4:.1f}">{text}</text>')
    return parts


def _moving_levels(dossier: Dossier, x: Axis, y: Axis, holding: tuple[datetime, datetime] | None) -> list[str]:
    """Steps of the levels of optional exit rules, from where each stands to the end of the trade."""
    parts = []
    for level in dossier.levels:
        ends = [*(parse_time(at) for at, _ in level.points[1:]), holding[1] if holding else None]
        corners: list[str] = []
        for (since, price), until in zip(level.points, ends, strict=True):
            if price and until:
                corners += [f"{x(_seconds(at)):.1f},{y(float(price)):.1f}" for at in (parse_time(since), until)]
        if corners:
            title = f"<title>{escape(level.description)}</title>"
            parts.append(f'<polyline class="level moving" points="{" ".join(corners)}">{title}</polyline>')
    return parts


def _instants(dossier: Dossier, x: Axis, bottom: float = HEIGHT - BOTTOM) -> list[str]:
    """Vertical lines of the decision and of the time limit, with their names above."""
    moments = [("decision", dossier.chain.decided_at), ("time limit", dossier.barriers and dossier.barriers.deadline)]
    parts = []
    for name, text in moments:
        if not text:
            continue
        place = x(_seconds(parse_time(text)))
        if not x.start <= place <= x.end:
            continue
        kind = name.replace(" ", "-")
        parts.append(f'<line class="instant {kind}" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP - 8}" y2="{bottom}"/>')
        parts.append(f'<text class="instant {kind}" x="{place:.1f}" y="{TOP - 14}" text-anchor="middle">{name}</text>')
    return parts


def _fills(dossier: Dossier, x: Axis, y: Axis) -> list[str]:
    parts = []
    filled, ended = _filled(dossier), _ended(dossier)
    if filled:
        a, b = x(_seconds(filled[0])), y(filled[1])
        parts.append(f'<path class="fill entry" d="M{a:.1f} {b + 2:.1f}l-7 13h14z"/>')
    if ended:
        a, b = x(_seconds(ended[0])), y(ended[1])
        parts.append(f'<path class="fill exit" d="M{a:.1f} {b - 2:.1f}l-7 -13h14z"/>')
    return parts


def _seconds(instant: datetime) -> float:
    return instant.timestamp()


def _day_hour(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}"
