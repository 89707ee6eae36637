"""When the strategy could enter, for the random portfolios that stand beside it.

Belongs here: reading from events and dispositions how many entries random portfolios may draw, and when. While the rule
is closed it enters nothing, so random portfolios that went on drawing would be compared with cash and not with a choice
of coins and times. Does not belong here: the draws (baselines), the judgement that closes the rule (learning.cash).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from throughline.experiment.identity import Experiment
from throughline.identity import time_to_ms
from throughline.learning.cash import closed_stretches
from throughline.learning.event_log import read_events
from throughline.learning.events import ModelEvent, unfold
from throughline.learning.types import RULE

_CANDIDATES = text(
    "SELECT c.decision_time FROM candidates c LEFT JOIN dispositions d ON d.candidate_uuid = c.uuid "
    "AND NOT EXISTS (SELECT 1 FROM dispositions later WHERE later.supersedes = d.uuid) "
    "WHERE c.experiment = :experiment AND c.partition BETWEEN :first AND :last "
    "AND NOT EXISTS (SELECT 1 FROM candidates later WHERE later.supersedes = c.uuid) "
    "AND d.disposition IS DISTINCT FROM 'rule_closed'"
)


@dataclass(frozen=True)
class EntryTimes:
    """How many entries a random portfolio draws, and when.

    candidates: the strategy's candidates that a closed rule did not refuse, decided outside `closed`. closed: [from,
    to) in Unix ms, ascending: the times in which the rule decides and is closed. candidates_closed: candidates decided
    within them all the same, by a model on trial.
    """

    candidates: int
    closed: Sequence[tuple[int, int]] = ()
    candidates_closed: int = 0

    def within_closed(self, instants: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which decision instants (Unix ms) lie in a time in which the rule is closed."""
        result = np.zeros(len(instants), np.bool_)
        for first, last in self.closed:
            result |= (instants >= first) & (instants < last)
        return result


def read_entry_times(connection: Connection, experiment: Experiment, start: date, end: date) -> EntryTimes:
    """Return how many entries random portfolios draw in [start, end], both days included, and when."""
    until = datetime(end.year, end.month, end.day, tzinfo=UTC) + timedelta(days=1)
    events = read_events(connection, experiment.id) if experiment.configuration.closes_rule else ()
    times = EntryTimes(0, closed_times(events, until))
    rows = connection.execute(_CANDIDATES, {"experiment": experiment.id, "first": start, "last": end})
    decided = np.array([time_to_ms(at) for at in rows.scalars()], np.int64)
    closed = int(times.within_closed(decided).sum())
    return EntryTimes(len(decided) - closed, times.closed, closed)


def closed_times(events: Sequence[ModelEvent], until: datetime) -> tuple[tuple[int, int], ...]:
    """Return [from, to) in Unix ms of every time before `until` in which the rule was champion and closed."""
    changes = [
        (state.last_at, state.champion == RULE and state.rule_closed)
        for state in unfold(events)
        if state.last_at is not None and state.last_at < until
    ]
    return tuple((time_to_ms(first), time_to_ms(last)) for first, last in closed_stretches(changes, until))
