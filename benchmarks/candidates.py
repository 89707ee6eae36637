"""What one candidate costs: ``python benchmarks/candidates.py DATA [COPIES ...]`` (1, 4 and 16 copies).

The hourly Binance pairs of January 2021, each copied under other names and without the filter on market cap. So each
candidate more also brings the bars of a ninth of a coin, which are most of its memory. Every stage runs with the real
gates, in a process and a home of its own. Printed: seconds, CPU and peak memory of the process, milliseconds a
candidate, and in the last lines what one candidate more costs. The reference is a fixed amount of work of this
interpreter (hashing and JSON), measured in the same run: its ratio tells two machines apart. DATA is the folder that
the archive descriptions' paths start from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "examples" / "archives" / "binance-hourly-2021.toml"
BARS = Path("binance_spot_ohlcv_2020_2021") / "ohlcv_1h.parquet"
PAIRS = Path("binance_spot_ohlcv_2020_2021") / "pair_to_coingecko.csv"
CAPS = Path("coingecko_daily_2021") / "prices.parquet"
START, END = date(2021, 1, 1), date(2021, 1, 31)
CONFIGURATION = "[strategy.market_cap]\nenabled = false\n"
AIM_MS = 1.0


def copy_pairs(data: Path, folder: Path, copies: int) -> None:
    """Write the archive's files below `folder`, every pair `copies` times; the benchmark coin stays alone."""
    import pandas as pd

    bars = pd.read_parquet(data / BARS)
    opened = pd.to_datetime(bars["open_time_ms"], unit="ms").dt.date
    bars = bars[(opened <= END)]
    others = bars[bars["pair"] != "BTC/USDT"]
    parts = [bars] + [others.assign(pair=others["pair"] + f"#{number}") for number in range(1, copies)]
    for path in (BARS, PAIRS, CAPS):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    pd.concat(parts, ignore_index=True).to_parquet(folder / BARS, index=False)
    for path in (PAIRS, CAPS):
        (folder / path).write_bytes((data / path).read_bytes())


def run(folder: Path) -> dict[str, Any]:
    """Run every stage over the files of `folder` in a new home; return counts, seconds by stage and peak memory."""
    from throughline.clock import FixedClock
    from throughline.configuration import load_configuration
    from throughline.experiment.identity import lock_hash, make_experiment
    from throughline.experiment.modes.backtest import MODE as BACKTEST
    from throughline.experiment.registry import register
    from throughline.flow import RunSummary, make_context, run_days, stage_runner
    from throughline.flow.run import days_between
    from throughline.market.archive import open_archive
    from throughline.proof.settings import open_proof
    from throughline.quality.runner import GreatExpectationsRunner
    from throughline.storage.artifacts import ArtifactStore
    from throughline.storage.database import open_database
    from throughline.storage.home import Home
    from throughline.trading import warm_up

    settings = folder / "settings.toml"
    settings.write_text(CONFIGURATION, encoding="utf-8")
    configuration = load_configuration(settings)
    clock = FixedClock(datetime(2030, 1, 1, tzinfo=UTC))
    provider = open_archive(ARCHIVE, folder)
    experiment = make_experiment(
        BACKTEST.name, START, configuration, provider.description.source_hash, 0, lock=lock_hash()
    )
    gates = GreatExpectationsRunner(configuration.gates)
    warm_up()
    with open_database(Home(folder / "home")) as database:
        engine = database.engine("writer")
        register(engine, experiment)
        proof = open_proof(database.home, database.embedded, clock=clock)
        store = ArtifactStore(folder / "home" / "artifacts")
        ctx = make_context(experiment, provider, engine, store, gates, clock, None, proof)
        summary = RunSummary()
        started, cpu = time.perf_counter(), time.process_time()
        run_days(days_between(START, END), stage_runner(ctx, summary))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    if summary.error is not None:
        raise summary.error
    candidates = sum(result.rows for result in summary.days if result.asset == "trade_candidates")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"candidates": candidates, "seconds": seconds, "cpu": cpu, "peak": peak, "stages": summary.seconds}


def reference() -> float:
    """Return the CPU seconds of a fixed amount of work: JSON and hashes of 20,000 small records."""
    started = time.process_time()
    record = {f"key{k}": f"{k / 7:.9f}" for k in range(60)}
    for number in range(20_000):
        hashlib.sha256(json.dumps(record | {"number": number}, sort_keys=True).encode()).hexdigest()
    return time.process_time() - started


def measure(data: Path, copies: int) -> Mapping[str, Any]:
    """Run the flow over `copies` copies in a process of its own and print its line."""
    with tempfile.TemporaryDirectory(prefix="throughline-candidates-") as name:
        folder = Path(name)
        copy_pairs(data, folder, copies)
        child = subprocess.run(
            (sys.executable, __file__, "--run", name), capture_output=True, text=True, check=False, cwd=ROOT
        )
        if child.returncode:
            sys.exit(f"the run with {copies} copies failed: {child.stderr.strip()}")
        result: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    each = 1000 * result["seconds"] / max(1, result["candidates"])
    print(
        f"{copies:4} copies  {result['candidates']:7,} candidates  {result['seconds']:7.1f} s  "
        f"{result['cpu']:7.1f} s CPU  {result['peak']:7,.0f} MB  {each:6.2f} ms a candidate",
        flush=True,
    )
    slowest = sorted(result["stages"].items(), key=lambda item: -item[1])[:6]
    print("             " + ", ".join(f"{asset} {seconds:.1f} s" for asset, seconds in slowest), flush=True)
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each number of copies and print what one candidate more costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", metavar="DATA", help="folder with the archives' files")
    parser.add_argument("copies", type=int, nargs="*", default=[1, 4, 16], metavar="COPIES")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run is not None:
        print(json.dumps(run(options.run)))
        return
    if options.data is None:
        parser.error("DATA is missing: name the folder that the archive descriptions' paths start from")
    print(f"reference: {reference():.2f} s CPU", flush=True)
    measured = [measure(options.data, copies) for copies in options.copies]
    first, last = measured[0], measured[-1]
    more = last["candidates"] - first["candidates"]
    if more > 0:
        for name in ("seconds", "cpu"):
            each = 1000 * (last[name] - first[name]) / more
            print(f"one candidate more: {each:.2f} ms ({name}; aim {AIM_MS} ms)")
        print(f"memory of one candidate more: {1024 * (last['peak'] - first['peak']) / more:.1f} kB")


if __name__ == "__main__":
    main()
