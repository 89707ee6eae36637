"""The judge of a canary: a pure function of recorded observations that says promote, roll back, extend or reject.

Belongs here: the order of the tests and the words. Day units come from pairs, the e-processes from evidence.

First hard guards on what the challenger really did (executed trades and health), then its tail (more stops, more total
losses than the incumbent), then the paired test 'it earns less', then promotion, then the limit. Every test but the
guards holds its error however often one looks; each has an error of its own, so the sum over the three that roll back
is alpha + 2 tail_alpha. Too little evidence extends. Of a promoted champion (`watching`) it is asked only whether it
must go back. E-values are rounded to ten digits before they meet a threshold: logarithms differ between processors.

The paired tests are about the mean return, in which a total loss counts in full. That sets how fast a rollback can be
where the challenger only refuses trades. That they earn 3 % is known only once it is ruled out that they are lost whole
on 2.9 % of the days (0.03 / 1.03), which would make the mean zero. Such days do not show up in n days with probability
0.971^n, so no test with an error of 5 %, for days whose outcomes may hang together in any way, finds a challenger that
refuses them worse with a power above 0.05 / 0.971^n: 0.29 in 60 days, 0.71 in 90.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from throughline.configuration import CanarySettings
from throughline.identity import sig10, time_to_ms
from throughline.learning.evidence import e_value, log_evidence, running_maximum
from throughline.learning.pairs import LARGEST_LOSS, DayUnits, Pairs, day_units, pairs_of, whose_turn_came
from throughline.learning.types import F64, Health, Judgement, Observation, Verdict

FEWEST_UNITS = 5
"""Days before a growth rate says anything about the days still to come."""
ROUNDING = 1e-9
"""A logarithm of the evidence up to this is what rounding leaves of none."""


@dataclass(frozen=True)
class Evidence:
    """Where an e-process stands. largest: e-value of its running maximum; now: logarithm of its present value."""

    largest: float
    now: float


def judge(
    observations: Sequence[Observation],
    health: Health,
    settings: CanarySettings,
    *,
    started: datetime,
    as_of: datetime,
    position_usd: float,
    take_profit: float = 0.0,
    open_days: Collection[date] = (),
    watching: bool = False,
) -> Judgement:
    """Judge a challenger on what was known at `as_of`. The order of the observations does not matter.

    Args:
        observations: candidates that both models judged; what was decided before `started` or resolves after `as_of`
            does not count.
        health: how the challenger's decisions went.
        settings: errors, margins, minima and guards.
        started: beginning of the trial or of the watch.
        as_of: instant of the look.
        position_usd: stake of one position, the measure of the drawdown.
        take_profit: the exits' target, a fraction of the stake; gains count up to the larger of it and
            `settings.gain_cap`.
        open_days: UTC days with candidates that are not among the observations and may still resolve: they and all
            later days wait.
        watching: the challenger is champion already, the incumbent the last good one; then only extend and roll_back
            come out.

    Returns:
        The verdict with all figures that it follows from.

    Raises:
        ValueError: for observations that `pairs_of` refuses.
    """
    largest_gain = max(settings.gain_cap, take_profit)
    now = time_to_ms(as_of)
    pairs = pairs_of(observations)
    pairs = pairs.take(pairs.decided >= time_to_ms(started))
    executed = pairs.take(pairs.executed & (pairs.resolved <= now))
    fed = pairs.take(whose_turn_came(pairs, now, open_days))
    units = day_units(fed, largest_gain)
    worse = _evidence(*worse_gains(units, largest_gain))
    noninferior = _evidence(*noninferior_gains(units, settings, largest_gain))
    tail = _evidence(tail_gains(units.stop_difference, units.tail_bound, settings.tail_margin))
    lost = _evidence(tail_gains(units.loss_difference, units.tail_bound, 0.0))
    guards = tripped_guards(executed, health, settings, position_usd)
    mean = sig10(float(np.mean(units.difference))) if len(units) else None
    waits = _waits(fed, executed, settings, as_of - started)

    verdict: Verdict = "extend"
    if guards:
        verdict, why = "roll_back", f"a guard tripped: {'; '.join(guards)}"
    elif tail.largest >= 1.0 / settings.tail_alpha:
        verdict, why = "roll_back", f"it is stopped out more often: e-value {_reached(tail, settings.tail_alpha)}"
    elif lost.largest >= 1.0 / settings.tail_alpha:
        verdict, why = "roll_back", f"it loses everything more often: e-value {_reached(lost, settings.tail_alpha)}"
    elif worse.largest >= 1.0 / settings.alpha:
        verdict, why = "roll_back", f"it earns less than the incumbent: e-value {_reached(worse, settings.alpha)}"
    elif watching:
        why = f"nothing speaks against it: e-value of 'it earns less' {_reached(worse, settings.alpha)}"
    elif noninferior.largest < 1.0 / settings.alpha:
        why = f"not decided: e-value of 'not worse by {settings.margin:g}' {_reached(noninferior, settings.alpha)}"
        why += f", of 'it earns less' {_reached(worse, settings.alpha)}"
    elif waits:
        why = f"not worse (e-value {_reached(noninferior, settings.alpha)}), but too early: {', '.join(waits)}"
    elif mean is None or mean <= -settings.margin:
        why = f"it had shown not to be worse (e-value {_reached(noninferior, settings.alpha)}), but its mean now is"
    else:
        verdict, why = "promote", f"not worse by {settings.margin:g}: e-value {_reached(noninferior, settings.alpha)}"
    if verdict == "extend" and not watching and as_of - started >= timedelta(days=settings.limit_days):
        verdict, why = "reject", f"its {settings.limit_days} days are over; {why}"

    return Judgement(
        verdict=verdict,
        reason=f"{why}. {_weighed(units, len(executed), mean, largest_gain)}",
        as_of=as_of,
        units=len(units),
        pairs=len(fed),
        disagreements=int(units.disagreements.sum()),
        trades=len(executed),
        mean_difference=mean,
        worse=worse.largest,
        noninferior=noninferior.largest,
        tail=tail.largest,
        lost=lost.largest,
        spent=min(1.0, 1.0 / max(worse.largest, tail.largest, lost.largest)),
        days_to_verdict=0.0
        if verdict != "extend"
        else _days_left(worse, noninferior, fed, executed, len(units), settings, as_of - started, watching),
        guards=guards,
    )


def worse_gains(units: DayUnits, largest_gain: float) -> tuple[F64, F64]:
    """Return the gains of bets against 'it earns as much or more', one per day, and their widths (`log_evidence`)."""
    disagree = units.disagreements > 0
    bound = np.where(disagree, units.above, 1.0)
    usual = min(LARGEST_LOSS, largest_gain)
    return np.where(disagree, -units.per_disagreement / bound, 0.0), np.where(disagree, bound / usual, 1.0)


def noninferior_gains(units: DayUnits, settings: CanarySettings, largest_gain: float) -> tuple[F64, F64]:
    """Return the gains of bets against 'a candidate costs the margin or more', one per day, and their widths.

    Only candidates decided differently say anything, so the margin is theirs: divided by the share of candidates so far
    on which the two disagreed (one disagreement is added, so that a share of few candidates is not too small). It is
    at most half of the largest gain: models that agree on nearly everything would need no evidence at all.
    """
    disagree = units.disagreements > 0
    usual = min(LARGEST_LOSS, largest_gain)
    share = (np.cumsum(units.disagreements, axis=-1) + 1.0) / (np.cumsum(units.candidates, axis=-1) + 1.0)
    margin = np.minimum(settings.margin / share, 0.5 * usual)
    bound = np.where(disagree, units.below - margin, 1.0)
    gains = np.where(disagree, (units.per_disagreement + margin) / bound, 0.0)
    return gains, np.where(disagree, bound / (usual - margin), 1.0)


def tail_gains(difference: F64, bound: F64, margin: float) -> F64:
    """Return the gains of bets against 'the rate is higher by `margin` at most', one per day; 0 where none can be."""
    return np.where(bound > 0.0, (difference - margin) / np.where(bound > 0.0, bound + margin, 1.0), 0.0)


def tripped_guards(executed: Pairs, health: Health, settings: CanarySettings, position_usd: float) -> tuple[str, ...]:
    """Return what each tripped guard says of the challenger's executed trades and decisions; nothing if none did.

    Shares are of `minimum_pairs` decisions at least: one of the first three is not a third of them.
    """
    pnl = executed.pnl_usd[np.lexsort((np.arange(len(executed)), executed.resolved))]
    money = np.concatenate([[0.0], np.cumsum(pnl)])
    drawdown = sig10(float(np.max(np.maximum.accumulate(money) - money)) / position_usd)
    streak = longest = 0
    for loses in (pnl < 0.0).tolist():
        streak = streak + 1 if loses else 0
        longest = max(longest, streak)
    decisions = max(health.decisions, settings.minimum_pairs)
    checks = (
        (drawdown > settings.max_drawdown, f"drawdown {drawdown:.2f} positions (at most {settings.max_drawdown:g})"),
        (longest >= settings.max_loss_streak, f"{longest} losses in a row (fewer than {settings.max_loss_streak})"),
        (
            health.errors > settings.max_error_share * decisions,
            f"{health.errors} of {health.decisions} decisions failed (at most {settings.max_error_share:.1%})",
        ),
        (
            health.incomplete > settings.max_incomplete_share * decisions,
            f"{health.incomplete} of {health.decisions} lacked features (at most {settings.max_incomplete_share:.1%})",
        ),
        (
            health.latency_ms > settings.max_latency_ms,
            f"latency {health.latency_ms:,} ms (at most {settings.max_latency_ms:,})",
        ),
    )
    return tuple(words for tripped, words in checks if tripped)


def _evidence(gains: F64, width: F64 | float = 1.0) -> Evidence:
    if not len(gains):
        return Evidence(1.0, 0.0)
    path = log_evidence(gains, width)
    return Evidence(sig10(e_value(float(running_maximum(path)[-1]))), float(path[-1]))


def _waits(fed: Pairs, executed: Pairs, settings: CanarySettings, elapsed: timedelta) -> list[str]:
    """Return what promotion still lacks besides evidence, in words."""
    hours = elapsed / timedelta(hours=1)
    needs = (
        (hours, settings.minimum_hours, "hours"),
        (len(fed), settings.minimum_pairs, "pairs"),
        (len(executed), settings.minimum_trades, "executed trades"),
    )
    return [f"{have:g} of {need} {what}" for have, need, what in needs if have < need]


def _days_left(
    worse: Evidence,
    noninferior: Evidence,
    fed: Pairs,
    executed: Pairs,
    units: int,
    settings: CanarySettings,
    elapsed: timedelta,
    watching: bool,
) -> float | None:
    """Return the days until the sooner of the two verdicts if all goes on as it did; None where neither is in sight."""
    days = elapsed / timedelta(days=1)
    if units < FEWEST_UNITS or days <= 0.0:
        return None
    goal = -float(np.log(settings.alpha))
    waits = []
    if worse.now > ROUNDING:
        waits.append((goal - worse.now) * days / worse.now)
    proven = noninferior.largest >= 1.0 / settings.alpha
    if not watching and (proven or noninferior.now > ROUNDING) and (len(executed) or not settings.minimum_trades):
        waits.append(
            max(
                0.0 if proven else (goal - noninferior.now) * days / noninferior.now,
                settings.minimum_hours / 24.0 - days,
                (settings.minimum_pairs / len(fed) - 1.0) * days,
                (settings.minimum_trades / max(len(executed), 1) - 1.0) * days,
            )
        )
    return sig10(max(0.0, min(waits))) if waits else None


def _reached(evidence: Evidence, alpha: float) -> str:
    return f"{evidence.largest:.3g} of {1.0 / alpha:g}"


def _weighed(units: DayUnits, trades: int, mean: float | None, largest_gain: float) -> str:
    """Return the amount of evidence behind the verdict, in one sentence."""
    if mean is None:
        return f"No decision day is closed yet; {trades} trades were executed."
    return (
        f"Weighed: {len(units)} closed days with {int(units.candidates.sum())} pairs, "
        f"{int(units.disagreements.sum())} decided differently, mean difference {100.0 * mean:+.3f} % a candidate "
        f"({units.capped} gains counted as {100.0 * largest_gain:g} %); {trades} trades executed."
    )
