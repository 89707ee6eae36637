"""The default flow resource on a home, the history that the UI shows, and the report asset."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from pipelines.backfill import materialize_range
from pipelines.build import build_defs
from pipelines.jobs.daily import pipeline_job_name
from resources.dagster_instance import make_instance
from resources.flow import EXPERIMENT_TAG, DueDays, GivenFlow, HomeFlow
from resources.home import HOME, OpenFlows
from resources.settings import Settings
from tests.materialize.homes import FIRST, CollapsedDay, context_of, opened, seals_of, settings_of
from throughline.configuration import GateSettings
from throughline.errors import SettingsError, UnknownRecord
from throughline.quality.runner import GreatExpectationsRunner
from throughline.storage.database import Database


def test_a_mode_without_an_active_experiment_says_how_to_set_one(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "home")
    flow = HomeFlow(settings, "backtest")
    try:
        with pytest.raises(SettingsError, match="`throughline backtest --archive FILE --data DIR"):
            flow.context({}, "run")
        job = build_defs(settings, overrides={HOME: OpenFlows(flow)}).resolve_job_def(pipeline_job_name("backtest"))
        with dg.DagsterInstance.ephemeral() as instance:
            done = job.execute_in_process(instance=instance, partition_key=str(FIRST), raise_on_error=False)
        assert not done.success
        told = [event.step_failure_data for event in done.get_step_failure_events()]
        assert "mode 'backtest' has no active experiment" in told[0].user_failure_data.description
    finally:
        flow.close()


def test_a_run_uses_the_active_experiment_and_a_tag_names_another(database: Database, settings: Settings) -> None:
    other = context_of(database, seed=20).experiment
    active = context_of(database, seed=21).experiment
    flow = HomeFlow(settings, "demo")
    try:
        assert flow.context({}, "a").experiment.id == active.id
        assert flow.context({}, "a").run_id == "a"
        assert flow.context({}, "b").view is flow.context({}, "c").view, "market data is read once per process"
        assert flow.context({EXPERIMENT_TAG: other.id[:8]}, "d").experiment.id == other.id
        assert flow.context({}, "e").experiment.id == active.id, "naming another one for a run leaves the active one"
        with pytest.raises(UnknownRecord, match="`throughline experiments` lists them"):
            flow.context({EXPERIMENT_TAG: "0" * 12}, "f")
        assert flow.unsealed_days(FIRST) == DueDays(active.id, FIRST, FIRST)
    finally:
        flow.close()


def test_the_home_shows_what_the_command_materialized(database: Database, settings: Settings) -> None:
    context = context_of(database, seed=22)
    materialize_range(settings, context, FIRST, FIRST + timedelta(days=4), chunk_days=3)
    with make_instance(settings.home) as instance:
        for name in ("market_bars", "portfolio_state", "outcomes"):
            found = instance.get_materialized_partitions(dg.AssetKey(["demo", name]))
            assert {str(FIRST + timedelta(days=k)) for k in range(5)} <= found


def test_what_is_unsealed_starts_after_the_last_sealed_day_and_ends_with_the_data(
    database: Database, settings: Settings
) -> None:
    context = context_of(database, seed=23)
    materialize_range(settings, context, FIRST, FIRST + timedelta(days=1))
    flow = HomeFlow(settings, "demo")
    try:
        experiment, third = context.experiment.id, FIRST + timedelta(days=2)
        until = FIRST + timedelta(days=4)
        assert flow.unsealed_days(until) == DueDays(experiment, third, until)
        assert flow.unsealed_days(FIRST + timedelta(days=1)) is None
        assert flow.unsealed_days(date(2040, 1, 1)) == DueDays(experiment, third, date(2029, 12, 31))
    finally:
        flow.close()


def test_a_collapsed_universe_blocks_its_day_under_great_expectations(database: Database, settings: Settings) -> None:
    bad = FIRST + timedelta(days=2)
    context = context_of(database, seed=24, provider=CollapsedDay(bad), gates=GreatExpectationsRunner(GateSettings()))
    with dg.DagsterInstance.ephemeral() as instance:
        result = materialize_range(settings, context, FIRST, FIRST + timedelta(days=4), instance=instance)
    failed = [item for item in result.days if item.verdict is not None and not item.verdict.passed]
    assert [(item.asset, item.day, item.verdict and item.verdict.failures[0].rule) for item in failed] == [
        ("market_bars", bad, "universe_does_not_collapse")
    ]
    blocked = {item.asset for item in result.days if item.status == "blocked"}
    assert blocked == {"market_scan", "trade_candidates", "research_snapshots"}
    assert {item.day for item in result.days if item.status == "blocked"} == {bad}


@pytest.mark.slow
def test_the_report_shows_figures_pictures_and_a_tear_sheet(database: Database, settings: Settings) -> None:
    context = context_of(database, seed=25)
    with dg.DagsterInstance.ephemeral() as instance:
        materialize_range(settings, context, FIRST, FIRST + timedelta(days=9), instance=instance)
        flow = GivenFlow(context, settings.home)
        job = build_defs(settings, overrides={HOME: OpenFlows(flow)}).resolve_job_def("write_demo_report_job")
        done = job.execute_in_process(instance=instance)
    (event,) = done.asset_materializations_for_node("demo__backtest_report")
    assert Path(str(event.metadata["tear_sheet"].value)).is_file()
    assert str(event.metadata["preview"].value).count("](data:image/svg+xml;base64,") == 2
    assert event.metadata["records_broken"].value == 0
    assert event.metadata["end"].value == str(FIRST + timedelta(days=9))
    assert seals_of(context)


def test_a_report_before_any_day_says_what_to_do(tmp_path: Path) -> None:
    with opened(tmp_path / "home") as database:
        context = context_of(database, seed=26)
        settings = settings_of(database.home.path)
        defs = build_defs(settings, overrides={HOME: OpenFlows(GivenFlow(context, settings.home))})
        with dg.DagsterInstance.ephemeral() as instance:
            done = defs.resolve_job_def("write_demo_report_job").execute_in_process(
                instance=instance, raise_on_error=False
            )
    (failure,) = done.get_step_failure_events()
    assert "is sealed throughout: materialize its assets" in failure.step_failure_data.user_failure_data.description
