"""Models as people ask about them: the list of an experiment, the card of one, how a trial stands. Reading only.

Belongs here: which recorded facts belong together, as JSON objects. Does not belong here: words and tables (cli),
pictures (analytics).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from throughline.experiment.identity import Experiment
from throughline.identity import score_text, time_text
from throughline.learning.cash import RuleJudgement
from throughline.learning.event_log import read_events
from throughline.learning.events import ModelEvent, ServingState
from throughline.learning.looks import read_looks
from throughline.learning.store import (
    StoredModel,
    read_model,
    read_models,
    read_registrations,
    read_trials,
    read_verdicts,
    trades_by_model,
)
from throughline.learning.trades import trades_of
from throughline.learning.types import RULE, GateResult, Judgement


def standing(state: ServingState, model: str) -> str:
    """Return the place of a model: champion, canary, fallback, barred or idle."""
    places = {"champion": state.champion, "canary": state.canary, "fallback": state.fallback}
    for place, who in places.items():
        if who == model:
            return place
    return "barred" if model in state.barred else "idle"


def serving_json(state: ServingState) -> dict[str, Any]:
    """Return who serves as a JSON object."""
    return {
        "champion": state.champion,
        "promoted_at": _time(state.promoted_at),
        "fallback": state.fallback,
        "canary": state.canary,
        "canary_since": _time(state.canary_since),
        "barred": sorted(state.barred),
        "events": state.seq,
        "head": state.head,
        "rule_closed": state.rule_closed,
        "rule_since": _time(state.rule_since),
    }


def gate_json(item: GateResult) -> dict[str, Any]:
    """Return what a gate said as a JSON object; numbers as text of 10 digits."""
    return {
        "gate": item.gate,
        "status": item.status,
        "value": None if item.value is None else score_text(item.value),
        "threshold": None if item.threshold is None else score_text(item.threshold),
        "reason": item.reason,
    }


def model_list(conn: Connection, experiment: Experiment, state: ServingState) -> dict[str, Any]:
    """Return the models of an experiment, oldest first, each with its place and its trades."""
    trades = trades_by_model(conn, experiment.id)
    registered = read_registrations(conn, experiment.id)
    rows = []
    for item in read_models(conn, experiment.id):
        place = registered.get(item.id)
        rows.append(_head(conn, state, item, trades) | {"mlflow_version": None if place is None else place.version})
    return {
        "experiment": experiment.id,
        "mode": experiment.mode,
        "policy": experiment.configuration.model_policy,
        "serving": serving_json(state),
        "models": rows,
        "trades_by_rule": trades.get(RULE, 0),
    }


def model_card(conn: Connection, experiment: Experiment, state: ServingState, model: str) -> dict[str, Any]:
    """Return everything that is recorded of a model, with its trades. It must be recorded."""
    item = read_model(conn, model)
    assert item is not None
    identity, place = item.body["identity"], read_registrations(conn, experiment.id).get(model)
    return {
        **_head(conn, state, item, trades_by_model(conn, experiment.id)),
        "experiment": experiment.id,
        "against": identity["against"],
        "window": item.body["window"],
        "seals": len(identity["seals"]),
        "seed": identity["seed"],
        "feature_schema": identity["feature_schema"],
        "code": identity["code"],
        "lock": identity["lock"],
        "hyper_parameters": identity["hyper_parameters"],
        "gates": [gate_json(verdict) for verdict in read_verdicts(conn, model)],
        "metrics": item.body["metrics"],
        "trials": item.body["trials"],
        "trials_of_experiment": len(read_trials(conn, experiment.id)),
        "trials_of_home": len(read_trials(conn, None)),
        "file_hash": item.file_hash,
        "mlflow": None if place is None else {"run": place.run, "version": place.version},
        "events": [event_json(event) for event in read_events(conn, experiment.id) if event.model == model],
        "decided": [
            {
                "candidate": str(trade.candidate),
                "instrument": trade.instrument,
                "arm": trade.arm,
                "decided": time_text(trade.decided),
                "closed": time_text(trade.closed),
                "pnl_usd": str(trade.pnl_usd),
                "pnl_percent": str(trade.pnl_percent),
                "termination": trade.termination,
            }
            for trade in trades_of(conn, experiment.id, model)
        ],
    }


def canary_card(
    conn: Connection, experiment: Experiment, state: ServingState, rule: RuleJudgement | None
) -> dict[str, Any]:
    """Return how the model on trial stands, else the champion that is watched; `model` is None where nobody is.

    rule: what is said of the rule now, None where no day is sealed yet.
    """
    role, model, since = None, None, None
    if state.canary is not None:
        role, model, since = "canary", state.canary, state.canary_since
    elif state.champion != RULE and state.fallback is not None:
        role, model, since = "champion", state.champion, state.promoted_at
    looks = [] if model is None else [judgement for _, judgement in read_looks(conn, experiment.id, model)]
    if since is not None:
        looks = [judgement for judgement in looks if judgement.as_of >= since]
    return {
        "experiment": experiment.id,
        "policy": experiment.configuration.model_policy,
        "serving": serving_json(state),
        "rule": None if rule is None else rule_json(rule, experiment),
        "role": role,
        "model": model,
        "since": _time(since),
        "looks": [look_json(judgement) for judgement in looks],
        "last": look_json(looks[-1]) if looks else None,
    }


def rule_json(judgement: RuleJudgement, experiment: Experiment) -> dict[str, Any]:
    """Return what is said of the rule as a JSON object. acts: whether a verdict closes or opens it."""
    return judgement.body() | {
        "acts": experiment.configuration.closes_rule,
        "closed": judgement.term.closed,
        "reason": judgement.reason,
    }


def look_json(judgement: Judgement) -> dict[str, Any]:
    """Return what the judge said as a JSON object."""
    return {
        "as_of": time_text(judgement.as_of),
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "units": judgement.units,
        "pairs": judgement.pairs,
        "disagreements": judgement.disagreements,
        "trades": judgement.trades,
        "mean_difference": judgement.mean_difference,
        "worse": judgement.worse,
        "noninferior": judgement.noninferior,
        "tail": judgement.tail,
        "lost": judgement.lost,
        "spent": judgement.spent,
        "days_to_verdict": judgement.days_to_verdict,
        "guards": list(judgement.guards),
    }


def event_json(event: ModelEvent) -> dict[str, Any]:
    """Return an event as a JSON object."""
    return {
        "kind": event.kind,
        "effective_at": time_text(event.effective_at),
        "by": event.by,
        "reason": event.reason,
        "hash": event.hash,
    }


def _head(conn: Connection, state: ServingState, item: StoredModel, trades: dict[str, int]) -> dict[str, Any]:
    verdicts = read_verdicts(conn, item.id)
    refused = [verdict.gate for verdict in verdicts if verdict.status != "pass"]
    return {
        "id": item.id,
        "as_of": item.body["identity"]["as_of"],
        "labels": item.body["labels"]["labels"],
        "effective": item.body["labels"]["effective"],
        "fitted": bool(item.body["metrics"]),
        "passed": bool(verdicts) and not refused,
        "refused_by": refused,
        "state": standing(state, item.id),
        "trades": trades.get(item.id, 0),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else time_text(at)
