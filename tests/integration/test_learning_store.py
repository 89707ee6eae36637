"""The tables of learning: said once, read back in order, nothing replaced."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, text
from sqlalchemy.exc import ProgrammingError

from tests.integration.learning_models import (
    DAY,
    PASSED,
    T0,
    gated_experiment,
    model_body,
    seal_candidates,
    store_model,
)
from throughline.errors import LedgerConflict
from throughline.experiment.identity import Experiment
from throughline.identity import hash_body
from throughline.learning.events import START, IllegalEvent, ModelEvent, apply, serving_state
from throughline.learning.store import (
    LaterScore,
    Registration,
    TrainedModel,
    append_event,
    decided_until,
    insert_registration,
    insert_scores,
    insert_trials,
    model_files,
    open_holdout,
    read_events,
    read_holdout,
    read_look,
    read_looks,
    read_model,
    read_models,
    read_openings,
    read_registrations,
    read_scores,
    read_trials,
    read_verdicts,
    record_look,
    store_training,
    trades_by_model,
)
from throughline.learning.types import GateResult, Judgement, Trial
from throughline.storage import tables
from throughline.storage.database import Database


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.engine("writer")


@pytest.fixture
def gated(engine: Engine) -> Experiment:
    return gated_experiment(engine)


def event(experiment: str, kind: str, model: str, at: datetime, state=START) -> ModelEvent:  # type: ignore[no-untyped-def]
    return ModelEvent(experiment, state.seq, state.head, kind, model, state.champion, at, "because", "hand")  # type: ignore[arg-type]


def test_a_training_is_recorded_whole_and_read_back(engine: Engine, gated: Experiment) -> None:
    later, earlier = (store_model(engine, gated, T0 + k * DAY) for k in (40, 10))
    with engine.connect() as conn:
        assert [item.id for item in read_models(conn, gated.id)] == [earlier, later]
        stored = read_model(conn, later)
        assert stored is not None
        assert hash_body("model", stored.body["identity"]) == later
        assert read_verdicts(conn, later) == PASSED
        assert set(model_files(conn, gated.id)) == {earlier, later}
        assert read_model(conn, "f" * 64) is None


def test_training_again_does_nothing_and_the_first_file_stays(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated, T0)
    with engine.connect() as conn:
        first = model_files(conn, gated.id)
    assert store_model(engine, gated, T0) == model  # another dump of the same model has another file hash
    with engine.connect() as conn:
        assert model_files(conn, gated.id) == first


def test_another_verdict_on_a_judged_model_is_refused_and_nothing_of_it_stays(
    engine: Engine, gated: Experiment
) -> None:
    model = store_model(engine, gated, T0)
    worse = (replace(PASSED[0], status="fail"), *PASSED[1:], GateResult("pbo", "pass", 0.1, 0.2, "new"))
    with pytest.raises(LedgerConflict, match=r"model_verdicts r2 of .*pass.*fail"):
        store_model(engine, gated, T0, verdicts=PASSED, recorded=worse)
    with engine.connect() as conn:
        assert read_verdicts(conn, model) == PASSED


def test_another_record_of_a_trained_model_is_refused(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated, T0)
    body = {**model_body(gated, T0, PASSED), "metrics": {"r2": "0.99"}}
    with pytest.raises(LedgerConflict, match="a record never changes"):
        store_training(engine, TrainedModel(model, gated.id, body, None), PASSED, (), None)


def test_trials_count_once_in_an_experiment_and_once_in_the_home(engine: Engine, gated: Experiment) -> None:
    other = gated_experiment(engine)
    tried = [Trial(uuid.uuid4().hex * 2, {"sharpe": "0.5"}) for _ in range(3)]
    with engine.begin() as conn:
        before = len(read_trials(conn, None))
        assert insert_trials(conn, gated.id, tried) == 3
        assert insert_trials(conn, gated.id, tried) == 0
        assert insert_trials(conn, other.id, tried[:1]) == 1
        assert read_trials(conn, gated.id) == tuple(sorted(tried, key=lambda item: item.hash))
        assert len(read_trials(conn, None)) == before + 3
        with pytest.raises(LedgerConflict, match="model_trials"):
            insert_trials(conn, gated.id, [replace(tried[0], body={"sharpe": "0.6"})])


def test_a_holdout_opens_once_and_says_the_same_ever_after(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated, T0)
    with engine.begin() as conn:
        assert read_holdout(conn, model) is None
        assert open_holdout(conn, model, {"gain": "0.01"}) == {"gain": "0.01"}
        assert open_holdout(conn, model, {"gain": "0.02"}) == {"gain": "0.01"}
        assert read_holdout(conn, model) == {"gain": "0.01"}


def test_the_openings_of_an_experiment_are_those_of_its_own_models(engine: Engine, gated: Experiment) -> None:
    other = gated_experiment(engine)
    first, second, foreign = (
        store_model(engine, experiment, T0 + days * DAY) for experiment, days in ((gated, 3), (gated, 4), (other, 3))
    )
    with engine.begin() as conn:
        before = len(read_openings(conn, gated.id))
        for place, model in enumerate((first, second, foreign)):
            open_holdout(conn, model, {"first_decided": place, "last_decided": place})
        assert read_openings(conn, other.id) == ({"first_decided": 2, "last_decided": 2},)
        found = read_openings(conn, gated.id)
    assert len(found) == before + 2
    assert {"first_decided": 2, "last_decided": 2} not in found


def test_events_are_read_back_in_order_and_fold(engine: Engine, gated: Experiment) -> None:
    first = event(gated.id, "canary_started", "a" * 64, T0)
    append_event(engine, first)
    second = event(gated.id, "promoted", "a" * 64, T0 + DAY, apply(START, first))
    append_event(engine, second)
    with engine.connect() as conn:
        assert read_events(conn, gated.id) == (first, second)
        assert serving_state(read_events(conn, gated.id), T0 + DAY).champion == "a" * 64


def test_of_two_who_decide_on_the_same_state_the_second_is_told_of_the_first(engine: Engine, gated: Experiment) -> None:
    append_event(engine, event(gated.id, "canary_started", "a" * 64, T0))
    with pytest.raises(
        LedgerConflict, match=r"event 0 was written by another .*canary_started aaaaaaaaaaaa.*decide again"
    ):
        append_event(engine, event(gated.id, "canary_started", "b" * 64, T0))
    with engine.connect() as conn:
        assert [item.model for item in read_events(conn, gated.id)] == ["a" * 64]


def test_an_illegal_event_is_not_written(engine: Engine, gated: Experiment) -> None:
    with pytest.raises(IllegalEvent, match="no model is on trial"):
        append_event(engine, event(gated.id, "promoted", "a" * 64, T0))
    with engine.connect() as conn:
        assert read_events(conn, gated.id) == ()


def test_an_event_cannot_count_where_candidates_are_sealed(engine: Engine, gated: Experiment) -> None:
    seal_candidates(engine, gated.id, T0.date())
    with engine.connect() as conn:
        assert decided_until(conn, gated.id) == T0 + DAY
    with pytest.raises(LedgerConflict, match="in a past that is decided"):
        append_event(engine, event(gated.id, "canary_started", "a" * 64, T0 + DAY - timedelta(microseconds=1)))
    append_event(engine, event(gated.id, "canary_started", "a" * 64, T0 + DAY))


def test_an_event_whose_body_was_changed_stops_whoever_reads_it(database: Database, engine: Engine) -> None:
    changed = gated_experiment(engine)
    made = event(changed.id, "canary_started", "a" * 64, T0)
    with engine.begin() as conn:
        conn.execute(
            insert(tables.model_events).values(
                experiment=changed.id,
                seq=0,
                kind=made.kind,
                model=made.model,
                effective_at=T0,
                content_hash="0" * 64,
                body=made.body,
            )
        )
        with pytest.raises(IllegalEvent, match="nobody serves from it"):
            read_events(conn, changed.id)


def test_the_writer_cannot_change_what_was_said(engine: Engine, gated: Experiment) -> None:
    store_model(engine, gated, T0)
    for table in (item.name for item in tables.LISTED):
        with pytest.raises(ProgrammingError, match="permission denied"), engine.begin() as conn:
            conn.execute(text(f"DELETE FROM {table}"))


def look(at: datetime, **changes: object) -> Judgement:
    made = Judgement(
        verdict="extend",
        reason="too little evidence yet",
        as_of=at,
        units=4,
        pairs=20,
        disagreements=7,
        trades=3,
        mean_difference=None,
        worse=1.25,
        noninferior=0.5,
        tail=1.0,
        lost=1.0,
        spent=0.8,
        days_to_verdict=31.5,
        guards=("latency",),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_look_is_recorded_once_and_read_back(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated, T0)
    assert record_look(engine, gated.id, model, look(T0 + DAY))
    assert not record_look(engine, gated.id, model, look(T0 + DAY))
    record_look(engine, gated.id, model, look(T0, worse=1e300))
    with pytest.raises(LedgerConflict, match="canary_looks"):
        record_look(engine, gated.id, model, look(T0 + DAY, verdict="reject"))
    with engine.connect() as conn:
        assert read_look(conn, gated.id, model, T0 + DAY) == look(T0 + DAY)
        assert read_look(conn, gated.id, model, T0 + 2 * DAY) is None
        assert read_looks(conn, gated.id) == ((model, look(T0, worse=1e18)), (model, look(T0 + DAY)))
        assert read_looks(conn, gated.id, "b" * 64) == ()


def test_the_place_in_mlflow_is_recorded_once(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated, T0)
    with engine.begin() as conn:
        assert insert_registration(conn, Registration(model, "run-1", "1"))
        assert not insert_registration(conn, Registration(model, "run-2", "1"))
        assert read_registrations(conn, gated.id) == {model: Registration(model, "run-1", "1")}


def _candidates(engine: Engine, experiment: str, count: int) -> list[uuid.UUID]:
    names = [uuid.uuid4() for _ in range(count)]
    rows = [
        {
            "uuid": name,
            "experiment": experiment,
            "partition": T0.date(),
            "content_hash": "0" * 64,
            "body": b"{}",
            "instrument": "AAA/USDT",
            "segment": "AAA/USDT#1",
            "decision_time": datetime(2024, 1, 1, tzinfo=UTC),
            "strategy": "s",
            "side": "long",
            "confidence": 1,
            "model_version": "rule",
            "params_ptr": "p",
            "created_by": "t",
        }
        for name in names
    ]
    with engine.begin() as conn:
        conn.execute(insert(tables.candidates), rows)
    return names


def test_later_scores_go_in_by_thousands_and_are_never_replaced(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated, T0)
    names = _candidates(engine, gated.id, 2_500)
    scores = [LaterScore(model, name, "4" * 64, "0.51", "0.02", True) for name in names]
    assert insert_scores(engine, scores[:10]) == 10
    assert insert_scores(engine, scores) == 2_490
    assert insert_scores(engine, scores) == 0
    with pytest.raises(LedgerConflict, match="model_scores"):
        insert_scores(engine, [replace(scores[7], take=False)])
    with engine.connect() as conn:
        assert read_scores(conn, model) == tuple(sorted(scores, key=lambda item: item.candidate))
        assert trades_by_model(conn, gated.id) == {}
