"""The gates of a model: pure rules from evidence to pass, fail or insufficient, each with its number and its threshold.

Belongs here: which figure meets which threshold, and the sentence. Does not belong here: how figures are measured
(metrics, selection_bias), gates of the data and of the registries (the caller adds them), the canary.

All gates fail closed: a figure that is missing or no number is 'insufficient', which is a verdict of its own and no
pass. The holdout is opened only for a model that every other gate lets through: whoever is refused has not seen it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from throughline.configuration import LearningSettings
from throughline.learning.metrics import Bound, Calibration, mean_bound
from throughline.learning.types import GateResult, Status

GATES = (
    "minimum_labels",
    "minimum_days",
    "effective_labels",
    "r2",
    "brier",
    "calibration",
    "resolution",
    "pr_auc",
    "log_growth",
    "fold_stability",
    "beats_linear",
    "improvement",
    "deflated_sharpe",
    "pbo",
    "holdout",
)
"""All gates of this module, in order."""
_OF_A_MODEL = GATES[3:]
"""Those that need a model; the others ask for enough to train one on."""


@dataclass(frozen=True)
class Size:
    """How much there is to learn from: resolved labels, their decision days, and how many independent ones that is."""

    labels: int
    days: int
    effective: float


@dataclass(frozen=True)
class Evidence:
    """Out-of-fold figures of the chosen trial; NaN where one could not be measured.

    r2, improvement: with their bounds. growth: log growth per taken label; fold_gains: mean gain per candidate of each
    fold; fold_improvements: the same over `against`; fold_taken: labels taken in each fold; over_linear: growth per
    candidate less that of the linear baseline; improvement: mean gain over `against` (in words) on the same rows;
    deflated: the smaller deflated Sharpe ratio, over cash and over the rule, with `all_trials` trials of the experiment
    on `days` days; pbo: of `trials` trials of this training.
    """

    r2: Bound
    brier_skill: float
    calibration: Calibration
    pr_auc: float
    base_rate: float
    growth: float
    taken: int
    fold_gains: tuple[float, ...]
    fold_improvements: tuple[float, ...]
    fold_taken: tuple[int, ...]
    over_linear: float
    improvement: Bound
    deflated: float
    days: int
    all_trials: int
    pbo: float
    trials: int
    against: str = "the champion"


def judge_size(size: Size, settings: LearningSettings) -> tuple[GateResult, ...]:
    """Return whether there is enough to learn from. Too little is 'insufficient': it says nothing against a model."""
    sizes = (
        ("minimum_labels", float(size.labels), float(settings.minimum_labels), "resolved labels"),
        ("minimum_days", float(size.days), float(settings.minimum_days), "decision days"),
        ("effective_labels", size.effective, settings.minimum_effective, "independent labels that they are worth"),
    )
    return tuple(_size(*item) for item in sizes)


def judge_model(evidence: Evidence, settings: LearningSettings) -> tuple[GateResult, ...]:
    """Return every verdict that out-of-fold evidence gives, in the order of `GATES`."""
    e, confidence = evidence, f"{100 * settings.confidence:g} %"
    r2 = f"out-of-fold R2 is {e.r2.value:.4f}, by its {confidence} lower bound over {e.r2.days} days {e.r2.lower:.4f}"
    brier = f"the Brier score is {100 * e.brier_skill:+.2f} % better than the base rate's"
    line = e.calibration
    apart = (
        f"predicted and observed shares of gains lie {100 * line.error:.2f} points apart on average, by their "
        f"{confidence} upper bound {100 * line.upper:.2f}"
    )
    slope = (
        f"the slope of gains on the predicted probability is {line.slope.value:.2f} (1 is right, 0 says nothing), by "
        f"its {confidence} lower bound over {line.slope.days} days {line.slope.lower:.2f}"
    )
    one = "every candidate is given the same probability"
    growth = f"each of {e.taken} taken labels changes the fund by {100 * e.growth:+.4f} % (log, net of costs)"
    linear = f"log growth per candidate is {100 * e.over_linear:+.4f} % against the linear baseline on the same folds"
    better = (
        f"the mean gain over {e.against} on the same rows is {100 * e.improvement.value:+.3f} %, by its {confidence} "
        f"lower bound over {e.improvement.days} days {100 * e.improvement.lower:+.3f} %"
    )
    lift = e.pr_auc - e.base_rate
    ranked = f"PR-AUC is {e.pr_auc:.4f} where the base rate is {e.base_rate:.4f}, a lift of {lift:+.4f}"
    return (
        _above("r2", e.r2.lower, settings.r2_minimum, r2),
        _above("brier", e.brier_skill, settings.brier_skill_minimum, brier, unit="%"),
        _below("calibration", line.upper, settings.max_calibration_error, apart, unit="points"),
        _above("resolution", line.slope.lower, settings.resolution_minimum, slope, missing=one),
        _above("pr_auc", lift, settings.pr_auc_lift_minimum, ranked),
        _above("log_growth", e.growth, settings.log_growth_minimum, growth, missing="nothing would be taken", unit="%"),
        judge_stability(e.fold_gains, e.fold_improvements, e.fold_taken, settings, e.against),
        _above("beats_linear", e.over_linear, 0.0, linear, unit="%"),
        _above("improvement", e.improvement.lower, settings.improvement_minimum, better, unit="%"),
        _deflated(e, settings),
        _overfitting(e, settings),
    )


def judge_stability(
    gains: Sequence[float],
    improvements: Sequence[float],
    taken: Sequence[int],
    settings: LearningSettings,
    against: str = "the champion",
) -> GateResult:
    """Return whether the gain is there in the folds alike, and not in one of them.

    Args:
        gains: mean gain per candidate of each fold, a fraction of the stake: the gain over cash.
        improvements: the same less what `against` gains on the same candidates. The smaller bound of the two decides:
            over cash alone a model without skill is stable where the rule gains, over the rule alone where it loses.
        taken: labels taken in each fold.
        settings: minimum_stable_folds, minimum_fold_taken, fold_gain_minimum and confidence are read.
        against: what `improvements` are over, in words.

    Each fold is one observation, so the bound counts whatever makes folds differ: the market of its days as well as the
    luck of its labels. In units of their mean, the standard deviation of n folds may be sqrt(n) / t at most, with t the
    Student quantile: 1.05 for five folds, where a gain of one fold alone gives 2.24.
    """
    least, asked = settings.fold_gain_minimum, min(settings.minimum_stable_folds, settings.folds)
    enough = sum(count >= settings.minimum_fold_taken for count in taken)
    if enough < asked or not all(math.isfinite(value) for value in (*gains, *improvements)):
        reason = (
            f"{enough} of {len(taken)} folds took at least {settings.minimum_fold_taken} labels; stability needs "
            f"{asked} such folds"
        )
        return GateResult("fold_stability", "insufficient", None, least, reason)
    both = {"cash": gains, against: improvements}
    bounds = {over: mean_bound(values, settings.confidence) for over, values in both.items()}
    over = min(bounds, key=lambda name: bounds[name].lower)
    lost = sum(value < 0.0 for value in both[over])
    words = (
        f"the mean gain over {over} a candidate is {100 * bounds[over].value:+.3f} % over {len(gains)} folds ({lost} "
        f"lost); by their {100 * settings.confidence:g} % lower bound, a fold as one observation, "
        f"{100 * bounds[over].lower:+.3f} %"
    )
    return _above("fold_stability", bounds[over].lower, least, words, unit="%")


def judge_holdout(
    gain: float | None, labels: int, refused: int, settings: LearningSettings, against: str = "the champion"
) -> GateResult:
    """Return whether the model does no harm on the holdout. gain: its mean gain over `against`; None: not opened.

    refused: other gates that did not pass.
    """
    least = 0.0 - settings.holdout_harm
    if gain is None:
        reason = f"the holdout stays sealed: {refused} other gate(s) did not pass"
        return GateResult("holdout", "insufficient", None, least, reason)
    words = f"on the holdout's {labels} labels the mean gain over {against} is {100 * gain:+.3f} %"
    return _verdict("holdout", gain, least, lambda value, bound: value >= bound, words, "at least", unit="%")


def not_trained(settings: LearningSettings, why: str) -> tuple[GateResult, ...]:
    """Return 'insufficient' for every gate that needs a model."""
    return tuple(GateResult(name, "insufficient", None, None, f"no model was trained: {why}") for name in _OF_A_MODEL)


def refusal_words(verdicts: Sequence[GateResult]) -> str:
    """Return how many gates refused and what the first of them said; one that had no model to judge is not counted."""
    refused = [item for item in verdicts if item.status != "pass"]
    sizes = [item for item in refused if item.gate not in _OF_A_MODEL]
    judged = sizes or refused
    return f"{len(judged)} gate(s) refused it, the first {judged[0].gate}: {judged[0].reason}"


def _size(gate: str, value: float, least: float, what: str) -> GateResult:
    status: Status = "pass" if value >= least else "insufficient"
    words = f"{value:,.0f} {what}; at least {least:,.0f} are asked for"
    return GateResult(gate, status, _finite(value), least, words)


def _deflated(e: Evidence, settings: LearningSettings) -> GateResult:
    words = (
        f"the deflated Sharpe ratio over {e.all_trials} trials and {e.days} days, the smaller one of over cash and "
        f"over the rule, is {e.deflated:.3f}"
    )
    least = settings.deflated_sharpe_minimum
    return _verdict("deflated_sharpe", e.deflated, least, lambda value, bound: value >= bound, words, "at least")


def _overfitting(e: Evidence, settings: LearningSettings) -> GateResult:
    if e.trials < settings.minimum_trials:
        reason = f"{e.trials} trials were made; the probability of overfitting needs {settings.minimum_trials}"
        return GateResult("pbo", "insufficient", None, settings.max_pbo, reason)
    words = f"in {100 * e.pbo:.1f} % of the halves the trial that was best is clearly below the median in the other"
    return _below("pbo", e.pbo, settings.max_pbo, words, unit="%")


def _above(gate: str, value: float, least: float, words: str, missing: str | None = None, unit: str = "") -> GateResult:
    return _verdict(gate, value, least, lambda measured, bound: measured > bound, words, "above", missing, unit)


def _below(gate: str, value: float, most: float, words: str, unit: str = "") -> GateResult:
    return _verdict(gate, value, most, lambda measured, bound: measured <= bound, words, "at most", unit=unit)


def _verdict(
    gate: str,
    value: float,
    threshold: float,
    holds: Callable[[float, float], bool],
    words: str,
    word: str,
    missing: str | None = None,
    unit: str = "",
) -> GateResult:
    """Return the verdict on a figure. unit: in which `words` states it, "%" or "points" of a fraction, or none."""
    if not math.isfinite(value):
        reason = missing or "the figure could not be measured on these labels"
        return GateResult(gate, "insufficient", None, threshold, reason)
    status: Status = "pass" if holds(value, threshold) else "fail"
    bound = f"{100 * threshold:g} {unit}" if unit else f"{threshold:g}"
    return GateResult(
        gate, status, value, threshold, f"{words}; {word} {bound} {'are' if unit == 'points' else 'is'} asked for"
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
