"""Error rates of the canary's judge: ``python benchmarks/judge.py [--replays N]`` (2,000: about five minutes).

Outcome model: 8 % x t(3), clipped to [-18 %, +30 %], less its mean. The two models decide 30 % of the candidates
differently: the challenger refuses them, or adds them, or either with equal chance. "Equal": what is decided
differently is worth nothing in the mean. "3 points worse": what is refused gains 3 % a trade, what is added loses 3 %.
A rug pull is a total loss (-100 %); the other trades of its kind earn so much more that the mean is as stated. The
judge looks after every unit, and the trial is not ended by a promotion where rollbacks are counted.

  independent  every candidate is a unit of its own
  clustered    days of 8 candidates whose outcomes are correlated (Gaussian copula, the day's component shared)
  overlapping  the same, and the day's component is a moving sum over three days, as if every position were open for
               48 h: the premise of Ville's inequality does not hold then; this measures what is left of it
  rug days     rug pulls come together: on a few days half of the candidates are total losses

Rollback is by the paired test at alpha or by the tail tests on stops (at -15 % and rugs) and on total losses, each at
its own alpha, as configured by default. Hard guards are shown apart: they judge the executed arm, and hold no error.
Beside it, for contrast, Mann-Whitney at p < .05 looked at every hour for 48 h, 10 candidates an hour split 1:9.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata, t

from throughline.configuration import CanarySettings
from throughline.learning.evidence import log_evidence, running_maximum
from throughline.learning.judge import judge, noninferior_gains, tail_gains, tripped_guards, worse_gains
from throughline.learning.pairs import DayUnits, Pairs, day_units, pairs_of
from throughline.learning.types import TOTAL_LOSS, Health, Observation

F64 = NDArray[np.float64]
SETTINGS = CanarySettings()
DIFFERENT = 0.30
A_DAY = 8
STOP = -0.15
RUG_DAY = 0.5
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000
NEVER = 10**9
DAYS = (60, 90, 120, 180)

# The quantile function of the clipped t(3) as a table: its own costs a minute.
_NORMAL = np.linspace(-5.0, 5.0, 20_001)
_RETURN = np.clip(0.08 * t(3).ppf(norm.cdf(_NORMAL)), -0.18, 0.30)
_MEAN = float(np.sum(_RETURN * norm.pdf(_NORMAL)) / np.sum(norm.pdf(_NORMAL)))


@dataclass(frozen=True)
class Case:
    """What a replay is drawn from.

    days, size: units and candidates of each. adds: share of the differently decided candidates that only the challenger
    takes; it refuses the others. added, refused: mean net returns of the two. rugs: share of the differently decided
    candidates that are total losses; rugs_everywhere: likewise of all candidates. rug_days: whether rugs come together.
    correlation: within a day; overlap: earlier days whose component a day shares.
    """

    days: int = DAYS[-1]
    size: int = A_DAY
    adds: float = 0.0
    added: float = 0.0
    refused: float = 0.0
    rugs: float = 0.0
    rugs_everywhere: float = 0.0
    rug_days: bool = False
    correlation: float = 0.27
    overlap: int = 0


@dataclass(frozen=True)
class Ends:
    """First unit after which each replay was rolled back or promoted; NEVER where it was not."""

    rolled_back: NDArray[np.int64]
    by_tail: NDArray[np.int64]
    promoted: NDArray[np.int64]


def draw(rng: np.random.Generator, case: Case) -> Pairs:
    """Draw one replay: the candidates of all its days, each resolved within an hour."""
    shape = (case.days, case.size)
    normal = rng.standard_normal(shape)
    if case.correlation:
        drawn = rng.standard_normal(case.days + case.overlap)
        shared = sum(drawn[k : k + case.days] for k in range(case.overlap + 1)) / np.sqrt(case.overlap + 1)
        normal = np.sqrt(case.correlation) * np.asarray(shared)[:, None] + np.sqrt(1.0 - case.correlation) * normal
    different, adds = rng.random(shape) < DIFFERENT, rng.random(shape) < case.adds
    share = case.rugs_everywhere or case.rugs
    chance = np.full(shape, share)
    if case.rug_days:
        chance = np.where(rng.random(case.days) < share / RUG_DAY, RUG_DAY, 0.0)[:, None] * np.ones(shape)
    rug = (rng.random(shape) < chance) & (different | (case.rugs_everywhere > 0.0))
    mean = np.where(different, np.where(adds, case.added, case.refused), 0.0)
    can_rug = different | (case.rugs_everywhere > 0.0)
    body = np.interp(normal, _NORMAL, _RETURN) - _MEAN + np.where(can_rug, (mean + share) / (1.0 - share), mean)
    net = np.where(rug, -1.0, body).ravel()
    decided = int(EPOCH.timestamp() * 1000) + np.add.outer(
        np.arange(case.days) * DAY_MS, np.arange(case.size) * 3_600_000
    )
    return Pairs(
        decided=decided.ravel(),
        resolved=decided.ravel() + 3_600_000,
        net_return=net,
        stopped=net <= STOP,
        lost=net <= TOTAL_LOSS,
        challenger=(~different | adds).ravel(),
        incumbent=(~different | ~adds).ravel(),
        executed=np.zeros(len(net), dtype=np.bool_),
        pnl_usd=np.full(len(net), np.nan),
    )


def replays_of(case: Case, replays: int, seed: int) -> DayUnits:
    """Return the units of all replays, [replays, days] each."""
    rng = np.random.default_rng(seed)
    every = [day_units(draw(rng, case), SETTINGS.gain_cap) for _ in range(replays)]
    columns = {name: np.stack([getattr(units, name) for units in every]) for name in vars(every[0]) if name != "capped"}
    return DayUnits(**columns, capped=sum(units.capped for units in every))


def first(reached: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the position of the first True of each row, NEVER where there is none."""
    return np.where(reached.any(axis=1), reached.argmax(axis=1), NEVER)


