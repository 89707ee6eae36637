"""The close of a day: look at the canary, watch the champion, judge the rule, and train where it is time.

It is the same in a walk-forward, in a job of the schedule and by hand.

Each step is a function of what is sealed by then, and idempotent: closing a day again changes nothing, and what a crash
left half done is done by the next close. At most one event is caused by each look, and it takes effect at the close.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Engine

from throughline.experiment.identity import Experiment
from throughline.learning.cash import RuleJudgement, look_due
from throughline.learning.event_log import read_events
from throughline.learning.events import ServingState, serving_state
from throughline.learning.gates import refusal_words
from throughline.learning.judge import judge
from throughline.learning.lifecycle import change_rule, promote, reject, roll_back, start_canary
from throughline.learning.looks import read_look, record_look
from throughline.learning.nightly import Challenger, train_challenger
from throughline.learning.observations import read_evidence
from throughline.learning.standing import rule_judgement
from throughline.learning.types import RULE, Judgement, Progress, no_progress
from throughline.quality.verdict import GateRunner
from throughline.storage.artifacts import ArtifactStore


@dataclass(frozen=True)
class Close:
    """What the close of a day came to. judgement: of the look, None where nobody is on trial or watched; deployed:
    whether the challenger went on trial; waiting: why it did not, None where it did or there is none; rule: what was
    said of the rule, None where it was not looked at."""

    as_of: datetime
    state: ServingState
    judgement: Judgement | None
    challenger: Challenger | None
    deployed: bool
    waiting: str | None
    rule: RuleJudgement | None = None


def current_state(engine: Engine, experiment: str, at: datetime) -> ServingState:
    """Return who serves in `experiment` at `at`."""
    with engine.connect() as conn:
        return serving_state(read_events(conn, experiment), at)


def look(engine: Engine, experiment: Experiment, as_of: datetime, *, reach_days: int) -> Judgement | None:
    """Judge whoever is on trial or watched at `as_of`, record the look, and act on its verdict.

    None where nobody is: no canary, and no champion that was promoted over another. A look at the same instant is made
    once; its verdict is acted on again, which does nothing where that was done.
    """
    state = current_state(engine, experiment.id, as_of)
    settings = experiment.configuration
    if state.canary is not None and state.canary_since is not None:
        challenger, incumbent, since = ("canary", state.canary), ("champion", state.champion), state.canary_since
        watching = False
    elif state.fallback is not None and state.promoted_at is not None and state.champion != RULE:
        challenger, incumbent, since = ("champion", state.champion), ("fallback", state.fallback), state.promoted_at
        watching = True
    else:
        return None
    with engine.connect() as conn:
        recorded = read_look(conn, experiment.id, challenger[1], as_of)
        evidence = read_evidence(
            conn,
            experiment.id,
            challenger,
            incumbent,
            since,
            as_of,
            reach_days=reach_days,
            incomplete_above=settings.canary.incomplete_above,
        )
    judgement = judge(
        evidence.observations,
        evidence.health,
        settings.canary,
        started=since,
        as_of=as_of,
        open_days=evidence.open_days,
        watching=watching,
        position_usd=settings.sizing.small_fund_usd / settings.sizing.max_positions,
        take_profit=settings.exits.take_profit,
    )
    if recorded is None:
        record_look(engine, experiment.id, challenger[1], judgement)
    _act(engine, experiment, challenger[1], judgement)
    return judgement


def look_at_rule(engine: Engine, experiment: Experiment, as_of: datetime, *, reach_days: int) -> RuleJudgement:
    """Judge the rule at `as_of`, a midnight, and close or open it from then on where the evidence says so.

    Where the configuration lets nothing close it, it is only judged. Looking again at the same instant does nothing.
    """
    with engine.connect() as conn:
        state = serving_state(read_events(conn, experiment.id), as_of)
        judgement = rule_judgement(conn, experiment, state, as_of, reach_days)
    if judgement.verdict != "keep" and experiment.configuration.closes_rule:
        change_rule(
            engine,
            experiment,
            closed=judgement.verdict == "close",
            at=as_of,
            by="judge",
            reason=judgement.reason,
            evidence=judgement.body(),
        )
    return judgement


def _act(engine: Engine, experiment: Experiment, model: str, judgement: Judgement) -> None:
    if judgement.verdict == "promote":
        promote(engine, experiment, model, at=judgement.as_of, by="judge", reason=judgement.reason)
    elif judgement.verdict == "roll_back":
        roll_back(engine, experiment, model, at=judgement.as_of, by="judge", reason=judgement.reason)
    elif judgement.verdict == "reject":
        reject(engine, experiment, model, at=judgement.as_of, by="judge", reason=judgement.reason)


def train_and_deploy(
    engine: Engine,
    artifacts: ArtifactStore,
    experiment: Experiment,
    gates: GateRunner,
    as_of: datetime,
    now: datetime,
    progress: Progress = no_progress,
) -> tuple[Challenger, str | None]:
    """Train a challenger as of `as_of` and put it on trial if every gate passed; return it, and why it waits if not."""
    trained = train_challenger(engine, artifacts, experiment, gates, as_of, now, progress)
    state = current_state(engine, experiment.id, as_of)
    if not trained.passed:
        return trained, refusal_words(trained.verdicts)
    if experiment.configuration.model_policy == "none":
        return trained, "the experiment's model policy is 'none': the rule alone decides"
    if state.canary == trained.model or state.champion == trained.model:
        return trained, None
    if trained.model in state.barred:
        return trained, "it was rolled back or rejected before, and there is no new evidence"
    if state.canary is not None:
        return trained, f"model {state.canary[:12]} is on trial: one at a time"
    start_canary(engine, experiment, trained.model, at=as_of, by="gates", reason="every gate passed")
    return trained, None


def close_day(
    engine: Engine,
    artifacts: ArtifactStore,
    experiment: Experiment,
    gates: GateRunner,
    as_of: datetime,
    now: datetime,
    *,
    train: bool,
    reach_days: int,
    progress: Progress = no_progress,
) -> Close:
    """Look, then train where `train` says so, at the end of a sealed day: `as_of` is the midnight after it.

    The rule is looked at where it may be closed, on Mondays (`cash.look_due`): a walk must stop wherever it looks.
    """
    judgement = look(engine, experiment, as_of, reach_days=reach_days)
    rule = None
    if experiment.configuration.closes_rule and look_due(as_of):
        rule = look_at_rule(engine, experiment, as_of, reach_days=reach_days)
    trained, waiting = None, None
    if train:
        trained, waiting = train_and_deploy(engine, artifacts, experiment, gates, as_of, now, progress)
    state = current_state(engine, experiment.id, as_of)
    return Close(as_of, state, judgement, trained, trained is not None and state.canary == trained.model, waiting, rule)


def retrain_days(first: date, last: date, cadence: str) -> Sequence[date]:
    """Return the days of [first, last] on whose midnight models are trained.

    cadence: 'monthly' (the first), 'weekly' (Mondays) or 'never'.
    """
    days = [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]
    if cadence == "monthly":
        return [day for day in days if day.day == 1]
    if cadence == "weekly":
        return [day for day in days if day.weekday() == 0]
    return []
