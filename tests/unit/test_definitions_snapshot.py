"""All names of the code location: an accidental rename breaks bookmarks, history and other people's sensors."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from assets.checks.gates import CHECK_NAME
from assets.learning import GATES_PASSED, NO_DRIFT, NOT_DEGRADED, TRAINING_SET_CHECK
from assets.operations import roll_back_job_name, roll_back_op_name
from assets.registry_reports import CONSISTENT
from pipelines.build import build_defs
from resources.settings import load_settings
from throughline.catalogue import catalogue
from throughline.experiment.mode import mode_names
from throughline.flow import STAGES

EDGES = {
    "market_bars": set(),
    "market_scan": {"market_bars"},
    "trade_candidates": {"market_scan"},
    "research_snapshots": {"trade_candidates"},
    "portfolio_state": {"research_snapshots", "portfolio_state"},
    "executions": {"portfolio_state"},
    "outcomes": {"executions"},
    "shadow_outcomes": {"portfolio_state", "shadow_outcomes"},
    "trade_features": {"outcomes", "shadow_outcomes"},
    "canonical_trades": {"outcomes"},
    "soulprints": {"canonical_trades"},
    "profit_buckets": {"canonical_trades"},
    "registry_seals": {"trade_features", "soulprints", "profit_buckets"},
    "active_experiment": set(),
    "backtest_report": {"outcomes", "shadow_outcomes", "portfolio_state"},
    "registry_consistency": {"registry_seals"},
    "registry_analytics": {"canonical_trades", "soulprints", "profit_buckets"},
    "training_set": {"trade_features"},
    "challenger_model": {"training_set", "registry_consistency"},
    "canary_report": {"outcomes", "shadow_outcomes"},
    "model_registry_state": {"challenger_model", "canary_report"},
    "drift_report": {"trade_features"},
}
UNPARTITIONED = tuple(EDGES)[tuple(EDGES).index("active_experiment") :]
CHECKS = {
    "registry_consistency": CONSISTENT,
    "training_set": TRAINING_SET_CHECK,
    "challenger_model": GATES_PASSED,
    "canary_report": NOT_DEGRADED,
    "drift_report": NO_DRIFT,
}


@pytest.fixture(scope="module")
def defs(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(load_settings({}, home=str(tmp_path_factory.mktemp("home"))))


def test_the_assets_and_their_edges_are_those_of_the_design_in_every_mode(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert found == {
        f"{mode}/{name}": {f"{mode}/{parent}" for parent in parents}
        for mode in mode_names()
        for name, parents in EDGES.items()
    }


def test_jobs_schedules_sensors_and_checks_keep_their_names(defs: dg.Definitions) -> None:
    repository = defs.get_repository_def()
    jobs = {name for name in repository.job_names if not name.startswith("__")}
    assert jobs == {
        "run_demo_pipeline_job",
        "run_backtest_pipeline_job",
        "write_demo_report_job",
        "write_backtest_report_job",
        "check_demo_registry_job",
        "check_backtest_registry_job",
        "train_demo_model_job",
        "train_backtest_model_job",
        "evaluate_demo_canary_job",
        "evaluate_backtest_canary_job",
        "report_demo_drift_job",
        "report_backtest_drift_job",
        "roll_back_demo_model_job",
        "roll_back_backtest_model_job",
        "walk_forward_backtest_job",
    }
    assert {item.name for item in repository.schedule_defs} == {
        f"{mode}_{name}"
        for mode in mode_names()
        for name in (
            "daily",
            "registry_daily",
            "registry_weekly",
            "training_nightly",
            "canary_hourly",
            "drift_weekly",
        )
    }
    assert {item.name for item in repository.sensor_defs} == {
        "on_run_failure",
        "gate_failed",
        "active_experiment_demo",
        "active_experiment_backtest",
        "canary_degraded_demo",
        "canary_degraded_backtest",
    }
    checks = {(key.asset_key.to_user_string(), key.name) for key in repository.asset_graph.asset_check_keys}
    gates = {(f"{mode}/{name}", CHECK_NAME) for mode in mode_names() for name in catalogue().gated}
    assert checks == gates | {(f"{mode}/{name}", check) for mode in mode_names() for name, check in CHECKS.items()}
    assert CHECK_NAME == "every_day_passes_its_suite"
    assert list(CHECKS.values()) == [
        "registry_is_consistent",
        "training_set_passes_its_suite",
        "gates_passed",
        "canary_not_degraded",
        "no_drift",
    ]


def test_only_sensors_that_launch_no_run_are_on_by_default_and_no_schedule_is(defs: dg.Definitions) -> None:
    repository = defs.get_repository_def()
    running = {item.name for item in repository.sensor_defs if item.default_status == dg.DefaultSensorStatus.RUNNING}
    assert running == {"on_run_failure", "active_experiment_demo", "active_experiment_backtest"}
    assert {item.default_status for item in repository.schedule_defs} == {dg.DefaultScheduleStatus.STOPPED}


def test_the_rollback_that_the_sensor_asks_for_is_a_run_that_its_job_accepts(defs: dg.Definitions) -> None:
    for mode in mode_names():
        job = defs.resolve_job_def(roll_back_job_name(mode))
        config = {"model": "m" * 64, "reason": "it earns less", "by": "judge"}
        dg.validate_run_config(job, {"ops": {roll_back_op_name(mode): {"config": config}}})


def test_all_partitioned_assets_share_one_daily_definition_in_utc(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    found = {graph.get(key).partitions_def for key in graph.get_all_asset_keys()}
    partitions = {item for item in found if item is not None}
    assert len(partitions) == 1
    (daily,) = partitions
    assert isinstance(daily, dg.TimeWindowPartitionsDefinition)
    assert (daily.timezone, daily.get_first_partition_key()) == ("UTC", "2009-01-03")
    unpartitioned = {key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).partitions_def is None}
    assert unpartitioned == set(UNPARTITIONED)


def test_every_partitioned_asset_takes_ranges_of_the_configured_length(tmp_path: Path) -> None:
    settings = load_settings({"THROUGHLINE_CHUNK_DAYS": "17"}, home=str(tmp_path))
    graph = build_defs(settings).resolve_asset_graph()
    policies = {
        graph.get(key).backfill_policy
        for key in graph.get_all_asset_keys()
        if graph.get(key).partitions_def is not None
    }
    assert policies == {dg.BackfillPolicy.multi_run(17)}


def test_the_session_depends_on_its_own_yesterday(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    key = dg.AssetKey(["backtest", "portfolio_state"])
    mapping = graph.get_partition_mapping(key, parent_asset_key=key)
    assert mapping == dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)


def test_every_asset_says_who_owns_it_what_it_runs_on_and_which_code_decides(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners == ["team:throughline"], key
        assert node.kinds, key
        assert len(node.code_version or "") == 64, key
        assert node.description, key
        assert node.group_name == f"{key.path[0]}_{node.tags['stage']}"
        assert (node.tags.get("tier") == "gate") == (key.path[-1] in (*catalogue().gated, "registry_consistency")), key


def test_the_daily_assets_are_the_stages_of_the_flow_in_order() -> None:
    assert tuple(STAGES) == tuple(catalogue().stages)
    assert tuple(EDGES)[: -len(UNPARTITIONED)] == tuple(STAGES)


def test_the_first_partition_is_a_setting(tmp_path: Path) -> None:
    settings = load_settings({"THROUGHLINE_PARTITIONS_START": "2013-04-28"}, home=str(tmp_path))
    assert settings.partitions_start == date(2013, 4, 28)
    graph = build_defs(settings).resolve_asset_graph()
    daily = graph.get(dg.AssetKey(["demo", "market_bars"])).partitions_def
    assert daily is not None
    assert daily.get_first_partition_key() == "2013-04-28"


def test_loading_the_code_location_imports_none_of_the_heavy_libraries(repo: Path) -> None:
    heavy = ["great_expectations", "matplotlib", "numba", "pandas", "pyarrow", "quantstats", "scipy", "sqlalchemy"]
    heavy += ["mlflow", "redis", "sklearn", "skops", "numpy"]
    code = f"import sys, pipelines.definitions; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
