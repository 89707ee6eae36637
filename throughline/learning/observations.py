"""Observations: resolved candidates that two models judged at their decision, read from the ledger for the judge.

What is compared was recorded when it was decided (`decision.scores` of the candidate), what it came to is the shadow
outcome. A candidate that expired gave nothing to either; one whose shadow crossed a doubtful price jump counts for
neither. Nothing that resolved after the look is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from throughline.features.vector import NAMES
from throughline.identity import parse_time, time_to_ms
from throughline.learning.types import NOT_LABELS, STOPPED, TOTAL_LOSS, Health, Observation

_DECIDED = text(
    "SELECT c.uuid, c.body, s.body, o.body, e.body FROM candidates c "
    "LEFT JOIN shadow_outcomes s ON s.candidate_uuid = c.uuid AND s.partition < :until AND s.supersedes IS NULL "
    "LEFT JOIN outcomes o ON o.candidate_uuid = c.uuid AND o.partition < :until AND o.supersedes IS NULL "
    "LEFT JOIN executions e ON e.candidate_uuid = c.uuid AND e.partition < :until AND e.supersedes IS NULL "
    "WHERE c.experiment = :experiment AND c.partition >= :first AND c.partition < :until AND c.supersedes IS NULL "
    "ORDER BY c.decision_time, c.uuid"
)


@dataclass(frozen=True)
class Evidence:
    """What the judge is given. open_days: decision days on which something can still resolve."""

    observations: tuple[Observation, ...]
    open_days: frozenset[date]
    health: Health


def read_evidence(
    conn: Connection,
    experiment: str,
    challenger: tuple[str, str],
    incumbent: tuple[str, str],
    since: datetime,
    as_of: datetime,
    *,
    reach_days: int,
    incomplete_above: float,
) -> Evidence:
    """Return what is known at `as_of` (a midnight) of the candidates decided from `since` on.

    challenger, incumbent: (role, model) under which a candidate must carry both scores to count. reach_days: after so
    many days an unresolved shadow will never resolve; its candidate then counts for neither. incomplete_above: share of
    a vector's features; where more are missing, a decision is incomplete.
    """
    until = as_of.astimezone(UTC).date()
    rows = conn.execute(_DECIDED, {"experiment": experiment, "first": since.astimezone(UTC).date(), "until": until})
    observations: list[Observation] = []
    open_days: set[date] = set()
    decisions = errors = incomplete = latency = 0
    for uuid, head, shadow, outcome, execution in rows:
        body = json.loads(bytes(head))
        decided = parse_time(body["decision_time"])
        decision = body["decision"]
        if decision is None or decided < since:
            continue
        lines = {(line["role"], line["model"]): line for line in decision["scores"]}
        ours, theirs = lines.get(challenger), lines.get(incumbent)
        if ours is None or theirs is None:
            continue
        decisions += 1
        errors += ours["error"] is not None
        incomplete += decision["missing_features"] > incomplete_above * len(NAMES)
        in_arm = (body["arm"], body["model_version"]) == challenger  # the arm is named like the role that decides it
        if in_arm and execution is not None:
            latency = max(latency, int(json.loads(bytes(execution))["latency_ms"]))
        if ours["error"] is not None:
            continue
        if shadow is None:
            if (until - decided.date()).days <= reach_days:
                open_days.add(decided.date())
            continue
        resolved = json.loads(bytes(shadow))
        if NOT_LABELS.intersection(resolved.get("flags", ())):
            continue
        pnl = json.loads(bytes(outcome)) if in_arm and outcome is not None else None
        observations.append(_observation(str(uuid), decided, resolved, ours, theirs, pnl))
    return Evidence(tuple(observations), frozenset(open_days), Health(decisions, errors, incomplete, latency))


def _observation(
    candidate: str,
    decided: datetime,
    shadow: Mapping[str, Any],
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    outcome: Mapping[str, Any] | None,
) -> Observation:
    percent = shadow["return_percent"]
    net = 0.0 if percent is None else float(percent) / 100.0
    return Observation(
        candidate=candidate,
        decided=time_to_ms(decided),
        resolved=time_to_ms(parse_time(shadow["resolved_at"])),
        net_return=net,
        stopped=shadow["termination_reason"] in STOPPED,
        lost=net <= TOTAL_LOSS,
        challenger_takes=bool(ours["take"]),
        incumbent_takes=bool(theirs["take"]),
        executed=outcome is not None,
        pnl_usd=None if outcome is None else float(outcome["realized_pnl_usd"]),
    )


def midnight_after(day: date) -> datetime:
    """Return the end of a UTC day: the instant from which all that resolved in it is known."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
