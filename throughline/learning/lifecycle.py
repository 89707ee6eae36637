"""The lifecycle of a model: on trial, promoted, rolled back, rejected. Used by commands, jobs and the walk-forward.

Belongs here: who may ask for what, and the order: one append-only event first, then the mirror. Does not belong here:
what may follow what (events), the transaction (event_log), MLflow (mlflow_mirror), the evidence (gates, judge).

A crash before the event leaves everything as it was; after it the decision stands, and the next call that reaches the
mirror brings it up to date. A mirror that cannot be reached never undoes nor holds up a decision: it is reported.
Asking again for what is already so does nothing and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine

from throughline.errors import GateClosed, ThroughlineError, UnknownRecord
from throughline.experiment.identity import Experiment
from throughline.learning.events import NOTHING, By, Kind, ModelEvent, ServingState, unfold
from throughline.learning.mirror import Mirror, NoMirror, Shown, aliases_of
from throughline.learning.store import (
    StoredModel,
    append_event,
    decided_until,
    insert_registration,
    read_events,
    read_model,
    read_models,
    read_verdicts,
)
from throughline.learning.types import RULE
from throughline.storage.queries import advisory_lock


class PolicyClosed(ThroughlineError):
    """The experiment's model policy lets no model decide; the message says how to let one."""


@dataclass(frozen=True)
class Change:
    """What a call came to. event: None where it was so already; state: after it; sentence: for people.

    mirror_problem: why the mirror does not show it yet, None where it does.
    """

    event: ModelEvent | None
    state: ServingState
    sentence: str
    mirror_problem: str | None = None


def start_canary(
    engine: Engine,
    experiment: Experiment,
    model: str,
    *,
    at: datetime,
    by: By,
    reason: str,
    evidence: Mapping[str, object] = NOTHING,
    mirror: Mirror | None = None,
) -> Change:
    """Put a model that passed every gate on trial from `at` on.

    Raises UnknownRecord, PolicyClosed, GateClosed (which names the gates), IllegalEvent, and LedgerConflict where
    another event came in between or the day of `at` is decided.
    """
    return _change(engine, experiment, "canary_started", model, at, by, reason, evidence, mirror)


def promote(
    engine: Engine,
    experiment: Experiment,
    model: str,
    *,
    at: datetime,
    by: By,
    reason: str,
    evidence: Mapping[str, object] = NOTHING,
    mirror: Mirror | None = None,
) -> Change:
    """Make the canary champion from `at` on. Raises as `start_canary`."""
    return _change(engine, experiment, "promoted", model, at, by, reason, evidence, mirror)


def roll_back(
    engine: Engine,
    experiment: Experiment,
    model: str,
    *,
    at: datetime,
    by: By,
    reason: str,
    evidence: Mapping[str, object] = NOTHING,
    mirror: Mirror | None = None,
) -> Change:
    """Take the canary or the champion out of service from `at` on, for good; the last good champion serves again.

    Raises as `start_canary`, but asks no gate.
    """
    return _change(engine, experiment, "rolled_back", model, at, by, reason, evidence, mirror)


def reject(
    engine: Engine,
    experiment: Experiment,
    model: str,
    *,
    at: datetime,
    by: By,
    reason: str,
    evidence: Mapping[str, object] = NOTHING,
    mirror: Mirror | None = None,
) -> Change:
    """Bar a model that does not serve alone: its trial ends without a verdict for it. Raises as `roll_back`."""
    return _change(engine, experiment, "rejected", model, at, by, reason, evidence, mirror)


def change_rule(
    engine: Engine,
    experiment: Experiment,
    *,
    closed: bool,
    at: datetime,
    by: By,
    reason: str,
    evidence: Mapping[str, object],
) -> Change:
    """Close the rule from `at` on, so that nothing it would decide is entered, or open it again.

    Candidates and their shadow outcomes go on being recorded, and open positions run out by their exits.
    Raises PolicyClosed, IllegalEvent, and LedgerConflict where another event came in between or the day of `at` is
    decided.
    """
    _require_policy(experiment)
    with engine.connect() as conn:
        state = current(conn, experiment.id)
    if state.rule_closed == closed:
        return Change(None, state, f"the rule is {'closed' if closed else 'open'} already")
    kind: Kind = "rule_closed" if closed else "rule_opened"
    event = ModelEvent(experiment.id, state.seq, state.head, kind, RULE, state.champion, at, reason, by, evidence)
    append_event(engine, event)
    with engine.connect() as conn:
        after = current(conn, experiment.id)
    return Change(event, after, f"the rule is {'closed' if closed else 'open again'} from {at:%Y-%m-%d %H:%M} UTC on")


def heal(engine: Engine, mirror: Mirror, experiment: Experiment) -> ServingState:
    """Bring the mirror up to date with the ledger: every model, and the aliases of who serves. Return who does."""
    with engine.connect() as conn, advisory_lock(conn, f"{experiment.id}/mirror"):
        state = unfold(read_events(conn, experiment.id))[-1]
        stored = read_models(conn, experiment.id)
        models = [Shown(item.id, item.body, read_verdicts(conn, item.id), item.file_hash) for item in stored]
        conn.rollback()  # nothing is held open while MLflow writes
        shown = mirror.reflect(experiment, models, aliases_of(state))
        for registration in shown.values():
            insert_registration(conn, registration)
        conn.commit()
    return state


