"""Who may be put on trial, promoted, rolled back or rejected, and what a person is told who may not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.integration.learning_models import DAY, PASSED, T0, gated_experiment, seal_candidates, store_model
from throughline.errors import GateClosed, LedgerConflict, UnknownRecord
from throughline.experiment.identity import Experiment
from throughline.learning.events import IllegalEvent
from throughline.learning.lifecycle import PolicyClosed, next_instant, promote, reject, roll_back, start_canary
from throughline.learning.store import read_events
from throughline.learning.types import RULE, GateResult
from throughline.storage.database import Database

HAND: dict[str, Any] = {"by": "hand", "reason": "a test"}


@pytest.fixture
def engine(database: Database) -> Engine:
    return database.engine("writer")


@pytest.fixture
def gated(engine: Engine) -> Experiment:
    return gated_experiment(engine)


def count(engine: Engine, experiment: Experiment) -> int:
    with engine.connect() as conn:
        return len(read_events(conn, experiment.id))


def test_a_model_goes_on_trial_is_promoted_and_rolled_back_to_the_rule(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated, T0)
    started = start_canary(engine, gated, model, at=T0, **HAND)
    assert (started.state.canary, started.state.champion) == (model, RULE)
    promoted = promote(engine, gated, model, at=T0 + DAY, evidence={"worse": "0.1"}, **HAND)
    assert (promoted.state.champion, promoted.state.fallback) == (model, RULE)
    assert "a rollback would return to the rule" in promoted.sentence
    back = roll_back(engine, gated, model, at=T0 + 2 * DAY, **HAND)
    assert (back.state.champion, back.state.barred) == (RULE, {model})
    assert "never comes back; the rule serves" in back.sentence
    with engine.connect() as conn:
        assert read_events(conn, gated.id)[1].evidence == {"worse": "0.1"}


def test_asking_again_for_what_is_so_does_nothing_and_says_so(engine: Engine, gated: Experiment) -> None:
    model, other = (store_model(engine, gated, T0 + k * DAY) for k in (1, 2))
    start_canary(engine, gated, model, at=T0, **HAND)
    again = start_canary(engine, gated, model, at=T0, **HAND)
    assert (again.event, again.sentence) == (None, f"model {model[:12]} is on trial already, since 2024-01-01 00:00")
    promote(engine, gated, model, at=T0, **HAND)
    assert "champion already" in promote(engine, gated, model, at=T0, **HAND).sentence
    roll_back(engine, gated, model, at=T0, **HAND)
    assert "out of service already; the rule serves" in roll_back(engine, gated, model, at=T0, **HAND).sentence
    reject(engine, gated, other, at=T0, **HAND)
    assert "out of service already" in reject(engine, gated, other, at=T0, **HAND).sentence
    assert count(engine, gated) == 4


@pytest.mark.parametrize("status", ["fail", "insufficient"])
def test_a_model_that_a_gate_did_not_pass_is_refused_by_the_gates_name(
    engine: Engine, gated: Experiment, status: Any
) -> None:
    verdicts = (*PASSED, GateResult("deflated_sharpe", status, 0.4, 0.95, "150 days are too few"))
    model = store_model(engine, gated, T0, verdicts=verdicts)
    with pytest.raises(GateClosed, match=rf"did not pass deflated_sharpe \({status}: 150 days are too few\)"):
        start_canary(engine, gated, model, at=T0, **HAND)
    assert count(engine, gated) == 0


@pytest.mark.parametrize(
    ("named", "recorded", "words"),
    [((), (), "no gate ever judged it"), (PASSED, PASSED[:1], "the verdict of holdout is missing")],
)
def test_a_missing_verdict_is_no_pass(engine: Engine, gated: Experiment, named: Any, recorded: Any, words: str) -> None:
    model = store_model(engine, gated, T0, verdicts=named, recorded=recorded)
    with pytest.raises(GateClosed, match=words):
        start_canary(engine, gated, model, at=T0, **HAND)


def test_an_experiment_whose_policy_is_none_says_how_to_let_models_decide(engine: Engine) -> None:
    closed = gated_experiment(engine, policy="none")
    model = store_model(engine, closed, T0)
    for change in (start_canary, promote, roll_back, reject):
        with pytest.raises(PolicyClosed, match=r'model_policy = "gated".*throughline walk-forward'):
            change(engine, closed, model, at=T0, **HAND)


def test_a_model_of_another_experiment_is_unknown(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated_experiment(engine), T0)
    with pytest.raises(UnknownRecord, match="`throughline models` lists"):
        promote(engine, gated, model, at=T0, **HAND)


def test_nothing_takes_effect_in_a_day_that_is_decided(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated, T0)
    with engine.connect() as conn:
        assert next_instant(conn, gated) == T0
    seal_candidates(engine, gated.id, T0.date() + DAY)
    with pytest.raises(LedgerConflict, match="in a past that is decided"):
        start_canary(engine, gated, model, at=T0 + 2 * DAY - timedelta(seconds=1), **HAND)
    with engine.connect() as conn:
        at = next_instant(conn, gated)
    assert at == T0 + 2 * DAY
    start_canary(engine, gated, model, at=at, **HAND)


def test_a_barred_model_stays_out_whoever_asks(engine: Engine, gated: Experiment) -> None:
    model = store_model(engine, gated, T0)
    start_canary(engine, gated, model, at=T0, **HAND)
    reject(engine, gated, model, at=T0, by="judge", reason="the limit of 90 days is reached")
    for change in (start_canary, promote):
        with pytest.raises(IllegalEvent, match="train again, later labels give another model id"):
            change(engine, gated, model, at=T0, **HAND)


def test_a_rollback_asks_no_gate_and_a_decision_of_a_gate_that_fails_later_stands(
    database: Database, engine: Engine, gated: Experiment
) -> None:
    model = store_model(engine, gated, T0)
    start_canary(engine, gated, model, at=T0, **HAND)
    worse = replace(PASSED[0], gate="later", status="fail")
    with engine.begin() as conn:
        conn.execute(
            text("INSERT INTO model_verdicts (model, gate, status, reason) VALUES (:m, :g, :s, 'x')"),
            {"m": model, "g": worse.gate, "s": worse.status},
        )
    with pytest.raises(GateClosed, match="later"):
        promote(engine, gated, model, at=T0, **HAND)
    assert roll_back(engine, gated, model, at=T0, **HAND).state.canary is None
