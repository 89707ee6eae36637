"""Trials: a fixed grid of hyper-parameters, each scored out of fold on the same walk-forward folds.

Belongs here: the grid, the hash that makes a trial one trial however often it is run, out-of-fold scores and which
trial is best. Does not belong here: what the scores are worth (metrics, gates), the ledger of earlier trials (store).

The grid spans models from additive and slow to deep and quick. It is the same for every experiment, so nobody picks it
after looking. The best trial is the one whose out-of-fold takes let a fund grow most per candidate: a model that takes
one lucky candidate of a thousand grows little, and one that takes everything pays for its losers. Of equal ones the
first, which is the simplest, is chosen. The linear baseline runs on the same folds and is no trial: it cannot be
chosen.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from throughline.configuration import LearningSettings
from throughline.identity import hash_body, score_text
from throughline.learning.metrics import daily_growth, daily_returns, log_growth_per_candidate, mean_gain
from throughline.learning.models import (
    CALIBRATION_FOLDS,
    FittedModel,
    Parameters,
    calibration_folds,
    fit_linear,
    fit_model,
)
from throughline.learning.selection_bias import sharpe
from throughline.learning.splits import DAY_MS, Fold, walk_forward_folds
from throughline.learning.types import F64, I64, Mask, TrainingData, Trial

Fit = Callable[[TrainingData], FittedModel]


@dataclass(frozen=True)
class OutOfFold:
    """Scores of the tested labels, in order, by models that had not seen them.

    rows: [m] positions in the data; fold: [m] which fold tested it; probability, expected, take: [m]; known_rate,
    known_return: [m] weighted share of gains, and mean return, of the labels that trained the fold.
    """

    rows: I64
    fold: I64
    probability: F64
    expected: F64
    take: Mask
    known_rate: F64
    known_return: F64


@dataclass(frozen=True)
class TrialResult:
    """One trial with its scores, and what it gave on each decision day that was tested.

    growth: mean log growth per candidate, the figure it is chosen by. daily: [days] return of what it took; over_rule:
    [days] that less the return of the rule, which takes everything; daily_growth: [days] what `growth` is summed from.
    """

    trial: Trial
    parameters: Parameters
    scores: OutOfFold
    growth: float
    daily: F64
    over_rule: F64
    daily_growth: F64


def trial_grid(settings: LearningSettings) -> tuple[Parameters, ...]:
    """Return the twelve trials, simplest first."""
    keep = (max(1, settings.selected_features // 2), max(2, settings.selected_features))
    return tuple(
        Parameters(max_iter, rate, leaves, selected)
        for leaves in (2, 4, 8)
        for max_iter, rate in ((40, 0.05), (60, 0.2))
        for selected in keep
    )


def hyper_parameters(settings: LearningSettings) -> dict[str, Any]:
    """Return everything that shapes training beside the labels, as canonical JSON: a part of the model id."""
    return {
        "calibration_folds": CALIBRATION_FOLDS,
        "embargo_hours": settings.embargo_hours,
        "folds": settings.folds,
        "grid": [item.body() for item in trial_grid(settings)],
        "holdout_share": score_text(settings.holdout_share),
    }


def data_key(data: TrainingData) -> str:
    """Return the SHA-256 of all that training reads of the labels."""
    digest = hashlib.sha256()
    for text in ("\n".join(data.names), "\n".join(data.candidates), "\n".join(data.segments)):
        digest.update(text.encode() + b"\0")
    features = np.where(np.isnan(data.features), np.nan, data.features)  # one bit pattern of missing
    for values in (features, data.net_return, data.weight):
        digest.update(np.ascontiguousarray(values, "<f8").tobytes())
    for instants in (data.decided, data.t0, data.t1):
        digest.update(np.ascontiguousarray(instants, "<i8").tobytes())
    return digest.hexdigest()


def usable_folds(data: TrainingData, settings: LearningSettings) -> tuple[Fold, ...]:
    """Return the walk-forward folds whose training part is large enough to fit and calibrate a model on."""
    folds = walk_forward_folds(data.decided, data.t0, data.t1, settings.folds)
    return tuple(fold for fold in folds if calibration_folds(data.take(fold.train), settings.embargo_hours) is not None)


def run_trials(
    data: TrainingData,
    settings: LearningSettings,
    seed: int,
    schema: str,
    stake_share: float,
    grid: Sequence[Parameters] | None = None,
    begins: Callable[[int, int], None] | None = None,
) -> tuple[TrialResult, ...]:
    """Score every trial of the grid out of fold. data: without the holdout. grid: None takes `trial_grid`.

    begins: called before each trial with its number from 0 and how many there are.

    Nothing where no fold is usable.
    """
    folds = usable_folds(data, settings)
    if not folds:
        return ()
    key = data_key(data)
    results = []
    trials = trial_grid(settings) if grid is None else grid
    for number, parameters in enumerate(trials):
        if begins is not None:
            begins(number, len(trials))

        def fit(part: TrainingData, parameters: Parameters = parameters) -> FittedModel:
            return fit_model(part, parameters, seed, schema, settings.embargo_hours)

        scores = out_of_fold(data, folds, fit)
        results.append(_result(data, settings, seed, key, parameters, scores, stake_share))
    return tuple(results)


def run_linear(data: TrainingData, settings: LearningSettings, seed: int, schema: str) -> OutOfFold:
    """Score the linear baseline on the folds of the trials."""
    folds = usable_folds(data, settings)
    return out_of_fold(data, folds, lambda part: fit_linear(part, settings.selected_features, seed, schema))


def out_of_fold(data: TrainingData, folds: Sequence[Fold], fit: Fit) -> OutOfFold:
    """Fit on the training part of each fold and score its test part. At least one fold."""
    scored, rates, means = [], [], []
    for fold in folds:
        part = data.take(fold.train)
        scored.append(fit(part).score(data.features[fold.test]))
        rates.append(float(np.average(part.net_return > 0.0, weights=part.weight)))
        means.append(float(np.average(part.net_return, weights=part.weight)))
    sizes = [len(fold.test) for fold in folds]
    return OutOfFold(
        rows=np.concatenate([fold.test for fold in folds]),
        fold=np.repeat(np.arange(len(folds), dtype=np.int64), sizes),
        probability=np.concatenate([item[0] for item in scored]),
        expected=np.concatenate([item[1] for item in scored]),
        take=np.concatenate([item[2] for item in scored]),
        known_rate=np.repeat(rates, sizes),
        known_return=np.repeat(means, sizes),
    )


def best_trial(results: Sequence[TrialResult]) -> TrialResult:
    """Return the trial with the largest growth per candidate; of equal ones the first."""
    return max(results, key=lambda item: item.growth)


def _result(
    data: TrainingData,
    settings: LearningSettings,
    seed: int,
    key: str,
    parameters: Parameters,
    scores: OutOfFold,
    stake_share: float,
) -> TrialResult:
    part = data.take(scores.rows)
    day = part.decided // DAY_MS
    days, daily = daily_returns(part.net_return, scores.take, part.weight, day)
    _, rule = daily_returns(part.net_return, np.ones(len(part), bool), part.weight, day)
    summed = daily_growth(part.net_return, scores.take, part.weight, day, stake_share)
    growth = log_growth_per_candidate(part.net_return, scores.take, part.weight, stake_share)
    tried = {
        "data": key,
        "embargo_hours": settings.embargo_hours,
        "folds": settings.folds,
        "parameters": parameters.body(),
        "seed": seed,
    }
    taken = part.take(scores.take)
    gain = mean_gain(taken.net_return, np.ones(len(taken), bool), taken.weight) if len(taken) else None
    body = {
        **tried,
        "days": len(days),
        "gain_per_taken": None if gain is None else score_text(gain),
        "growth_per_candidate": score_text(growth) if math.isfinite(growth) else None,  # -inf: the fund is gone
        "labels": len(part),
        "sharpe": score_text(sharpe(daily)),
        "sharpe_over_rule": score_text(sharpe(daily - rule)),
        "taken": len(taken),
    }
    return TrialResult(Trial(hash_body("trial", tried), body), parameters, scores, growth, daily, daily - rule, summed)
