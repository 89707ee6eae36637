"""Verification of models: each edit of what is recorded of them is named by table and row, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, text

from tests.integration.home_copies import open_copy
from tests.integration.learning_models import PASSED, model_body
from tests.integration.small_home import TableGates
from throughline.clock import FixedClock
from throughline.configuration import CanarySettings, Configuration
from throughline.experiment.identity import Experiment, make_experiment
from throughline.experiment.registry import activate, register
from throughline.features.vector import NAMES
from throughline.flow import make_context, run_range
from throughline.identity import canonical_bytes, content_hash, hash_body
from throughline.learning import serving
from throughline.learning.lifecycle import promote, start_canary
from throughline.learning.store import TrainedModel, record_look, store_training
from throughline.learning.types import Judgement, Trial
from throughline.market.simulated import SimulatedProvider
from throughline.proof.settings import open_proof
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.storage.queries import read_seals
from throughline.verification import verify, verify_connection

DAY = timedelta(days=1)
T0 = datetime(2024, 3, 2, tzinfo=UTC)
HAND: dict[str, Any] = {"by": "hand", "reason": "a test"}


class Coin:
    """A model that takes every other vector, by a feature that is always there."""

    def score(self, features: Any) -> tuple[Any, Any, Any]:
        assert features.shape[1] == len(NAMES)
        p = np.where(np.nansum(features, axis=1) * 1e3 % 2 < 1, 0.7, 0.3)
        return p, p - 0.5, p > 0.5


def record(database: Database, store: ArtifactStore, experiment: Experiment, as_of: datetime) -> str:
    """Record a model trained on what was sealed by `as_of`, with a trial and a file of its own."""
    engine = database.engine("writer")
    with engine.connect() as conn:
        sealed = read_seals(conn, experiment.id, "trade_features")
    trial = Trial(hash_body("trial", {"as_of": as_of, "experiment": experiment.id}), {"sharpe": "0.2"})
    body = model_body(experiment, as_of, PASSED, trials=[trial.hash])
    body["identity"]["seals"] = [[day, seal.root] for day, seal in sorted(sealed.items())]
    body = json.loads(canonical_bytes(body))
    model = hash_body("model", body["identity"])
    file = store.put(f"file of {model}".encode(), "model", "application/zip")
    store_training(engine, TrainedModel(model, experiment.id, body, file), PASSED, [trial], None)
    return model


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with open_copy(tmp_path_factory.mktemp("models") / "home") as database:
        yield database


@pytest.fixture(scope="module")
def served(own: Database, store: ArtifactStore) -> tuple[Experiment, str, str]:
    """Two days by the rule, two with a canary, two with it as champion and another on trial; a look."""
    provider = SimulatedProvider(7)
    configuration = Configuration(model_policy="gated", canary=CanarySettings(share=0.5))
    source = provider.description.source_hash
    experiment = make_experiment("demo", T0.date(), configuration, source, 7, lock="0" * 64, code="1" * 64)
    engine = own.engine("writer")
    register(engine, experiment)
    activate(engine, experiment, {"seed": 7})
    clock = FixedClock(datetime(2024, 4, 1, tzinfo=UTC))
    context = make_context(experiment, provider, engine, store, TableGates(), clock)
    context = replace(context, proof=open_proof(own.home, own.embedded, clock=clock))
    patch = pytest.MonkeyPatch()
    patch.setattr(serving, "load_fitted", lambda *_: Coin())
    try:
        run_range(context, T0.date(), (T0 + DAY).date())
        first = record(own, store, experiment, T0 + 2 * DAY)
        start_canary(engine, experiment, first, at=T0 + 2 * DAY, **HAND)
        run_range(context, (T0 + 2 * DAY).date(), (T0 + 3 * DAY).date())
        promote(engine, experiment, first, at=T0 + 4 * DAY, **HAND)
        second = record(own, store, experiment, T0 + 4 * DAY)
        start_canary(engine, experiment, second, at=T0 + 4 * DAY, **HAND)
        run_range(context, (T0 + 4 * DAY).date(), (T0 + 5 * DAY).date())
    finally:
        patch.undo()
    told = Judgement("extend", "too little", T0 + 3 * DAY, 1, 2, 1, 0, None, 1.0, 1.0, 1.0, 1.0, 1.0, None)
    record_look(engine, experiment.id, first, told)
    return experiment, first, second


def test_an_untouched_home_with_models_has_no_findings(
    own: Database, store: ArtifactStore, served: tuple[Experiment, str, str]
) -> None:
    assert verify(own.engine("auditor"), store).findings == []
    with own.engine("reader").connect() as conn:
        deciders = conn.execute(text("SELECT DISTINCT model_version FROM candidates")).scalars().all()
    assert set(deciders) == {"rule", served[1], served[2]}  # the checks below have something to bite on


@pytest.fixture(scope="module")
def opened(own: Database, served: tuple[Experiment, str, str]) -> Iterator[Connection]:
    """The owner's connection, foreign keys and triggers taken away."""
    with own.engine("owner").connect() as connection:
        keys = "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'"
        for table, name in connection.execute(text(keys)).all():
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        for table in ("models", "model_verdicts", "model_trials", "model_events", "canary_looks", "candidates"):
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        yield connection
        connection.rollback()