def paths(units: DayUnits) -> dict[str, F64]:
    """Return the running maximum of the logarithm of the evidence of each test, [replays, days]."""
    tests = {
        "worse": worse_gains(units, SETTINGS.gain_cap),
        "noninferior": noninferior_gains(units, SETTINGS, SETTINGS.gain_cap),
        "tail": (tail_gains(units.stop_difference, units.tail_bound, SETTINGS.tail_margin), 1.0),
        "lost": (tail_gains(units.loss_difference, units.tail_bound, 0.0), 1.0),
    }
    return {name: running_maximum(log_evidence(gains, width)) for name, (gains, width) in tests.items()}


def ends(units: DayUnits) -> Ends:
    """Look after every unit of every replay."""
    found = paths(units)
    goal, tail_goal = np.log(1.0 / SETTINGS.alpha), np.log(1.0 / SETTINGS.tail_alpha)
    tail = first((found["tail"] >= tail_goal) | (found["lost"] >= tail_goal))
    back = np.minimum(first(found["worse"] >= goal), tail)
    mean = np.cumsum(units.difference, axis=1) / np.arange(1, units.difference.shape[1] + 1)
    pairs = np.cumsum(units.candidates, axis=1)
    promoted = first((found["noninferior"] >= goal) & (mean > -SETTINGS.margin) & (pairs >= SETTINGS.minimum_pairs))
    return Ends(back, tail, np.where(promoted < back, promoted, NEVER))


def line(what: str, when: NDArray[np.int64], horizons: tuple[int, ...]) -> None:
    print(f"  {what:<66}" + "  ".join(f"{np.mean(when < horizon):9.2%}" for horizon in horizons))


def heading(title: str, what: str, horizons: tuple[int, ...]) -> None:
    print(f"\n{title}\n  {what:<66}" + "  ".join(f"{horizon:9,d}" for horizon in horizons))


