"""What judges and later models said: looks at a canary, and scores that came after the decision. SQL only.

Belongs here: inserting them once and reading them back. Does not belong here: judging (judge), scoring (serving).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, select

from throughline.identity import SCHEMA_VERSION, canonical_bytes, content_hash, parse_time, score_text
from throughline.learning.once import insert_once
from throughline.learning.types import Judgement
from throughline.storage import tables

LARGEST = 1e18
"""E-values beyond it are recorded as it: they say no more, and their digits would fill the record."""
_BATCH = 2_000
"""Rows of one INSERT; the driver writes its values into the statement."""
_NUMBERS = ("mean_difference", "worse", "noninferior", "tail", "lost", "spent", "days_to_verdict")
_COUNTS = ("units", "pairs", "disagreements", "trades")


@dataclass(frozen=True)
class LaterScore:
    """What a model that was trained later says of a candidate; numbers as `score_text`."""

    model: str
    candidate: uuid.UUID
    features_hash: str
    probability: str
    expected_return: str
    take: bool


def look_body(experiment: str, model: str, judgement: Judgement) -> bytes:
    """Return the canonical bytes of a look."""
    numbers = {name: getattr(judgement, name) for name in _NUMBERS}
    return canonical_bytes(
        {
            **{name: None if value is None else score_text(min(value, LARGEST)) for name, value in numbers.items()},
            **{name: getattr(judgement, name) for name in _COUNTS},
            "as_of": judgement.as_of,
            "experiment": experiment,
            "guards": list(judgement.guards),
            "model": model,
            "reason": judgement.reason,
            "schema_version": SCHEMA_VERSION,
            "verdict": judgement.verdict,
        }
    )


def record_look(engine: Engine, experiment: str, model: str, judgement: Judgement) -> bool:
    """Record what the judge said of a model at an instant; return False where the very same is recorded.

    Raises LedgerConflict where the look at that instant said something else.
    """
    body = look_body(experiment, model, judgement)
    values = {
        "experiment": experiment,
        "model": model,
        "as_of": judgement.as_of,
        "verdict": judgement.verdict,
        "content_hash": content_hash("canary_look", body),
        "body": body,
    }
    with engine.begin() as conn:
        return insert_once(conn, tables.canary_looks, [values], "body") > 0


def read_look(conn: Connection, experiment: str, model: str, as_of: datetime) -> Judgement | None:
    """Return what the judge said of a model at an instant, None where nobody looked."""
    c = tables.canary_looks.c
    where = (c.experiment == experiment, c.model == model, c.as_of == as_of)
    body = conn.execute(select(c.body).where(*where)).scalar_one_or_none()
    return None if body is None else _judgement(body)


def read_looks(conn: Connection, experiment: str, model: str | None = None) -> tuple[tuple[str, Judgement], ...]:
    """Return (model, judgement) of every look at a model (None = at any) of an experiment, in order of time."""
    c = tables.canary_looks.c
    statement = select(c.model, c.body).where(c.experiment == experiment).order_by(c.as_of, c.model)
    if model is not None:
        statement = statement.where(c.model == model)
    return tuple((name, _judgement(body)) for name, body in conn.execute(statement))


def _judgement(raw: Any) -> Judgement:
    body: dict[str, Any] = json.loads(bytes(raw))
    figures: dict[str, Any] = {name: body[name] for name in _COUNTS}
    figures |= {name: None if body[name] is None else float(body[name]) for name in _NUMBERS}
    return Judgement(
        verdict=body["verdict"],
        reason=body["reason"],
        as_of=parse_time(body["as_of"]),
        guards=tuple(body["guards"]),
        **figures,
    )


def insert_scores(engine: Engine, scores: Sequence[LaterScore]) -> int:
    """Record scores by models that were trained later; return how many were new.

    Raises LedgerConflict where one is recorded otherwise; nothing of the call is then written.
    """
    table = tables.model_scores
    values = [
        {
            "model": item.model,
            "candidate_uuid": item.candidate,
            "features_hash": item.features_hash,
            "probability": item.probability,
            "expected_return": item.expected_return,
            "take": item.take,
        }
        for item in scores
    ]
    new = 0
    with engine.begin() as conn:
        for start in range(0, len(values), _BATCH):
            batch = values[start : start + _BATCH]
            new += insert_once(conn, table, batch, "features_hash", "probability", "expected_return", "take")
    return new


def read_scores(conn: Connection, model: str) -> tuple[LaterScore, ...]:
    """Return the later scores of a model by candidate."""
    c = tables.model_scores.c
    statement = select(c.model, c.candidate_uuid, c.features_hash, c.probability, c.expected_return, c.take)
    return tuple(LaterScore(*row) for row in conn.execute(statement.where(c.model == model).order_by(c.candidate_uuid)))
