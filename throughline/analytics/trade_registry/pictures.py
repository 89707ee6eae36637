"""Four pictures of the registries, as SVG: timing, buckets, soulprints, profit by component.

Belongs here: drawing. Does not belong here: figures (analytics) and words (page). What too few trades would give is
left blank or said to be too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from markupsafe import Markup, escape

from throughline.analytics.trade_registry.groups import WEEKDAYS
from throughline.analytics.trade_registry.model import (
    MINIMUM_GROUP,
    GroupFigures,
    ProfitTrack,
    RegistryAnalytics,
    SoulprintFigures,
    Tercile,
)
from throughline.analytics.trade_registry.rows import rho_text
from throughline.rendering.chart import WIDTH, Panel, drawing, limits
from throughline.rendering.formats import percent_tick, words

_ROW = 22
_LIGHT_FROM = 0.55
"""Cells of a correlation stronger than this are dark and hold light text."""


def registry_pictures(figures: RegistryAnalytics) -> dict[str, Markup]:
    """Return the pictures that the trades can give, by name; none without a trade."""
    pictures = {}
    if figures.trades and (timing := timing_chart(figures.weekdays, figures.hours)) is not None:
        pictures["timing"] = timing
    if figures.effectiveness.terciles:
        pictures["buckets"] = buckets_chart(figures.effectiveness.terciles)
    if any(item.rho is not None for item in figures.soulprints.correlations):
        pictures["soulprints"] = soulprints_chart(figures.soulprints)
    if figures.soulprints.tracks:
        pictures["tracks"] = tracks_chart(figures.soulprints.tracks)
    return pictures


def _sign(value: float) -> str:
    return "gain" if value > 0 else "loss"


def timing_chart(weekdays: Sequence[GroupFigures], hours: Sequence[GroupFigures]) -> Markup | None:
    """Return mean net return by weekday and by UTC hour of entry, with 95 % intervals and counts.

    A panel in which no group has enough trades for a bar is left out; None where that leaves none.
    """
    candidates = [
        ("weekday", WEEKDAYS, {item.name: item for item in weekdays}),
        ("hour", tuple(f"{hour:02d}" for hour in range(24)), {item.name: item for item in hours}),
    ]
    panels: list[Panel | str] = []
    top = 30
    for what, names, groups in candidates:
        judged = {name: item for name, item in groups.items() if item.mean_return is not None}
        if not judged:
            continue
        panel = Panel((70, top, WIDTH - 12, top + 150), (-0.6, len(names) - 0.4), _interval_limits(judged.values()))
        panel.title(f"Mean net return by {what} of entry (UTC), 95 % interval, from {MINIMUM_GROUP} trades on")
        panel.y_ticks(percent_tick)
        panel.level(0.0, "axis")
        for place, name in enumerate(names):
            if name in judged:
                _mean_bar(panel, place, judged[name])
        panel.x_names([f"{name[:3]}\n{groups[name].n if name in groups else 0}" for name in names])
        panels.append(panel)
        top += 226
    return drawing("timing", top - 30, panels, "Mean net return by time of entry; below: trades") if panels else None


def _interval_limits(items: Iterable[GroupFigures | Tercile]) -> tuple[float, float]:
    """Return the range of an axis that shows the means, their intervals and zero."""
    ends = [value for item in items for value in (item.mean_return, item.mean_low, item.mean_high) if value is not None]
    return limits(ends, zero=True)


def _mean_bar(panel: Panel, place: float, item: GroupFigures | Tercile) -> None:
    """Draw a mean as a bar from zero with its interval."""
    mean = item.mean_return or 0.0
    panel.bar((place - 0.33, place + 0.33), (0.0, mean), _sign(mean))
    if item.mean_low is not None and item.mean_high is not None:
        panel.vertical(place, item.mean_low, item.mean_high, "range ink")
    panel.dot(place, mean, "ink", 2.5)


def buckets_chart(terciles: Sequence[Tercile]) -> Markup:
    """Return, by third of the buckets' win rate: the predicted and the actual win rate, and the mean net return."""
    span = (-0.6, len(terciles) - 0.4)
    rates = Panel((60, 48, 505, 240), span, (0.0, 1.0))
    rates.title("Win rate by the rate that the buckets predicted, 95 % interval")
    rates.legend({"won": "soft", "predicted by the buckets": "base", "base rate": "benchmark"}, 20)
    rates.y_ticks(partial(percent_tick, signed=False))
    means = Panel((590, 48, WIDTH - 12, 240), span, _interval_limits(terciles))
    means.title("Mean net return, 95 % interval")
    means.y_ticks(percent_tick)
    means.level(0.0, "axis")
    for place, item in enumerate(terciles):
        rates.bar((place - 0.3, place + 0.3), (0.0, item.rate), "soft")
        rates.vertical(place, item.low, item.high, "range ink")
        rates.dot(place, item.score, "base", 5)
        rates.dot(place, item.expected, "ring benchmark", 5)
        _mean_bar(means, place, item)
    for panel in (rates, means):
        panel.x_names([f"{item.name}\n{item.n} trades" for item in terciles])
    return drawing("buckets", 280, [rates, means], "Do the buckets' win rates predict outcomes?")


