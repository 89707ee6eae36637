"""What Dagster costs a backfill: the demo's assets over one and five years, with and without it.

Each row is a process of its own on a fresh home, so that peak memory is its own; all rows of a range run one after the
other in one call, and ratios are of that call.

  dagster   all daily assets through Dagster in this process, as `throughline backtest` runs them
  flow      the same stages without Dagster (`run_range`); of that, the seconds inside `simulate`
  empty     as many empty assets on our storage (pooled connections, events in batches)
  stock     as many empty assets on Dagster's stock PostgreSQL storage

Usage: python benchmarks/backfill.py [--years 1 5] [--chunk-days 60] [--rows dagster flow empty stock]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

REPO = Path(__file__).resolve().parent.parent
START = date(2020, 2, 1)
SEED = 7
ASSETS = 12
ROWS = ("dagster", "flow", "empty", "stock")


def days_of(years: int) -> tuple[date, date]:
    """Return the first and last day of a range of whole years."""
    return START, date(START.year + years, START.month, START.day) - timedelta(days=1)


@contextlib.contextmanager
def demo_context(home: Path) -> Iterator[tuple[Any, Any]]:
    """Yield settings and the flow context of a fresh demo experiment."""
    from resources.settings import load_settings
    from throughline.configuration import Configuration
    from throughline.experiment.modes.demo import MODE as DEMO
    from throughline.market.simulated import SimulatedProvider
    from throughline.run_opening import OpenHome, RunSettings, open_run, record_experiment
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import open_database

    settings = load_settings({}, home=str(home))
    os.environ["THROUGHLINE_SIGNING_KEY"] = str(settings.home.path / "signing.pem")  # not the person's own
    with open_database(settings.home) as database:
        opened = OpenHome(settings.home, database, ArtifactStore(settings.home.artifacts))
        run = RunSettings(DEMO.name, SimulatedProvider(SEED), Configuration(), {"seed": SEED}, START, SEED)
        yield settings, open_run(opened, record_experiment(opened, run).experiment, run.provider)


def run_dagster(home: Path, start: date, end: date, chunk_days: int) -> dict[str, float]:
    from pipelines.backfill import materialize_range

    with demo_context(home) as (settings, context):
        begun = time.perf_counter()
        summary = materialize_range(settings, context, start, end, chunk_days=chunk_days)
        return {"seconds": time.perf_counter() - begun, "stages": sum(summary.seconds.values())}


def run_flow(home: Path, start: date, end: date, chunk_days: int) -> dict[str, float]:
    from throughline.flow import run_range, session

    inside = [0.0]
    simulate = session.simulate

    def timed(*arguments: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return simulate(*arguments, **named)
        finally:
            inside[0] += time.perf_counter() - begun

    session.simulate = timed  # type: ignore[attr-defined]
    with demo_context(home) as (_, context):
        begun = time.perf_counter()
        run_range(context, start, end, chunk_days)
        return {"seconds": time.perf_counter() - begun, "simulate": inside[0]}


def empty_job() -> Any:
    partitions = dg.DailyPartitionsDefinition(START.isoformat())

    def make(number: int) -> dg.AssetsDefinition:
        before = [f"empty_{number - 1}"] if number else []
        policy = dg.BackfillPolicy.multi_run(60)

        @dg.asset(name=f"empty_{number}", deps=before, partitions_def=partitions, backfill_policy=policy)
        def empty() -> dg.MaterializeResult:
            return dg.MaterializeResult()

        return empty

    assets = [make(number) for number in range(ASSETS)]
    job = dg.define_asset_job("empty_job", selection=dg.AssetSelection.all())
    return dg.Definitions(assets, jobs=[job], executor=dg.in_process_executor).resolve_job_def("empty_job")


def run_empty_on(instance: Any, start: date, end: date, chunk_days: int) -> dict[str, float]:
    from pipelines.backfill import _QUIET
    from pipelines.job_factory import range_tags
    from throughline.flow.run import days_between, run_days

    job = empty_job()
    begun = time.perf_counter()

    def run_chunk(days: Sequence[date]) -> None:
        job.execute_in_process(instance=instance, tags=range_tags(days[0], days[-1]), run_config=_QUIET)

    run_days(days_between(start, end), run_chunk, chunk_days=chunk_days)
    return {"seconds": time.perf_counter() - begun}


def run_empty(home: Path, start: date, end: date, chunk_days: int) -> dict[str, float]:
    from resources.dagster_instance import make_instance
    from throughline.storage.home import Home

    with make_instance(Home(home)) as instance:
        return run_empty_on(instance, start, end, chunk_days)


def run_stock(home: Path, start: date, end: date, chunk_days: int) -> dict[str, float]:
    from dagster._core.instance.ref import InstanceRef

    from throughline.storage.database import open_database

    os.environ.pop("DAGSTER_EVENT_BATCH_SIZE", None)
    with open_database(home) as database:
        overrides = {"storage": {"postgres": {"postgres_url": database.url("stock")}}, "telemetry": {"enabled": False}}
        folder = home / "stock"
        folder.mkdir()
        with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=overrides)) as instance:
            return run_empty_on(instance, start, end, chunk_days)


def one_row(row: str, years: int, chunk_days: int) -> None:
    """Run one row in this process and print its numbers as JSON."""
    import logging

    logging.disable(logging.WARNING)
    run = {"dagster": run_dagster, "flow": run_flow, "empty": run_empty, "stock": run_stock}[row]
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder) / "home", *days_of(years), chunk_days)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * (1024 if sys.platform == "darwin" else 1))
    print(json.dumps(found | {"peak_mb": peak}))


def measured(row: str, years: int, chunk_days: int) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(REPO), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--row", row, "--years", str(years), "--chunk-days", str(chunk_days)]
    done = subprocess.run(command, env=environment, cwd=REPO, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def report(years: int, chunk_days: int, rows: list[str]) -> None:
    start, end = days_of(years)
    cells = ((end - start).days + 1) * ASSETS
    print(f"\n{years} year(s), {start} to {end}: {cells:,} asset-partitions in chunks of {chunk_days} days")
    found = {}
    for row in rows:
        found[row] = measured(row, years, chunk_days)
        took = found[row]
        extra = ""
        if "stages" in took:
            share = took["seconds"] - took["stages"]
            extra = f"   Dagster's share {share:.1f} s, {1000 * share / cells:.2f} ms per asset-partition"
        if "simulate" in took:
            extra = f"   of that simulate {took['simulate']:.2f} s"
        each = 1000 * took["seconds"] / cells
        print(
            f"  {row:8} {took['seconds']:8.1f} s   {each:6.2f} ms each   peak {took['peak_mb']:5.0f} MB{extra}",
            flush=True,
        )
    if {"dagster", "flow"} <= found.keys():
        print(f"  dagster / flow   {found['dagster']['seconds'] / found['flow']['seconds']:.2f}")
        if found["flow"]["simulate"] > 0:
            print(f"  flow / simulate  {found['flow']['seconds'] / found['flow']['simulate']:.1f}")
    if {"empty", "stock"} <= found.keys():
        print(f"  stock / empty    {found['stock']['seconds'] / found['empty']['seconds']:.1f}")
    if {"dagster", "stock"} <= found.keys():
        share = found["dagster"]["seconds"] - found["dagster"]["stages"]
        print(f"  stock / Dagster's share of ours  {found['stock']['seconds'] / share:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--chunk-days", type=int, default=60)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--row", choices=ROWS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        one_row(options.row, options.years[0], options.chunk_days)
        return
    print(f"measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for years in options.years:
        report(years, options.chunk_days, options.rows)


if __name__ == "__main__":
    main()
