"""What the gates of a model let through: ``python benchmarks/gates.py [--worlds N]`` (200: about two minutes).

A world: days of 10 candidates, each with 6 features, of which the first may be worth something:
return = rule's mean + edge x feature + 9 % x a normal number, of which 0.25 is shared by the day's candidates and by
those of the two days before. The model is a ridge regression instead of boosted trees, which would take a minute a
world: six trials (three penalties, all features or the first three), scored out of fold on the purged walk-forward
folds of the project. Everything behind the scores (choice of the trial, figures, bounds, gates) is the project's own.

  null       the features are worth nothing, whatever the rule gains
  edge       gain per standard deviation of the feature, as a fraction of the stake
  varies     an edge of another strength every 30 days, uniform between nothing and twice as much
  ends       an edge in the first half of the days, nothing after it
  turns      an edge in the first half of the days, its opposite after it
  one month  no edge; the rule gains 10 % a trade in 30 days past the middle, and loses 1 % in all others

Calibration is shown by itself: probabilities of known quality against what happened.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from throughline.configuration import LearningSettings
from throughline.learning.effective import effective_number
from throughline.learning.gates import judge_stability
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
GATES = ("r2", "brier", "calibration", "resolution", "fold_stability", "improvement", "deflated_sharpe", "pbo")


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores of one trial: expected return, probability of a gain, and what was known before."""

    expected: F64
    probability: F64
    known_return: F64
    known_rate: F64


def world(rng: np.random.Generator, days: int, rule: float | F64, edge: float | F64) -> TrainingData:
    """Draw a world of `days` days. rule, edge: of all days, or [days] one for each."""
    n = days * A_DAY
    day = np.repeat(np.arange(days), A_DAY)
    drawn = rng.standard_normal(days + OVERLAP)
    shared = np.asarray(sum(drawn[k : k + days] for k in range(OVERLAP + 1))) / np.sqrt(OVERLAP + 1)
    noise = np.sqrt(SHARED) * shared[day] + np.sqrt(1.0 - SHARED) * rng.standard_normal(n)
    x = rng.standard_normal((n, FEATURES))
    means, edges = (np.broadcast_to(np.asarray(value), days)[day] for value in (rule, edge))
    returns = np.clip(means + edges * x[:, 0] + NOISE * noise, -0.95, None)
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


def unsteady(rng: np.random.Generator, days: int, kind: str, edge: float) -> TrainingData:
    """Draw a world in which the edge or the rule's gain changes over time; `kind` as in the module's docstring."""
    day = np.arange(days)
    if kind == "one month":
        late = (day >= days * 6 // 10) & (day < days * 6 // 10 + 30)
        return world(rng, days, np.where(late, 0.10, -0.01), 0.0)
    strength = {
        "varies": rng.uniform(0.0, 2.0, days // 30 + 1)[day // 30],
        "ends": np.where(day < days // 2, 1.0, 0.0),
        "turns": np.where(day < days // 2, 1.0, -1.0),
    }[kind]
    return world(rng, days, 0.0, edge * strength)


def out_of_fold(data: TrainingData) -> tuple[NDArray[np.int64], NDArray[np.int64], list[Scores]]:
    """Return the tested rows, the fold of each, and the scores of every trial."""
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

    number = np.repeat(np.arange(len(folds)), [len(fold.test) for fold in folds])
    return rows, number, [whole(items) for items in parts]


def stability(y: F64, take: NDArray[np.bool_], fold: NDArray[np.int64]) -> tuple[bool, bool]:
    """Return what the gate of stability says, and what the one of old said: spread over mean of the folds at most 2.

    y: [labels] returns; the champion is the rule, which takes all.
    """
    parts = [fold == number for number in np.unique(fold)]
    means = [float((y * take)[part].mean()) for part in parts]
    better = [float((y * take - y)[part].mean()) for part in parts]
    told = judge_stability(means, better, [int(take[part].sum()) for part in parts], SETTINGS)
    mean = float(np.mean(means))
    return told.status == "pass", mean > 0.0 and float(np.std(means, ddof=1)) <= 2.0 * mean


def judged(data: TrainingData) -> dict[str, bool]:
    """Return which gates let the best trial pass, and what gates of old would have said."""
    rows, fold, trials = out_of_fold(data)
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
    stable, old_stable = stability(y, take, fold)
    return {
        "r2": r2.lower > 0.0,
        "brier": brier_skill(win, scores.probability, scores.known_rate, w) > 0.0,
        "calibration": line.upper <= SETTINGS.max_calibration_error,
        "resolution": line.slope.lower > SETTINGS.resolution_minimum,
        "fold_stability": stable,
        "improvement": ratio_bound(w * change, w, day, confidence, LAG).lower > 0.0,
        "deflated_sharpe": deflated >= SETTINGS.deflated_sharpe_minimum,
        "pbo": overfitting_probability(growth, negligible=NEGLIGIBLE) <= SETTINGS.max_pbo,
        "old calibration": bins <= SETTINGS.max_calibration_error,
        "old deflated": deflated_sharpe(daily[best], over_cash) >= SETTINGS.deflated_sharpe_minimum,
        "old stability": old_stable,
    }


@dataclass(frozen=True)
class Case:
    """A line of the table: how a world of it is drawn, and its random numbers."""

    title: str
    seed: int
    draw: Callable[[np.random.Generator], TrainingData]


def cases() -> list[Case]:
    """Return the lines of the table, in order."""
    plain = [(days, rule, 0.0) for days in (150, 400) for rule in (0.0, 0.015, -0.015)]
    plain += [(days, 0.0, edge) for days in (150, 400) for edge in (0.01, 0.02, 0.03, 0.05)]
    plain += [(150, 0.015, 0.03), (150, -0.015, 0.03)]
    made = []
    for days, rule, edge in plain:
        kind = "null" if edge == 0.0 else f"edge {100 * edge:g} % a deviation"
        seed = int(1_000 * days + 1e5 * edge + 1e4 * abs(rule) + (rule < 0))
        made.append(Case(f"{days} days, {kind}, rule {100 * rule:+.1f} %", seed, partial(_plain, days, rule, edge)))
    for days in (150, 400):
        for place, kind in enumerate(("varies", "ends", "turns", "one month")):
            title = f"{days} days, {kind}" + ("" if kind == "one month" else ", edge 3 %")
            made.append(Case(title, days + place, partial(_unsteady, days, kind)))
    return made


def _plain(days: int, rule: float, edge: float, rng: np.random.Generator) -> TrainingData:
    return world(rng, days, rule, edge)


def _unsteady(days: int, kind: str, rng: np.random.Generator) -> TrainingData:
    return unsteady(rng, days, kind, 0.03)


def table(worlds: int) -> None:
    names = (*GATES, "all of these", "old calibration", "old deflated", "old stability")
    print(
        f"\nPassed, % of {worlds} worlds; 'old': the ten bins' error alone, deflated Sharpe over cash alone, spread of "
        "the folds at most twice their mean"
    )
    print(f"  {'':<34}" + "".join(f"{name.replace('_', ' '):>17}" for name in names))
    for case in cases():
        rng = np.random.default_rng(case.seed)
        found = [judged(case.draw(rng)) for _ in range(worlds)]
        shares = {name: np.mean([item[name] for item in found]) for name in found[0]}
        shares["all of these"] = np.mean([all(item[name] for name in GATES) for item in found])
        print(f"  {case.title:<34}" + "".join(f"{100 * shares[name]:>17.0f}" for name in names))


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