def mend(engine: Engine, mirror: Mirror, experiment: Experiment) -> str | None:
    """Do what `heal` does; where the mirror cannot be brought up to date, return why instead of raising it."""
    try:
        heal(engine, mirror, experiment)
    except Exception as error:  # whatever MLflow raises: what was decided stands, and the mirror is told of as behind
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


def current(conn: Connection, experiment: str) -> ServingState:
    """Return the state after all events, whenever they count from."""
    return unfold(read_events(conn, experiment))[-1]


def next_instant(conn: Connection, experiment: Experiment) -> datetime:
    """Return the first instant from which a new event may count: nothing is decided there and no event is later."""
    epoch = datetime(experiment.epoch.year, experiment.epoch.month, experiment.epoch.day, tzinfo=UTC)
    known = (epoch, decided_until(conn, experiment.id), current(conn, experiment.id).last_at)
    return max(at for at in known if at is not None)


def _change(
    engine: Engine,
    experiment: Experiment,
    kind: Kind,
    model: str,
    at: datetime,
    by: By,
    reason: str,
    evidence: Mapping[str, object],
    mirror: Mirror | None,
) -> Change:
    _require_policy(experiment)
    with engine.connect() as conn:
        state = current(conn, experiment.id)
        stored = _known(conn, experiment, model)
        already = _already(state, kind, model)
        if already is None and kind in ("canary_started", "promoted"):
            _require_gates(conn, stored)
    if already is not None:
        change = Change(None, state, already)
    else:
        event = ModelEvent(experiment.id, state.seq, state.head, kind, model, state.champion, at, reason, by, evidence)
        append_event(engine, event)
        with engine.connect() as conn:
            after = current(conn, experiment.id)
        change = Change(event, after, _sentence(event, after))
    return _mirrored(engine, experiment, change, mirror or NoMirror())


def _mirrored(engine: Engine, experiment: Experiment, change: Change, mirror: Mirror) -> Change:
    if isinstance(mirror, NoMirror):
        return change
    return replace(change, mirror_problem=mend(engine, mirror, experiment))


def _known(conn: Connection, experiment: Experiment, model: str) -> StoredModel:
    stored = read_model(conn, model)
    if stored is None or stored.experiment != experiment.id:
        raise UnknownRecord(
            f"experiment {experiment.id[:12]} has no model {model[:12]}: `throughline models` lists those it has"
        )
    return stored


def _require_policy(experiment: Experiment) -> None:
    if experiment.configuration.model_policy == "none":
        raise PolicyClosed(
            f"experiment {experiment.id[:12]} lets no model decide (model_policy is 'none'): set "
            'model_policy = "gated" in its configuration, or use `throughline walk-forward`'
        )


def _require_gates(conn: Connection, stored: StoredModel) -> None:
    """Fail closed: every gate that the model's record names must have said pass, and there must be a file."""
    verdicts = {item.gate: item for item in read_verdicts(conn, stored.id)}
    named = [item["gate"] for item in stored.body.get("verdicts", ())]
    missing = [gate for gate in named if gate not in verdicts]
    refused = [f"{item.gate} ({item.status}: {item.reason})" for item in verdicts.values() if item.status != "pass"]
    name = f"model {stored.id[:12]}"
    if not named or missing:
        cause = f"the verdict of {', '.join(missing)} is missing" if missing else "no gate ever judged it"
        raise GateClosed(f"{name} cannot serve: {cause}; train again")
    if refused:
        raise GateClosed(f"{name} cannot serve: it did not pass {'; '.join(refused)}")
    if stored.file_hash is None:
        raise GateClosed(f"{name} cannot serve: there is no file of it; train again on more labels")


def _already(state: ServingState, kind: Kind, model: str) -> str | None:
    name = model[:12]
    if kind == "canary_started" and state.canary == model:
        return f"model {name} is on trial already, since {state.canary_since:%Y-%m-%d %H:%M}"
    if kind == "promoted" and state.champion == model:
        return f"model {name} is the champion already, since {state.promoted_at:%Y-%m-%d %H:%M}"
    if kind in ("rolled_back", "rejected") and model in state.barred:
        return f"model {name} is out of service already; {_serves(state)}"
    return None


def _sentence(event: ModelEvent, after: ServingState) -> str:
    name, since = event.model[:12], f"{event.effective_at:%Y-%m-%d %H:%M}"
    if event.kind == "canary_started":
        return f"model {name} is on trial from {since} UTC on; {_serves(after)}"
    if event.kind == "promoted":
        return f"model {name} is champion from {since} UTC on; a rollback would return to {_named(after.fallback)}"
    word = "rolled back" if event.kind == "rolled_back" else "rejected"
    return f"model {name} is {word} from {since} UTC on and never comes back; {_serves(after)}"


def _serves(state: ServingState) -> str:
    if state.champion == RULE and state.rule_closed:
        return "the rule is closed, so nothing is entered"
    return f"{_named(state.champion)} serves"


def _named(model: str | None) -> str:
    return "the rule" if model is None or model == RULE else f"model {model[:12]}"