def soulprints_chart(figures: SoulprintFigures) -> Markup:
    """Return each component's rank correlation with net return (95 %), and that of the components with each other."""
    names = [words(name) for name in figures.components]
    count = len(names)
    bottom = 44 + _ROW * count
    known = [x for item in figures.correlations if item.rho is not None for x in (item.low or 0.0, item.high or 0.0)]
    left = Panel((150, 44, 430, bottom), limits(known, zero=True), (count - 0.5, -0.5))
    left.title("With net return, 95 % interval")
    left.write(left.left, bottom + 36, "filled: significant at 5 % after adjustment", "remark")
    left.x_ticks(lambda value: f"{value:+g}" if value else "0", 4)
    left.instant(0.0, "axis")
    left.y_names(names)
    for place, item in enumerate(figures.correlations):
        if item.rho is None or item.low is None or item.high is None:
            left.write(left.x(0.0), left.y(place) + 4, rho_text(item), "remark", "middle")
            continue
        strong = item.adjusted is not None and item.adjusted < 0.05
        left.horizontal(place, item.low, item.high, "range muted")
        left.dot(item.rho, place, "base" if strong else "ring base")
    right = Panel((470, 44, WIDTH - 12, bottom), (-0.5, count - 0.5), (count - 0.5, -0.5))
    right.title("With each other (Spearman, in hundredths)")
    _matrix(right, figures.matrix)
    labels = "".join(_slanted(right, place, name) for place, name in enumerate(names[:-1]))
    parts: list[Panel | str] = [left, right, labels]
    return drawing("soulprints", bottom + 88, parts, "Rank correlations of the soulprint's components")


def _slanted(panel: Panel, place: int, name: str) -> str:
    x, y = panel.x(place) + 3, panel.bottom + 12
    place_text = f'x="{x:.0f}" y="{y:.0f}" text-anchor="end" transform="rotate(-50 {x:.0f} {y:.0f})"'
    return f'<text class="tick" {place_text}>{escape(name)}</text>'


def _matrix(panel: Panel, matrix: Sequence[Sequence[float | None]]) -> None:
    """Draw the lower triangle of a correlation matrix; the upper one would repeat it."""
    for i, row in enumerate(matrix):
        for j, rho in enumerate(row[:i]):
            strength = 0.0 if rho is None else abs(rho)
            panel.parts.append(f'<g opacity="{0.06 + 0.94 * strength:.2f}">')
            panel.bar((j - 0.48, j + 0.48), (i - 0.46, i + 0.46), "muted" if rho is None else _sign(rho))
            panel.parts.append("</g>")
            if rho is not None:
                kind = "small light" if strength > _LIGHT_FROM else "small"
                panel.write(panel.x(j), panel.y(i) + 3.5, round(100 * rho), kind, "middle")


def tracks_chart(tracks: Sequence[ProfitTrack]) -> Markup:
    """Return small charts, one a component: cumulative profit (USD) above and below the median of earlier decisions."""
    columns, wide, tall = 3, (WIDTH - 70) / 3, 118
    values = [value for track in tracks for curve in (track.above, track.below) for value in curve]
    times = [time.timestamp() for track in tracks for time in (track.times[0], track.times[-1])]
    span = (min(times), max(times)) if max(times) > min(times) else (min(times) - 1.0, max(times) + 1.0)
    panels: list[Panel | str] = []
    for place, track in enumerate(tracks):
        row, column = divmod(place, columns)
        left, top = 66 + column * wide, 54 + row * tall
        panel = Panel((left, top, left + wide - 16, top + tall - 34), span, limits(values, zero=True))
        panel.title(f"{words(track.component)} ({track.trades_above} | {track.trades_below})")
        if column == 0:
            panel.y_ticks(lambda value: f"-${-value:,.0f}" if value < 0 else f"${value:,.0f}", 3)
        panel.x_times(4, labels=place + columns >= len(tracks))
        panel.level(0.0, "axis")
        instants = [time.timestamp() for time in track.times]
        for curve, kind in ((track.above, "base"), (track.below, "benchmark dashed")):
            panel.line(list(zip(instants, curve, strict=True)), kind, step=True)
        panels.append(panel)
    lines: Mapping[str, str] = {
        "above the median (first number of trades)": "base",
        "at or below (second)": "benchmark dashed",
    }
    first = panels[0]
    assert isinstance(first, Panel)
    first.legend(lines, 20)
    height = 54 + tall * -(-len(tracks) // columns)
    return drawing("tracks", height, panels, "Cumulative net profit by component of the soulprint")