def table(title: str, replays: int, horizons: tuple[int, ...], what: str, case: Case) -> None:
    """Print both errors and both powers of a challenger that only refuses, then of one that only adds."""
    boundary = SETTINGS.margin / DIFFERENT
    for kind, adds in (("refuses", 0.0), ("adds", 1.0)):
        heading(f"{title}; the challenger {kind} trades", what, horizons)

        def of(loss: float, seed: int, adds: float = adds) -> Ends:
            shape = replace(case, days=horizons[-1], adds=adds, added=-loss, refused=loss)
            return ends(replays_of(shape, replays, seed))

        losses = (0.0, 0.03, 0.005, boundary, -0.03)
        equal, worse, half, edge, better = (of(loss, seed) for seed, loss in enumerate(losses, 1))
        line("false rollback of an equal model", equal.rolled_back, horizons)
        line("  of these by the tail tests", equal.by_tail, horizons)
        line("power: rollback of a model 3 points worse", worse.rolled_back, horizons)
        line("power: rollback of a model 0.5 points worse", half.rolled_back, horizons)
        line("false promotion of a model 3 points worse", worse.promoted, horizons)
        line(f"false promotion exactly at the margin ({100 * boundary:.2f} points worse)", edge.promoted, horizons)
        line("power: promotion of an equal model", equal.promoted, horizons)
        line("power: promotion of a model 3 points better", better.promoted, horizons)


RUGS: tuple[tuple[str, Case], ...] = (
    ("adds trades that lose 3 %, 5 % rugs", Case(adds=1.0, added=-0.03, rugs=0.05)),
    ("adds trades that lose 3 %, 10 % rugs", Case(adds=1.0, added=-0.03, rugs=0.10)),
    ("adds trades that lose 6 %, 10 % rugs", Case(adds=1.0, added=-0.06, rugs=0.10)),
    ("refuses trades that lose 3 %, 10 % rugs (it is better)", Case(refused=-0.03, rugs=0.10)),
    ("refuses trades that gain 3 %, 3 % rugs in all trades", Case(refused=0.03, rugs_everywhere=0.03)),
    ("equal, refuses; 1 % rugs in all trades", Case(rugs_everywhere=0.01)),
    ("equal, refuses; 3 % rugs in all trades", Case(rugs_everywhere=0.03)),
    ("equal, adds; 1 % rugs in all trades", Case(adds=1.0, rugs_everywhere=0.01)),
    ("equal, adds; 3 % rugs in all trades", Case(adds=1.0, rugs_everywhere=0.03)),
    ("equal: adds and refuses trades that lose 6 %, no rugs", Case(adds=0.5, added=-0.06, refused=-0.06)),
    ("worse: adds what loses 3 %, refuses what gains 3 %, no rugs", Case(adds=0.5, added=-0.03, refused=0.03)),
    ("better: adds what gains 3 %, refuses what loses 3 %, no rugs", Case(adds=0.5, added=0.03, refused=-0.03)),
)
"""Challengers where trades can be total losses, and such that differ from the incumbent both ways."""


def rug_tables(replays: int) -> None:
    """Print how often each case of `RUGS` is promoted and rolled back, on four kinds of days."""
    kinds: tuple[tuple[str, int, bool], ...] = (
        ("clustered", 0, False),
        ("clustered, rug days", 0, True),
        ("overlapping", 2, False),
        ("overlapping, rug days", 2, True),
    )
    for place, (kind, overlap, rug_days) in enumerate(kinds):
        title = f"(d{place + 1}) total losses and both ways, {A_DAY} candidates a day, correlation 0.27, {kind}"
        heading(title, "promoted within so many days; below it, rolled back", DAYS)
        for seed, (what, case) in enumerate(RUGS, 100):
            if rug_days and not case.rugs and not case.rugs_everywhere:
                continue
            found = ends(replays_of(replace(case, overlap=overlap, rug_days=rug_days), replays, seed))
            line(what, found.promoted, DAYS)
            line("  the same, rolled back", found.rolled_back, DAYS)


def realised_correlation(correlation: float) -> float:
    """Return the correlation of two returns of one day."""
    drawn = draw(np.random.default_rng(6), Case(days=200_000, size=2, correlation=correlation))
    first_of_day, second = drawn.net_return.reshape(-1, 2).T
    return float(np.corrcoef(first_of_day, second)[0, 1])


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
    print(f"  {'executed trades':<66}" + "  ".join(f"{count:9,d}" for count in counts))
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
    what = f"drawdown above {SETTINGS.max_drawdown:g} positions"
    print(f"  {what:<66}" + "  ".join(f"{share:9.2%}" for share in drawdown))
    print(f"  {f'{SETTINGS.max_loss_streak} losses in a row':<66}" + "  ".join(f"{share:9.2%}" for share in streak))


