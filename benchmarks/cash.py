"""How often cash is chosen wrongly, and how long it takes: ``python benchmarks/cash.py [--replays N]``.

1,000 replays take half a minute.

Outcome model: as in benchmarks/judge.py, 8 % x t(3) clipped to [-18 %, +30 %], shifted to the mean that a line names;
8 candidates a day, correlated within the day by 0.27 (Gaussian copula). Unless a line says otherwise the day's
component is shared over three days, as if every position were held 48 h: the premise of the evidence does not hold
then, and this measures what is left of it. Rugs lose the whole stake; what is left gains so much more that the mean is
the named one. Jumps are gains of 100 % where a price leaps over the target, beyond the bound; the rest gains so much
less.

The rule is looked at after every day. A closing counts in a term of 360 days, as evidence begins anew after it.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from throughline.configuration import CashSettings, ExitSettings
from throughline.learning.cash import RuleOutcome, RuleTerm, judge_rule, rule_bets
from throughline.learning.evidence import log_evidence, running_maximum

F64 = NDArray[np.float64]
SETTINGS = CashSettings()
TARGET = ExitSettings().take_profit
BOUND = SETTINGS.gain_targets * TARGET
DAYS = SETTINGS.term_days
A_DAY = 8
BATCH = 250
NEVER = 10**9
EPOCH = date(2024, 1, 1)

_NORMAL = np.linspace(-5.0, 5.0, 20_001)
_RETURN = np.clip(0.08 * t(3).ppf(norm.cdf(_NORMAL)), -0.18, 0.30)
_MEAN = float(np.sum(_RETURN * norm.pdf(_NORMAL)) / np.sum(norm.pdf(_NORMAL)))


@dataclass(frozen=True)
class Market:
    """What a rule's candidates come to. mean: net return of a candidate; rugs, jumps: shares of candidates."""

    mean: float
    correlation: float = 0.27
    overlap: int = 2
    rugs: float = 0.0
    jumps: float = 0.0
    a_day: int = A_DAY

    def draw(self, rng: np.random.Generator, replays: int, days: int) -> F64:
        """Return [replays, days, candidates] net returns."""
        drawn = rng.standard_normal((replays, days + self.overlap))
        shared = np.asarray(sum(drawn[:, k : k + days] for k in range(self.overlap + 1))) / np.sqrt(self.overlap + 1)
        own = rng.standard_normal((replays, days, self.a_day))
        normal = np.sqrt(self.correlation) * shared[:, :, None] + np.sqrt(1.0 - self.correlation) * own
        rest = (self.mean + self.rugs - self.jumps) / (1.0 - self.rugs - self.jumps)
        returns = np.interp(normal, _NORMAL, _RETURN) - _MEAN + rest
        kind = rng.random(returns.shape)
        returns = np.where(kind < self.rugs, -1.0, returns)
        return np.where(kind > 1.0 - self.jumps, 1.0, returns)


def first(market: Market, replays: int, *, closed: bool, seed: int) -> NDArray[np.int64]:
    """Return after how many days each replay closes (or opens) the rule; NEVER where it does not."""
    rng = np.random.default_rng(seed)
    found = []
    for start in range(0, replays, BATCH):
        means = np.minimum(market.draw(rng, min(BATCH, replays - start), DAYS), BOUND).mean(axis=2)
        reached = running_maximum(log_evidence(*rule_bets(means, BOUND, closed=closed))) >= np.log(1.0 / SETTINGS.alpha)
        reached[:, : SETTINGS.minimum_days - 1] = False
        found.append(np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, NEVER))
    return np.concatenate(found)


def line(name: str, days: NDArray[np.int64]) -> None:
    shares = "".join(f"{np.mean(days <= limit):>10.1%}" for limit in (90, 180, DAYS))
    middle = float(np.median(days))
    print(f"  {name:<76}{shares}{'-' if middle >= NEVER else f'{middle:.0f}':>10}")


def head(title: str) -> None:
    print(f"\n{title}\n  {'':<76}{'90 days':>10}{'180 days':>10}{f'{DAYS} days':>10}{'median':>10}")


def agreement(replays: int) -> float:
    """Return the largest relative difference between evidence of `judge_rule` and of the replays done at once."""
    returns = Market(-0.01, rugs=0.03).draw(np.random.default_rng(9), replays, 60)
    means = np.minimum(returns, BOUND).mean(axis=2)
    path = running_maximum(log_evidence(*rule_bets(means, BOUND, closed=False)))[:, -1]
    midnight = datetime(2024, 1, 1, tzinfo=UTC)
    apart = 0.0
    for k in range(replays):
        rows = [
            RuleOutcome(EPOCH + timedelta(days=day), EPOCH + timedelta(days=day), float(value))
            for day in range(60)
            for value in returns[k, day]
        ]
        as_of = midnight + timedelta(days=60)
        term = RuleTerm(False, midnight)
        told = judge_rule(rows, term, SETTINGS, as_of=as_of, take_profit=TARGET, reach_days=10)
        apart = max(apart, abs(told.evidence / float(np.exp(path[k])) - 1.0))
    return apart


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replays", type=int, default=1_000)
    replays = parser.parse_args().replays
    started = time.perf_counter()
    print(f"{replays} replays; standard error of 5 %: {np.sqrt(0.05 * 0.95 / replays):.1%}")
    print(f"alpha {SETTINGS.alpha:g}, gains held at {BOUND:g}, at least {SETTINGS.minimum_days} days")
    head("Wrongly closed: a rule that does not lose")
    for name, market in (
        ("mean 0, days share nothing", Market(0.0, overlap=0)),
        ("mean 0", Market(0.0)),
        ("mean 0, 30 candidates a day", Market(0.0, a_day=30)),
        ("mean 0, correlation 0.5", Market(0.0, correlation=0.5)),
        ("mean 0, 5 % rugs", Market(0.0, rugs=0.05)),
        ("mean 0, 10 % rugs", Market(0.0, rugs=0.10)),
        ("mean 0, 0.2 % jumps", Market(0.0, jumps=0.002)),
        ("mean +0.5 %", Market(0.005)),
        ("mean +0.5 %, 5 % rugs, correlation 0.5", Market(0.005, rugs=0.05, correlation=0.5)),
        ("mean +1 %", Market(0.01)),
    ):
        line(name, first(market, replays, closed=False, seed=1))
    head("Rightly closed: a rule that loses")
    for name, market in (
        ("mean -1 %", Market(-0.01)),
        ("mean -2 %", Market(-0.02)),
        ("mean -2 %, 5 % rugs", Market(-0.02, rugs=0.05)),
        ("mean -4 %", Market(-0.04)),
        ("mean -5 %, 30 candidates a day", Market(-0.05, a_day=30)),
    ):
        line(name, first(market, replays, closed=False, seed=2))
    head("Wrongly opened again: a closed rule that does not gain")
    for name, market in (
        ("mean 0", Market(0.0)),
        ("mean 0, correlation 0.5", Market(0.0, correlation=0.5)),
        ("mean 0, 5 % rugs", Market(0.0, rugs=0.05)),
        ("mean -1 %", Market(-0.01)),
    ):
        line(name, first(market, replays, closed=True, seed=3))
    head("Rightly opened again: a closed rule that gains")
    for name, market in (
        ("mean +1 %", Market(0.01)),
        ("mean +2 %", Market(0.02)),
        ("mean +4 %", Market(0.04)),
    ):
        line(name, first(market, replays, closed=True, seed=4))
    print(f"\njudge_rule against the replays done at once: evidence differs by {agreement(20):.1e} at most")
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
