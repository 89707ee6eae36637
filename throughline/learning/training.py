"""Training: from labels to a judged model. Arrays in; model, verdicts and figures out.

Belongs here: the order of the steps. Does not belong here: reading labels and storing what came of them (nightly), each
step itself (splits, trials, models, metrics, gates).

The last days are cut off as holdout before anything is looked at. Trials are scored out of fold on what is left; the
best one is refitted on all of that and judged by its out-of-fold scores. The holdout is opened only where every other
gate passed, and once for each model id: the caller sees to it that one model id is trained once. Models of successive
trainings share days of it, which the opening counts (holdout).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from throughline.configuration import LearningSettings
from throughline.identity import score_text
from throughline.learning.effective import effective_number, label_days
from throughline.learning.figures import Figures, figures_body, permutation_importance
from throughline.learning.gates import (
    Evidence,
    Size,
    judge_holdout,
    judge_model,
    judge_size,
    not_trained,
)
from throughline.learning.holdout import Opening, open_holdout
from throughline.learning.metrics import (
    brier,
    brier_skill,
    calibration,
    calibration_error,
    log_growth,
    log_growth_per_candidate,
    mean_gain,
    pr_auc,
    r2_bound,
    ratio_bound,
    reliability,
    roc_auc,
)
from throughline.learning.models import FittedModel, Parameters, calibration_folds, fit_model
from throughline.learning.selection_bias import (
    NEGLIGIBLE,
    deflated_over_cash_and_rule,
    overfitting_probability,
)
from throughline.learning.splits import DAY_MS, holdout_split
from throughline.learning.trials import OutOfFold, TrialResult, best_trial, run_linear, run_trials, usable_folds
from throughline.learning.types import F64, GateResult, Mask, Progress, TrainingData, Trial, no_progress

_TRIALS = (0.05, 0.75)
"""Where in a training the trials begin, and the share of it that they take: measured at 10^5 labels."""

ChampionTakes = Callable[[TrainingData], Mask]


@dataclass(frozen=True)
class Trained:
    """What training came to. model: None where nothing was trained. metrics: canonical JSON. chosen: hash of the
    trial that became the model. scores: its out-of-fold scores, with rows of the given data. holdout: what it said,
    None where it stays sealed. dropped: labels that trained or tested nothing, by reason."""

    gates: tuple[GateResult, ...]
    trials: tuple[Trial, ...] = ()
    model: FittedModel | None = None
    chosen: str | None = None
    scores: OutOfFold | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    holdout: Mapping[str, Any] | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)


def train(
    data: TrainingData,
    settings: LearningSettings,
    seed: int,
    *,
    champion_takes: ChampionTakes,
    against: str = "the champion",
    earlier_trials: Sequence[Trial],
    stake_share: float,
    home_trials: Sequence[Trial] = (),
    earlier_openings: Sequence[Mapping[str, Any]] = (),
    schema: str | None = None,
    grid: Sequence[Parameters] | None = None,
    progress: Progress = no_progress,
) -> Trained:
    """Train and judge a model on resolved labels; the same arguments give the same scores and verdicts.

    champion_takes: what the champion takes of given labels (the rule: all; nothing while it is closed). against: what
    that is, in the words of the verdicts. earlier_trials: of the same experiment,
    those of this very training may be among them; home_trials: of all experiments, for the figure reported beside it.
    earlier_openings: bodies of the holdouts that other models of the experiment opened.
    stake_share: of the fund that one trade stakes. schema: of the features; None is that of this version, whose names
    the data must have. grid: the trials; None is the fixed grid. progress: told of each step.
    Raises ValueError for data that no model can be made of: other names, infinities, weights or returns that are none.
    """
    schema = _checked(data, schema)
    days = int(np.unique(data.decided // DAY_MS).size)
    sized = judge_size(Size(len(data), days, effective_number(data).effective), settings)
    short = [item.gate for item in sized if item.status != "pass"]
    if short:
        return Trained((*sized, *not_trained(settings, f"{' and '.join(short)} not met")))
    cut = holdout_split(data.decided, data.t0, data.t1, settings.holdout_share, settings.embargo_hours)
    past = data.take(cut.train)
    results = run_trials(
        past,
        settings,
        seed,
        schema,
        stake_share,
        grid,
        lambda number, count: progress(f"trial {number + 1} of {count}", _TRIALS[0] + _TRIALS[1] * number / count),
    )
    if not results or calibration_folds(past, settings.embargo_hours) is None:
        why = "no fold before the holdout has enough gains and losses on enough days"
        return Trained((*sized, *not_trained(settings, why)), dropped={"purged_before_holdout": cut.purged})
    best = best_trial(results)
    progress("the linear model and the figures", sum(_TRIALS))
    figures = _figures(past, best, run_linear(past, settings, seed, schema), champion_takes, settings, stake_share)
    ours, homes = _every(results, earlier_trials), _every(results, home_trials)
    evidence = _evidence(figures, best, results, ours, against)
    judged = (*sized, *judge_model(evidence, settings))
    progress("fitting the chosen trial", 0.85)
    model = fit_model(past, best.parameters, seed, schema, settings.embargo_hours)
    refused = sum(item.status != "pass" for item in judged)
    rest = data.take(cut.test)
    opened = None if refused else open_holdout(rest, model, champion_takes, stake_share, earlier_openings)
    last = usable_folds(past, settings)[-1]
    progress("importance of the features", 0.9)
    importance = permutation_importance(
        fit_model(past.take(last.train), best.parameters, seed, schema, settings.embargo_hours),
        past.take(last.test),
        seed,
    )
    body = figures_body(
        figures,
        {
            "deflated_sharpe": evidence.deflated,
            "deflated_sharpe_home": _deflated(best, homes),
            "pbo": evidence.pbo,
            "pbo_by_rank": overfitting_probability(_gains(results)),
        },
        importance,
    )
    counts = {
        "days": len(best.daily),
        "trials": len(results),
        "trials_experiment": len(ours),
        "trials_home": len(homes),
    }
    return Trained(
        gates=(*judged, _holdout_gate(opened, len(rest), refused, settings, against)),
        trials=tuple(item.trial for item in results),
        model=model,
        chosen=best.trial.hash,
        scores=replace(best.scores, rows=cut.train[best.scores.rows]),
        metrics={
            **body,
            **counts,
            "break_even": score_text(model.break_even),
            "chosen": best.trial.hash,
            "parameters": best.parameters.body(),
        },
        holdout=None if opened is None else opened.body,
        dropped={"never_tested": len(past) - len(best.scores.rows), "purged_before_holdout": cut.purged},
    )


def _checked(data: TrainingData, schema: str | None) -> str:
    """Return the feature schema of `data`."""
    from throughline.features.vector import NAMES, feature_schema

    if schema is None and data.names != tuple(NAMES):
        raise ValueError("the data does not have the features of this version: say which schema its names are of")
    if np.isinf(data.features).any():
        raise ValueError("a feature is infinite: missing is NaN, everything else is finite")
    if not np.isfinite(data.net_return).all() or (data.net_return < -1.0).any():
        raise ValueError("a net return is no number or below -1: more than the stake cannot be lost")
    if not ((data.weight > 0.0) & (data.weight <= 1.0)).all():
        raise ValueError("a weight lies outside (0, 1]: weights are uniqueness")
    return schema or feature_schema()


def _figures(
    past: TrainingData,
    best: TrialResult,
    linear: OutOfFold,
    champion_takes: ChampionTakes,
    settings: LearningSettings,
    stake_share: float,
) -> Figures:
    """Measure the out-of-fold scores of the chosen trial."""
    scores, part = best.scores, past.take(best.scores.rows)
    returns, weight, day, win = part.net_return, part.weight, part.decided // DAY_MS, part.net_return > 0.0
    lag = label_days(part)
    champion = champion_takes(part)
    change = returns * (scores.take.astype(np.float64) - champion.astype(np.float64))
    table = reliability(win, scores.probability, weight)
    folds = [scores.fold == number for number in np.unique(scores.fold)]
    return Figures(
        labels=len(part),
        taken=int(scores.take.sum()),
        r2=r2_bound(returns, scores.expected, scores.known_return, weight, day, settings.confidence, lag),
        brier=brier(win, scores.probability, weight),
        brier_skill=brier_skill(win, scores.probability, scores.known_rate, weight),
        calibration_error=calibration_error(table),
        calibration=calibration(win, scores.probability, weight, day, settings.confidence, lag),
        pr_auc=pr_auc(win, scores.probability, weight),
        roc_auc=roc_auc(win, scores.probability, weight),
        base_rate=float(np.average(win, weights=weight)),
        growth=log_growth(returns, scores.take, weight, stake_share),
        growth_linear=log_growth_per_candidate(returns, linear.take, weight, stake_share),
        growth_candidate=best.growth,
        gain=mean_gain(returns, scores.take, weight),
        gain_champion=mean_gain(returns, champion, weight),
        improvement=ratio_bound(weight * change, weight, day, settings.confidence, lag),
        fold_gains=tuple(mean_gain(returns[at], scores.take[at], weight[at]) for at in folds),
        fold_improvements=tuple(float(np.average(change[at], weights=weight[at])) for at in folds),
        fold_taken=tuple(int(scores.take[at].sum()) for at in folds),
        reliability=table,
        deciles=reliability(returns, scores.expected, weight),
    )


def _evidence(
    figures: Figures, best: TrialResult, results: Sequence[TrialResult], every: Sequence[Trial], against: str
) -> Evidence:
    return Evidence(
        r2=figures.r2,
        brier_skill=figures.brier_skill,
        calibration=figures.calibration,
        pr_auc=figures.pr_auc,
        base_rate=figures.base_rate,
        growth=figures.growth,
        taken=figures.taken,
        fold_gains=figures.fold_gains,
        fold_improvements=figures.fold_improvements,
        fold_taken=figures.fold_taken,
        over_linear=figures.growth_candidate - figures.growth_linear,
        improvement=figures.improvement,
        deflated=_deflated(best, every),
        days=len(best.daily),
        all_trials=len(every),
        pbo=overfitting_probability(_gains(results), negligible=NEGLIGIBLE),
        trials=len(results),
        against=against,
    )


def _gains(results: Sequence[TrialResult]) -> F64:
    return np.array([item.daily_growth for item in results])


def _every(results: Sequence[TrialResult], earlier: Sequence[Trial]) -> tuple[Trial, ...]:
    """Return every distinct trial, those of now included, in order of hash."""
    every = {trial.hash: trial for trial in (*earlier, *(item.trial for item in results))}
    return tuple(every[name] for name in sorted(every))


def _deflated(best: TrialResult, every: Sequence[Trial]) -> float:
    """Return the deflated Sharpe ratio of the best trial, over cash and over the rule.

    A trial of a release that did not record its ratio over the rule counts for the ratio over cash alone.
    """
    over_cash, over_rule = (
        [float(trial.body[name]) for trial in every if name in trial.body] for name in ("sharpe", "sharpe_over_rule")
    )
    return deflated_over_cash_and_rule(best.daily, best.over_rule, over_cash, over_rule)


def _holdout_gate(
    opened: Opening | None, labels: int, refused: int, settings: LearningSettings, against: str
) -> GateResult:
    """Return the verdict of the holdout; where it was opened, its sentence says how much of it others had seen."""
    if opened is None:
        return judge_holdout(None, labels, refused, settings)
    verdict = judge_holdout(opened.gain, labels, refused, settings, against)
    return replace(verdict, reason=f"{verdict.reason}; {opened.sentence}")
