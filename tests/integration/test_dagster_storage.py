"""Dagster's own storage in a home: one pool, the same history for everyone, and no DAGSTER_HOME."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import sqlalchemy as sa

from resources.dagster_instance import instance_settings, make_instance
from resources.dagster_pool import POOLS
from resources.dagster_storage import HomeStorage
from throughline.storage.database import open_database
from throughline.storage.home import Home

DAYS = dg.DailyPartitionsDefinition(start_date="2024-01-01")


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.multi_run(50))
def measured(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    for key in context.partition_keys:
        context.add_asset_metadata({"rows": 1}, partition_key=key)
    return dg.MaterializeResult()


DEFINITIONS = dg.Definitions(assets=[measured], jobs=[dg.define_asset_job("measure", selection="measured")])


def materialise(instance: dg.DagsterInstance, days: int) -> dg.ExecuteInProcessResult:
    last = DAYS.get_partition_keys()[days - 1]
    tags = {"dagster/asset_partition_range_start": "2024-01-01", "dagster/asset_partition_range_end": last}
    return DEFINITIONS.resolve_job_def("measure").execute_in_process(instance=instance, tags=tags)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    home = Home(tmp_path_factory.mktemp("dagster") / "a home")
    with open_database(home):  # held, so that the server is not stopped and started between the tests
        yield home


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with make_instance(home) as instance:
        yield instance


def test_a_range_runs_and_every_day_of_it_is_materialised(instance: dg.DagsterInstance) -> None:
    result = materialise(instance, 40)
    assert result.success
    keys = instance.get_materialized_partitions(dg.AssetKey("measured"))
    assert keys == set(DAYS.get_partition_keys()[:40])


def test_the_next_instance_on_the_home_shows_the_same_history(home: Home) -> None:
    with make_instance(home) as first:
        run = materialise(first, 1).run_id
    with make_instance(home) as second:
        record = second.get_run_by_id(run)
        assert record is not None
        assert record.status is dg.DagsterRunStatus.SUCCESS


def test_the_instance_is_ours_whatever_dagster_home_says(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with make_instance(home) as instance:
        assert materialise(instance, 1).success
        assert instance.root_directory == str(home.dagster)
        assert not instance.telemetry_enabled
    assert list(tmp_path.iterdir()) == []


def test_a_range_opens_a_handful_of_connections_and_not_one_per_event(home: Home) -> None:
    with make_instance(home) as instance:
        pool = POOLS.take(home, None)
        opened: list[object] = []
        sa.event.listen(pool.engine, "connect", lambda connection, record: opened.append(connection))
        try:
            result = materialise(instance, 60)
            assert len(instance.all_logs(result.run_id)) > 120
        finally:
            POOLS.give_back(pool)
    assert len(opened) <= 5


def test_instances_on_one_home_share_a_pool_and_the_last_one_closes_it(home: Home) -> None:
    with make_instance(home), make_instance(home):
        pool = POOLS.take(home, None)
        assert pool.users == 3
        POOLS.give_back(pool)
    assert pool.users == 0
    assert pool.engine.pool.checkedout() == 0


def test_sessions_are_in_utc_and_do_not_wait_for_the_disk(home: Home, instance: dg.DagsterInstance) -> None:
    pool = POOLS.take(home, None)
    try:
        with pool.engine.connect() as connection:
            settings = "timezone", "synchronous_commit", "statement_timeout"
            found = [connection.execute(sa.text(f"SHOW {name}")).scalar() for name in settings]
    finally:
        POOLS.give_back(pool)
    assert found == ["UTC", "off", "0"]


def test_the_web_server_bounds_its_statements_and_nobody_elses(home: Home) -> None:
    with make_instance(home) as instance:
        instance.optimize_for_webserver(statement_timeout=1500, pool_recycle=3600, max_overflow=20)
        pool = POOLS.take(home, None)
        try:
            with pool.engine.connect() as connection:
                assert connection.execute(sa.text("SHOW statement_timeout")).scalar() == "1500ms"
        finally:
            POOLS.give_back(pool)


def test_the_tables_are_stamped_so_that_dagster_can_migrate_them(instance: dg.DagsterInstance) -> None:
    current, head = instance.run_storage.alembic_version()  # type: ignore[misc]
    assert current == head


def test_the_daemons_settings_file_is_accepted_with_our_storage(
    repo: Path, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("THROUGHLINE_HOME", str(home.path))
    from dagster._core.instance.ref import InstanceRef

    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path), config_dir=str(repo))) as instance:
        assert isinstance(instance.run_storage, type(HomeStorage(home).run_storage))
        assert instance.storage_directory() == str(home.dagster / "storage")
        assert instance.run_monitoring_enabled
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_was_killed_is_started_again_under_the_next_question(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with make_instance(home) as instance:
        assert instance.get_runs_count() == 0
        servers = [
            p for p in psutil.process_iter(["cmdline"]) if f"{home.path}/database" in " ".join(p.info["cmdline"] or [])
        ]
        postgres = [p for p in servers if Path((p.info["cmdline"] or [""])[0]).name == "postgres"]
        assert postgres
        for process in postgres:
            os.kill(process.pid, signal.SIGKILL)
        for storage in {id(pool): pool for pool in POOLS._open.values()}.values():
            storage.engine.dispose()
        assert instance.get_runs_count() == 0
        assert materialise(instance, 1).success


def _first_start(folder: str, results: "multiprocessing.Queue[str]") -> None:
    with make_instance(Home(folder)) as instance:
        results.put(f"{instance.get_runs_count()}")


def test_two_first_starts_on_one_home_both_succeed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_first_start, args=(str(tmp_path / "home"), results)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sorted(results.get(timeout=5) for _ in processes) == ["0", "0"]


def test_the_settings_survive_being_sent_to_another_process(home: Home) -> None:
    settings = instance_settings(home, capture_output=True)
    assert settings["storage"]["custom"]["config"] == {"home": str(home.path)}
    with make_instance(home, capture_output=True) as instance:
        again = dg.DagsterInstance.from_ref(instance.get_ref())
        try:
            assert again.get_runs_count() == instance.get_runs_count()
        finally:
            again.dispose()
