"""Four pictures of a model, as SVG: calibration, deciles, importance, trials.

Belongs here: drawing. Does not belong here: where the numbers come from (model_card). What a model has no numbers for
is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from markupsafe import Markup

from throughline.rendering.chart import WIDTH, Panel, drawing, limits
from throughline.rendering.formats import percent_tick, words

_ROW = 22


@dataclass(frozen=True)
class ScoreBin:
    """Labels whose predictions lie together: predicted and observed mean (probability or return), and their number."""

    predicted: float
    observed: float
    labels: int


@dataclass(frozen=True)
class Importance:
    """By how much the Brier score rises where a feature is shuffled. spread: standard deviation over the shuffles."""

    feature: str
    rise: float
    spread: float = 0.0


@dataclass(frozen=True)
class TrialPoint:
    """One line of the trial ledger. name: its number; gain: mean net return per taken label, None where it took none;
    sharpe: of its days; chosen: became the model; other: of another training of the experiment."""

    name: str
    gain: float | None
    sharpe: float
    chosen: bool = False
    other: bool = False


def calibration_chart(bins: Sequence[ScoreBin], brier: float | None = None) -> Markup:
    """Return predicted against observed probability of a gain, out of fold; 95 % intervals of independent labels."""
    half = [1.96 * math.sqrt(item.observed * (1 - item.observed) / max(item.labels, 1)) for item in bins]
    predicted = [item.predicted for item in bins]
    x = limits(predicted)
    ends = [
        value for item, room in zip(bins, half, strict=True) for value in (item.observed - room, item.observed + room)
    ]
    panel = Panel((60, 48, WIDTH - 12, 300), x, limits([*ends, *x]))
    fewest, most = min(item.labels for item in bins), max(item.labels for item in bins)
    count = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    score = "" if brier is None else f"; Brier score {brier:.3f}"
    panel.title(f"Share of labels that gained, by predicted probability; {count} labels a point, 95 % intervals{score}")
    panel.legend({"perfect calibration": "muted dashed", "the model, out of fold": "base"}, 20)
    for draw in (panel.x_ticks, panel.y_ticks):
        draw(partial(percent_tick, signed=False))
    panel.line([(x[0], x[0]), (x[1], x[1])], "muted dashed")
    for item, room in zip(bins, half, strict=True):
        panel.vertical(item.predicted, item.observed - room, item.observed + room, "range wide base")
        panel.dot(item.predicted, item.observed, "base")
    panel.line([(item.predicted, item.observed) for item in bins], "base")
    return drawing("calibration", 326, [panel], "Calibration of the model")


def deciles_chart(deciles: Sequence[ScoreBin]) -> Markup:
    """Return the mean net return by tenth of the expected return, out of fold, lowest first, with what was expected."""
    values = [value for item in deciles for value in (item.predicted, item.observed)]
    panel = Panel((70, 48, WIDTH - 12, 250), (-0.6, len(deciles) - 0.4), limits(values, zero=True))
    panel.title("Mean net return by tenth of the expected return (10 = highest); below: labels")
    panel.legend({"observed": "gain", "expected": "ink"}, 20)
    panel.y_ticks(percent_tick)
    panel.level(0.0, "axis")
    for place, item in enumerate(deciles):
        panel.bar((place - 0.35, place + 0.35), (0.0, item.observed), "gain" if item.observed > 0 else "loss")
        panel.dot(place, item.predicted, "ink")
    panel.x_names([f"{place}\n{item.labels:,}" for place, item in enumerate(deciles, 1)])
    return drawing("deciles", 290, [panel], "Net return by expected return")


def importance_chart(items: Sequence[Importance]) -> Markup:
    """Return by how much the Brier score rises where each feature is shuffled, most first."""
    ordered = sorted(items, key=lambda item: (-item.rise, item.feature))
    bottom = 30 + _ROW * len(ordered)
    ends = [value for item in ordered for value in (item.rise - item.spread, item.rise + item.spread)]
    panel = Panel((230, 30, WIDTH - 20, bottom), limits(ends, zero=True), (len(ordered) - 0.5, -0.5))
    panel.title("Rise of the Brier score where the feature is shuffled, on the last fold")
    panel.x_ticks(lambda value: f"{value:g}")
    panel.instant(0.0, "axis")
    panel.y_names([words(item.feature) for item in ordered])
    for place, item in enumerate(ordered):
        panel.bar((0.0, item.rise), (place - 0.34, place + 0.34), "base" if item.rise > 0 else "soft")
        panel.horizontal(place, item.rise - item.spread, item.rise + item.spread, "range ink")
    return drawing("importance", bottom + 28, [panel], "Importance of the features")


def trials_chart(trials: Sequence[TrialPoint]) -> Markup:
    """Return gain and Sharpe ratio of each trial in order; the chosen one is filled, other trainings' are grey."""
    span = (-0.6, len(trials) - 0.4)
    panels: list[Panel | str] = []
    for top, title, values, label in (
        (30, "Mean net return per taken label", [item.gain for item in trials], percent_tick),
        (190, "Sharpe ratio of its days", [item.sharpe for item in trials], lambda v: f"{v:g}"),
    ):
        known = [value for value in values if value is not None]
        panel = Panel((70, top, WIDTH - 12, top + 110), span, limits(known, 0.15, zero=True))
        panel.title(title)
        panel.y_ticks(label, 4)
        panel.level(0.0, "axis")
        for place, (item, value) in enumerate(zip(trials, values, strict=True)):
            if value is not None:
                kind = f"{'' if item.chosen else 'ring '}{'muted' if item.other else 'base'}"
                panel.dot(place, value, kind, 3 if item.other else 5)
        panel.x_names([item.name for item in trials])
        panels.append(panel)
    return drawing("trials", 326, panels, "Trials of the model")