def observations(drawn: Pairs) -> list[Observation]:
    """Return one replay as the rows that `judge` is given."""
    facts = (drawn.decided, drawn.resolved, drawn.net_return, drawn.stopped, drawn.lost)
    columns = (*facts, drawn.challenger, drawn.incumbent)
    rows = zip(*(item.tolist() for item in columns), strict=True)
    return [Observation(str(place), *row) for place, row in enumerate(rows)]


def agreement(replays: int) -> float:
    """Return the largest relative difference between e-values of `judge` and of the replays done at once."""
    case, rng = Case(days=60, adds=0.5, added=-0.01, rugs_everywhere=0.02), np.random.default_rng(9)
    apart = 0.0
    for _ in range(replays):
        drawn = draw(rng, case)
        units = day_units(drawn, SETTINGS.gain_cap)
        told = judge(
            observations(drawn),
            Health(),
            SETTINGS,
            started=EPOCH,
            as_of=EPOCH + timedelta(days=case.days),
            position_usd=2_000.0,
        )
        for name, path in paths(units).items():
            apart = max(apart, abs(getattr(told, name) / float(np.exp(path[-1])) - 1.0))
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
    days = count // A_DAY
    drawn = draw(np.random.default_rng(10), Case(days=days))
    rows = observations(drawn)
    as_of = EPOCH + timedelta(days=days)
    column = drawn.net_return
    bare = best_of(20, lambda: np.cumsum(column))
    columns = best_of(3, lambda: pairs_of(rows))
    whole = best_of(3, lambda: judge(rows, Health(), SETTINGS, started=EPOCH, as_of=as_of, position_usd=2_000.0))
    process = best_of(3, lambda: log_evidence(column))
    guard = best_of(3, lambda: tripped_guards(pairs_of(rows[:1_000]), Health(), SETTINGS, 2_000.0))
    print(f"\nSpeed, {count:,} observations in {days:,} days, best of 3; ratios to a bare numpy cumsum")
    for what, taken in (
        ("numpy cumsum of the returns", bare),
        ("one e-process with every observation a unit", process),
        ("columns out of the observations", columns),
        ("guards over 1,000 executed trades", guard),
        ("judge, all of it", whole),
    ):
        print(f"  {what:<66}{1e3 * taken:9.2f} ms  {taken / bare:9.0f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replays", type=int, default=2_000)
    replays = parser.parse_args().replays
    started = time.perf_counter()
    print(
        f"{replays:,} replays each; standard error of 5 %: {np.sqrt(0.05 * 0.95 / replays):.2%}, of 80 %: "
        f"{np.sqrt(0.8 * 0.2 / replays):.2%}"
    )
    print(
        f"alpha {SETTINGS.alpha:g}, tail alpha {SETTINGS.tail_alpha:g}, gain cap {SETTINGS.gain_cap:g}, margin "
        f"{SETTINGS.margin:g} a candidate, tail margin {SETTINGS.tail_margin:g}; 30 % decided differently"
    )
    alone = Case(size=1, correlation=0.0)
    table("(a) independent candidates, each a unit", replays, (300, 500, 1_000), "candidates", alone)
    for correlation in (0.15, 0.27):
        title = f"(b) clustered, {A_DAY} candidates a day, correlation within a day {correlation:g} (of the returns "
        title += f"themselves: {realised_correlation(correlation):.2f})"
        table(title, replays, DAYS, "days", Case(correlation=correlation))
    title = f"(c) overlapping days, {A_DAY} candidates a day, correlation 0.27 shared over three days"
    table(title, replays, (*DAYS, 360), "days", Case(overlap=2))
    rug_tables(replays)
    print("\nMann-Whitney p < .05, unpaired 1:9, 480 candidates in 48 h          48 looks  last only")
    for what, worth in (("false rollback of an equal model", 0.0), ("power: rollback of a model 3 points worse", 0.03)):
        ever, last = mann_whitney(replays, worth)
        print(f"  {what:<66}{ever:9.2%}  {last:9.2%}")
    guards(replays)
    print(f"\njudge() against the replays done at once: e-values differ by {agreement(20):.1e} at most (20 replays)")
    speed()
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
