"""The seed document's examples, as written there but for package names; and that the clock decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.integration.flow_slices import HOURLY, Gates, cut, provider_of
from throughline.clock import FixedClock
from throughline.configuration import Configuration
from throughline.errors import SettingsError
from throughline.flow import run_range
from throughline.market.simulated import SimulatedProvider
from throughline.registry import registry_coordinator
from throughline.run_opening import OpenHome, RunSettings, open_run, record_experiment
from throughline.storage.artifacts import ArtifactStore
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.tables import hot_features
from throughline.unified import UnifiedTradingPipeline
from throughline.unified.pipeline import SEED

CLOCK = FixedClock(datetime(2030, 1, 1, tzinfo=UTC))
START = date(2024, 3, 2)


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Configure a home of this test's own."""
    monkeypatch.setenv("THROUGHLINE_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    registry_coordinator.close()


def demo(home: Path | None = None) -> UnifiedTradingPipeline:
    return UnifiedTradingPipeline("demo", home, start=START, clock=CLOCK, gates=Gates())


def test_the_seeds_examples_run_as_written(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def usage() -> None:
        # Initialize pipeline
        pipeline = UnifiedTradingPipeline(mode="demo")

        # Run trading cycle (automatically handles all registry updates)
        cycle_result = await pipeline.run_trading_cycle()

        # Get performance analytics
        analytics = pipeline.get_performance_analytics()

        # Validate registry consistency
        consistency = pipeline.validate_registry_consistency()
        assert cycle_result["cycle"] == 1
        assert cycle_result["instruments"] > 10
        assert analytics["total_trades"] == 0
        assert consistency["ok"]

        # Run comprehensive backtest
        backtest_results = await pipeline.run_backtest(
            duration_seconds=240,  # ten days of hourly bars; the seed's 3600 are 150
            cycle_interval=1.0,  # 1 second intervals
        )

        print(f"Backtest completed: {backtest_results['cycles_completed']} cycles")
        print(f"Total profit: ${backtest_results['total_profit']:.2f}")
        print(f"Success rate: {backtest_results['success_rate']:.2%}")
        assert backtest_results["total_trades"] == len(backtest_results["trades"]) > 0
        assert backtest_results["simulated_start"] == "2024-01-24T01:00:00+00:00"
        assert backtest_results["simulated_end"] == "2024-02-03T01:00:00+00:00"

        # Get comprehensive analytics
        analytics = registry_coordinator.get_performance_analytics()

        # Get registry statistics
        stats = registry_coordinator.get_registry_statistics()

        # Validate consistency
        consistency = registry_coordinator.validate_registry_consistency()
        assert analytics["total_profit"] == backtest_results["total_profit"]
        assert stats["experiment"] == analytics["experiment"] == backtest_results["experiment"]
        assert stats["linkage"]["soulprints"]["coverage"] == stats["linkage"]["profit_buckets"]["coverage"] == 1.0
        assert consistency["ok"], consistency["findings"][:3]
        assert consistency["trades"] == backtest_results["total_trades"]
        for name in backtest_results["trades"]:
            assert registry_coordinator.get_trade_with_all_linkages(name)["complete"]
        pipeline.close()

    asyncio.run(usage())
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "Backtest completed: 240 cycles"
    assert printed[1].startswith("Total profit: $")
    assert printed[2].startswith("Success rate: ")


def outcome(pipeline: UnifiedTradingPipeline) -> dict[str, Any]:
    told = pipeline.get_registry_statistics()
    return {name: told[name] for name in ("experiment", "canonical_trades", "soulprints", "profit_buckets")}


def test_cycle_by_cycle_gives_the_same_records_as_one_long_run_and_again_the_same_when_resumed(tmp_path: Path) -> None:
    async def long(pipeline: UnifiedTradingPipeline) -> dict[str, Any]:
        return await pipeline.run_backtest(24 * 5, 1.0)

    async def cycles(pipeline: UnifiedTradingPipeline, count: int) -> list[dict[str, Any]]:
        return [await pipeline.run_trading_cycle() for _ in range(count)]

    with demo(tmp_path / "long") as pipeline:
        whole = asyncio.run(long(pipeline))
        expected = outcome(pipeline)
    with demo(tmp_path / "steps") as pipeline:
        told = asyncio.run(cycles(pipeline, 24 * 3))
    with demo(tmp_path / "steps") as pipeline:  # a new process, as it were: sealed days are not run again
        told = asyncio.run(cycles(pipeline, 24 * 5))
        assert outcome(pipeline) == expected
    with demo(tmp_path / "steps") as pipeline:
        assert asyncio.run(long(pipeline)) == whole
    assert [item["day_closed"] for item in told[:24]] == [False] * 23 + [True]
    assert [name for item in told for name in item["trades"] or []] == whole["trades"]
    for name in ("total_trades", "winning_trades", "success_rate", "total_profit", "portfolio_value"):
        assert told[-1][name] == whole[name]
    assert told[22]["candidates"] is None
    assert told[23]["candidates"] is not None


def test_a_backtest_runs_on_real_bars_and_ends_where_the_archive_ends(
    tmp_path: Path, shared_data: Path, repo: Path
) -> None:
    folder = cut(HOURLY, shared_data, tmp_path / "data")
    settings = tmp_path / "settings.toml"
    settings.write_text(HOURLY.settings, encoding="utf-8")
    archive = repo / "examples" / "archives" / str(HOURLY.archive)
    last = provider_of(HOURLY, folder, repo).description.last_day
    with UnifiedTradingPipeline(
        "backtest",
        tmp_path / "home",
        archive=archive,
        data=folder,
        configuration=settings,
        start=HOURLY.start,
        clock=CLOCK,
        gates=Gates(),
    ) as pipeline:
        told = asyncio.run(pipeline.run_backtest(24 * 9, 1.0))
        assert told["days_closed"] == 9
        assert told["total_trades"] > 0
        assert told["total_profit"] == pipeline.get_performance_analytics()["total_profit"]
        assert pipeline.get_registry_statistics()["linkage"]["soulprints"]["coverage"] == 1.0
        with pytest.raises(SettingsError, match=f"the market ends on {last}"):
            asyncio.run(pipeline.run_backtest(24 * 10_000, 1.0))
        assert pipeline.simulated_time == told["simulated_end"]


@pytest.mark.parametrize(("duration", "interval"), [(0, 1.0), (3600, 0), (1, 2.0), (float("nan"), 1.0)])
def test_steps_that_are_none_are_refused(tmp_path: Path, duration: float, interval: float) -> None:
    with pytest.raises(ValueError, match="give at least one step"):
        asyncio.run(demo(tmp_path / "unused").run_backtest(duration, interval))
    assert not (tmp_path / "unused").exists()


def test_tenths_of_a_second_are_counted_whole(tmp_path: Path) -> None:
    with demo(tmp_path / "home") as pipeline:
        assert asyncio.run(pipeline.run_backtest(0.3, 0.1))["cycles_completed"] == 3


def test_a_pipeline_serves_online_readers_as_a_command_does(tmp_path: Path) -> None:
    """Both open their run in one place, which hands the stages the hot store."""
    provider, days = SimulatedProvider(SEED), 3
    settings = RunSettings("demo", provider, Configuration(), {"seed": SEED}, START, SEED)

    def served(database: Database) -> list[Any]:
        with database.engine("reader").connect() as connection:
            rows = connection.execute(select(hot_features).order_by(hot_features.c.instrument)).mappings()
            return [{name: row[name] for name in ("namespace", "instrument", "entry")} for row in rows]

    with open_database(Home(tmp_path / "command")) as database:
        opened = OpenHome(Home(tmp_path / "command"), database, ArtifactStore(tmp_path / "command" / "artifacts"))
        context = open_run(opened, record_experiment(opened, settings).experiment, provider, Gates(), CLOCK)
        run_range(context, START, START + timedelta(days=days - 1))
        expected = served(database)
    with demo(tmp_path / "pipeline") as pipeline:
        asyncio.run(pipeline.run_backtest(24 * days, 1.0))
    with open_database(Home(tmp_path / "pipeline")) as database:
        assert served(database) == expected
    assert expected
