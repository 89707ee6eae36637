"""How an experiment stands: up to when its days are closed, and whether a verdict waits to be acted on.

Belongs here: questions that everybody asks who trains, looks or rolls back outside a walk-forward (schedules, commands,
sensors). Does not belong here: the answers' consequences (cycle, lifecycle).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from throughline.errors import MissingPredecessor
from throughline.experiment.identity import Experiment
from throughline.learning.observations import midnight_after
from throughline.storage.queries import sealed_days
from throughline.tracking.layout import LOG


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
