"""Which resolved candidates the judge is given."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from throughline.learning.observations import read_evidence

SINCE, AS_OF = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 10, tzinfo=UTC)
OURS, THEIRS = ("canary", "a" * 64), ("champion", "b" * 64)


class Ledger:
    """Answers the one query of `read_evidence` with the rows that it was given."""

    def __init__(self, rows: list[tuple[Any, ...]]) -> None:
        self._rows = rows

    def execute(self, *_: Any) -> list[tuple[Any, ...]]:
        return self._rows


def _row(flags: list[str] | None) -> tuple[Any, ...]:
    scores = [
        {"role": role, "model": model, "take": True, "error": None, "probability": None, "expected_return": None}
        for role, model in (OURS, THEIRS)
    ]
    head = {
        "arm": "champion",
        "decision": {"missing_features": 0, "scores": scores},
        "decision_time": "2024-03-04T13:00:00.000000Z",
        "model_version": THEIRS[1],
    }
    shadow = {
        "resolved_at": "2024-03-04T20:00:00.000000Z",
        "return_percent": "-99.9",
        "termination_reason": "stop_loss",
    } | ({} if flags is None else {"flags": flags})
    return ("uuid", json.dumps(head).encode(), json.dumps(shadow).encode(), None, None)


@pytest.mark.parametrize(("flags", "counted"), [([], 1), (["gap"], 1), (["doubtful_jump"], 0), (None, 1)])
def test_a_candidate_whose_shadow_crossed_a_doubtful_jump_counts_for_neither(
    flags: list[str] | None, counted: int
) -> None:
    evidence = read_evidence(
        Ledger([_row(flags)]),  # type: ignore[arg-type]
        "e" * 64,
        OURS,
        THEIRS,
        SINCE,
        AS_OF,
        reach_days=4,
        incomplete_above=0.6,
    )
    assert len(evidence.observations) == counted
    assert not evidence.open_days, "it is resolved, so no day waits for it"
