"""A recorded state follows the state of the day before, and its counts are those of what it holds."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from throughline.verification.arithmetic import shadow_state_problems

EPOCH = date(2021, 1, 1)


def state(day: str = "2021-01-02", **changes: Any) -> dict[str, Any]:
    shadow = {"candidate": {"hash": "a" * 64, "uuid": "u1"}, "decision_time": "", "position": {"key": "u1"}}
    end = date.fromordinal(date.fromisoformat(day).toordinal() + 1)
    return {
        "as_of": f"{end}T00:00:00.000000Z",
        "open_shadows": 1,
        "partition": day,
        "shadows": [shadow],
        **changes,
    }


def test_a_state_of_shadows_that_follows_the_day_before_is_right() -> None:
    assert shadow_state_problems(state(), state("2021-01-01"), EPOCH) == []
    assert shadow_state_problems(state("2021-01-01"), None, EPOCH) == []


@pytest.mark.parametrize(
    ("changed", "previous", "words"),
    [
        (state(as_of="2021-01-02T00:00:00.000000Z"), state("2021-01-01"), "is not the end of 2021-01-02"),
        (state(), None, "names no previous state"),
        (state("2021-01-03"), state("2021-01-01"), "not of the day before"),
        (state(open_shadows=2), state("2021-01-01"), "open_shadows 2 is not the number"),
        (
            state(shadows=[{"candidate": {"uuid": "u1"}, "position": {"key": "u2"}}]),
            state("2021-01-01"),
            "another candidate than its position",
        ),
    ],
)
def test_each_fault_of_a_state_of_shadows_is_named(
    changed: dict[str, Any], previous: dict[str, Any] | None, words: str
) -> None:
    problems = shadow_state_problems(changed, previous, EPOCH)
    assert len(problems) == 1
    assert words in problems[0]
