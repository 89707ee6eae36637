"""The models of an experiment: what named them, what their gates said, their chain of events, and who decided what.

Belongs here: recomputing hashes and ids of models, events and looks, the chain and its fold, the judgements that closed
or opened the rule, and the candidates that models decided against it. Does not belong here: the rows of the ledger
themselves (ledger), what labels say (learned).

Which file belongs to a model is no part of any hash, since two dumps of one model differ: that column is held by the
append-only trigger, and here only by what it names being a model's file of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Table, select

from throughline.experiment.identity import from_body
from throughline.findings import Finding, FindingKind
from throughline.flow.context import shadow_reach_days
from throughline.identity import canonical_bytes, content_hash, hash_body, parse_time, score_text
from throughline.learning.cash import same_judgement
from throughline.learning.episodes import bucket_of
from throughline.learning.events import (
    RULE_KINDS,
    START,
    IllegalEvent,
    ModelEvent,
    ServingState,
    apply,
    event_of,
    require_legal,
)
from throughline.learning.events import state_at as state_of
from throughline.learning.standing import rule_judgement
from throughline.learning.types import RULE
from throughline.storage import tables
from throughline.tracking.checking import finding
from throughline.tracking.versions import read_body
from throughline.verification import reading
from throughline.verification.store import Artifacts

Row = Mapping[str, Any]
Body = Mapping[str, Any]
Progress = Callable[[str, int], None]


@dataclass
class ModelsChecked:
    """rows: how many were checked. findings: what does not hold."""

    rows: int = 0
    findings: list[Finding] = field(default_factory=list)

    def find(
        self, table: str, row: str, kind: FindingKind, problem: str, expected: object = None, actual: object = None
    ) -> None:
        """Add a finding."""
        self.findings.append(finding(table, row, kind, problem, expected, actual))


def check_models(
    connection: Connection,
    experiment: Body,
    name: str,
    feature_seals: Mapping[date, Row],
    artifacts: Artifacts | None,
    progress: Progress,
) -> ModelsChecked:
    """Check everything that is recorded of the models of experiment `name`, whose body is `experiment`.

    feature_seals: day -> seal of `trade_features`. artifacts: None leaves model files unread.
    """
    checked = ModelsChecked()
    rows = _rows(connection, tables.models, name)
    trials = set(connection.execute(select(_TRIALS.trial).where(_TRIALS.experiment == name)).scalars())
    models = {row["id"]: body for row in rows if (body := check_model(row, feature_seals, trials, checked)) is not None}
    passed = _check_verdicts(connection, models, checked)
    if artifacts is not None:
        _check_files(rows, artifacts, checked)
    events = check_events(_rows(connection, tables.model_events, name, "seq"), checked)
    _check_named(events, {row["id"] for row in rows}, passed, checked)
    _check_rule(connection, experiment, name, events, checked)
    _check_looks(_rows(connection, tables.canary_looks, name, "as_of"), checked)
    progress("models", checked.rows)
    settings = experiment.get("configuration")
    if isinstance(settings, dict) and settings.get("model_policy") == "gated":
        _check_decided(connection, name, events, {row["id"] for row in rows}, checked)
    elif events.states[1:]:
        checked.find("model_events", f"{name[:12]}/0", "unexpected_row", "the experiment's policy lets no model decide")
    return checked


def check_model(row: Row, seals: Mapping[date, Row], trials: set[str], checked: ModelsChecked) -> Body | None:
    """Check one model's row; return what its body says, None where that cannot be read."""
    checked.rows += 1
    model = row["id"]
    body = _body(row, "models", model, "model_record", checked)
    if body is None:
        return None
    try:
        identity = body["identity"]
        made = hash_body("model", identity)
        if made != model:
            checked.find("models", model, "hash_mismatch", "id is not the hash of its identity", made, model)
        if identity["experiment"] != row["experiment"]:
            problem = "belongs to another experiment than its identity says"
            checked.find("models", model, "hash_mismatch", problem, identity["experiment"], row["experiment"])
        for day, root in identity["seals"]:
            seal = seals.get(date.fromisoformat(day))
            if seal is None or seal["root"] != root:
                there = "there is none" if seal is None else "it is another"
                problem = f"was trained on trade_features/{day} under a seal, and {there}"
                checked.find("models", model, "seal_mismatch", problem, root, None if seal is None else seal["root"])
        for trial in body["trials"]:
            if trial not in trials:
                problem = f"names trial {trial[:16]}..., which the ledger of trials does not hold"
                checked.find("models", model, "dangling_link", problem, trial)
        {item["gate"]: item["status"] for item in body["verdicts"]}
    except (KeyError, TypeError, ValueError) as error:
        checked.find("models", model, "unreadable", f"body is not readable ({type(error).__name__}: {error})")
        return None
    return body


