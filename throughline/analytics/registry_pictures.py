"""Four pictures of the registries, as PNG bytes 902 pixels wide: timing, buckets, soulprints, profit by component.

Belongs here: drawing. Does not belong here: figures (`registry_analytics`) and words (registry_pages). What too few
trades would give is left blank or said to be too few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from throughline.analytics.canvas import BLANK, INK, MUTED, figure_of, plain, png_of
from throughline.analytics.pictures import COLOURS
from throughline.analytics.registry_figures import WEEKDAYS
from throughline.analytics.registry_model import (
    MINIMUM_GROUP,
    GroupFigures,
    ProfitTrack,
    RegistryAnalytics,
    SoulprintFigures,
    Tercile,
)
from throughline.analytics.registry_words import rho_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAIN, _LOSS = COLOURS["optimistic"], COLOURS["pessimistic"]


def registry_pictures(told: RegistryAnalytics) -> dict[str, bytes]:
    """Return the pictures that the trades can give, by name; none without a trade."""
    pictures: dict[str, bytes] = {}
    if told.trades:
        drawn = timing_png(told.weekdays, told.hours)
        if drawn is not None:
            pictures["timing"] = drawn
    if told.effectiveness.terciles:
        pictures["buckets"] = buckets_png(told.effectiveness.terciles)
    if any(item.rho is not None for item in told.soulprints.correlations):
        pictures["soulprints"] = soulprints_png(told.soulprints)
    if told.soulprints.tracks:
        pictures["tracks"] = tracks_png(told.soulprints.tracks)
    return pictures


def timing_png(weekdays: Sequence[GroupFigures], hours: Sequence[GroupFigures]) -> bytes | None:
    """Return mean net return by weekday and by UTC hour of entry, with 95 % intervals and counts.

    A panel in which no group has enough trades for a bar is left out; None where that leaves none.
    """
    panels = [
        ("weekday", [name[:3] for name in WEEKDAYS], {item.name[:3]: item for item in weekdays}),
        ("hour", [f"{hour:02d}" for hour in range(24)], {item.name: item for item in hours}),
    ]
    panels = [panel for panel in panels if any(item.mean_return is not None for item in panel[2].values())]
    if not panels:
        return None
    figure = figure_of(2.3 * len(panels))
    for axes, (what, names, groups) in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        _bars(axes, names, groups)
        plain(
            axes,
            f"mean net return by {what} of entry (UTC), 95 % interval, from {MINIMUM_GROUP} trades on (below: trades)",
        )
    return png_of(figure)


def _bars(axes: Axes, names: Sequence[str], groups: dict[str, GroupFigures]) -> None:
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    for place, name in enumerate(names):
        item = groups.get(name)
        if item is None or item.mean_return is None:
            continue
        axes.bar(place, 100 * item.mean_return, color=_GAIN if item.mean_return > 0 else _LOSS, width=0.7, alpha=0.85)
        if item.mean_low is not None and item.mean_high is not None:
            axes.vlines(place, 100 * item.mean_low, 100 * item.mean_high, color=INK, linewidth=1.2)
        axes.scatter([place], [100 * item.mean_return], color=INK, s=12, zorder=3)
    counts = [groups[name].n if name in groups else 0 for name in names]
    axes.set_xticks(range(len(names)), [f"{name}\n{count}" for name, count in zip(names, counts, strict=True)])
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.0f} %" if value else "0 %")


def buckets_png(terciles: Sequence[Tercile]) -> bytes:
    """Return, by third of the buckets' win rate: what was said against what happened, and the mean net return."""
    figure = figure_of(3.0)
    left, right = figure.subplots(1, 2)
    names = [item.name for item in terciles]
    places = range(len(names))
    left.bar(places, [100 * item.rate for item in terciles], color="#c9d8e6", width=0.6, label="won")
    left.vlines(places, [100 * x.low for x in terciles], [100 * x.high for x in terciles], color=INK, linewidth=1.2)
    left.scatter(
        places, [100 * x.score for x in terciles], color=COLOURS["base"], zorder=3, s=42, label="said by the buckets"
    )
    left.scatter(
        places,
        [100 * x.expected for x in terciles],
        facecolors="white",
        edgecolors=COLOURS["benchmark"],
        zorder=4,
        s=34,
        label="base rate",
    )
    left.set_ylim(0, 100)
    left.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    left.legend(fontsize=8, frameon=False, ncols=3, loc="upper left", columnspacing=1.0, handletextpad=0.4)
    plain(left, "win rate by the rate that the buckets predicted, 95 %")
    right.axhline(0.0, color=MUTED, linewidth=0.8)
    means = [100 * item.mean_return for item in terciles]
    right.bar(places, means, color=[_GAIN if mean > 0 else _LOSS for mean in means], width=0.6, alpha=0.85)
    for place, item in zip(places, terciles, strict=True):
        if item.mean_low is not None and item.mean_high is not None:
            right.vlines(place, 100 * item.mean_low, 100 * item.mean_high, color=INK, linewidth=1.2)
    right.yaxis.set_major_formatter(lambda value, _: f"{value:+.0f} %" if value else "0 %")
    plain(right, "mean net return, 95 %")
    for axes in (left, right):
        axes.set_xticks(list(places), [f"{item.name}\n{item.n} trades" for item in terciles])
    return png_of(figure)


