"""The whole command, from the shell to the report: wall time, CPU and peak memory beside a fixed reference process.

Each row is a command as a user types it, on a home of its own whose database exists already. Its time is also given as
a multiple of the reference process (a fixed load of numpy, hashing and text in a new Python), which runs before each
row, so that rows of two machines can be compared. Rows that need an archive are skipped, with the reason, where --data
does not hold it. What other programs need for the same bars with a plainer rule is measured in the same run where an
interpreter that has them is given.

  fresh      Binance, January to May 2021: a new experiment
  nothing    the same command again: every day is sealed
  one day    the same with one day more
  cmc        CoinMarketCap, 130 days to 26 May 2018: 1,386 coins
  demo       the simulated market, 30 days
  years      the simulated market, 1,500 days
  walk       the closes, January 2022 to July 2024, with 30 trainings (minutes; only where it is named)

Usage: python benchmarks/whole.py [--data DIR] [--rows fresh nothing ...] [--repeat N] [--vectorbt PYTHON]
                                  [--freqtrade PYTHON FOLDER]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
DATA = REPO.parent / "shared" / "data"
ARCHIVES = REPO / "examples" / "archives"
HOURLY = "binance_spot_ohlcv_2020_2021"
REFERENCE = """
import hashlib, json
import numpy as np
values = np.random.default_rng(7).standard_normal(4_000_000)
for _ in range(6):
    values = np.sort(np.cumsum(values) % 1.0)
text = [repr(value) for value in values[:600_000].tolist()]
for part in text:
    hashlib.sha256(part.encode()).hexdigest()
json.loads(json.dumps(text))
"""


@dataclass(frozen=True)
class Measured:
    """What one process and its children took. wall, cpu: seconds; peak: MB of all of them together at one moment."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True)
class Row:
    """A command. arguments: after `throughline`; folder: what --data must hold, None for no data; after: the row whose
    home it goes on with, None for a home of its own; named: runs only where it is named; aim: seconds on two cores."""

    name: str
    arguments: tuple[str, ...]
    folder: str | None = None
    after: str | None = None
    named: bool = False
    aim: float | None = None


def backtest(archive: str, start: str, end: str) -> tuple[str, ...]:
    """Return the arguments of a backtest of an example archive, without --data and --home."""
    return ("backtest", "--archive", str(ARCHIVES / f"{archive}.toml"), "--start", start, "--end", end)


ROWS = (
    Row("fresh", backtest("binance-hourly-2021", "2021-01-01", "2021-05-31"), HOURLY, aim=9),
    Row("nothing", backtest("binance-hourly-2021", "2021-01-01", "2021-05-31"), HOURLY, after="fresh", aim=2),
    Row("one day", backtest("binance-hourly-2021", "2021-01-01", "2021-06-01"), HOURLY, after="fresh", aim=4),
    Row("cmc", backtest("coinmarketcap-2018", "2018-01-17", "2018-05-26"), "coinmarketcap_daily_2018h1", aim=12),
    Row("demo", ("demo",)),
    Row("years", ("demo", "--days", "1500")),
    Row(
        "walk",
        (
            "walk-forward",
            *backtest("binance-closes-2022", "2022-01-01", "2024-07-31")[1:],
            *("--config", str(ARCHIVES / "binance-closes-2022.config.toml")),
        ),
        "binance_spot_1h_close_2022_2025",
        named=True,
        aim=300,
    ),
)


