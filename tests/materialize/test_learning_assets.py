"""Learning in Dagster: what is refused leaves its run green and its check red, and nobody serves who was not let."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import select

from assets.checks.gates import CHECK_NAME
from assets.learning import GATES_PASSED, NO_DRIFT, NOT_DEGRADED, TRAINING_SET_CHECK
from assets.operations import roll_back_job_name, roll_back_op_name
from pipelines.backfill import materialize_range
from pipelines.build import build_defs
from pipelines.jobs.canary import canary_job_name
from pipelines.jobs.daily import pipeline_job_name
from pipelines.jobs.drift import drift_job_name
from pipelines.jobs.training import train_job_name
from resources.flow import EXPERIMENT_TAG, GivenFlow, HomeFlow
from resources.home import HOME, OpenFlows
from resources.notifier import NOTIFIER, NotifierResource
from resources.settings import Settings
from sensors.canary_degraded import canary_degraded_sensors
from sensors.gate_failed import gate_failed_sensors
from tests.materialize.homes import FIRST, context_of, opened, settings_of
from tests.mode_specs import spec_of
from tests.unit.test_definitions_webhook import listening
from throughline.errors import MissingPredecessor
from throughline.flow import FlowContext
from throughline.identity import hash_body, time_text
from throughline.learning.lifecycle import current, next_instant, promote, start_canary
from throughline.learning.looks import record_look
from throughline.learning.standing import last_close, rollback_due
from throughline.learning.store import TrainedModel, read_events, store_training
from throughline.learning.types import GateResult, Judgement
from throughline.storage.database import Database
from throughline.storage.tables import consistency_reports

DAYS = 8
CLOSE = datetime(2021, 3, 1 + DAYS, tzinfo=UTC)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, FlowContext, dg.DagsterInstance]]:
    """A home of its own with a sealed range: what is trained and checked there, is there for all tests below."""
    home = tmp_path_factory.mktemp("learning")
    with opened(home) as database, dg.DagsterInstance.ephemeral() as instance:
        context, settings = context_of(database), settings_of(home)
        materialize_range(settings, context, day(0), day(DAYS - 1), instance=instance)
        yield settings, context, instance


def run(settings: Settings, context: FlowContext, instance: dg.DagsterInstance, job: str, **given: Any) -> Any:
    defs = build_defs(settings, overrides={HOME: OpenFlows(GivenFlow(context, settings.home))})
    return defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **given)


def shown(done: Any, name: str) -> dict[str, Any]:
    (event,) = [
        item
        for item in done.all_events
        if item.is_step_materialization and item.asset_key is not None and item.asset_key.path[-1] == name
    ]
    return {key: value.value for key, value in event.materialization.metadata.items()}


def check_of(done: Any, name: str) -> Any:
    (found,) = [item for item in done.get_asset_check_evaluations() if item.check_name == name]
    return found


def failure_of(done: Any) -> str:
    (event,) = done.get_step_failure_events()
    return str(event.step_failure_data.user_failure_data.description)


Own = tuple[Settings, FlowContext, dg.DagsterInstance]


def test_labelled_features_of_one_day_and_of_a_range_show_their_seals_and_their_gate(
    database: Database, settings: Settings
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = context_of(database, seed=40)
        materialize_range(settings, context, day(0), day(3), instance=instance)
        key = dg.AssetKey(["demo", "trade_features"])
        again = run(settings, context, instance, pipeline_job_name("demo"), partition_key=str(day(4)))
        assert again.success
        assert {str(day(k)) for k in range(5)} == instance.get_materialized_partitions(key)
        records = instance.fetch_materializations(key, limit=10).records
        assert {len(str(item.asset_materialization.metadata["seal"].value)) for item in records} == {64}  # type: ignore[union-attr]
        checks = [item for item in again.get_asset_check_evaluations() if item.asset_key == key]
        assert [(item.check_name, item.passed) for item in checks] == [(CHECK_NAME, True)]


def test_a_small_training_set_trains_nothing_and_leaves_the_run_green_and_its_check_red(own: Own) -> None:
    settings, context, instance = own
    done = run(settings, context, instance, train_job_name("demo"))
    assert done.success
    assert check_of(done, TRAINING_SET_CHECK).passed
    told = shown(done, "training_set")
    assert told["as_of"] == CLOSE.isoformat()
    assert told["labels"] == told["executed"] + told["shadows"] > 0
    assert 0 < told["effective_labels"] <= told["labels"]
    assert 0 <= told["win_rate"] <= 1
    assert all(0 < share <= 1 for share in told["missing"].values())

    refused = check_of(done, GATES_PASSED)
    assert not refused.passed
    assert refused.severity == dg.AssetCheckSeverity.WARN, "too little evidence says nothing against a model"
    assert "minimum_labels (insufficient)" in refused.description
    card = shown(done, "challenger_model")
    assert card["passed"] is False
    assert card["gates_insufficient"] > 0 == card["gates_failed"]
    assert f"`{card['model']}`" in card["preview"]
    assert "minimum labels" in card["preview"]
    assert "Nothing can serve:" in card["preview"]

    state = shown(done, "model_registry_state")
    assert (state["champion"], state["models"]) == ("rule", 1)
    assert "canary" not in state
    assert card["model"][:12] in state["preview"]


def test_training_again_finds_the_same_model_and_trains_nothing(own: Own) -> None:
    settings, context, instance = own
    first = shown(run(settings, context, instance, train_job_name("demo")), "challenger_model")
    again = shown(run(settings, context, instance, train_job_name("demo")), "challenger_model")
    assert again["model"] == first["model"]
    assert again["trained_now"] is False
    assert shown(run(settings, context, instance, train_job_name("demo")), "model_registry_state")["models"] == 1


def test_a_day_that_another_process_sealed_after_the_jobs_check_is_checked_and_then_read(
    database: Database, settings: Settings
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = context_of(database, seed=41)
        materialize_range(settings, context, day(0), day(0), instance=instance)
        assert run(settings, context, instance, train_job_name("demo")).success
        before = checks(context)
        materialize_range(settings, context, day(1), day(1), instance=instance)
        key = dg.AssetKey(["demo", "challenger_model"])
        done = run(settings, context, instance, train_job_name("demo"), asset_selection=[key])
        assert done.success
        assert checks(context) == [*before, True]


def checks(context: FlowContext) -> list[bool]:
    with context.engine.connect() as conn:
        found = conn.execute(select(consistency_reports.c.ok).order_by(consistency_reports.c.seq))
        return list(found.scalars())


def test_a_red_check_of_a_green_run_reaches_a_listening_webhook_once(own: Own) -> None:
    settings, context, instance = own
    with listening() as server:
        (sensor,) = gate_failed_sensors([spec_of("demo")])
        notifier = {NOTIFIER: NotifierResource(url=server.url, allow_private=True)}
        cursor = sensor.evaluate_tick(dg.build_sensor_context(instance, resources=notifier)).cursor
        done = run(settings, context, instance, train_job_name("demo"))
        assert done.success
        for _ in range(2):
            tick = dg.build_sensor_context(instance, cursor=cursor, resources=notifier)
            cursor = sensor.evaluate_tick(tick).cursor
    (message,) = [message for _, message in server.messages if message["asset"] == "demo/challenger_model"]
    assert message["check"] == GATES_PASSED
    assert (message["experiment"], message["run_id"]) == (context.experiment.id, done.run_id)
    assert "minimum_labels" in message["reason"]


def test_a_look_with_nobody_on_trial_says_so_and_is_green(own: Own) -> None:
    settings, context, instance = own
    done = run(settings, context, instance, canary_job_name("demo"))
    assert done.success
    assert check_of(done, NOT_DEGRADED).passed
    told = shown(done, "canary_report")
    assert (told["verdict"], told["champion"]) == ("nobody", "rule")
    assert "No model is on trial at 2021-03-09 00:00 UTC" in told["preview"]


def test_drift_is_reported_against_all_that_came_before_where_no_model_was_trained(own: Own) -> None:
    settings, context, instance = own
    done = run(settings, context, instance, drift_job_name("demo"))
    assert done.success
    told = shown(done, "drift_report")
    assert told["model"] == "none"
    assert told["episodes"] > 0 == told["episodes_reference"]
    assert check_of(done, NO_DRIFT).passed, "nothing to compare with is no drift"


def test_a_rollback_where_the_rule_decides_alone_says_so(own: Own) -> None:
    settings, context, instance = own
    config = {"ops": {roll_back_op_name("demo"): {"config": {"reason": "it looks wrong"}}}}
    done = run(settings, context, instance, roll_back_job_name("demo"), run_config=config)
    assert not done.success
    assert "no model serves in this experiment" in failure_of(done)


def test_learning_before_any_sealed_day_says_what_to_do(database: Database, settings: Settings) -> None:
    context = context_of(database, seed=45)
    with dg.DagsterInstance.ephemeral() as instance:
        done = run(settings, context, instance, canary_job_name("demo"))
        assert not done.success
        assert f"materialize its daily assets from {FIRST} on first" in failure_of(done)
    with context.engine.connect() as conn, pytest.raises(MissingPredecessor, match="no day of experiment"):
        last_close(conn, context.experiment)


def on_trial(
    database: Database, settings: Settings, instance: dg.DagsterInstance, seed: int
) -> tuple[FlowContext, str]:
    """Return an experiment of three sealed days and a model that its gates let through, on trial from their end on."""
    context = context_of(database, seed=seed, model_policy="gated")
    materialize_range(settings, context, day(0), day(2), instance=instance)
    with context.engine.connect() as conn:
        at = next_instant(conn, context.experiment)
    identity = {"as_of": time_text(at), "experiment": context.experiment.id}
    verdict = GateResult("minimum_labels", "pass", 1500.0, 1000.0, "1,500 resolved labels")
    body = {"identity": identity, "labels": {"labels": 1500}, "verdicts": [{"gate": verdict.gate}]}
    model = hash_body("model", identity)
    file = context.artifacts.put(b"stands for a model file; no day is decided with it", "model", "application/zip")
    store_training(context.engine, TrainedModel(model, context.experiment.id, body, file), [verdict], [], None)
    start_canary(context.engine, context.experiment, model, at=at, by="gates", reason="every gate passed")
    return context, model


def told(at: datetime, verdict: Any, reason: str) -> Judgement:
    return Judgement(verdict, reason, at, 9, 80, 31, 12, -0.021, 31.0, 0.2, 1.4, 1.0, 0.03, 0.0, ())


def test_a_canary_without_evidence_goes_on_and_its_check_is_green(database: Database, settings: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context, model = on_trial(database, settings, instance, 50)
        done = run(settings, context, instance, canary_job_name("demo"))
    assert done.success
    assert check_of(done, NOT_DEGRADED).passed
    look = shown(done, "canary_report")
    assert (look["verdict"], look["model"], look["canary"], look["pairs"]) == ("extend", model, model, 0)
    assert "| earns less | 1 | 20 | roll back |" in look["preview"]
    state = shown(done, "model_registry_state")
    assert (state["champion"], state["canary"], state["events"]) == ("rule", model, 1)
    with context.engine.connect() as conn:
        assert rollback_due(conn, context.experiment.id) is None


def test_a_degraded_canary_is_rolled_back_by_the_look_and_turns_the_check_red_in_a_green_run(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(*_: Any, as_of: datetime, **__: Any) -> Judgement:
        return told(as_of, "roll_back", "it earns less than the incumbent: e-value 31 of 20")

    monkeypatch.setattr("throughline.learning.cycle.judge", worse)
    with dg.DagsterInstance.ephemeral() as instance:
        context, model = on_trial(database, settings, instance, 51)
        done = run(settings, context, instance, canary_job_name("demo"))
        after = run(settings, context, instance, canary_job_name("demo"))
    assert done.success
    red = check_of(done, NOT_DEGRADED)
    assert (red.passed, red.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert red.metadata["model"].value == model
    assert "e-value 31 of 20" in str(red.description)
    look = shown(done, "canary_report")
    assert (look["verdict"], look["champion"], look["expected_days_to_verdict"]) == ("roll_back", "rule", 0.0)
    assert "canary" not in look
    assert shown(done, "model_registry_state")["barred"] == 1
    assert check_of(after, NOT_DEGRADED).passed, "nobody is on trial any more"
    with context.engine.connect() as conn:
        assert rollback_due(conn, context.experiment.id) is None, "the look acted on its own verdict"


def test_a_verdict_whose_look_died_before_it_acted_is_carried_out_by_sensor_and_job_once(
    database: Database, settings: Settings
) -> None:
    job = roll_back_job_name("demo")
    flow = HomeFlow(settings, "demo")
    due = flow.rollback_due
    with dg.DagsterInstance.ephemeral() as instance, closing(flow):
        context, model = on_trial(database, settings, instance, 52)
        assert due() is None
        with context.engine.connect() as conn:
            since = current(conn, context.experiment.id).canary_since
        assert since is not None
        record_look(context.engine, context.experiment.id, model, told(since, "roll_back", "it earns less"))
        (sensor,) = canary_degraded_sensors(spec_of("demo"))
        home = {HOME: OpenFlows(flow)}
        (request,) = sensor.evaluate_tick(dg.build_sensor_context(instance, resources=home)).run_requests or []
        done = run(settings, context, instance, job, run_config=request.run_config, tags=request.tags)
        assert done.success
        assert due() is None
        assert sensor.evaluate_tick(dg.build_sensor_context(instance, resources=home)).run_requests == []
        again = run(settings, context, instance, job, run_config=request.run_config, tags=request.tags)
        assert again.success, "asking again for what is so does nothing"
    with context.engine.connect() as conn:
        events = read_events(conn, context.experiment.id)
    assert [(item.kind, item.model, item.by, item.reason) for item in events[1:]] == [
        ("rolled_back", model, "judge", "it earns less")
    ]


def test_a_verdict_from_before_a_model_was_promoted_is_not_carried_out_afterwards(
    database: Database, settings: Settings
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context, model = on_trial(database, settings, instance, 54)
    with context.engine.connect() as conn:
        since = next_instant(conn, context.experiment)
    record_look(context.engine, context.experiment.id, model, told(since, "roll_back", "it earns less"))
    later = since + timedelta(days=1)
    promote(context.engine, context.experiment, model, at=later, by="hand", reason="I have looked at it")
    with context.engine.connect() as conn:
        assert rollback_due(conn, context.experiment.id) is None
    record_look(context.engine, context.experiment.id, model, told(later, "roll_back", "it earns less"))
    with context.engine.connect() as conn:
        found = rollback_due(conn, context.experiment.id)
    assert found is not None
    assert (found.model, found.as_of) == (model, later)


def test_a_rollback_by_hand_takes_the_model_on_trial_or_the_one_that_is_named(
    database: Database, settings: Settings
) -> None:
    name = roll_back_op_name("demo")
    with dg.DagsterInstance.ephemeral() as instance:
        context, model = on_trial(database, settings, instance, 53)

        def roll_back(**config: str) -> Any:
            given = {"ops": {name: {"config": {"reason": "I do not trust it", **config}}}}
            return run(settings, context, instance, roll_back_job_name("demo"), run_config=given)

        assert "0 of the models that serve or served begin with 'zzz'" in failure_of(roll_back(model="zzz"))
        assert roll_back().success
        assert roll_back(model=model[:12]).success, "it is out of service already"
    with context.engine.connect() as conn:
        state = current(conn, context.experiment.id)
    assert (state.canary, state.champion, state.barred) == (None, "rule", frozenset({model}))


def walk(settings: Settings, context: FlowContext, instance: dg.DagsterInstance, **config: str) -> Any:
    given = {"ops": {"walk_forward_backtest": {"config": config}}}
    return run(settings, context, instance, "walk_forward_backtest_job", run_config=given)


def test_a_walk_forward_shows_partitions_gates_and_trainings_and_goes_on_where_it_stopped(
    database: Database, settings: Settings
) -> None:
    context = context_of(database, seed=42, mode="backtest", epoch=date(2021, 3, 28), model_policy="gated")
    key = dg.AssetKey(["backtest", "portfolio_state"])
    with dg.DagsterInstance.ephemeral() as instance:
        done = walk(settings, context, instance, end="2021-04-02")
        assert done.success
        days = {str(date(2021, 3, 28) + timedelta(days=k)) for k in range(6)}
        assert instance.get_materialized_partitions(key) == days
        seal = instance.fetch_materializations(key, limit=1).records[0].asset_materialization
        assert seal is not None
        assert len(str(seal.metadata["seal"].value)) == 64
        card = instance.get_latest_materialization_event(dg.AssetKey(["backtest", "challenger_model"]))
        assert card is not None
        assert card.run_id == done.run_id
        assert instance.get_run_by_id(done.run_id).tags[EXPERIMENT_TAG] == context.experiment.id  # type: ignore[union-attr]
        gate = instance.get_latest_asset_check_evaluation_record(
            dg.AssetCheckKey(dg.AssetKey(["backtest", "market_bars"]), CHECK_NAME)
        )
        assert gate is not None
        assert walk(settings, context, instance, end="2021-04-03").success
        assert len(instance.get_materialized_partitions(key)) == 7


def test_a_walk_forward_of_an_experiment_whose_rule_decides_alone_is_refused(
    database: Database, settings: Settings
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = context_of(database, seed=43, mode="backtest")
        assert "model_policy is 'none'" in failure_of(walk(settings, context, instance, end="2021-03-02"))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"end": "tomorrow"}, "end is 'tomorrow': write a day such as 2022-12-31"),
        ({"end": "2021-02-01"}, "days from 2021-03-01 to 2021-02-01"),
        ({"start": "2021-02-01", "end": "2021-03-02"}, "epoch 2021-03-01"),
    ],
)
def test_a_walk_over_days_that_cannot_be_is_refused_in_one_sentence(
    database: Database, settings: Settings, config: dict[str, str], said: str
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        context = context_of(database, seed=44, mode="backtest", model_policy="gated")
        assert said in failure_of(walk(settings, context, instance, **config))
