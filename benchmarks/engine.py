"""The engine on 115 hourly pairs against vectorbt and a bare loop: ``python benchmarks/engine.py [--data DIR]``.

Rules: 24-bar momentum >= 10 % and 24-bar quote volume >= $100,000 on closed bars, entry at the open of the next bar
there is, stop 15 %, target 30 %, time exit at the open of the first bar at or after 48 h, 0.1 % fee a side and no other
costs; raw bars, segmentation and halts off; what is open at the end closes at the last close. (A) pairs independent;
(B) five slots, highest momentum first, then name. Expected: 5,315 and 867 trades.

Ours is `simulate` with everything it records (three paths, costs, ambiguity, dispositions), the others do one path.
vectorbt runs in its own environment: ``--vectorbt PYTHON`` names the interpreter of one, otherwise a throw-away one is
made with pip. Its order function is written by hand for it and compiled; every trade is compared with ours.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

REPO = Path(__file__).resolve().parent.parent
DATA = REPO.parent / "shared" / "data"
HOUR = 3_600_000
EXPECTED = {"A": 5315, "B": 867}
SLOTS = {"A": None, "B": 5}
REPEATS = 21


def load(folder: Path) -> dict[str, Any]:
    """Read the bars and find the signals: flat arrays by pair, starts, and (pair, decision time, momentum)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_memory_pool(pa.system_memory_pool())  # gives back what reading took
    file = folder / "binance_spot_ohlcv_2020_2021" / "ohlcv_1h.parquet"
    table = pq.ParquetFile(file, memory_map=True, read_dictionary=["pair"]).read(use_threads=False).combine_chunks()
    pairs = table["pair"].chunk(0)

    def column(name: str) -> Any:
        return np.from_dlpack(table[name].chunk(0))  # to_numpy would import pandas

    code, names = np.from_dlpack(pairs.indices), pairs.dictionary.to_pylist()
    first = np.flatnonzero(np.diff(code, prepend=-1))
    data: dict[str, Any] = {name: column(name) for name in ("open", "high", "low", "close")}
    data["time"] = column("open_time_ms")
    data["names"] = tuple(names[code[row]] for row in first)
    data["starts"] = np.append(first, len(code)).astype(np.int64)
    data["pair"], data["decision"], data["momentum"] = signals(
        data["starts"], data["time"], data["close"], column("volume_base")
    )
    return data


def signals(starts: Any, times: Any, close: Any, base_volume: Any) -> tuple[Any, Any, Any]:
    """Every closed bar with 24-bar momentum >= 10 % and 24-bar quote volume >= $100,000."""
    traded = np.concatenate([[0.0], np.cumsum(base_volume * close)])
    row = np.arange(24, len(close))
    momentum = close[24:] / close[:-24] - 1.0
    pair = np.searchsorted(starts, row, side="right") - 1
    enough = (traded[25:] - traded[1:-24] >= 100_000.0) & (row - starts[pair] >= 24)
    fired = np.flatnonzero((momentum >= 0.10) & enough)
    return pair[fired].astype(np.int32), times[row[fired]] + HOUR, momentum[fired]


def runner(data: dict[str, Any], rules: str, copies: int = 1, others: tuple[Any, ...] = ()) -> Callable[[], Any]:
    """Return a call of `simulate` on `copies` times the pairs. others: settings of optional exit rules."""
    from throughline.trading import Bars, Costs, Entries, ExitRules, simulate

    rows, pairs, n = len(data["time"]), len(data["names"]), range(copies)
    names = tuple(f"{name}{copy or ''}" for copy in n for name in data["names"])
    starts = np.concatenate([data["starts"][:-1] + rows * copy for copy in n] + [[rows * copies]]).astype(np.int64)
    prices = {name: np.tile(data[name], copies) for name in ("open", "high", "low", "close")}
    bars = Bars(names, starts, np.tile(data["time"], copies), **prices, interval_ms=HOUR)
    entries = Entries(
        instrument=np.concatenate([data["pair"] + pairs * copy for copy in n]).astype(np.int32),
        decision_time=np.tile(data["decision"], copies),
        score=np.tile(data["momentum"], copies),
        notional=np.full(len(data["pair"]) * copies, 1000.0),
    )
    exits = ExitRules(halt_ms=2**60, max_participation=None, contiguous=False, others=others)
    costs = Costs(fee=0.001, half_spread=0.0, impact_coefficient=0.0, impact_floor=0.0)
    return lambda: simulate(bars, entries, exits, costs, SLOTS[rules], end="close")


