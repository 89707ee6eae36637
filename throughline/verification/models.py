"""The models of an experiment: their identity, the verdicts of their gates, their files, evaluations and the rule.

Belongs here: recomputing hashes and IDs of models and evaluations, and the judgements that closed or opened the rule.
Does not belong here: the chain of events (model_events), the candidates that models decided (decided), the rows of the
ledger themselves (ledger), what labels say (learned).

Two dumps of one model differ, so a model's file is no part of its ID. The model's record names the file by its hash,
and the file names the model. Records of releases before that are bound by the seal log alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import Connection, Table, select

from throughline.experiment.identity import from_body
from throughline.flow.context import shadow_reach_days
from throughline.identity import canonical_bytes, hash_body, parse_time
from throughline.learning.cash import same_judgement
from throughline.learning.events import RULE_KINDS
from throughline.learning.files import ModelRefused, model_metadata
from throughline.learning.standing import rule_judgement
from throughline.storage import tables
from throughline.verification.decided import check_decided
from throughline.verification.model_events import Body, Events, ModelsChecked, Row, check_events, checked_body
from throughline.verification.store import Artifacts

Progress = Callable[[str, int], None]


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
        _check_files(rows, models, artifacts, checked)
    events = check_events(_rows(connection, tables.model_events, name, "seq"), checked)
    _check_named(events, {row["id"] for row in rows}, passed, checked)
    _check_rule(connection, experiment, name, events, checked)
    _check_looks(_rows(connection, tables.canary_looks, name, "as_of"), checked)
    progress("models", checked.rows)
    settings = experiment.get("configuration")
    if isinstance(settings, dict) and settings.get("model_policy") == "gated":
        check_decided(connection, name, events, {row["id"] for row in rows}, checked)
    elif events.states[1:]:
        checked.find("model_events", f"{name[:12]}/0", "unexpected_row", "the experiment's policy lets no model decide")
    return checked


def check_model(row: Row, seals: Mapping[date, Row], trials: set[str], checked: ModelsChecked) -> Body | None:
    """Check one model's row; return what its body says, None where that cannot be read."""
    checked.rows += 1
    model = row["id"]
    body = checked_body(row, "models", model, "model_record", checked)
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


def _check_files(rows: Sequence[Row], models: Mapping[str, Body], artifacts: Artifacts, checked: ModelsChecked) -> None:
    """Compare each model's file with its record, and the model that the file names. models: bodies by model ID."""
    owners: dict[str, str] = {}
    for row in rows:
        digest, body = row["file_hash"], models.get(row["id"], {})
        if "file" in body and body["file"] != digest:
            problem = f"its row names the file {_short(digest)}, its record {_short(body['file'])}"
            checked.find("models", row["id"], "hash_mismatch", problem, body["file"], digest)
        if digest is None:
            continue
        stored = artifacts.rows.get(digest)
        if stored is None or stored["kind"] != "model":
            problem = f"its file {digest[:16]}... is not among the artifacts as a model's file"
            checked.find("models", row["id"], "dangling_link", problem, digest)
        elif digest in owners:
            problem = f"has the very file of model {owners[digest][:16]}..."
            checked.find("models", row["id"], "duplicate", problem, None, digest)
        elif (data := artifacts.read(digest)) is not None and "file" in body:
            _check_content(data, row["id"], checked)
        owners.setdefault(digest, row["id"])


def _check_content(data: bytes, model: str, checked: ModelsChecked) -> None:
    try:
        named = model_metadata(data).get("model")
    except ModelRefused as error:
        checked.find("models", model, "unreadable", f"its file cannot be used: {error}")
        return
    if named != model:
        problem = f"its file is that of model {_short(named)}"
        checked.find("models", model, "hash_mismatch", problem, model, named)


def _short(digest: object) -> str:
    return "none" if digest is None else f"{str(digest)[:16]}..."


def _check_rule(connection: Connection, experiment: Body, name: str, events: Events, checked: ModelsChecked) -> None:
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
        body = checked_body(row, "canary_looks", where, "canary_look", checked)
        if body is None:
            continue
        for name in ("experiment", "model", "as_of", "verdict"):
            told = body.get(name)
            says = _instant(told) if name == "as_of" else told
            if row[name] != says:
                problem = f"column {name} is {row[name]}, the body says {says}"
                checked.find("canary_looks", where, "hash_mismatch", problem, says, row[name])


def _rows(connection: Connection, table: Table, experiment: str, order: str = "id") -> list[Row]:
    statement = select(table).where(table.c.experiment == experiment).order_by(table.c[order])
    return [dict(row) for row in connection.execute(statement).mappings()]


def _instant(told: object) -> datetime | None:
    try:
        return parse_time(str(told))
    except ValueError:
        return None


_TRIALS = tables.model_trials.c
