"""Cash as a policy: whether the rule shall trade at all, judged on the shadow outcomes of its own candidates. Pure.

Belongs here: units, bets, verdict, and the replay of all looks over a history. Does not belong here: reading outcomes
(rule_outcomes), closing and opening the rule by an event (lifecycle, cycle), models (judge).

The rule takes every candidate, so holding cash instead earns the opposite of a candidate's shadow return. Evidence that
candidates lose closes the rule: nothing that it would decide is entered any more. Candidates and their shadows go on
being recorded, so evidence keeps coming, and evidence that candidates gain opens it again. Between the two verdicts the
rule stays as it is: an e-process of each, both of which hold their error however often one looks (evidence).

  closing  'the mean of a day's candidates is not below zero' is given up where the evidence reaches 1 / alpha. A day is
           a unit, since what is decided on it shares a market. A gain can be large without limit only where a price
           jumps over the target while nobody can trade, so gains beyond `gain_targets` take-profits count as so many:
           what is tested is the mean of returns held below that. A loss of everything counts whole.
  opening  'the mean is not above zero' is given up likewise. Nothing is lost beyond the stake, so the bound is exact.

Evidence begins anew where the rule closes or opens, and after every `term_days` of one state, so that a good year long
ago does not hide a bad one: alpha is the error of each such term. Days that are open at the same time share a market,
which the premise of the process leaves out; benchmarks/cash.py measures what that costs, and alpha is set by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any, Literal

import numpy as np

from throughline.configuration import CashSettings
from throughline.identity import score_text, time_text
from throughline.learning.evidence import e_value, log_evidence, running_maximum
from throughline.learning.types import F64

RuleVerdict = Literal["close", "open", "keep"]
LARGEST = 1e18
"""Evidence beyond it is recorded as it: its digits say nothing."""


@dataclass(frozen=True)
class RuleOutcome:
    """A candidate of the rule. decided: the day of its decision; resolved: the day whose end its shadow is known from,
    None while it is open; net_return: fraction of the stake, net of costs, None where it never filled."""

    decided: date
    resolved: date | None
    net_return: float | None


@dataclass(frozen=True)
class RuleTerm:
    """A stretch in which evidence is weighed. closed: the rule is closed in it; since: its first instant."""

    closed: bool
    since: datetime


@dataclass(frozen=True)
class RuleJudgement:
    """What is said of the rule at an instant.

    term: whose evidence it is. days, candidates: whose turn had come; mean_return: mean of the days' means, None
    without a day; evidence: largest e-value so far, for closing where the rule is open and for opening where it is
    closed; needed: 1 / alpha.
    """

    verdict: RuleVerdict
    as_of: datetime
    term: RuleTerm
    days: int
    candidates: int
    mean_return: float | None
    evidence: float
    needed: float

    @property
    def reason(self) -> str:
        """The judgement in one sentence."""
        if self.mean_return is None:
            return f"no candidate since {self.term.since:%Y-%m-%d} has a known outcome yet"
        sentence = (
            f"{self.candidates:,} candidates of {self.days} days since {self.term.since:%Y-%m-%d} returned "
            f"{100 * self.mean_return:+.2f} % on an average day, net of costs; the evidence that they "
            f"{'gain' if self.term.closed else 'lose'} is {self.evidence:.3g}, {self.needed:g} is asked for"
        )
        ends = {"close": "cash is better than the rule", "open": "the rule is better than cash"}
        return f"{ends[self.verdict]}: {sentence}" if self.verdict in ends else sentence

    def body(self) -> dict[str, Any]:
        """Return what an event keeps of it: canonical JSON without floats."""
        return {
            "as_of": time_text(self.as_of),
            "candidates": self.candidates,
            "days": self.days,
            "evidence": score_text(min(self.evidence, LARGEST)),
            "mean_return": None if self.mean_return is None else score_text(self.mean_return),
            "needed": score_text(self.needed),
            "since": time_text(self.term.since),
            "verdict": self.verdict,
        }


def term_at(closed: bool, began: datetime, as_of: datetime, settings: CashSettings) -> RuleTerm:
    """Return the term that `as_of` lies in. began: since when the rule is as it is (open: at first the epoch).

    as_of: an instant from `began` on. A term ends with its last instant: at `began` + n x term_days the earlier one
    is still judged, on whole days.
    """
    length = timedelta(days=settings.term_days)
    whole = max(0, -(-(as_of - began) // length) - 1)
    return RuleTerm(closed, began + whole * length)


def look_due(as_of: datetime) -> bool:
    """Return whether a walk looks at the rule at this midnight: on Mondays, wherever a run begins or ends."""
    return as_of.weekday() == 0


def judge_rule(
    outcomes: Sequence[RuleOutcome],
    term: RuleTerm,
    settings: CashSettings,
    *,
    as_of: datetime,
    take_profit: float,
    reach_days: int,
) -> RuleJudgement:
    """Return what the outcomes of a term's candidates say at `as_of`, a midnight (UTC).

    outcomes: in any order; what was decided before the term, or is known later than `as_of`, does not count.
    reach_days: after so many days an open shadow will never resolve, and counts for nothing.
    """
    most = settings.gain_targets * take_profit
    means, candidates = _day_means(outcomes, term, as_of, most, reach_days)
    if len(means):
        evidence = e_value(float(running_maximum(log_evidence(*rule_bets(means, most, closed=term.closed)))[-1]))
    else:
        evidence = 1.0
    needed = 1.0 / settings.alpha
    verdict: RuleVerdict = "keep"
    if evidence >= needed and len(means) >= settings.minimum_days:
        verdict = "open" if term.closed else "close"
    mean = float(means.mean()) if len(means) else None
    return RuleJudgement(verdict, as_of, term, len(means), candidates, mean, evidence, needed)


def rule_bets(means: F64, most: float, *, closed: bool) -> tuple[F64, float]:
    """Return gains and width for `log_evidence`: bets on a rule that gains where it is closed, else on one that loses.

    means: [..., days] mean returns of days, at most `most`. Where the bet is on gains, the bound is a loss of all.
    """
    return (means, max(1.0, 1.0 / most)) if closed else (-means / most, 1.0)


def replay(
    outcomes: Sequence[RuleOutcome],
    settings: CashSettings,
    *,
    epoch: date,
    until: datetime,
    take_profit: float,
    reach_days: int,
) -> tuple[RuleJudgement, ...]:
    """Return the judgements that a walk from `epoch` on would have acted on at its looks up to `until`, in order.

    They do not depend on whether anybody acted, since candidates and their shadows do not.
    """
    judgements = []
    closed, began = False, _midnight(epoch)
    at = began + timedelta(days=1)
    while at <= until:
        if look_due(at):
            term = term_at(closed, began, at, settings)
            judgement = judge_rule(outcomes, term, settings, as_of=at, take_profit=take_profit, reach_days=reach_days)
            if judgement.verdict != "keep":
                judgements.append(judgement)
                closed, began = judgement.verdict == "close", at
        at += timedelta(days=1)
    return tuple(judgements)


def closed_stretches(
    changes: Iterable[tuple[datetime, bool]], until: datetime
) -> tuple[tuple[datetime, datetime], ...]:
    """Return [from, to) of every stretch in which the rule was closed; one that lasts is cut off at `until`.

    changes: (instant, whether the rule is closed from it on), in order.
    """
    stretches = []
    began: datetime | None = None
    for at, closed in changes:
        if began is not None and not closed:
            stretches.append((began, at))
        began = (began or at) if closed else None
    if began is not None:
        stretches.append((began, until))
    return tuple(stretches)


def same_judgement(recorded: Mapping[str, Any], judgement: RuleJudgement) -> bool:
    """Return whether an event's evidence is that of `judgement`; e-values agree to six digits (machines sum apart)."""
    ours = judgement.body()
    apart = {name for name in ours.keys() | recorded.keys() if ours.get(name) != recorded.get(name)}
    numbers = ("evidence", "mean_return")
    return all(
        name in numbers
        and isinstance(recorded.get(name), str)
        and isinstance(ours[name], str)
        and np.isclose(float(recorded[name]), float(ours[name]), rtol=1e-6)
        for name in apart
    )


def _day_means(
    outcomes: Sequence[RuleOutcome], term: RuleTerm, as_of: datetime, most: float, reach_days: int
) -> tuple[F64, int]:
    """Return the mean return of each day whose turn had come, gains held at `most`, and their candidates.

    The first day on which something is open holds back the later ones, so that units come in one order for ever.
    """
    until = as_of.astimezone(UTC).date()
    first = term.since.astimezone(UTC).date()
    counted = sorted((item for item in outcomes if first <= item.decided < until), key=lambda item: item.decided)
    means: list[float] = []
    candidates = 0
    for day, items in groupby(counted, key=lambda item: item.decided):
        known = []
        for item in items:
            if item.resolved is None or item.resolved >= until:
                if (until - day).days <= reach_days:
                    return np.array(means), candidates
            elif item.net_return is not None:
                known.append(min(item.net_return, most))
        if known:
            means.append(float(np.mean(np.sort(known))))  # in one order of summing, whatever order rows came in
            candidates += len(known)
    return np.array(means), candidates


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
