"""Error rates of the canary's judge: ``python benchmarks/judge.py [--replays N]`` (2,000: about a minute).

Outcome model: 8 % x t(3), clipped to [-18 %, +30 %], less its mean. The incumbent takes every candidate, the challenger
refuses 30 % of them: all differences have one sign, so that what a day's outcomes share does not cancel out of them
(of models that differ both ways it would). Equal: what is refused is worth nothing. 3 points worse: it is worth 3 % a
trade. The judge looks after every unit, and the trial is not ended by a promotion where rollbacks are counted.

  independent  every candidate is a unit of its own
  clustered    days of 8 candidates whose outcomes are correlated (Gaussian copula, the day's component shared)
  overlapping  the same, and the day's component is a moving sum over three days, as if every position were held 48 h:
               the premise of Ville's inequality does not hold then; this measures what is left of it

Rollback is by the paired test at alpha or the tail test on stops (at -15 %) at its own alpha, as configured by default;
nothing is totally lost in this model. Hard guards are shown apart: they judge the executed arm, and hold no error.
Beside it, for contrast, Mann-Whitney at p < .05 looked at every hour for 48 h, 10 candidates an hour split 1:9.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata, t

from throughline.configuration import CanarySettings
from throughline.learning.evidence import log_evidence, running_maximum
from throughline.learning.judge import judge, noninferior_gains, tail_gains, tripped_guards
from throughline.learning.pairs import DayUnits, pairs_of
from throughline.learning.types import Health, Observation

F64 = NDArray[np.float64]
SETTINGS = CanarySettings()
REFUSED = 0.30
A_DAY = 8
STOP = -0.15
BATCH = 500
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
NEVER = 10**9

# The quantile function of the clipped t(3) as a table: its own costs a minute.
_NORMAL = np.linspace(-5.0, 5.0, 20_001)
_RETURN = np.clip(0.08 * t(3).ppf(norm.cdf(_NORMAL)), -0.18, 0.30)
_MEAN = float(np.sum(_RETURN * norm.pdf(_NORMAL)) / np.sum(norm.pdf(_NORMAL)))


@dataclass(frozen=True)
class Market:
    """Replays of candidates: returns and whether the challenger refused, [replays, units, candidates]."""

    returns: F64
    refused: NDArray[np.bool_]
    stopped: NDArray[np.bool_]


@dataclass(frozen=True)
class Ends:
    """First unit after which each replay was rolled back or promoted; NEVER where it was not."""

    rolled_back: NDArray[np.int64]
    by_tail: NDArray[np.int64]
    promoted: NDArray[np.int64]


def market(
    rng: np.random.Generator, replays: int, units: int, size: int, *, correlation: float, overlap: int, worth: float
) -> Market:
    """Draw replays. worth: mean net return of what the challenger refuses; overlap: earlier days shared by a day's."""
    normal = rng.standard_normal((replays, units, size))
    if correlation:
        drawn = rng.standard_normal((replays, units + overlap))
        shared = sum(drawn[:, k : k + units] for k in range(overlap + 1)) / np.sqrt(overlap + 1)
        normal = np.sqrt(correlation) * np.asarray(shared)[:, :, None] + np.sqrt(1.0 - correlation) * normal
    raw = np.interp(normal, _NORMAL, _RETURN)
    refused = rng.random(raw.shape) < REFUSED
    returns = raw - _MEAN + np.where(refused, worth, 0.0)
    return Market(returns, refused, returns <= STOP)


