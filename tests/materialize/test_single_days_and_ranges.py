"""Assets in one process on a real PostgreSQL: a day, a range, chunks; what Dagster shows of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets.checks.gates import CHECK_NAME
from pipelines.backfill import materialize_range
from pipelines.build import build_defs
from pipelines.jobs.daily import pipeline_job_name
from resources.flow import EXPERIMENT_TAG, GivenFlow
from resources.home import HOME, OpenFlows
from resources.settings import Settings
from tests.materialize.homes import FIRST, FailingGates, context_of, opened, seals_of
from throughline.errors import GateClosed, MissingPredecessor, SettingsError, ThroughlineError
from throughline.flow import STAGES, FlowContext
from throughline.storage.database import Database


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def materializations(instance: dg.DagsterInstance, name: str) -> dict[str, dg.AssetMaterialization]:
    records = instance.fetch_materializations(dg.AssetKey(["demo", name]), limit=1000).records
    return {str(item.partition_key): item.asset_materialization for item in reversed(records)}


def test_a_range_in_chunks_equals_the_same_days_one_by_one(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    together = context_of(database, seed=1)
    materialize_range(settings, together, day(0), day(5), chunk_days=4, instance=instance)
    apart = context_of(database, seed=2)
    for number in range(6):
        materialize_range(settings, apart, day(number), day(number), instance=instance)
    bars = {key: value for key, value in seals_of(together).items() if key[0] == "market_bars"}
    assert bars == {key: value for key, value in seals_of(apart).items() if key[0] == "market_bars"}
    # Two experiments name their records differently, so beyond the bars their rows are compared by number.
    assert len(seals_of(together)) == len(seals_of(apart)) == 6 * len(STAGES)


def test_running_a_sealed_range_again_changes_nothing(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    context = context_of(database, seed=3)
    first = materialize_range(settings, context, day(0), day(3), instance=instance)
    before = seals_of(context)
    again = materialize_range(settings, context, day(0), day(3), chunk_days=1, instance=instance)
    assert seals_of(context) == before
    assert [(r.asset, r.day, r.seal) for r in sorted(first.days, key=lambda r: (r.asset, r.day))] == [
        (r.asset, r.day, r.seal) for r in sorted(again.days, key=lambda r: (r.asset, r.day))
    ]


def test_each_partition_shows_its_rows_seal_status_and_time(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    context = context_of(database, seed=4)
    materialize_range(settings, context, day(0), day(2), instance=instance)
    seals = seals_of(context)
    for name in STAGES:
        shown = materializations(instance, name)
        assert sorted(shown) == [str(day(k)) for k in range(3)]
        for partition, event in shown.items():
            assert event.metadata["seal"].value == seals[name, partition][0]
            assert event.metadata["status"].value == "sealed"
            assert isinstance(event.metadata["dagster/row_count"].value, int)
            assert isinstance(event.metadata["seconds"].value, float)
        assert ["preview" in event.metadata for _, event in sorted(shown.items())] == [False, False, True]
    hours = materializations(instance, "market_bars")[str(day(0))].metadata["hours"].value
    assert isinstance(hours, int)
    assert 1 <= hours <= 24
    assert "funnel" in materializations(instance, "market_scan")[str(day(0))].metadata
    for name in ("market_scan", "portfolio_state"):
        preview = materializations(instance, name)[str(day(2))].metadata["preview"].value
        assert "](data:image/svg+xml;base64," in str(preview)


def test_a_run_is_tagged_with_its_experiment(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    context = context_of(database, seed=5)
    flow = GivenFlow(context, settings.home)
    job = build_defs(settings, overrides={HOME: OpenFlows(flow)}).resolve_job_def(pipeline_job_name("demo"))
    done = job.execute_in_process(instance=instance, partition_key=str(day(0)))
    run = instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.tags[EXPERIMENT_TAG] == context.experiment.id


def test_a_failed_gate_leaves_the_run_green_the_check_red_and_the_days_below_blocked(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    gates = FailingGates({"market_bars": [day(1)]})
    context = context_of(database, seed=6, gates=gates)
    result = materialize_range(settings, context, day(0), day(3), instance=instance)
    statuses = {(r.asset, r.day): r.status for r in result.days}
    for name in ("market_scan", "trade_candidates", "research_snapshots"):
        assert [statuses[name, day(k)] for k in range(4)] == ["sealed", "blocked", "sealed", "sealed"], name
    assert {(r.asset, r.day) for r in result.blocked} >= {("market_bars", day(1)), ("market_scan", day(1))}
    assert all(run.status == dg.DagsterRunStatus.SUCCESS for run in instance.get_runs())
    shown = materializations(instance, "market_scan")[str(day(1))].metadata
    assert shown["dagster/row_count"].value == 0
    assert shown["blocked_by"].value == "market_bars broke made_to_fail in 3 rows"
    check = check_of(instance, "market_bars")
    assert not check.passed
    assert "1 of 4 sealed days fail, the first 2021-03-02: made_to_fail is broken by 3 rows" in str(check.description)
    assert check_of(instance, "market_scan").passed


def check_of(instance: dg.DagsterInstance, name: str) -> dg.AssetCheckEvaluation:
    key = dg.AssetCheckKey(dg.AssetKey(["demo", name]), CHECK_NAME)
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.event is not None
    return record.event.get_dagster_event().asset_check_evaluation_data


def test_a_later_good_range_does_not_turn_the_check_green(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    context = context_of(database, seed=8, gates=FailingGates({"trade_candidates": [day(0)]}))
    materialize_range(settings, context, day(0), day(1), instance=instance)
    materialize_range(settings, context, day(2), day(3), instance=instance)
    assert not check_of(instance, "trade_candidates").passed


def test_a_hard_gate_materializes_the_days_before_it_and_fails_the_run_with_its_sentence(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    context = context_of(database, seed=9, gates=FailingGates({"executions": [day(2)]}))
    with pytest.raises(GateClosed, match=r"executions of 2021-03-03 broke the rule 'made_to_fail'"):
        materialize_range(settings, context, day(0), day(4), instance=instance)
    assert sorted(materializations(instance, "executions")) == [str(day(0)), str(day(1))]
    assert sorted(materializations(instance, "portfolio_state")) == [str(day(k)) for k in range(5)]
    assert materializations(instance, "outcomes") == {}
    assert not check_of(instance, "executions").passed
    (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.FAILURE


def test_a_session_without_its_yesterday_names_the_missing_day(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    context = context_of(database, seed=10)
    for name in ("market_bars", "market_scan", "trade_candidates", "research_snapshots"):
        STAGES[name](context, [day(k) for k in range(4)])
    with pytest.raises(MissingPredecessor, match="portfolio_state of 2021-03-02 is not sealed"):
        materialize_range(settings, context, day(2), day(3), instance=instance)


def test_chunks_up_to_research_may_run_in_any_order(
    database: Database, settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    upstream = ("market_bars", "market_scan", "trade_candidates", "research_snapshots")
    context = context_of(database, seed=14)
    materialize_range(settings, context, day(0), day(8), instance=instance)
    in_order = {key: value for key, value in seals_of(context).items() if key[0] in upstream}
    with opened(tmp_path / "other") as other:
        overtaken = context_of(other, seed=14)
        flow = GivenFlow(overtaken, other.home)
        for first in (6, 0, 3):  # as when the runs of a backfill overtake one another
            for name in upstream:
                flow.run_stage(name, overtaken, [day(first + k) for k in range(3)])
        assert seals_of(overtaken) == in_order


class Torn(GivenFlow):
    """A flow whose process dies, as far as Dagster can tell, before the session of the given day."""

    def __init__(self, context: FlowContext, settings: Settings, last: date) -> None:
        super().__init__(context, settings.home)
        self._last = last

    def run_stage(self, asset: str, context: FlowContext, days: list[date]) -> list:
        if asset == "portfolio_state" and self._last in days:
            super().run_stage(asset, context, [item for item in days if item < self._last])
            raise KeyboardInterrupt
        return super().run_stage(asset, context, days)


def test_a_run_torn_in_the_middle_goes_on_where_it_was(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    context = context_of(database, seed=11)
    job = build_defs(settings, overrides={HOME: OpenFlows(Torn(context, settings, day(3)))}).resolve_job_def(
        pipeline_job_name("demo")
    )
    tags = {"dagster/asset_partition_range_start": str(day(0)), "dagster/asset_partition_range_end": str(day(4))}
    with pytest.raises(KeyboardInterrupt):
        job.execute_in_process(instance=instance, tags=tags)
    torn = seals_of(context)
    assert ("portfolio_state", str(day(2))) in torn
    assert ("portfolio_state", str(day(3))) not in torn
    materialize_range(settings, context, day(0), day(4), chunk_days=2, instance=instance)
    whole = seals_of(context)
    assert {key: whole[key] for key in torn} == torn
    assert len(whole) == 5 * len(STAGES)


def test_days_beyond_the_data_are_refused_and_not_sealed_as_empty(
    database: Database, settings: Settings, instance: dg.DagsterInstance
) -> None:
    last = date(2029, 12, 31)
    context = context_of(database, seed=12, epoch=last)
    flow = GivenFlow(context, settings.home)
    with pytest.raises(SettingsError, match="2030-01-01 lies after the last complete day of simulated"):
        flow.run_stage("market_bars", context, [last, date(2030, 1, 1)])
    assert seals_of(context) == {}


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (date(2009, 1, 2), date(2017, 1, 2), "set THROUGHLINE_PARTITIONS_START=2009-01-02"),
        (day(3), day(2), "before it starts"),
    ],
)
def test_a_range_outside_the_partitions_is_refused_with_the_remedy(
    database: Database, settings: Settings, start: date, end: date, message: str
) -> None:
    with pytest.raises(ThroughlineError, match=message):
        materialize_range(settings, context_of(database, seed=13), start, end)
