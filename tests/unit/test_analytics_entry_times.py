"""When random portfolios may enter: not while the rule decides and is closed."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from tests.unit.test_learning_events import DAY, T0, A, history
from throughline.analytics.entry_times import EntryTimes, closed_times
from throughline.identity import time_to_ms
from throughline.learning.events import Kind
from throughline.learning.types import RULE

DAY_MS = 86_400_000
FIRST = time_to_ms(T0)


@pytest.mark.parametrize(
    ("steps", "closed"),
    [
        ([], []),
        ([("canary_started", A)], []),
        ([("rule_closed", RULE)], [(0, 9)]),
        ([("rule_closed", RULE), ("rule_opened", RULE)], [(0, 1)]),
        ([("rule_closed", RULE), ("rule_opened", RULE), ("rule_closed", RULE)], [(0, 1), (2, 9)]),
        # a trial changes nothing for the rule; a champion decides instead of the rule, open or closed
        ([("rule_closed", RULE), ("canary_started", A), ("rejected", A)], [(0, 9)]),
        ([("canary_started", A), ("rule_closed", RULE), ("promoted", A)], [(1, 2)]),
        ([("canary_started", A), ("promoted", A), ("rule_closed", RULE), ("rolled_back", A)], [(3, 9)]),
    ],
)
def test_the_rule_is_closed_from_its_event_until_it_is_opened_or_a_model_decides(
    steps: list[tuple[Kind, str]], closed: list[tuple[int, int]]
) -> None:
    told = closed_times(history(*steps), T0 + timedelta(days=9))
    assert [((first - FIRST) / DAY_MS, (last - FIRST) / DAY_MS) for first, last in told] == closed


def test_an_event_at_or_after_the_end_closes_nothing() -> None:
    assert closed_times(history(("rule_closed", RULE)), T0) == ()
    assert closed_times(history(("rule_closed", RULE)), T0 + DAY) == ((FIRST, FIRST + DAY_MS),)


def test_a_decision_at_the_instant_of_an_event_counts_after_it() -> None:
    times = EntryTimes(5, ((100, 200), (300, 400)))
    instants = np.array([99, 100, 199, 200, 299, 300, 399, 400])
    assert times.within_closed(instants).tolist() == [False, True, True, False, False, True, True, False]
