"""An asset, a job, a schedule and a sensor are each added by one module; nothing else names it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from pipelines.build import build_defs
from resources.flow import DueDays, HomeFlow
from resources.home import HOME, HomeResource, OpenFlows, home_resource
from resources.notifier import NOTIFIER, notifier_resource
from resources.settings import load_settings
from tests.conftest import AddModule
from throughline.errors import SettingsError

NOTES = '''
"""An asset in a file of its own."""

import dagster as dg

from assets.asset_factory import AssetContent, experiment_asset
from resources.definition_factory import ModeSpec, for_each_mode


def count(ctx, flow):
    return AssetContent({"mode": flow.mode}, passed=False, description="three are missing")


@for_each_mode
def note_assets(spec: ModeSpec) -> list[dg.AssetsDefinition]:
    return [
        experiment_asset(
            spec, "notes", "Notes on each trade.", count, group="reports", deps=["outcomes"], check=("complete", "All.")
        )
    ]
'''
JOB = '''
"""A job with its schedule in a file of its own."""

from pipelines.job_factory import asset_job, schedule
from resources.definition_factory import for_each_mode


@for_each_mode
def note_definitions(spec):
    name = f"write_{spec.name}_notes_job"
    return [asset_job(spec, name, ("notes",), "Writes notes."), schedule(spec, "notes", name, "0 3 * * *", "At three.")]
'''
SENSOR = '''
"""A sensor in a file of its own."""

import dagster as dg

from resources.definition_factory import for_each_mode, for_location


@for_location
def heartbeat_sensors(specs):
    @dg.sensor(name="heartbeat", job_name=f"write_{specs[0].name}_notes_job")
    def heartbeat(context):
        return dg.SkipReason("alive")

    return [heartbeat]
'''


class Context:
    """A flow whose context is nothing but an experiment."""

    mode = "demo"
    experiment = SimpleNamespace(id="e" * 64)

    def context(self, tags: dict[str, str], run_id: str) -> Context:
        return self

    def unsealed_days(self, until: date) -> DueDays | None:
        return DueDays("e" * 64, until, until)


def test_each_is_found_in_every_mode_and_runs_with_what_is_given(add_module: AddModule, tmp_path: Path) -> None:
    add_module("assets", "notes", NOTES)
    add_module("pipelines.jobs", "notes", JOB)
    add_module("sensors", "heartbeat", SENSOR)
    defs = build_defs(load_settings({}, home=str(tmp_path)), overrides={HOME: OpenFlows(Context())})  # type: ignore[arg-type]
    repository = defs.get_repository_def()
    assert {"demo_notes", "backtest_notes"} <= {item.name for item in repository.schedule_defs}
    assert "heartbeat" in {item.name for item in repository.sensor_defs}
    node = defs.resolve_asset_graph().get(dg.AssetKey(["demo", "notes"]))
    assert (node.group_name, {key.path[-1] for key in node.parent_keys}) == ("demo_reports", {"outcomes"})
    with dg.DagsterInstance.ephemeral() as instance:
        done = defs.resolve_job_def("write_demo_notes_job").execute_in_process(instance=instance)
        run = instance.get_run_by_id(done.run_id)
    (event,) = done.get_asset_materialization_events()
    assert event.materialization.metadata["mode"].value == "demo"
    (check,) = done.get_asset_check_evaluations()
    assert (check.passed, check.description) == (False, "three are missing")
    assert run is not None
    assert run.tags["throughline/experiment"] == "e" * 64


def test_schedules_use_the_resource_that_is_given_in_the_place_of_the_home(tmp_path: Path) -> None:
    defs = build_defs(load_settings({}, home=str(tmp_path)), overrides={HOME: OpenFlows(Context())})  # type: ignore[arg-type]
    repository = defs.get_repository_def()
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2021, 3, 10, 0, 15, tzinfo=UTC),
        resources=repository.get_top_level_resources(),
    )
    (request,) = repository.get_schedule_def("demo_daily").evaluate_tick(context).run_requests or []
    assert request.tags["dagster/asset_partition_range_end"] == "2021-03-09"


def test_a_mode_for_which_the_caller_opened_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match="no flow of mode 'backtest' is open here: demo"):
        OpenFlows(Context()).flow("backtest")  # type: ignore[arg-type]


def test_one_flow_of_a_home_and_mode_stays_open_in_a_process(tmp_path: Path) -> None:
    first, second = (HomeResource(folder=str(tmp_path)) for _ in range(2))
    assert first.flow("demo") is second.flow("demo")
    assert first.flow("demo") is not first.flow("backtest")
    assert first.flow("demo") is not HomeResource(folder=str(tmp_path / "other")).flow("demo")


def test_the_configuration_that_the_ui_shows_names_variables_and_no_address(tmp_path: Path) -> None:
    secret = "secret-token"
    environment = {
        "THROUGHLINE_DATABASE_URL": f"postgresql://user:{secret}@host/db",
        "THROUGHLINE_REDIS_URL": f"redis://:{secret}@host",
        "THROUGHLINE_WEBHOOK_URL": f"https://host/{secret}",
    }
    settings = load_settings(environment, home=str(tmp_path))
    defaults = [
        str(resource.get_resource_definition().config_schema.default_value)
        for resource in (home_resource(settings), notifier_resource(settings))
    ]
    assert secret not in "".join(defaults)
    for variable in environment:
        assert variable in "".join(defaults)
    assert str(tmp_path) in defaults[0]


def test_addresses_are_read_from_their_variables_when_a_run_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THROUGHLINE_DATABASE_URL", "postgresql://host/db")
    monkeypatch.setenv("THROUGHLINE_WEBHOOK_URL", "https://host/token")
    settings = load_settings(home=str(tmp_path))
    given = {HOME: home_resource(settings), NOTIFIER: notifier_resource(settings)}
    with dg.build_resources(given) as resources:
        assert (resources.home.database_url, resources.home.redis_url) == ("postgresql://host/db", None)
        assert resources.notifier.url == "https://host/token"
        flow = resources.home.flow("demo")
    assert isinstance(flow, HomeFlow)
    assert flow.settings.database_url == "postgresql://host/db"
    assert flow.settings.home.path == tmp_path