@pytest.fixture
def owner(opened: Connection) -> Iterator[Connection]:
    """The same connection; everything done on it is rolled back."""
    edit = opened.begin_nested()
    yield opened
    edit.rollback()


def set_body(conn: Connection, table: str, kind: str, where: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite the body of one row, with a new content hash."""
    body = json.loads(bytes(conn.execute(text(f"SELECT body FROM {table} WHERE {where}")).scalar_one()))
    change(body)
    data = canonical_bytes(body)
    told = {"b": data, "h": content_hash(kind, data)}
    conn.execute(text(f"UPDATE {table} SET body = :b, content_hash = :h WHERE {where}"), told)


Edit = Callable[[Connection, Experiment, str, str], Any]
Named = Callable[[Experiment, str, str], set[tuple[str, str, str]]]


def edited(statement: str) -> Edit:
    return lambda conn, experiment, first, second: conn.execute(
        text(statement), {"e": experiment.id, "first": first, "second": second}
    )


def one(table: str, row: str, kind: str) -> Named:
    return lambda experiment, first, second: {
        (table, row.format(e=experiment.id[:12], first=first, second=second), kind)
    }


def rebody(table: str, kind: str, where: str, change: Callable[[dict[str, Any]], None]) -> Edit:
    return lambda conn, experiment, first, second: set_body(
        conn, table, kind, where.format(e=experiment.id, first=first, second=second), change
    )


def metrics(body: dict[str, Any]) -> None:
    body["metrics"]["r2"] = "0.99"


def seed(body: dict[str, Any]) -> None:
    body["identity"]["seed"] = 8


def reason(body: dict[str, Any]) -> None:
    body["reason"] = "another"


EDITS: dict[str, tuple[Edit, Named]] = {
    "the metrics of a model": (
        edited(
            "UPDATE models SET body = convert_to(replace(convert_from(body, 'UTF8'), '0.61', '0.99'), 'UTF8') "
            "WHERE id = :first"
        ),
        one("models", "{first}", "hash_mismatch"),
    ),
    "the seed of a model, hashed again": (
        rebody("models", "model_record", "id = '{first}'", seed),
        one("models", "{first}", "hash_mismatch"),
    ),
    "a day that it was trained on": (
        edited(
            "UPDATE partition_seals SET root = repeat('9', 64) WHERE asset = 'trade_features' "
            "AND partition = '2024-03-02'"
        ),
        lambda _, first, second: {
            ("models", first, "seal_mismatch"),
            ("models", second, "seal_mismatch"),
        },
    ),
    "a trial gone": (
        edited(
            "DELETE FROM model_trials t USING models m WHERE m.id = :second AND "
            "position(t.trial IN convert_from(m.body, 'UTF8')) > 0"
        ),
        one("models", "{second}", "dangling_link"),
    ),
    "the file of another model": (
        edited("UPDATE models SET file_hash = (SELECT file_hash FROM models WHERE id = :first)"),
        lambda _, first, second: {("models", max(first, second), "duplicate")},
    ),
    "a file that is no model": (
        edited("UPDATE models SET file_hash = repeat('8', 64) WHERE id = :second"),
        one("models", "{second}", "dangling_link"),
    ),
    "a verdict": (
        edited("UPDATE model_verdicts SET value = '0.5' WHERE model = :first AND gate = 'r2'"),
        one("model_verdicts", "{first}/r2", "hash_mismatch"),
    ),
    "a verdict gone": (
        edited("DELETE FROM model_verdicts WHERE model = :first AND gate = 'holdout'"),
        one("model_verdicts", "{first}/holdout", "missing_row"),
    ),
    "a verdict more": (
        edited("INSERT INTO model_verdicts (model, gate, status, reason) VALUES (:second, 'pbo', 'pass', 'x')"),
        one("model_verdicts", "{second}/pbo", "unexpected_row"),
    ),
    "the body of an event": (
        edited(
            "UPDATE model_events SET body = convert_to(replace(convert_from(body, 'UTF8'), 'a test', 'a text'), "
            "'UTF8') WHERE seq = 1"
        ),
        one("model_events", "{e}/1", "hash_mismatch"),
    ),
    "the body of an event, hashed again": (
        rebody("model_events", "model_event", "seq = 1", reason),
        one("model_events", "{e}/2", "broken_chain"),
    ),
    "the body of the last event, hashed again": (
        rebody("model_events", "model_event", "seq = 2", reason),
        one("model_events", "{e}/3", "truncated"),
    ),
    "a column of an event": (
        edited("UPDATE model_events SET effective_at = effective_at - interval '1 day' WHERE seq = 1"),
        one("model_events", "{e}/1", "hash_mismatch"),
    ),
    "an event gone": (
        edited("DELETE FROM model_events WHERE seq = 1"),
        one("model_events", "{e}/2", "missing_row"),
    ),
    "the last event gone": (
        edited("DELETE FROM model_events WHERE seq = 2"),
        one("model_events", "{e}/2", "truncated"),
    ),
    "all events gone": (edited("DELETE FROM model_events"), one("model_events", "{e}/0", "truncated")),
    "a look": (
        edited("UPDATE canary_looks SET verdict = 'promote'"),
        one("canary_looks", "{first}/2024-03-05T00:00:00", "hash_mismatch"),
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_each_edit_is_named_and_nothing_else(
    owner: Connection, store: ArtifactStore, served: tuple[Experiment, str, str], edit: str
) -> None:
    do, named = EDITS[edit]
    changed = do(owner, *served)
    assert changed is None or changed.rowcount >= 1
    found = {(item.table, item.row, item.kind) for item in verify_connection(owner, store).findings}
    if edit.startswith("a day"):  # which the seals' own checks name as well, in their words
        found = {item for item in found if item[0] not in ("partition_seals", "gate_verdicts")}
    assert found == named(*served)


def test_a_model_gone_is_missed_by_its_events_and_by_every_candidate_it_scored(
    owner: Connection, store: ArtifactStore, served: tuple[Experiment, str, str]
) -> None:
    experiment, _, second = served
    owner.execute(text("DELETE FROM models WHERE id = :m"), {"m": second})
    found = verify_connection(owner, store).findings
    assert {item.kind for item in found} == {"dangling_link"}
    assert ("model_events", f"{experiment.id[:12]}/2") in {(item.table, item.row) for item in found}
    scored = owner.execute(
        text("SELECT uuid FROM candidates WHERE position(:m IN convert_from(body, 'UTF8')) > 0"), {"m": second}
    )
    assert {str(row.uuid) for row in scored} == {item.row for item in found if item.table == "candidates"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body.update(model_version="rule"), "the champion was"),
        (lambda body: body["decision"].update(bucket="0.5"), "does not fall into the bucket"),
        (lambda body: body["decision"]["scores"].pop(), "was scored by"),
        (lambda body: body["decision"].update(events_head=None), "at its instant the newest event was"),
        (lambda body: body.update(decision=None), "says nothing of the models' decision"),
    ],
)
def test_a_candidate_whose_decision_was_changed_is_named(
    owner: Connection,
    store: ArtifactStore,
    served: tuple[Experiment, str, str],
    change: Callable[[dict[str, Any]], None],
    words: str,
) -> None:
    uuid = owner.execute(
        text("SELECT uuid FROM candidates WHERE model_version = :m AND partition >= '2024-03-06' LIMIT 1"),
        {"m": served[1]},
    ).scalar_one()
    set_body(owner, "candidates", "candidate", f"uuid = '{uuid}'", change)
    found = verify_connection(owner, store).findings
    assert words in " ".join(item.problem for item in found if (item.table, item.row) == ("candidates", str(uuid)))