@dataclass(frozen=True)
class Events:
    """The events that could be read, and the state before the first and after each as far as the chain holds."""

    events: tuple[ModelEvent, ...]
    states: tuple[ServingState, ...]
    whole: bool


def check_events(rows: Iterable[Row], checked: ModelsChecked) -> Events:
    """Check the events of an experiment, in order of `seq`: bodies, columns, chain and each step of the fold."""
    events: list[ModelEvent] = []
    states = [START]
    whole = True
    for row in rows:
        checked.rows += 1
        where = f"{row['experiment'][:12]}/{row['seq']}"
        body = _body(row, "model_events", where, "model_event", checked)
        try:
            event = event_of(body) if body is not None else None
        except (KeyError, TypeError, ValueError) as error:
            event = None
            checked.find("model_events", where, "unreadable", f"body is no event ({type(error).__name__}: {error})")
        if event is None or event.hash != row["content_hash"]:
            whole = False  # what follows hangs on something that nobody knows
            continue
        for name in ("experiment", "seq", "kind", "model", "effective_at"):
            if row[name] != getattr(event, name):
                problem = f"column {name} is {row[name]}, the body says {getattr(event, name)}"
                checked.find("model_events", where, "hash_mismatch", problem, getattr(event, name), row[name])
        if not whole:
            continue
        try:
            require_legal(states[-1], event)
        except IllegalEvent as error:
            whole = False
            missing = event.seq > states[-1].seq
            kind: FindingKind = "missing_row" if missing else "broken_chain"
            checked.find("model_events", where, kind, str(error), states[-1].head, event.previous)
            continue
        events.append(event)
        states.append(apply(states[-1], event))
    return Events(tuple(events), tuple(states), whole)


def decision_problems(body: Body, state: ServingState, models: set[str]) -> list[tuple[FindingKind, str]]:
    """Return what does not hold between a candidate that models decided and who served at its instant."""
    decision = body["decision"]
    problems: list[tuple[FindingKind, str]] = []
    serving = {"champion": state.champion, "canary": state.canary, "fallback": state.fallback}
    wanted = {role: model for role, model in serving.items() if model is not None}
    scored = {line["role"]: line["model"] for line in decision["scores"]}
    if scored != wanted:
        problems.append(("inconsistent", f"was scored by {_named(scored)}, {_named(wanted)} served then"))
    decided = serving.get(body["arm"])
    if decided != body["model_version"]:
        told = f"{body['arm']} {body['model_version'][:12]}"
        problems.append(("inconsistent", f"was decided by {told}, the {body['arm']} was {_short(decided)}"))
    wrong = [line["role"] for line in decision["scores"] if line["model"] == RULE and line["take"] == state.rule_closed]
    if wrong:
        told = "closed" if state.rule_closed else "open"
        problems.append(("inconsistent", f"the rule ({', '.join(wrong)}) did not decide as a rule that is {told} does"))
    unknown = sorted({body["model_version"], *scored.values()} - {RULE} - models)
    problems += [("dangling_link", f"names model {model[:16]}..., which is not recorded") for model in unknown]
    bucket = bucket_of(state.rollout, decision["episode"]) if state.rollout is not None else None
    if decision["bucket"] != (None if bucket is None else score_text(bucket)):
        problems.append(("inconsistent", "its episode does not fall into the bucket that it says"))
    return problems


