"""How an experiment stands: up to when its days are closed, and whether a verdict waits to be acted on.

Belongs here: questions that everybody asks who trains, looks or rolls back outside a walk-forward (schedules, commands,
sensors). Does not belong here: the answers' consequences (cycle, lifecycle).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from throughline.catalogue import LOG
from throughline.errors import MissingPredecessor
from throughline.experiment.identity import Experiment
from throughline.learning.cash import RuleJudgement, judge_rule, term_at
from throughline.learning.events import ServingState
from throughline.learning.lifecycle import current
from throughline.learning.looks import read_looks
from throughline.learning.observations import midnight_after
from throughline.learning.rule_outcomes import read_rule_outcomes
from throughline.storage.queries import sealed_days


@dataclass(frozen=True)
class DueRollback:
    """A look whose verdict is to roll a model back, and the model still serves. reason: the judge's words."""

    experiment: str
    model: str
    as_of: datetime
    reason: str


def last_close(conn: Connection, experiment: Experiment) -> datetime:
    """Return the midnight after the last day up to which every day from the epoch on is sealed to its end.

    What is decided after it is not known yet, what resolved before it is. Raises MissingPredecessor where not even the
    first day is.
    """
    sealed = set(sealed_days(conn, experiment.id, LOG))
    day = experiment.epoch
    if day not in sealed:
        raise MissingPredecessor(
            f"no day of experiment {experiment.id[:12]} is sealed: materialize its daily assets from {day} on first"
        )
    while day + timedelta(days=1) in sealed:
        day += timedelta(days=1)
    return midnight_after(day)


def rule_judgement(
    conn: Connection, experiment: Experiment, state: ServingState, as_of: datetime, reach_days: int
) -> RuleJudgement:
    """Return what is said of the rule at `as_of`, a midnight. state: who serves then; reach_days: as `judge_rule`."""
    settings = experiment.configuration
    began = state.rule_since or midnight_after(experiment.epoch - timedelta(days=1))
    term = term_at(state.rule_closed, began, as_of, settings.cash)
    outcomes = read_rule_outcomes(conn, experiment.id, term.since, as_of)
    return judge_rule(
        outcomes,
        term,
        settings.cash,
        as_of=as_of,
        take_profit=settings.exits.take_profit,
        reach_days=reach_days,
    )


def rollback_due(conn: Connection, experiment: str) -> DueRollback | None:
    """Return the look that rolls back a model which serves all the same, None where there is none.

    Only looks since the model began to serve count. A look acts on its own verdict, so one is due only where its
    process died between the two.
    """
    state = current(conn, experiment)
    for model, since in ((state.canary, state.canary_since), (state.champion, state.promoted_at)):
        if model is None or since is None:
            continue
        for _, judgement in reversed(read_looks(conn, experiment, model)):
            if judgement.verdict == "roll_back" and judgement.as_of >= since:
                return DueRollback(experiment, model, judgement.as_of, judgement.reason)
    return None