def measure(command: Sequence[str], environment: dict[str, str]) -> Measured:
    """Run a command; return what it took. Exits with its last words where it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=REPO, env=environment, stdout=output, stderr=subprocess.STDOUT)
        with _peak_memory(process.pid) as peaks:
            _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{output.read().decode(errors='replace')[-3000:]}")
    largest = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return Measured(wall, usage.ru_utime + usage.ru_stime, max([largest, *peaks]))


@contextmanager
def _peak_memory(pid: int) -> Iterator[list[float]]:
    """Yield a list that gets the memory (MB) of a process and its children while the block runs; empty without /proc.

    A page that several of them share counts once (proportional set size). The database server is not among them: it
    leaves its parent and is there for other commands as well.
    """
    megabytes: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            megabytes.append(sum(_proportional_megabytes(item) for item in _with_children(pid)))

    watcher = threading.Thread(target=watch, daemon=True)
    if Path("/proc/self/smaps_rollup").is_file():
        watcher.start()
    try:
        yield megabytes
    finally:
        ended.set()
        if watcher.ident is not None:
            watcher.join()


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:  # it ended meanwhile
            continue
        for child in children:
            yield from _with_children(int(child))


def _proportional_megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        if b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return 0.0
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def report(rows: Sequence[Row], data: Path, repeat: int) -> None:
    """Run and print the rows, each `repeat` times; figures are medians."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    throughline = str(Path(sys.executable).parent / "throughline")
    print(f"{'row':10} {'wall s':>8} {'cpu s':>8} {'peak MB':>8} {'x reference':>12}   aim s")
    for row in rows:
        if row.folder is not None and not (data / row.folder).is_dir():
            print(f"{row.name:10} skipped: {data / row.folder} does not exist (--data)", flush=True)
            continue
        taken, references = [], []
        for _ in range(repeat):
            with tempfile.TemporaryDirectory() as folder:
                home = ("--home", str(Path(folder) / "home"))
                subprocess.run(
                    [throughline, "demo", "--days", "1", *home], env=environment, capture_output=True, check=True
                )
                place = () if row.folder is None else ("--data", str(data))
                before = [item for item in ROWS if item.name == row.after]
                for item in before:
                    measure([throughline, *item.arguments, *place, *home], environment)
                references.append(measure([sys.executable, "-c", REFERENCE], environment).wall)
                taken.append(measure([throughline, *row.arguments, *place, *home], environment))
        wall, cpu, peak = (statistics.median(getattr(item, name) for item in taken) for name in ("wall", "cpu", "peak"))
        ratio = wall / statistics.median(references)
        aim = "" if row.aim is None else f"{row.aim:7.0f}"
        print(f"{row.name:10} {wall:8.2f} {cpu:8.2f} {peak:8.0f} {ratio:12.2f} {aim}", flush=True)


def report_others(data: Path, vectorbt: str | None, freqtrade: tuple[str, str] | None) -> None:
    """Print what other programs take for the same pairs and a plainer rule, as whole processes, where they are given.

    vectorbt: an interpreter that has it; its order function is that of `benchmarks/engine.py`. freqtrade: an
    interpreter that has it and the folder of a `run.py` that runs it without a network.
    """
    file = data / HOURLY / "ohlcv_1h.parquet"
    if vectorbt is None and freqtrade is None:
        return
    if not file.is_file():
        print(f"vectorbt, freqtrade  skipped: {file} does not exist (--data)")
        return
    with tempfile.TemporaryDirectory() as folder:
        reference = measure([sys.executable, "-c", REFERENCE], dict(os.environ)).wall
        commands = {}
        if vectorbt is not None:
            sys.path.insert(0, str(REPO / "benchmarks"))
            import engine
            import numpy as np

            np.savez(Path(folder) / "grid.npz", **engine.grid_of(engine.load(data)))
            script = str(REPO / "benchmarks" / "engine.py")
            commands["vectorbt"] = [vectorbt, script, "--inside-vectorbt", str(Path(folder) / "grid.npz"), "--once"]
        if freqtrade is not None:
            python, place = freqtrade
            run = [python, str(Path(place) / "run.py"), "--data", str(file), "--variant", "B", "--work", folder]
            subprocess.run([*run, "--trades", os.devnull, "--prepare"], check=True, capture_output=True)
            commands["freqtrade"] = [*run, "--trades", str(Path(folder) / "trades.csv")]
        for name, command in commands.items():
            took = measure(command, dict(os.environ))
            print(
                f"{name:10} {took.wall:8.2f} {took.cpu:8.2f} {took.peak:8.0f} {took.wall / reference:12.2f}", flush=True
            )


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds the archives' folders")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="default: all but 'walk'")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each row, of which the median is printed")
    parser.add_argument("--vectorbt", metavar="PYTHON", help="interpreter of an environment that has vectorbt")
    parser.add_argument(
        "--freqtrade",
        nargs=2,
        metavar=("PYTHON", "FOLDER"),
        help="interpreter that has freqtrade, folder of its run.py",
    )
    options = parser.parse_args()
    rows = [row for row in ROWS if (row.name in options.rows if options.rows else not row.named)]
    print(f"measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    report(rows, options.data, options.repeat)
    report_others(options.data, options.vectorbt, options.freqtrade)


if __name__ == "__main__":
    main()