def _check_decided(
    connection: Connection, experiment: str, events: Events, models: set[str], checked: ModelsChecked
) -> None:
    """Check every candidate against who served when it was decided; a broken chain says nothing of that."""
    if not events.whole:
        return
    heads = {event.hash: event.seq for event in events.events}
    lost: str | None = None
    for batch in reading.stream(connection, "candidates", experiment):
        for row in batch:
            try:
                body = read_body("candidates", bytes(row["body"]))
                decision, at = body["decision"], parse_time(body["decision_time"])
                if decision is None:
                    checked.find("candidates", str(row["uuid"]), "missing_link", "says nothing of the models' decision")
                    continue
                head = decision["events_head"]
                if head is not None and head not in heads:
                    lost = lost or f"candidate {row['uuid']} was decided after event {head[:16]}..., which is gone"
                    continue
                state = state_of(events.states, at)
                if head != state.head:
                    problem = f"was decided after {_short(head)}, at its instant the newest event was"
                    checked.find("candidates", str(row["uuid"]), "wrong_order", problem, state.head, head)
                    continue
                for kind, problem in decision_problems(body, state, models):
                    checked.find("candidates", str(row["uuid"]), kind, problem)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                problem = f"its decision is not readable ({type(error).__name__}: {error})"
                checked.find("candidates", str(row["uuid"]), "unreadable", problem)
    if lost is not None:
        checked.find("model_events", f"{experiment[:12]}/{len(events.events)}", "truncated", lost)


def _check_verdicts(connection: Connection, models: Mapping[str, Body], checked: ModelsChecked) -> set[str]:
    """Compare the rows of verdicts with the models' records; return the models that every gate passed."""
    c = tables.model_verdicts.c
    found: dict[str, dict[str, Body]] = {model: {} for model in models}
    statement = select(c.model, c.gate, c.status, c.value, c.threshold, c.reason).where(c.model.in_(list(models)))
    for model, *told in connection.execute(statement):
        found[model][told[0]] = dict(zip(("gate", "status", "value", "threshold", "reason"), told, strict=True))
    passed = set()
    for model, rows in found.items():
        named = {item["gate"]: item for item in models[model]["verdicts"]}
        checked.rows += len(rows)
        for gate in sorted(named.keys() - rows.keys()):
            checked.find("model_verdicts", f"{model}/{gate}", "missing_row", "the model was judged by this gate")
        for gate in sorted(rows.keys() - named.keys()):
            problem = "the model's record names no such gate"
            checked.find("model_verdicts", f"{model}/{gate}", "unexpected_row", problem)
        for gate in sorted(rows.keys() & named.keys()):
            for key in ("status", "value", "threshold", "reason"):
                if rows[gate][key] != named[gate][key]:
                    problem = f"{key} is {rows[gate][key]}, the model's record says {named[gate][key]}"
                    checked.find(
                        "model_verdicts", f"{model}/{gate}", "hash_mismatch", problem, named[gate][key], rows[gate][key]
                    )
        if named and all(item["status"] == "pass" for item in named.values()):
            passed.add(model)
    return passed


def _check_files(rows: Sequence[Row], artifacts: Artifacts, checked: ModelsChecked) -> None:
    owners: dict[str, str] = {}
    for row in rows:
        digest = row["file_hash"]
        if digest is None:
            continue
        stored = artifacts.rows.get(digest)
        if stored is None or stored["kind"] != "model":
            problem = f"its file {digest[:16]}... is not among the artifacts as a model's file"
            checked.find("models", row["id"], "dangling_link", problem, digest)
        elif digest in owners:
            problem = f"has the very file of model {owners[digest][:16]}..."
            checked.find("models", row["id"], "duplicate", problem, None, digest)
        elif not artifacts.known(digest):
            artifacts.read(digest)
        owners.setdefault(digest, row["id"])


