"""Verification of models: each edit of what is recorded of them is named by table and row, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text

from tests.integration.served_home import ServedHome
from throughline.experiment.identity import Experiment
from throughline.identity import canonical_bytes, content_hash
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database
from throughline.verification import verify, verify_connection


@pytest.fixture(scope="module")
def store(served_home: ServedHome) -> ArtifactStore:
    return served_home.store


@pytest.fixture(scope="module")
def own(served_home: ServedHome) -> Database:
    return served_home.database


@pytest.fixture(scope="module")
def served(served_home: ServedHome) -> tuple[Experiment, str, str]:
    return served_home.experiment, served_home.first, served_home.second


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
        edited("UPDATE models SET file_hash = (SELECT file_hash FROM models WHERE id = :first) WHERE id = :second"),
        lambda _, first, second: {
            ("models", max(first, second), "duplicate"),
            ("models", second, "hash_mismatch"),
        },
    ),
    "a file that is no model": (
        edited("UPDATE models SET file_hash = repeat('8', 64) WHERE id = :second"),
        lambda _, first, second: {("models", second, "dangling_link"), ("models", second, "hash_mismatch")},
    ),
    "no file any more": (
        edited("UPDATE models SET file_hash = NULL WHERE id = :second"),
        one("models", "{second}", "hash_mismatch"),
    ),
    "the files of two models exchanged": (
        edited(
            "UPDATE models SET file_hash = (SELECT file_hash FROM models AS m WHERE m.id IN (:first, :second) "
            "AND m.id <> models.id) WHERE id IN (:first, :second)"
        ),
        lambda _, first, second: {("models", first, "hash_mismatch"), ("models", second, "hash_mismatch")},
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
    owner: Connection,
    store: ArtifactStore,
    served_home: ServedHome,
    served: tuple[Experiment, str, str],
    edit: str,
) -> None:
    do, named = EDITS[edit]
    changed = do(owner, *served)
    assert changed is None or changed.rowcount >= 1
    found = {(item.table, item.row, item.kind) for item in verify_connection(owner, store).findings}
    if edit.startswith("a day"):  # which the seals' own checks name as well, in their words
        found = {item for item in found if item[0] not in ("partition_seals", "gate_verdicts")}
        found.remove(("models", served_home.refused, "seal_mismatch"))
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