def soulprints_png(found: SoulprintFigures) -> bytes:
    """Return each component's rank correlation with net return (95 %), and that of the components with each other."""
    names = [name.replace("_", " ") for name in found.components]
    count = len(names)
    figure = figure_of(1.1 + 0.27 * count)
    left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.75))
    left.axvline(0.0, color=MUTED, linewidth=0.8)
    for place, item in enumerate(found.correlations):
        if item.rho is None or item.low is None or item.high is None:
            left.text(0.0, place, rho_text(item), fontsize=7, color=MUTED, va="center", ha="center")
            continue
        strong = item.adjusted is not None and item.adjusted < 0.05
        left.hlines(place, item.low, item.high, color=MUTED, linewidth=1.2)
        inside = COLOURS["base"] if strong else "white"
        left.scatter([item.rho], [place], s=34, zorder=3, edgecolors=COLOURS["base"], facecolors=inside)
    left.set_ylim(count - 0.5, -0.5)
    left.set_yticks(range(count), names)
    left.grid(axis="x", alpha=0.25)
    plain(left, "with net return, 95 %\n(filled: stands out after adjustment)")
    _heat_map(right, found.matrix, names)
    plain(right, "among each other\n(Spearman, in hundredths)")
    for side in right.spines.values():
        side.set_visible(False)
    return png_of(figure)


def _heat_map(axes: Axes, matrix: Sequence[Sequence[float | None]], names: Sequence[str]) -> None:
    import numpy as np
    from matplotlib import colormaps

    count = len(names)
    values = np.full((count, count), np.nan)
    for i, row in enumerate(matrix):
        for j, rho in enumerate(row[:i]):
            values[i, j] = np.nan if rho is None else rho
    shades = colormaps["RdBu_r"].with_extremes(bad=BLANK)
    # Only the lower triangle is told: the upper one would say the same again.
    axes.imshow(np.ma.masked_invalid(values), cmap=shades, vmin=-1.0, vmax=1.0, aspect="auto")
    for i in range(count):
        for j in range(i):
            rho = values[i, j]
            if np.isfinite(rho):
                light = "white" if abs(rho) > 0.55 else INK
                axes.text(j, i, str(round(100 * rho)), fontsize=6.5, ha="center", va="center", color=light)
    axes.set_xticks(range(count), names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks([])


def tracks_png(tracks: Sequence[ProfitTrack]) -> bytes:
    """Return small charts, one a component: cumulative profit (USD) above and below the median of earlier decisions."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

    columns = min(3, len(tracks))
    rows = -(-len(tracks) // columns)
    figure = figure_of(0.5 + 1.35 * rows)
    grid: Any = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    cells = [grid[k // columns][k % columns] for k in range(rows * columns)]
    for place, (axes, track) in enumerate(zip(cells, tracks, strict=False)):
        instants = [float(date2num(instant)) for instant in track.times]  # type: ignore[no-untyped-call]
        axes.axhline(0.0, color=MUTED, linewidth=0.6)
        axes.step(
            instants,
            list(track.above),
            where="post",
            color=COLOURS["base"],
            linewidth=1.5,
            label="above the median (first number of trades)",
        )
        axes.step(
            instants,
            list(track.below),
            where="post",
            color=COLOURS["benchmark"],
            linewidth=1.3,
            linestyle=(0, (4, 1.5)),
            label="at or below (second)",
        )
        plain(axes, f"{track.component.replace('_', ' ')} ({track.trades_above} | {track.trades_below})")
        axes.tick_params(labelbottom=place + columns >= len(tracks))  # the lowest of each column
        axes.yaxis.set_major_formatter(lambda value, _: f"-${-value:,.0f}" if value < 0 else f"${value:,.0f}")
        locator = AutoDateLocator(minticks=2, maxticks=5)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    for axes in cells[len(tracks) :]:
        axes.set_visible(False)
    lines, labels = cells[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    return png_of(figure)
