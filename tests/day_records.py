"""Candidates as the stages of a day read them, for tests that need no database."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from throughline.tracking.day_records import Candidate
from throughline.tracking.records import make_row


def candidate_body(
    number: int = 0, *, instrument: str = "A", hour: int = 1, opportunity: str = "0.5", **changes: Any
) -> dict[str, Any]:
    """Return the body of a candidate of 2021-01-01. number: makes another segment, so another UUID."""
    segment = f"{instrument}@20210101T0000{number:02d}Z" if number > 1 else f"{instrument}@20210101T000000Z"
    return {
        "arm": "champion",
        "confidence": "0.5",
        "created_by": "rule",
        "data_seals": {},
        "decision": None,
        "decision_time": f"2021-01-01T{hour:02d}:00:00.000000Z",
        "experiment": "e" * 64,
        "features": {"momentum": "0.2"},
        "features_hash": "f" * 64,
        "instrument": instrument,
        "missing": [],
        "model_hash": None,
        "model_version": "rule",
        "notional_usd": "1000",
        "opportunity_score": opportunity,
        "params_ptr": "defaults",
        "partition": date(2021, 1, 1),
        "scan": {"hash": "a" * 64, "uuid": str(uuid.UUID(int=1))},
        "scores": {},
        "segment": segment,
        "side": "buy",
        "strategy": "test",
        "verdicts": {},
        **changes,
    }


def candidate(number: int = 0, **changes: Any) -> Candidate:
    """Return a candidate, decoded from a row as the stages do."""
    return Candidate.of(make_row("candidates", candidate_body(number, **changes)))