def moving_rules() -> tuple[Any, ...]:
    """Settings of the two optional exit rules whose levels move with time."""
    from throughline.exits.rules import roi_table, trailing_stop

    return trailing_stop.Settings(percent=0.1, activation=0.02), roi_table.Settings(steps=((0, 0.3), (24, 0.1)))


def timed(call: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, float]:
    """Return (fastest, median) seconds of a warm call."""
    call()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken), statistics.median(taken)


def every_column(result: Any) -> None:
    """Read every column of every path, so that all are made."""
    for path in result.paths.values():
        for columns in (path.fills, path.trades):
            for name in columns:
                columns[name]


def trade_list(data: dict[str, Any], result: Any) -> list[tuple[int, int, int, float, float]]:
    """(pair, entry bar, exit bar, entry price, exit price) of the base path; what the end closed has exit bar -1."""
    from throughline.trading import REASONS

    trades = result.paths["base"].trades
    index = {name: k for k, name in enumerate(data["names"])}
    at_end = trades["reason"] == REASONS.index("end_of_data")
    columns = (
        [index[name] for name in trades["instrument"].tolist()],
        trades["entry_bar_open"].tolist(),
        np.where(at_end, -1, trades["exit_bar_open"]).tolist(),
        trades["entry_price"].tolist(),
        np.where(at_end, 0.0, trades["exit_price"]).tolist(),
    )
    return sorted(zip(*columns, strict=True))


# the other two --------------------------------------------------------------------------------------------------------


