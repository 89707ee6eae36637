"""False alarms of drift where nothing drifts: ``python benchmarks/drift.py [--replays N]`` (100: some minutes).

Reports of 20 columns, 100 days of reference against 30 days, 4 rows a day; an alarm is any column that is said to have
drifted, at 5 %. Beside the comparison of blocks of days (`throughline.learning.drift`) stands what the same rows give
by Kolmogorov-Smirnov's test row by row with Benjamini and Hochberg's control, which takes rows to be independent.

  independent   every row by itself
  shared days   30 % of a row's variance is its day's
  GARCH days    the same, and days follow a GARCH(1,1) with alpha 0.1 and beta 0.85: wild days come in clusters
  lasting days  30 % of a row's variance is its day's, and half of what a day is, is left of it the next day

Then the threshold of the population stability index (`throughline.signals.drift.psi_threshold`) on returns that are
independent (normal, Student's t with 3 degrees) and on those of a GARCH(1,1): it is a 5 % level for the first two only.
Last the power: how often a report names a column that moved by half a standard deviation.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, ks_2samp

from throughline.learning.drift import drift_report
from throughline.signals.drift import psi, psi_threshold

F64 = NDArray[np.float64]
COLUMNS, BEFORE, NOW, A_DAY = 20, 100, 30, 4
NAMES = tuple(f"column {number}" for number in range(COLUMNS))
SHARED = 0.3
LEVEL = 0.05


def garch(rng: np.random.Generator, length: int, width: int, alpha: float = 0.1, beta: float = 0.85) -> F64:
    """Return `width` series of a GARCH(1,1) with variance 1."""
    drawn = rng.standard_normal((length + 200, width))
    variance = np.ones(width)
    for row in drawn:
        row *= np.sqrt(variance)
        variance = (1.0 - alpha - beta) + alpha * row**2 + beta * variance
    return drawn[200:]


def lasting(rng: np.random.Generator, length: int, width: int) -> F64:
    """Return `width` series of which half is left on the next day, with variance 1."""
    drawn = rng.standard_normal((length, width))
    for place in range(1, length):
        drawn[place] = 0.5 * drawn[place - 1] + np.sqrt(0.75) * drawn[place]
    return drawn


def world(rng: np.random.Generator, kind: str) -> tuple[F64, NDArray[np.int64]]:
    """Return rows and the day of each."""
    days = BEFORE + NOW
    day = np.repeat(np.arange(days), A_DAY)
    own = rng.standard_normal((len(day), COLUMNS))
    if kind == "independent":
        return own, day
    if kind == "shared days":
        return np.sqrt(SHARED) * rng.standard_normal((days, COLUMNS))[day] + np.sqrt(1.0 - SHARED) * own, day
    if kind == "lasting days":
        return np.sqrt(SHARED) * lasting(rng, days, COLUMNS)[day] + np.sqrt(1.0 - SHARED) * own, day
    market = garch(rng, days, COLUMNS)
    spread = np.sqrt(np.array([np.mean(market[max(0, k - 5) : k + 1] ** 2, axis=0) for k in range(days)]))
    return np.sqrt(SHARED) * market[day] + np.sqrt(1.0 - SHARED) * own * spread[day], day


def alarms(kind: str, replays: int, moved: float = 0.0) -> tuple[float, float]:
    """Return the share of reports with an alarm, by blocks of days and row by row; of the moved column where one is."""
    rng = np.random.default_rng(1)
    blocks = rows = 0
    for _ in range(replays):
        values, day = world(rng, kind)
        now = day >= BEFORE
        values[now, 0] += moved
        report = drift_report(values[~now], values[now], NAMES, (day[~now], day[now]), LEVEL)
        p = [float(ks_2samp(values[~now, k], values[now, k], method="asymp").pvalue) for k in range(COLUMNS)]
        found = false_discovery_control(p) <= LEVEL
        blocks += any(item.drifted for item in report if not moved or item.feature == NAMES[0])
        rows += bool(found[0] if moved else found.any())
    return blocks / replays, rows / replays


def psi_alarms(draw: Callable[[int], F64], n: int, m: int, bins: int, replays: int) -> float:
    """Return how often PSI of n current against m reference values is above its 5 % threshold."""
    above = 0
    for _ in range(replays):
        values = draw(n + m)
        above += psi(values[m:], values[:m], bins) > psi_threshold(n, m, bins, 1.0 - LEVEL)
    return above / replays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replays", type=int, default=100)
    replays = parser.parse_args().replays
    started = time.perf_counter()
    print(f"{replays:,} reports each; standard error of 5 %: {np.sqrt(0.05 * 0.95 / replays):.2%}")
    title = "reports with an alarm where nothing drifts (5 % is the level)"
    print(f"\n{title:<64}{'blocks of days':>16}{'row by row':>12}")
    for kind in ("independent", "shared days", "GARCH days", "lasting days"):
        blocks, rows = alarms(kind, replays)
        print(f"  {kind:<62}{blocks:16.1%}{rows:12.1%}")
    blocks, rows = alarms("independent", replays, moved=0.5)
    print(f"  {'power: one of 20 columns moved by half a deviation, independent':<62}{blocks:16.1%}{rows:12.1%}")
    blocks, rows = alarms("shared days", replays, moved=0.5)
    print(f"  {'the same, shared days':<62}{blocks:16.1%}{rows:12.1%}")
    draws = 16 * replays
    rng = np.random.default_rng(2)
    kinds: tuple[tuple[str, Callable[[int], F64]], ...] = (
        ("normal", rng.standard_normal),
        ("t(3)", lambda size: rng.standard_t(3, size)),
        ("GARCH(1,1)", lambda size: garch(rng, size, 1)[:, 0]),
    )
    shapes = ((21, 42, 4), (50, 500, 10), (200, 400, 10))
    head = "".join(f"{f'{n} of {n + m}, {bins} bins':>20}" for n, m, bins in shapes)
    print(f"\n{f'PSI above its 5 % threshold, {draws:,} windows':<44}{head}")
    for what, draw in kinds:
        shares = "".join(f"{psi_alarms(draw, n, m, bins, draws):20.1%}" for n, m, bins in shapes)
        print(f"  {what:<42}{shares}")
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
