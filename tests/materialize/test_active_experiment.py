"""The UI and the active experiment: which one is shown, how a run names another, and what a missing day says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from assets.asset_factory import ACTIVE_EXPERIMENT
from pipelines.backfill import materialize_range
from pipelines.build import build_defs
from pipelines.job_factory import range_tags
from pipelines.jobs.daily import pipeline_job_name
from resources.flow import EXPERIMENT_TAG, Flow, HomeFlow
from resources.home import HOME, OpenFlows
from resources.settings import Settings
from sensors.active_experiment import active_experiment_sensors
from tests.materialize.homes import FIRST, context_of
from tests.mode_specs import spec_of
from throughline.errors import SettingsError
from throughline.experiment.choice import choose
from throughline.flow import FlowContext
from throughline.storage.database import Database
from throughline.storage.queries import remember_inputs

KEY = dg.AssetKey(["demo", ACTIVE_EXPERIMENT])


@pytest.fixture(scope="module")
def two(database: Database) -> tuple[FlowContext, FlowContext]:
    """Two experiments of one market: the first has three sealed days, the second, which is active, has one."""
    settings = Settings(home=database.home)
    first, second = context_of(database, seed=60), context_of(database, seed=61)
    with dg.DagsterInstance.ephemeral() as instance:
        materialize_range(settings, first, FIRST, FIRST + timedelta(days=2), instance=instance)
        materialize_range(settings, second, FIRST, FIRST, instance=instance)
    return first, second


@pytest.fixture
def flow(settings: Settings, two: tuple[FlowContext, FlowContext]) -> HomeFlow:
    return HomeFlow(settings, "demo")


def run(flow: HomeFlow, settings: Settings, day: int, tags: dict[str, str]) -> tuple[dg.ExecuteInProcessResult, str]:
    """Run the pipeline's job for a day; return the result and the sentence of the first failure."""
    job = build_defs(settings, overrides={HOME: OpenFlows(flow)}).resolve_job_def(pipeline_job_name("demo"))
    wanted = FIRST + timedelta(days=day)
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(
            instance=instance, tags={**range_tags(wanted, wanted), **tags}, raise_on_error=False
        )
        tagged = instance.get_run_by_id(done.run_id)
    assert tagged is not None
    told = [event.step_failure_data.user_failure_data for event in done.get_step_failure_events()]
    return done, tagged.tags.get(EXPERIMENT_TAG, "") + "|" + "".join(str(item.description) for item in told if item)


def test_a_missing_predecessor_names_the_experiment_its_first_missing_day_and_how_to_choose_another(
    flow: HomeFlow, settings: Settings, two: tuple[FlowContext, FlowContext]
) -> None:
    done, said = run(flow, settings, 3, {})
    assert not done.success
    second = two[1].experiment.id
    assert f"portfolio_state of {FIRST + timedelta(days=2)} is not sealed in experiment {second[:12]}" in said
    assert f"has it from {FIRST} to {FIRST};" in said
    assert f"materialise all its daily assets from {FIRST + timedelta(days=1)} on" in said
    assert "`throughline use ID`" in said
    assert f"demo/{ACTIVE_EXPERIMENT}" in said


def test_a_run_names_its_own_experiment_by_the_beginning_of_its_id_and_keeps_the_whole(
    flow: HomeFlow, settings: Settings, two: tuple[FlowContext, FlowContext]
) -> None:
    first, second = two[0].experiment.id, two[1].experiment.id
    done, said = run(flow, settings, 3, {EXPERIMENT_TAG: first[:10]})
    assert done.success, said
    assert said == f"{first}|"
    (event,) = done.asset_materializations_for_node("demo__outcomes")
    assert event.metadata["experiment"].value == first
    assert choose(flow.engine(), "demo").experiment.id == second, "the active one stays"


def test_a_day_before_the_epoch_names_the_experiment_and_its_epoch(flow: HomeFlow, settings: Settings) -> None:
    _, said = run(flow, settings, -1, {})
    assert f"lies before {FIRST}, the epoch of experiment" in said
    assert "`throughline use ID`" in said


def test_the_asset_shows_the_active_experiment_and_a_run_of_it_can_choose_another(
    flow: HomeFlow, settings: Settings, two: tuple[FlowContext, FlowContext]
) -> None:
    first, second = two[0].experiment.id, two[1].experiment.id
    engine = flow.engine()
    with engine.begin() as connection:
        for name in (first, second):
            remember_inputs(connection, name, {"seed": 7})
    asset = build_defs(settings, overrides={HOME: OpenFlows(flow)}).resolve_asset_graph().assets_def_for_key(KEY)
    shown = []
    for config in ({}, {"use": first[:9]}, {"use": second}):
        settings_of_run = {"ops": {f"demo__{ACTIVE_EXPERIMENT}": {"config": config}}}
        done = dg.materialize([asset], run_config=settings_of_run)
        (event,) = done.asset_materializations_for_node(f"demo__{ACTIVE_EXPERIMENT}")
        shown.append(event.metadata["experiment"].value)
        assert f"**{str(shown[-1])[:12]}** is active" in str(event.metadata["preview"].value)
    assert shown == [second, first, second]


def test_the_asset_follows_days_that_a_backfill_sealed_and_says_nothing_where_nothing_changed(
    flow: HomeFlow, settings: Settings, two: tuple[FlowContext, FlowContext]
) -> None:
    (sensor,) = active_experiment_sensors(spec_of("demo"))
    with dg.DagsterInstance.ephemeral() as instance:

        def tick() -> list[dict[str, Any]]:
            """Evaluate the sensor and report its events, as the daemon does; return what they show."""
            result = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, resources={HOME: OpenFlows(flow)}))
            for event in result.asset_events:
                instance.report_runless_asset_event(event)
            return [{name: value.value for name, value in event.metadata.items()} for event in result.asset_events]

        (shown,) = tick()
        assert shown["experiment"] == choose(flow.engine(), "demo").experiment.id
        assert tick() == []
        next_day = FIRST + timedelta(days=int(shown["sealed_days"]))
        materialize_range(settings, two[1], next_day, next_day, instance=instance)
        (later,) = tick()
        assert later["sealed_days"] == int(shown["sealed_days"]) + 1
        assert later["last_sealed_day"] == str(next_day)
        assert tick() == []
        materialize_range(settings, two[0], FIRST + timedelta(days=3), FIRST + timedelta(days=4), instance=instance)
        (again,) = tick()
        assert again["sealed_days"] == later["sealed_days"], "another experiment's day changes the list alone"
        assert again["preview"] != later["preview"]


def test_a_mode_without_an_active_experiment_is_left_alone() -> None:
    class NoExperiment:
        def flow(self, mode: str) -> Flow:
            raise SettingsError(f"mode '{mode}' has no active experiment in this home")

    (sensor,) = active_experiment_sensors(spec_of("backtest"))
    with dg.DagsterInstance.ephemeral() as instance:
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, resources={HOME: NoExperiment()}))
    assert tick.asset_events == []
    assert "mode 'backtest' has no active experiment" in str(tick.skip_message)


def test_every_daily_asset_says_which_experiment_a_backfill_works_on(settings: Settings) -> None:
    graph = build_defs(settings).resolve_asset_graph()
    partitioned = [key for key in graph.get_all_asset_keys() if graph.get(key).is_partitioned]
    assert len(partitioned) == 26
    for key in partitioned:
        description = str(graph.get(key).description)
        assert f"{key.path[0]}/{ACTIVE_EXPERIMENT}" in description
        assert EXPERIMENT_TAG in description
