"""The figures of a model as they are recorded: measured once out of fold, written as texts of 10 digits.

Belongs here: which figures there are, their canonical JSON, importance of features. Does not belong here: how each is
measured (metrics), which pass (gates), pictures (analytics).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from throughline.identity import score_text
from throughline.learning.metrics import Bound, Calibration, ReliabilityBin, brier
from throughline.learning.models import FittedModel
from throughline.learning.types import TrainingData

SHUFFLES = 2
MOST_SHUFFLED = 5_000
"""Labels that importance is measured on at most: the last ones."""


@dataclass(frozen=True)
class Figures:
    """Out-of-fold figures of the chosen trial, weighted by uniqueness.

    growth: log growth per taken label; growth_candidate, growth_linear: per candidate, of the trial and of the linear
    baseline; gain, gain_champion: mean gain per candidate; fold_gains, fold_improvements, fold_taken: mean gain per
    candidate, the same over the champion, and labels taken, fold by fold. reliability: by tenths of the predicted
    probability; deciles: mean return by tenths of the expected return. calibration_error: over the bins of
    `reliability`; calibration: by a straight line, with its bounds.
    """

    labels: int
    taken: int
    r2: Bound
    brier: float
    brier_skill: float
    calibration_error: float
    calibration: Calibration
    pr_auc: float
    roc_auc: float
    base_rate: float
    growth: float
    growth_candidate: float
    growth_linear: float
    gain: float
    gain_champion: float
    improvement: Bound
    fold_gains: tuple[float, ...]
    fold_improvements: tuple[float, ...]
    fold_taken: tuple[int, ...]
    reliability: tuple[ReliabilityBin, ...]
    deciles: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class Importance:
    """By how much the Brier score rises where a feature is shuffled: mean and standard deviation over the shuffles."""

    feature: str
    rise: float
    spread: float


def figures_body(figures: Figures, others: Mapping[str, float], importance: Sequence[Importance]) -> dict[str, Any]:
    """Return figures as canonical JSON. others: more numbers by name. What could not be measured is null."""
    numbers = {
        "base_rate": figures.base_rate,
        "brier": figures.brier,
        "brier_skill": figures.brier_skill,
        "calibration_error": figures.calibration_error,
        "calibration_line_error": figures.calibration.error,
        "calibration_line_upper": figures.calibration.upper,
        "calibration_slope": figures.calibration.slope.value,
        "calibration_slope_lower": figures.calibration.slope.lower,
        "gain": figures.gain,
        "gain_champion": figures.gain_champion,
        "growth_per_candidate": figures.growth_candidate,
        "growth_per_candidate_linear": figures.growth_linear,
        "growth_per_taken": figures.growth,
        "improvement": figures.improvement.value,
        "improvement_lower": figures.improvement.lower,
        "pr_auc": figures.pr_auc,
        "r2": figures.r2.value,
        "r2_lower": figures.r2.lower,
        "roc_auc": figures.roc_auc,
        **others,
    }
    return {
        **{name: _text(value) for name, value in numbers.items()},
        "deciles": [_bin(item) for item in figures.deciles],
        "fold_gains": [_text(value) for value in figures.fold_gains],
        "fold_improvements": [_text(value) for value in figures.fold_improvements],
        "fold_taken": list(figures.fold_taken),
        "importance": [
            {"feature": item.feature, "rise": _text(item.rise), "spread": _text(item.spread)} for item in importance
        ],
        "labels_tested": figures.labels,
        "reliability": [_bin(item) for item in figures.reliability],
        "taken": figures.taken,
    }


def permutation_importance(model: FittedModel, test: TrainingData, seed: int) -> tuple[Importance, ...]:
    """Return the importance of each feature on labels the model has not seen, largest first (equal ones by name)."""
    rows = test.take(np.arange(max(0, len(test) - MOST_SHUFFLED), len(test), dtype=np.int64))
    win = rows.net_return > 0.0
    random = np.random.Generator(np.random.PCG64(seed))

    def score(features: Any) -> float:
        return brier(win, model.score(features)[0], rows.weight)

    plain = score(rows.features)
    importances = []
    for column, name in enumerate(rows.names):
        rises = []
        for _ in range(SHUFFLES):
            shuffled = rows.features.copy()
            shuffled[:, column] = shuffled[random.permutation(len(rows)), column]
            rises.append(score(shuffled) - plain)
        importances.append(Importance(name, float(np.mean(rises)), float(np.std(rises))))
    return tuple(sorted(importances, key=lambda item: (-item.rise, item.feature)))


def _bin(item: ReliabilityBin) -> dict[str, Any]:
    return {
        "labels": item.labels,
        "observed": _text(item.observed),
        "predicted": _text(item.predicted),
        "weight": _text(item.weight),
    }


def _text(value: float) -> str | None:
    return score_text(float(value)) if math.isfinite(value) else None