def _check_rule(
    connection: Connection, experiment: Body, name: str, events: Events, checked: ModelsChecked
) -> None:
    """Judge the rule again at every instant at which a judge closed or opened it, from the outcomes known then."""
    for before, event in zip(events.states, events.events, strict=False):
        if event.kind not in RULE_KINDS or event.by != "judge":
            continue
        where = f"{name[:12]}/{event.seq}"
        try:
            described = replace(from_body(canonical_bytes(experiment)), id=name)
        except (KeyError, TypeError, ValueError):
            problem = "the rule cannot be judged again: this code does not read its experiment's configuration"
            checked.find("model_events", where, "unreadable", problem)
            return
        reach = shadow_reach_days(described.configuration.exits)
        told = rule_judgement(connection, described, before, event.effective_at, reach)
        wanted = "close" if event.kind == "rule_closed" else "open"
        if told.verdict != wanted or not same_judgement(event.evidence, told):
            problem = f"the outcomes known at {event.effective_at:%Y-%m-%d} do not give the judgement it stands on"
            checked.find("model_events", where, "inconsistent", problem, told.body(), dict(event.evidence))


def _check_named(events: Events, models: set[str], passed: set[str], checked: ModelsChecked) -> None:
    for event in events.events:
        if event.kind in RULE_KINDS:
            continue  # they name the rule, which is no model
        where = f"{event.experiment[:12]}/{event.seq}"
        if event.model not in models:
            problem = f"names model {event.model[:16]}..., which is not recorded"
            checked.find("model_events", where, "dangling_link", problem, event.model)
        elif event.kind in ("canary_started", "promoted") and event.model not in passed:
            checked.find("model_events", where, "inconsistent", "the model serves without having passed every gate")


def _check_looks(rows: Iterable[Row], checked: ModelsChecked) -> None:
    for row in rows:
        checked.rows += 1
        where = f"{row['model']}/{row['as_of']:%Y-%m-%dT%H:%M:%S}"
        body = _body(row, "canary_looks", where, "canary_look", checked)
        if body is None:
            continue
        for name in ("experiment", "model", "as_of", "verdict"):
            told = body.get(name)
            says = _instant(told) if name == "as_of" else told
            if row[name] != says:
                problem = f"column {name} is {row[name]}, the body says {says}"
                checked.find("canary_looks", where, "hash_mismatch", problem, says, row[name])


def _body(row: Row, table: str, name: str, kind: str, checked: ModelsChecked) -> Body | None:
    """Return what a row's body says, None where it is no JSON object; its hash is compared with the column."""
    raw = bytes(row["body"])
    made = content_hash(kind, raw)
    if made != row["content_hash"]:
        checked.find(table, name, "hash_mismatch", "body does not give its content hash", row["content_hash"], made)
    try:
        body = json.loads(raw)
    except ValueError as error:
        checked.find(table, name, "unreadable", f"body is not readable ({error})")
        return None
    if not isinstance(body, dict):
        checked.find(table, name, "unreadable", "body is no JSON object")
        return None
    return body


def _rows(connection: Connection, table: Table, experiment: str, order: str = "id") -> list[Row]:
    statement = select(table).where(table.c.experiment == experiment).order_by(table.c[order])
    return [dict(row) for row in connection.execute(statement).mappings()]


def _instant(told: object) -> datetime | None:
    try:
        return parse_time(str(told))
    except ValueError:
        return None


def _named(models: Mapping[str, str]) -> str:
    return ", ".join(f"{role} {_short(model)}" for role, model in sorted(models.items())) or "nobody"


def _short(value: str | None) -> str:
    return "nothing" if value is None else value[:12]


_TRIALS = tables.model_trials.c
