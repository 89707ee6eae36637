"""What the gates of a model let through: ``python benchmarks/gates.py [--worlds N]`` (200: about two minutes).

A world: days of 10 candidates, each with 6 features, of which the first may be worth something:
return = rule's mean + edge x feature + 9 % x a normal number, of which 0.25 is shared by the day's candidates and by
those of the two days before. The model is a ridge regression instead of boosted trees, which would take a minute a
world: six trials (three penalties, all features or the first three), scored out of fold on the purged walk-forward
folds of the project. Everything behind the scores (choice of the trial, figures, bounds, gates) is the project's own.

  null       the features are worth nothing, whatever the rule gains
  edge       gain per standard deviation of the feature, as a fraction of the stake

Calibration is shown by itself: probabilities of known quality against what happened.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from throughline.configuration import LearningSettings
from throughline.learning.effective import effective_number
from throughline.learning.metrics import (
    brier_skill,
    calibration,
    calibration_error,
    daily_growth,
    daily_returns,
    r2_bound,
    ratio_bound,
    reliability,
)
from throughline.learning.selection_bias import (
    NEGLIGIBLE,
    deflated_over_cash_and_rule,
    deflated_sharpe,
    overfitting_probability,
    sharpe,
)
from throughline.learning.splits import DAY_MS, HOUR_MS, walk_forward_folds
from throughline.learning.types import TrainingData

F64 = NDArray[np.float64]
SETTINGS = LearningSettings()
A_DAY = 10
FEATURES = 6
NOISE = 0.09
SHARED = 0.25
OVERLAP = 2
LAG = 3
STAKE = 0.2
START = 1_640_995_200_000
TRIALS = tuple((penalty, used) for penalty in (10.0, 100.0, 1_000.0) for used in (3, FEATURES))
GATES = ("r2", "brier", "calibration", "resolution", "improvement", "deflated_sharpe", "pbo")


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores of one trial: expected return, probability of a gain, and what was known before."""

    expected: F64
    probability: F64
    known_return: F64
    known_rate: F64


def world(rng: np.random.Generator, days: int, rule: float, edge: float) -> TrainingData:
    """Draw a world of `days` days."""
    n = days * A_DAY
    day = np.repeat(np.arange(days), A_DAY)
    drawn = rng.standard_normal(days + OVERLAP)
    shared = np.asarray(sum(drawn[k : k + days] for k in range(OVERLAP + 1))) / np.sqrt(OVERLAP + 1)
    noise = np.sqrt(SHARED) * shared[day] + np.sqrt(1.0 - SHARED) * rng.standard_normal(n)
    x = rng.standard_normal((n, FEATURES))
    returns = np.clip(rule + edge * x[:, 0] + NOISE * noise, -0.95, None)
    decided = START + day * DAY_MS + np.tile(np.arange(A_DAY), days) * 2 * HOUR_MS
    return TrainingData(
        features=x,
        names=tuple(f"feature_{k}" for k in range(FEATURES)),
        net_return=returns,
        decided=decided,
        t0=decided + HOUR_MS,
        t1=decided + 48 * HOUR_MS,
        stopped=returns < -0.15,
        lost=returns < -0.9,
        weight=np.ones(n),
        executed=np.zeros(n, bool),
        candidates=tuple(str(k) for k in range(n)),
        segments=tuple(str(k) for k in range(n)),
    )


def out_of_fold(data: TrainingData) -> tuple[NDArray[np.int64], list[Scores]]:
    """Return the tested rows and the scores of every trial."""
    folds = walk_forward_folds(data.decided, data.t0, data.t1, SETTINGS.folds)
    parts: list[list[Scores]] = [[] for _ in TRIALS]
    for fold in folds:
        x, y = data.features[fold.train], data.net_return[fold.train]
        mean, rate = float(y.mean()), float((y > 0.0).mean())
        for k, (penalty, used) in enumerate(TRIALS):
            inside, outside = x[:, :used], data.features[fold.test][:, :used]
            beta = np.linalg.solve(inside.T @ inside + penalty * np.eye(used), inside.T @ (y - mean))
            expected = mean + outside @ beta
            spread = float(np.std(y - mean - inside @ beta))
            size = np.ones(len(expected))
            parts[k].append(Scores(expected, norm.cdf(expected / spread), mean * size, rate * size))
    rows = np.concatenate([fold.test for fold in folds])

    def whole(items: list[Scores]) -> Scores:
        names = ("expected", "probability", "known_return", "known_rate")
        return Scores(*(np.concatenate([getattr(item, name) for item in items]) for name in names))

    return rows, [whole(items) for items in parts]


def judged(data: TrainingData) -> dict[str, bool]:
    """Return which gates let the best trial pass, and what gates of old would have said."""
    rows, trials = out_of_fold(data)
    part = data.take(rows)
    y, w, day = part.net_return, part.weight, part.decided // DAY_MS
    takes = [trial.expected > 0.0 for trial in trials]
    daily = [daily_returns(y, take, w, day)[1] for take in takes]
    rule = daily_returns(y, np.ones(len(y), bool), w, day)[1]
    growth = np.array([daily_growth(y, take, w, day, STAKE) for take in takes])
    best = int(growth.sum(axis=1).argmax())
    scores, take = trials[best], takes[best]
    win, confidence = y > 0.0, SETTINGS.confidence
    line = calibration(win, scores.probability, w, day, confidence, LAG)
    over_cash = [sharpe(item) for item in daily]
    over_rule = [sharpe(item - rule) for item in daily]
    deflated = deflated_over_cash_and_rule(daily[best], daily[best] - rule, over_cash, over_rule)
    change = y * (take.astype(float) - 1.0)
    bins = calibration_error(reliability(win, scores.probability, w))
    r2 = r2_bound(y, scores.expected, scores.known_return, w, day, confidence, LAG)
    return {
        "r2": r2.lower > 0.0,
        "brier": brier_skill(win, scores.probability, scores.known_rate, w) > 0.0,
        "calibration": line.upper <= SETTINGS.max_calibration_error,
        "resolution": line.slope.lower > SETTINGS.resolution_minimum,
        "improvement": ratio_bound(w * change, w, day, confidence, LAG).lower > 0.0,
        "deflated_sharpe": deflated >= SETTINGS.deflated_sharpe_minimum,
        "pbo": overfitting_probability(growth, negligible=NEGLIGIBLE) <= SETTINGS.max_pbo,
        "old calibration": bins <= SETTINGS.max_calibration_error,
        "old deflated": deflated_sharpe(daily[best], over_cash) >= SETTINGS.deflated_sharpe_minimum,
    }