def units_of(drawn: Market) -> DayUnits:
    """Return the units of all replays at once; `judge` itself is held against them (see `agreement`)."""
    size = drawn.returns.shape[2]
    refused = drawn.refused.sum(axis=2)
    earned = -np.where(drawn.refused, np.clip(drawn.returns, -SETTINGS.clip, SETTINGS.clip), 0.0).sum(axis=2)
    ours = size - refused
    tells = (ours > 0) & (refused > 0)
    stops = (drawn.stopped & ~drawn.refused).sum(axis=2)
    rate = stops / np.maximum(ours, 1) - drawn.stopped.sum(axis=2) / size
    bound = np.where(tells, refused / size, 0.0)  # half of ours x (1/ours - 1/size) + refused / size
    zero = np.zeros(bound.shape)
    return DayUnits(
        candidates=np.full(refused.shape, size),
        disagreements=refused,
        difference=earned / size,
        per_disagreement=earned / np.maximum(refused, 1),
        stop_difference=np.where(tells, rate, 0.0),
        loss_difference=zero,
        tail_bound=bound,
        clipped=0,
    )


def first(reached: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the position of the first True of each row, NEVER where there is none."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1), NEVER)


def ends(units: DayUnits) -> Ends:
    """Look after every unit of every replay."""
    goal = np.log(1.0 / SETTINGS.alpha)
    worse = first(running_maximum(log_evidence(-units.per_disagreement / SETTINGS.clip)) >= goal)
    tail_path = log_evidence(tail_gains(units.stop_difference, units.tail_bound, SETTINGS.tail_margin))
    tail = first(running_maximum(tail_path) >= np.log(1.0 / SETTINGS.tail_alpha))
    count = np.arange(1, units.difference.shape[1] + 1)
    pairs = np.cumsum(units.candidates, axis=1)
    promoted = first(
        (running_maximum(log_evidence(noninferior_gains(units, SETTINGS))) >= goal)
        & (np.cumsum(units.difference, axis=1) / count > -SETTINGS.margin)
        & (pairs >= SETTINGS.minimum_pairs)
    )
    back = np.minimum(worse, tail)
    return Ends(back, tail, np.where(promoted < back, promoted, NEVER))


def batches(replays: int) -> Iterator[int]:
    for start in range(0, replays, BATCH):
        yield min(BATCH, replays - start)


def run(
    seed: int, replays: int, units: int, size: int, *, correlation: float = 0.0, overlap: int = 0, worth: float = 0.0
) -> Ends:
    rng = np.random.default_rng(seed)
    found = [
        ends(units_of(market(rng, n, units, size, correlation=correlation, overlap=overlap, worth=worth)))
        for n in batches(replays)
    ]
    return Ends(
        np.concatenate([item.rolled_back for item in found]),
        np.concatenate([item.by_tail for item in found]),
        np.concatenate([item.promoted for item in found]),
    )


def shares(when: NDArray[np.int64], horizons: tuple[int, ...]) -> str:
    return "  ".join(f"{np.mean(when < horizon):9.2%}" for horizon in horizons)


def table(title: str, replays: int, horizons: tuple[int, ...], size: int, what: str, **shape: float) -> None:
    correlation, overlap = float(shape.get("correlation", 0.0)), int(shape.get("overlap", 0))
    boundary = SETTINGS.margin / REFUSED
    print(f"\n{title}")
    print(f"  {what:<64}" + "  ".join(f"{horizon:9,d}" for horizon in horizons))

    def of(worth: float, seed: int) -> Ends:
        return run(seed, replays, horizons[-1], size, correlation=correlation, overlap=overlap, worth=worth)

    equal = of(0.0, 1)
    print(f"  {'false rollback of an equal model':<64}{shares(equal.rolled_back, horizons)}")
    print(f"  {'  of these by the tail test':<64}{shares(equal.by_tail, horizons)}")
    worse = of(0.03, 2)
    print(f"  {'power: rollback of a model 3 points worse':<64}{shares(worse.rolled_back, horizons)}")
    half = of(0.005, 3)
    print(f"  {'power: rollback of a model 0.5 points worse':<64}{shares(half.rolled_back, horizons)}")
    print(f"  {'false promotion of a model 3 points worse':<64}{shares(worse.promoted, horizons)}")
    edge = of(boundary, 4)
    label = f"false promotion exactly at the margin ({100 * boundary:.2f} points worse)"
    print(f"  {label:<64}{shares(edge.promoted, horizons)}")
    print(f"  {'power: promotion of an equal model':<64}{shares(equal.promoted, horizons)}")
    better = of(-0.03, 5)
    print(f"  {'power: promotion of a model 3 points better':<64}{shares(better.promoted, horizons)}")


def realised_correlation(correlation: float) -> float:
    """Return the correlation of two returns of one day."""
    rng = np.random.default_rng(6)
    drawn = market(rng, 1, 200_000, 2, correlation=correlation, overlap=0, worth=0.0)
    return float(np.corrcoef(drawn.returns[0, :, 0], drawn.returns[0, :, 1])[0, 1])


def mann_whitney(replays: int, worth: float) -> tuple[float, float]:
    """Return how often 48 hourly looks, and the last one alone, say that the canary's returns are lower."""
    rng = np.random.default_rng(7)
    raw = np.interp(rng.standard_normal((replays, 480)), _NORMAL, _RETURN)
    canary = np.arange(480) % 10 == 0
    raw[:, canary] -= worth
    ever, last = np.zeros(replays, dtype=bool), np.zeros(replays, dtype=bool)
    for hour in range(1, 49):
        seen = slice(0, 10 * hour)
        n, m = hour, 9 * hour
        ranks = rankdata(raw[:, seen], axis=1)[:, canary[seen]].sum(axis=1)
        z = (ranks - n * (n + m + 1) / 2.0 + 0.5) / np.sqrt(n * m * (n + m + 1) / 12.0)
        last = norm.cdf(z) < 0.05
        ever |= last
    return float(ever.mean()), float(last.mean())


def guards(replays: int) -> None:
    """Print how often the hard guards trip on the executed trades of a model worth nothing."""
    counts = (10, 20, 40, 80)
    rng = np.random.default_rng(8)
    drawn = np.interp(rng.standard_normal((replays, counts[-1])), _NORMAL, _RETURN) - _MEAN
    print("\nHard guards on the executed trades of an equal model (independent; no error is held here)")
    print(f"  {'executed trades':<64}" + "  ".join(f"{count:9,d}" for count in counts))
    drawdown, streak = [], []
    for count in counts:
        money = np.concatenate([np.zeros((replays, 1)), np.cumsum(drawn[:, :count], axis=1)], axis=1)
        deepest = (np.maximum.accumulate(money, axis=1) - money).max(axis=1)
        drawdown.append(float(np.mean(deepest > SETTINGS.max_drawdown)))
        run_length, longest = np.zeros(replays, dtype=int), np.zeros(replays, dtype=int)
        for k in range(count):
            run_length = np.where(drawn[:, k] < 0.0, run_length + 1, 0)
            longest = np.maximum(longest, run_length)
        streak.append(float(np.mean(longest >= SETTINGS.max_loss_streak)))
    told = f"drawdown above {SETTINGS.max_drawdown:g} positions"
    print(f"  {told:<64}" + "  ".join(f"{share:9.2%}" for share in drawdown))
    print(f"  {f'{SETTINGS.max_loss_streak} losses in a row':<64}" + "  ".join(f"{share:9.2%}" for share in streak))


def observations(drawn: Market, replay: int) -> list[Observation]:
    """Return one replay as the rows that `judge` is given; days are one apart and resolve within the day."""
    _, units, size = drawn.returns.shape
    start = int(EPOCH.timestamp() * 1000)
    rows = []
    for unit in range(units):
        for k in range(size):
            at = start + unit * 86_400_000 + k * 3_600_000
            refused = bool(drawn.refused[replay, unit, k])
            net = float(drawn.returns[replay, unit, k])
            stopped = bool(drawn.stopped[replay, unit, k])
            rows.append(Observation(f"{unit}-{k}", at, at + 3_600_000, net, stopped, False, not refused, True))
    return rows


def agreement(replays: int) -> float:
    """Return the largest relative difference between e-values of `judge` and of the replays done at once."""
    drawn = market(np.random.default_rng(9), replays, 60, A_DAY, correlation=0.27, overlap=0, worth=0.01)
    units = units_of(drawn)
    paths = (
        log_evidence(-units.per_disagreement / SETTINGS.clip),
        log_evidence(tail_gains(units.stop_difference, units.tail_bound, SETTINGS.tail_margin)),
        log_evidence(noninferior_gains(units, SETTINGS)),
    )
    largest = [np.exp(running_maximum(path)[:, -1]) for path in paths]
    apart = 0.0
    for replay in range(replays):
        told = judge(
            observations(drawn, replay),
            Health(),
            SETTINGS,
            started=EPOCH,
            as_of=EPOCH + timedelta(days=60),
            position_usd=2_000.0,
        )
        for ours, theirs in zip((told.worse, told.tail, told.noninferior), largest, strict=True):
            apart = max(apart, abs(ours / float(theirs[replay]) - 1.0))
    return apart


def best_of(times: int, call: object) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()  # type: ignore[operator]
        taken.append(time.perf_counter() - start)
    return min(taken)


def speed() -> None:
    count = 100_000
    drawn = market(np.random.default_rng(10), 1, count // A_DAY, A_DAY, correlation=0.0, overlap=0, worth=0.0)
    rows = observations(drawn, 0)
    as_of = EPOCH + timedelta(days=count // A_DAY)
    column = drawn.returns.reshape(-1)
    bare = best_of(20, lambda: np.cumsum(column))
    columns = best_of(3, lambda: pairs_of(rows))
    whole = best_of(
        3, lambda: judge(rows, Health(), SETTINGS, started=EPOCH, as_of=as_of, position_usd=2_000.0)
    )
    process = best_of(3, lambda: log_evidence(column))
    guard = best_of(3, lambda: tripped_guards(pairs_of(rows[:1_000]), Health(), SETTINGS, 2_000.0))
    print(f"\nSpeed, {count:,} observations in {count // A_DAY:,} days, best of 3; ratios to a bare numpy cumsum")
    for what, taken in (
        ("numpy cumsum of the returns", bare),
        ("one e-process with every observation a unit", process),
        ("columns out of the observations", columns),
        ("guards over 1,000 executed trades", guard),
        ("judge, all of it", whole),
    ):
        print(f"  {what:<64}{1e3 * taken:9.2f} ms  {taken / bare:9.0f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replays", type=int, default=2_000)
    replays = parser.parse_args().replays
    started = time.perf_counter()
    print(f"{replays:,} replays each; standard error of 5 %: {np.sqrt(0.05 * 0.95 / replays):.2%}, of 80 %: "
          f"{np.sqrt(0.8 * 0.2 / replays):.2%}")
    print(f"alpha {SETTINGS.alpha:g}, tail alpha {SETTINGS.tail_alpha:g}, clip {SETTINGS.clip:g}, margin "
          f"{SETTINGS.margin:g} a candidate, tail margin {SETTINGS.tail_margin:g}; 30 % decided differently")
    table("(a) independent candidates, each a unit", replays, (300, 500, 1_000), 1, "candidates")
    days = (60, 90, 120, 180)
    for correlation in (0.15, 0.27):
        realised = f"correlation within a day {correlation:g} (of the returns themselves: "
        realised += f"{realised_correlation(correlation):.2f})"
        title = f"(b) clustered, {A_DAY} candidates a day, {realised}"
        table(title, replays, days, A_DAY, "days", correlation=correlation)
    title = f"(c) overlapping days, {A_DAY} candidates a day, correlation 0.27 shared over three days"
    table(title, replays, (*days, 360), A_DAY, "days", correlation=0.27, overlap=2)
    print("\nMann-Whitney p < .05, unpaired 1:9, 480 candidates in 48 h          48 looks  last only")
    for what, worth in (("false rollback of an equal model", 0.0), ("power: rollback of a model 3 points worse", 0.03)):
        ever, last = mann_whitney(replays, worth)
        print(f"  {what:<64}{ever:9.2%}  {last:9.2%}")
    guards(replays)
    print(f"\njudge() against the replays done at once: e-values differ by {agreement(20):.1e} at most (20 replays)")
    speed()
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
