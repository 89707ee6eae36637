"""Four pictures of a model, as PNG bytes 902 pixels wide: calibration, deciles, importance, trials.

Belongs here: drawing. Does not belong here: where the numbers come from (`model_card`). What a model has no numbers for
is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from throughline.analytics.canvas import INK, MUTED, figure_of, plain, png_of
from throughline.analytics.pictures import COLOURS

_GAIN, _LOSS, _SOFT = COLOURS["optimistic"], COLOURS["pessimistic"], "#c9d8e6"


@dataclass(frozen=True)
class CalibrationBin:
    """Labels whose said probability of a gain lies together. said: its mean; seen: share that gained; n: how many."""

    said: float
    seen: float
    n: int


@dataclass(frozen=True)
class Decile:
    """Labels whose expected return lies together. said, seen: mean expected and mean net return, fractions."""

    said: float
    seen: float
    n: int


@dataclass(frozen=True)
class Importance:
    """By how much the Brier score rises where a feature is shuffled. spread: standard deviation over the shuffles."""

    feature: str
    rise: float
    spread: float = 0.0


@dataclass(frozen=True)
class TrialPoint:
    """One line of the trial ledger. name: its number; gain: mean net return per taken label, None where it took none.

    sharpe: of its days; chosen: became the model; other: of another training of the experiment.
    """

    name: str
    gain: float | None
    sharpe: float
    chosen: bool = False
    other: bool = False


def calibration_png(bins: Sequence[CalibrationBin], brier: float | None = None) -> bytes:
    """Return said against seen probability of a gain, out of fold, with 95 % intervals as of independent labels."""
    figure = figure_of(3.2)
    axes = figure.subplots()
    said, seen = [100 * item.said for item in bins], [100 * item.seen for item in bins]
    half = [196 * math.sqrt(item.seen * (1 - item.seen) / max(item.n, 1)) for item in bins]
    room = 0.05 * (max(said) - min(said)) or 1.0
    left, right = min(said) - room, max(said) + room
    axes.plot([left, right], [left, right], color=MUTED, linewidth=1.0, linestyle="--", label="as it was said")
    low, high = [y - h for y, h in zip(seen, half, strict=True)], [y + h for y, h in zip(seen, half, strict=True)]
    axes.vlines(said, low, high, color=_SOFT, linewidth=3.0)
    axes.plot(said, seen, color=COLOURS["base"], linewidth=1.4, marker="o", label="the model, out of fold")
    axes.set_xlim(left, right)
    axes.margins(y=0.15)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    axes.legend(fontsize=8, frameon=False, loc="upper left", ncols=2)
    axes.grid(alpha=0.25)
    fewest, most = min(item.n for item in bins), max(item.n for item in bins)
    count = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    told = "" if brier is None else f"; Brier score {brier:.3f}"
    plain(axes, f"share of labels that gained, by the probability said; {count} labels a point, bars 95 %{told}")
    return png_of(figure)


def deciles_png(deciles: Sequence[Decile]) -> bytes:
    """Return the mean net return by tenth of the expected return, out of fold, lowest first, with what was expected."""
    figure = figure_of(2.9)
    axes = figure.subplots()
    places = range(len(deciles))
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    axes.bar(
        places,
        [100 * item.seen for item in deciles],
        color=[_GAIN if item.seen > 0 else _LOSS for item in deciles],
        width=0.7,
        alpha=0.85,
    )
    axes.scatter(
        places, [100 * item.said for item in deciles], color=INK, s=20, zorder=3, marker="D", label="what was expected"
    )
    names = [f"{place + 1}\n{item.n:,}" for place, item in enumerate(deciles)]
    axes.set_xticks(list(places), names)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.1f} %" if value else "0 %")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    plain(axes, "mean net return by tenth of the expected return (10 = highest), number of labels below")
    return png_of(figure)


def importance_png(items: Sequence[Importance]) -> bytes:
    """Return by how much the Brier score rises where each feature is shuffled, most first."""
    ordered = sorted(items, key=lambda item: (-item.rise, item.feature))
    figure = figure_of(0.8 + 0.22 * max(len(ordered), 2))
    axes = figure.subplots()
    places = range(len(ordered))
    axes.axvline(0.0, color=MUTED, linewidth=0.8)
    axes.barh(
        places,
        [item.rise for item in ordered],
        color=[COLOURS["base"] if item.rise > 0 else _SOFT for item in ordered],
        height=0.7,
    )
    for place, item in zip(places, ordered, strict=True):
        axes.hlines(place, item.rise - item.spread, item.rise + item.spread, color=INK, linewidth=1.0)
    axes.set_yticks(list(places), [item.feature.replace("_", " ") for item in ordered])
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.25)
    plain(axes, "rise of the Brier score where the feature is shuffled, on the last fold")
    return png_of(figure)


def trials_png(trials: Sequence[TrialPoint]) -> bytes:
    """Return gain and Sharpe ratio of each trial in order; the chosen one is filled, other trainings' are grey."""
    figure = figure_of(3.2)
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, values, title in (
        (upper, [None if item.gain is None else 100 * item.gain for item in trials], "mean net return per taken label"),
        (lower, [item.sharpe for item in trials], "Sharpe ratio of its days"),
    ):
        axes.axhline(0.0, color=MUTED, linewidth=0.8)
        for place, (item, value) in enumerate(zip(trials, values, strict=True)):
            if value is None:
                continue
            colour = MUTED if item.other else COLOURS["base"]
            inside = colour if item.chosen else "white"
            axes.scatter([place], [value], s=16 if item.other else 44, zorder=3, edgecolors=colour, facecolors=inside)
        axes.margins(y=0.15)
        axes.grid(axis="y", alpha=0.25)
        plain(axes, title)
    upper.yaxis.set_major_formatter(lambda value, _: f"{value:+.2f} %" if value else "0 %")
    lower.set_xlim(-0.6, len(trials) - 0.4)
    own = [(place, item.name) for place, item in enumerate(trials) if not item.other]
    lower.set_xticks([place for place, _ in own], [name for _, name in own])
    return png_of(figure)