def table(worlds: int) -> None:
    names = (*GATES, "all of these", "old calibration", "old deflated")
    print(f"\nPassed, % of {worlds} worlds; 'old': the ten bins' error alone, deflated Sharpe over cash alone")
    print(f"  {'':<34}" + "".join(f"{name.replace('_', ' '):>17}" for name in names))
    cases = [(days, rule, 0.0) for days in (150, 400) for rule in (0.0, 0.015, -0.015)]
    cases += [(days, 0.0, edge) for days in (150, 400) for edge in (0.01, 0.02, 0.03, 0.05)]
    cases += [(150, 0.015, 0.03), (150, -0.015, 0.03)]
    for days, rule, edge in cases:
        rng = np.random.default_rng(int(1_000 * days + 1e5 * edge + 1e4 * abs(rule) + (rule < 0)))
        found = [judged(world(rng, days, rule, edge)) for _ in range(worlds)]
        shares = {name: np.mean([item[name] for item in found]) for name in found[0]}
        shares["all of these"] = np.mean([all(item[name] for name in GATES) for item in found])
        kind = "null" if edge == 0.0 else f"edge {100 * edge:g} % a deviation"
        title = f"{days} days, {kind}, rule {100 * rule:+.1f} %"
        print(f"  {title:<34}" + "".join(f"{100 * shares[name]:>17.0f}" for name in names))


def calibrations(worlds: int) -> None:
    """Print which probabilities of known quality pass the gates of calibration."""
    print(f"\nCalibration by itself: passed, % of {worlds} worlds, 10 labels a day, half of the noise is the day's")
    kinds = (
        "true",
        "too bold (logit x 2)",
        "too timid (logit x 0.5)",
        "10 points too high",
        "15 points too high",
        "noise",
        "noise, bold",
        "base rate",
    )
    columns = "".join(f"{f'{days} days':>12}{'resolution':>12}{'old':>6}" for days in (50, 150, 400))
    print(f"  {'probabilities':<34}{columns}")
    for kind in kinds:
        line = ""
        for days in (50, 150, 400):
            rng = np.random.default_rng(days)
            found = []
            for _ in range(worlds):
                n = days * A_DAY
                day = np.repeat(np.arange(days), A_DAY)
                signal = rng.standard_normal(n)
                common = rng.standard_normal(days)[day]
                truth = norm.cdf(-0.25 + 0.5 * signal)
                win = -0.25 + 0.5 * signal + np.sqrt(0.5) * common + np.sqrt(0.5) * rng.standard_normal(n) > 0.0
                told = {
                    "true": truth,
                    "too bold (logit x 2)": expit(2.0 * logit(truth)),
                    "too timid (logit x 0.5)": expit(0.5 * logit(truth)),
                    "10 points too high": np.clip(truth + 0.10, 0.0, 1.0),
                    "15 points too high": np.clip(truth + 0.15, 0.0, 1.0),
                    "noise": norm.cdf(-0.22 + 0.1 * rng.standard_normal(n)),
                    "noise, bold": norm.cdf(-0.22 + 0.5 * rng.standard_normal(n)),
                    "base rate": np.full(n, float(norm.cdf(-0.25 / np.sqrt(1.25)))),
                }[kind]
                weight = np.ones(n)
                fit = calibration(win, told, weight, day, SETTINGS.confidence, LAG)
                bins = calibration_error(reliability(win, told, weight))
                most = SETTINGS.max_calibration_error
                found.append((fit.upper <= most, fit.slope.lower > SETTINGS.resolution_minimum, bins <= most))
            share = 100.0 * np.mean(found, axis=0)
            line += f"{share[0]:>12.0f}{share[1]:>12.0f}{share[2]:>6.0f}"
        print(f"  {kind:<34}{line}")


def effective(worlds: int) -> None:
    """Print the effective number against what the variance of the mean says it is."""
    print("\nIndependent labels that 10 a day are worth; 'truth': variance of one label / variance of the mean")
    for days in (50, 150, 400):
        rng = np.random.default_rng(days)
        drawn = [world(rng, days, 0.0, 0.0) for _ in range(worlds)]
        found = [effective_number(item) for item in drawn]
        truth = np.mean([item.net_return.var() for item in drawn]) / np.var([item.net_return.mean() for item in drawn])
        low, middle, high = np.percentile([item.effective for item in found], (5, 50, 95))
        print(
            f"  {days:>4} days, {days * A_DAY:,} labels: median {middle:,.0f} "
            f"(90 % of worlds {low:,.0f} to {high:,.0f}), truth {truth:,.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=200)
    worlds = parser.parse_args().worlds
    started = time.perf_counter()
    print(f"standard error of 5 %: {np.sqrt(0.05 * 0.95 / worlds):.1%}, of 50 %: {np.sqrt(0.25 / worlds):.1%}")
    table(worlds)
    calibrations(worlds)
    effective(worlds)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