def grid_of(data: dict[str, Any]) -> dict[str, Any]:
    """The bars on a dense grid [hours, pairs] with NaN, and each signal's momentum at the bar it would fill on."""
    first = int(data["time"].min())
    shape = (int((data["time"].max() - first) // HOUR) + 1, len(data["names"]))
    row = (data["time"] - first) // HOUR
    pair = np.repeat(np.arange(shape[1]), np.diff(data["starts"]))
    grid: dict[str, Any] = {"time": first + np.arange(shape[0]) * HOUR}
    for name in ("open", "high", "low", "close"):
        grid[name] = np.full(shape, np.nan)
        grid[name][row, pair] = data[name]
    grid["momentum"] = np.full(shape, np.nan)
    for k, decision, momentum in zip(data["pair"], data["decision"], data["momentum"], strict=True):
        begin, end = data["starts"][k], data["starts"][k + 1]
        fill = begin + np.searchsorted(data["time"][begin:end], decision)
        if fill < end:
            grid["momentum"][row[fill], k] = momentum
    hour, signal = np.nonzero(~np.isnan(grid["momentum"]))
    order = np.lexsort((signal, -grid["momentum"][hour, signal], hour))
    grid["signal"] = signal[order]
    grid["signal_start"] = np.searchsorted(hour[order], np.arange(shape[0] + 1))
    return grid


def bare_loop() -> Callable[..., Any]:
    """A compiled loop over bars of the independent rules that records nothing but two rows and two prices a trade."""
    from numba import njit

    @njit(cache=False)
    def loop(starts: Any, times: Any, open_: Any, high: Any, low: Any, signalled: Any, out: Any) -> int:
        count = 0
        for k in range(len(starts) - 1):
            entered = -1
            price = 0.0
            for row in range(starts[k], starts[k + 1]):
                free = True
                if entered >= 0:
                    o = open_[row]
                    if times[row] >= times[entered] + 172_800_000 or o <= price * 0.85 or o >= price * 1.3:
                        out[count - 1, 2], out[count - 1, 3] = row, o
                        entered, free = -1, False
                elif signalled[row]:
                    entered, price = row, open_[row]
                    out[count, 0], out[count, 1], out[count, 2], out[count, 3] = row, price, -1, 0.0
                    count += 1
                if free and entered >= 0 and (low[row] <= price * 0.85 or high[row] >= price * 1.3):
                    out[count - 1, 2] = row
                    out[count - 1, 3] = price * 0.85 if low[row] <= price * 0.85 else price * 1.3
                    entered = -1
        return count

    return loop


def measure_bare(data: dict[str, Any]) -> tuple[int, float]:
    """Trades and fastest warm seconds of the bare loop."""
    signalled = np.zeros(len(data["time"]), np.bool_)
    for k, decision in zip(data["pair"], data["decision"], strict=True):
        begin, end = data["starts"][k], data["starts"][k + 1]
        row = begin + np.searchsorted(data["time"][begin:end], decision)
        if row < end:
            signalled[row] = True
    loop, out = bare_loop(), np.empty((len(data["time"]), 4))
    arguments = (data["starts"], data["time"], data["open"], data["high"], data["low"], signalled, out)
    count = loop(*arguments)
    return count, timed(lambda: loop(*arguments))[0]


def run_vectorbt(file: str, once: bool) -> None:  # noqa: C901 - the order function must be one, and compiled
    """In vectorbt's own environment: time both rules on the grid in `file` and print JSON; `once`: run B alone."""
    import vectorbt as vbt
    from numba import njit
    from vectorbt.portfolio.nb import order_nb, order_nothing_nb

    grid = np.load(file)
    times, close = grid["time"], grid["close"]
    fields = tuple(np.ascontiguousarray(grid[name]) for name in ("open", "high", "low"))

    @njit
    def order(c: Any, t: Any, bars: Any, signal: Any, start: Any, price: Any, since: Any, held: Any, at: Any) -> Any:
        i = c.i
        open_, high, low = bars
        if c.call_idx == 0:  # at: phase, cursor, positions, free slots, slots
            at[0], at[1], at[3] = 0, 0, at[4] - at[2]
        while at[0] == 0 and at[1] < at[2]:
            col = held[at[1]]
            at[1] += 1
            o, p = open_[i, col], price[col]
            if not np.isnan(o) and (t[i] >= since[col] + 172_800_000 or o <= p * 0.85 or o >= p * 1.3):
                held[at[1] - 1] = -1 - col
                return col, order_nb(-c.last_position[col], o, fees=0.001)
        if at[0] == 0:
            at[0], at[1] = 1, start[i]
        while at[0] == 1 and at[1] < start[i + 1] and at[3] > 0:
            col = signal[at[1]]
            at[1] += 1
            known = c.last_position[col] > 0.0
            for slot in range(at[2]):  # closed at this open
                known = known or held[slot] == -1 - col
            if not known:
                held[at[2]] = col
                at[2] += 1
                at[3] -= 1
                price[col], since[col] = open_[i, col], t[i]
                return col, order_nb(1000.0 / open_[i, col], open_[i, col], fees=0.001)
        if at[0] == 1:
            at[0], at[1] = 2, 0
        while at[0] == 2 and at[1] < at[2]:
            col = held[at[1]]
            at[1] += 1
            if col >= 0 and low[i, col] <= price[col] * 0.85:
                held[at[1] - 1] = -1 - col
                return col, order_nb(-c.last_position[col], price[col] * 0.85, fees=0.001)
            if col >= 0 and high[i, col] >= price[col] * 1.3:
                held[at[1] - 1] = -1 - col
                return col, order_nb(-c.last_position[col], price[col] * 1.3, fees=0.001)
        left = 0
        for slot in range(at[2]):
            if held[slot] >= 0:
                held[left] = held[slot]
                left += 1
        at[2] = left
        return -1, order_nothing_nb()

    def call(rules: str) -> Any:
        n = close.shape[1]
        held, at = np.zeros(n, np.int64), np.zeros(5, np.int64)
        at[4] = SLOTS[rules] or n
        price, since = np.zeros(n), np.zeros(n, np.int64)
        arguments = (times, fields, grid["signal"], grid["signal_start"], price, since, held, at)
        return vbt.Portfolio.from_order_func(
            close,
            order,
            *arguments,
            flexible=True,
            group_by=np.zeros(n, np.int64),
            cash_sharing=True,
            init_cash=1e9,
            max_orders=20_000,
            update_value=False,
        )

    if once:
        call("B").order_records  # noqa: B018 - the records are made when they are first read
        return
    answer: dict[str, Any] = {"version": vbt.__version__}
    for rules in ("A", "B"):
        start = time.perf_counter()
        records = call(rules).order_records
        first = time.perf_counter() - start
        open_at: dict[int, tuple[int, float]] = {}
        trades = []
        for col, row, price, side in zip(*(records[f].tolist() for f in ("col", "idx", "price", "side")), strict=True):
            if side == 0:
                open_at[col] = (int(times[row]), price)
            else:
                trades.append((col, open_at[col][0], int(times[row]), open_at.pop(col)[1], price))
        trades += [(col, when, -1, price, 0.0) for col, (when, price) in open_at.items()]
        fastest, median = timed(lambda rules=rules: call(rules))  # type: ignore[misc]
        answer[rules] = {"trades": sorted(trades), "first": first, "fastest": fastest, "median": median}
    print(json.dumps(answer))


# the measurements -----------------------------------------------------------------------------------------------------


def vectorbt_answer(data: dict[str, Any], python: str | None, scratch: Path) -> dict[str, Any] | str:
    """What vectorbt did, or one sentence saying why there is nothing."""
    if python is None:
        home = scratch / "vectorbt"
        print("making a throw-away environment with vectorbt (pip) ...", flush=True)
        venv.create(home, with_pip=True)
        python = str(home / ("Scripts" if os.name == "nt" else "bin") / "python")
        install = [python, "-m", "pip", "install", "-q", "vectorbt"]
        made = subprocess.run(install, capture_output=True, text=True, check=False)
        if made.returncode:
            return f"vectorbt cannot be installed on Python {sys.version.split()[0]}: {made.stderr.strip()[-200:]}"
    file = scratch / "grid.npz"
    np.savez(file, **grid_of(data))
    inside = [python, __file__, "--inside-vectorbt", str(file)]
    done = subprocess.run(inside, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"vectorbt did not run: {done.stderr.strip()[-300:]}"
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def whole_process(data: Path, rules: str, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and peak MB of a new process: start, load, signals, run, trades out to a file."""
    program = [sys.executable, __file__, "--data", str(data), "--whole", rules]
    start = time.perf_counter()
    done = subprocess.run(program, env=environment, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, float(done.stdout.split()[-1])


def whole(folder: Path, rules: str) -> None:
    """The process that `whole_process` times: all paths' trades go to one .npz file; prints its own peak MB."""
    result = runner(load(folder), rules)()
    with tempfile.TemporaryFile() as out:
        columns = {
            f"{path}.{name}": values if values.dtype != object else values.astype(str)
            for path, part in result.paths.items()
            for name, values in part.trades.items()
        }
        np.savez(out, **columns)
    print(peak_megabytes())


def peak_megabytes() -> float:
    """Peak memory of this process; where /proc is, not the parent's, which ru_maxrss may start from."""
    status = Path("/proc/self/status")
    if status.is_file():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def same(ours: Any, theirs: Any) -> int:
    """How many trades differ between two sorted lists (prices to 1e-12)."""
    if len(ours) != len(theirs):
        return abs(len(ours) - len(theirs))
    return sum(
        tuple(a[:3]) != tuple(b[:3]) or not np.allclose(a[3:], b[3:], rtol=1e-12, atol=0.0)
        for a, b in zip(ours, theirs, strict=True)
    )


def main() -> int:
    """Measure and print; 0 if the trades are exact and every aim is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds binance_spot_ohlcv_2020_2021")
    parser.add_argument("--vectorbt", metavar="PYTHON", help="interpreter of an environment that has vectorbt")
    parser.add_argument("--whole", choices=tuple(SLOTS), help=argparse.SUPPRESS)
    parser.add_argument("--inside-vectorbt", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside_vectorbt:
        run_vectorbt(options.inside_vectorbt, options.once)
        return 0
    sys.path.insert(0, str(REPO))
    if options.whole:
        whole(options.data, options.whole)
        return 0
    data, good = load(options.data), True
    print(
        f"{len(data['names'])} pairs, {len(data['time']):,} bars, {len(data['pair']):,} signals, {os.cpu_count()} cores"
    )
    bare_trades, bare = measure_bare(data)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        other = vectorbt_answer(data, options.vectorbt, scratch)
        if isinstance(other, str):
            print(other)
        ours: dict[str, Any] = {}
        for rules in SLOTS:
            call = runner(data, rules)
            ours[rules] = trade_list(data, call())
            fastest, median = timed(call)
            large = runner(data, rules, copies=16)
            moving = runner(data, rules, others=moving_rules())
            moved = timed(moving)[0]
            many, read = timed(large, repeats=5)[0], timed(lambda run=large: every_column(run()), repeats=5)[0]
            exact = len(ours[rules]) == EXPECTED[rules]
            good &= exact and fastest <= 0.010 and many <= 0.16
            print(f"\n{rules}: {len(ours[rules]):,} trades (expected {EXPECTED[rules]:,})")
            print(f"  simulate, three paths   {fastest * 1e3:8.2f} ms fastest, {median * 1e3:.2f} median (aim 10)")
            print(f"  the same, 16 x pairs    {many * 1e3:8.2f} ms fastest (aim 160)")
            print(f"  and all columns read    {read * 1e3:8.2f} ms fastest (columns are made when first read)")
            more = len(moving().paths["base"].trades["entry"])
            print(f"  trailing stop and table {moved * 1e3:8.2f} ms fastest, {more:,} trades (levels that move)")
            if rules == "A":
                print(f"  bare compiled loop      {bare * 1e3:8.2f} ms for one path, {bare_trades:,} trades")
                print(f"  ours / bare             {fastest / bare:8.2f}   per path {fastest / bare / 3:.2f}")
            if not isinstance(other, str):
                theirs, wrong = other[rules], same(ours[rules], [tuple(row) for row in other[rules]["trades"]])
                good &= wrong == 0
                print(
                    f"  vectorbt {other['version']:<14} {theirs['fastest'] * 1e3:8.2f} ms fastest for one path,", end=""
                )
                print(f" {theirs['median'] * 1e3:.2f} median, first call {theirs['first']:.1f} s")
                print(f"  vectorbt / ours         {theirs['fastest'] / fastest:8.2f}   trades that differ: {wrong}")
        fresh = {**os.environ, "NUMBA_CACHE_DIR": str(scratch / "cache")}
        print(
            f"\nwhole process, empty compiler cache: {whole_process(options.data, 'B', fresh)[0]:.1f} s (compiles once)"
        )
        for rules in SLOTS:
            seconds, megabytes = min(whole_process(options.data, rules, fresh) for _ in range(5))
            good &= seconds <= 1.5 and megabytes <= 300
            print(f"whole process {rules}: {seconds:.2f} s (aim 1.5), {megabytes:.0f} MB at most (aim 300)")
    print("\nall aims met" if good else "\nNOT all aims met")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
