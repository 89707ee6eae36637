"""The registry check at 10^4 and 10^5 trades (10^6 with --million): ``python benchmarks/consistency.py [--million]``.

Each size is a home of its own with that many trades written by hand (three rows each, 1,000 trades a day), logged and
anchored like any other. Printed: seconds and rows/s of the full check with one and two processes, with and without the
audit of the log; the highest memory of each process; the ratio to a bare read (the same columns and bytes by COPY, not
looked at); and the daily check after one more day. Aims: 10^6 trades in 60 s on two processors, flat memory, a daily
check that does not grow with the past. A million trades take some 12 GB of disk while they are there, and about ten
minutes to make.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

from throughline.identity import canonical_bytes, content_hash, decimal_text, score_text, time_text
from throughline.proof.log import append_entries, publish
from throughline.proof.settings import open_proof
from throughline.registries.profit_buckets import Excursion, percent_text
from throughline.registries.soulprints import Soulprint
from throughline.registry.consistency import check_registry
from throughline.registry.records import TradeRows, link_trade
from throughline.signals.vector import COMPONENTS, vector_text
from throughline.storage.copy import copy_tuples
from throughline.storage.database import open_database
from throughline.storage.home import Home
from throughline.storage.queries import register_experiment
from throughline.storage.row_log import lock_log
from throughline.storage.tables import REGISTRY, projection

PER_DAY = 1_000
FIRST = date(2020, 1, 1)
BODY = canonical_bytes({"mode": "tracking", "name": "benchmark", "schema_version": 1})
EXPERIMENT = content_hash("experiment", BODY)
WRITTEN = ("uuid", "experiment", "partition", "content_hash", "body", "supersedes", "run_id")


@dataclass(frozen=True)
class Known:
    """A soulprint whose hashes are computed once and used for many trades."""

    subject: str
    decision_time: str
    values: dict[str, str | None]
    reference: str | None
    hash: str
    simhash: int | None


def soulprints(count: int) -> list[Known]:
    numbers = random.Random("soulprints")
    made = []
    for number in range(count):
        scale = {item.name: min(item.scale, 1.0) for item in COMPONENTS}
        values: dict[str, float | None] = {
            item.name: numbers.gauss(item.center, scale[item.name]) for item in COMPONENTS
        }
        if number % 7 == 0:
            values["imbalance"] = None
        item = Soulprint(f"C{number % 400}/USDT", "2019-12-01T00:00:00.000000Z", vector_text(values), "BTC/USDT")
        made.append(Known(item.subject, item.decision_time, dict(item.values), "BTC/USDT", item.hash, item.simhash))
    return made


def trade(number: int, known: Sequence[Known]) -> TradeRows:
    numbers = random.Random(number)
    day = FIRST + timedelta(days=number // PER_DAY)
    closed = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=number % PER_DAY * 86)
    entry, amount, fees = (numbers.randrange(100, 90_000) / 1000, numbers.randrange(1, 5000), 0.25)
    leave = round(entry * numbers.uniform(0.8, 1.4), 3)
    profit = (leave - entry) * amount - fees
    print_ = known[number % len(known)]
    told = {
        "action": "buy",
        "amount": decimal_text(amount),
        "arm": None,
        "attrition_usd": None,
        "candidate": None,
        "chrono_resonance": print_.values["chrono_resonance"],
        "closed_at": time_text(closed),
        "confidence": score_text(numbers.random()),
        "costs_usd": None,
        "entry_price": decimal_text(entry),
        "execution": None,
        "exit_price": decimal_text(leave),
        "experiment": EXPERIMENT,
        "fees_usd": decimal_text(fees),
        "flags": [],
        "market_context": {name: score_text(numbers.random()) for name in ("cap", "momentum", "volume")},
        "math_optimization": None,
        "model_hash": None,
        "model_version": "rules/1",
        "notional_usd": decimal_text(entry * amount),
        "opened_at": time_text(closed - timedelta(hours=numbers.randrange(48))),
        "outcome": None,
        "params_ptr": "0" * 64,
        "partition": day.isoformat(),
        "profit_percentage": score_text(100 * profit / (entry * amount)),
        "profit_usd": decimal_text(profit),
        "research": None,
        "schema_version": 1,
        "segment": None,
        "signal_strength": score_text(6 * numbers.random()),
        "strategy_id": "benchmark",
        "symbol": print_.subject,
        "temporal_warp": print_.values["temporal_warp"],
        "termination_reason": numbers.choice(("profit_target", "stop_loss", "time_limit")),
    }
    went = Excursion(percent_text(100 * max(0.0, leave / entry - 1) + 1), percent_text(-20.0), "3")
    return link_trade(told, {"soulprints": print_, "profit_buckets": went})


def write(home: str, first: int, last: int) -> None:
    """Write and log the trades from `first` to before `last`, a day a transaction."""
    known = soulprints(2_000)
    with open_database(Home(home)) as database:
        engine = database.engine("writer")
        proof = open_proof(Home(home), database.embedded)
        for start in range(first, last, PER_DAY):
            rows = [trade(number, known).by_table() for number in range(start, min(last, start + PER_DAY))]
            with engine.begin() as connection:
                lock_log(connection)
                cursor: Any = connection.connection.cursor()
                for table in REGISTRY:
                    names = projection(table)
                    values = [
                        [getattr(row[table.name], name) for name in WRITTEN]
                        + [row[table.name].columns[name] for name in names]
                        for row in rows
                    ]
                    copy_tuples(cursor, table, WRITTEN + names, values)
                logged = [(table.name, row[table.name]) for row in rows for table in REGISTRY]
                append_entries(connection, proof, logged, EXPERIMENT)


def fill(home: str, count: int, before: int = 0) -> float:
    """Bring a home from `before` to `count` trades; return the seconds it took."""
    started = time.perf_counter()
    with open_database(Home(home)) as database:
        engine = database.engine("writer")
        with engine.begin() as connection:
            register_experiment(connection, EXPERIMENT, "tracking", BODY)
        step = max(PER_DAY, (count - before) // 8 // PER_DAY * PER_DAY)
        parts = [(start, min(count, start + step)) for start in range(before, count, step)]
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            for done in [pool.submit(write, home, *part) for part in parts]:
                done.result()
        publish(engine, open_proof(Home(home), database.embedded))
        # What a server does by itself in its quiet minutes.
        raw: Any = database.engine("owner").raw_connection()
        raw.set_isolation_level(0)
        raw.cursor().execute("VACUUM ANALYZE")
        raw.close()
    return time.perf_counter() - started


class Memory(threading.Thread):
    """Watches the highest resident memory (MB) of this process and of those that it starts, but for the server."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.own = self.worker = 0.0
        self._done = threading.Event()

    def run(self) -> None:
        """Look twenty times a second."""
        me = psutil.Process()
        while not self._done.wait(0.05):
            self.own = max(self.own, me.memory_info().rss / 1e6)
            for child in me.children():
                try:
                    if "postgres" not in child.name():
                        self.worker = max(self.worker, child.memory_info().rss / 1e6)
                except psutil.NoSuchProcess:
                    continue

    def stop(self) -> None:
        """Stop looking."""
        self._done.set()
        self.join()


def bare_read(engine: Any) -> tuple[float, float]:
    """Return seconds and MB of reading all columns and bytes of the registries by COPY without looking at them."""

    class Nowhere(io.RawIOBase):
        size = 0

        def write(self, data: Any) -> int:
            self.size += len(data)
            return len(data)

    started, sink = time.perf_counter(), Nowhere()
    raw = engine.raw_connection()
    for table in REGISTRY:
        columns = ", ".join(f'"{name}"' for name in ("uuid", "content_hash", *projection(table)))
        statement = f"COPY (SELECT convert_from(body, 'UTF8'), {columns} FROM {table.name}) TO STDOUT"
        raw.cursor().copy_expert(statement, sink)
    raw.close()
    return time.perf_counter() - started, sink.size / 1e6


def apart(function: Any, *arguments: Any) -> Any:
    """Return what `function` gives in a process of its own, so that its memory is not counted here."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measured(engine: Any, **arguments: Any) -> tuple[Any, Memory]:
    memory = Memory()
    memory.start()
    result = check_registry(engine, **arguments)
    memory.stop()
    assert result.ok, result.findings[:3]
    return result, memory


def measure(home: str, count: int) -> Iterator[str]:
    with open_database(Home(home)) as database:
        engine = database.engine("auditor")
        proof = open_proof(Home(home), database.embedded)
        trust = {"anchor": proof.anchor, "public_key": proof.signer.public_key}
        bare, size = min(bare_read(engine) for _ in range(2))
        yield f"{count:>9,} trades  bare read of {size:,.0f} MB {bare:.2f} s"
        for name, arguments in (
            ("full, one process", {"workers": 1}),
            ("full, two processes", {"workers": 2}),
            ("full with the log", {"workers": 2, **trust}),
        ):
            result, memory = measured(engine, **arguments)
            assert result.trades == count
            seconds = result.seconds
            yield (
                f"{count:>9,} trades  {name:<20} {seconds:7.2f} s  {result.rows / seconds:>9,.0f} rows/s"
                f"  {seconds / bare:5.1f} x bare  memory {memory.own:,.0f} MB"
                + (f", each worker {memory.worker:,.0f} MB" if memory.worker > 50 else "")
            )
        size = result.tree_size
    apart(fill, home, count + PER_DAY, count)
    with open_database(Home(home)) as database:
        engine = database.engine("auditor")
        taken = []
        for _ in range(3):
            result, _ = measured(engine, scope="daily", since=size, **trust)
            assert result.trades == PER_DAY
            taken.append(result.seconds)
        yield f"{count:>9,} trades  daily, {PER_DAY:,} new     {min(taken):7.2f} s"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true", help="also measure 10^6 trades")
    parser.add_argument("--sizes", default="10000,100000", help="sizes to measure, with commas")
    parser.add_argument("--folder", help="where the homes are made (default: a temporary folder)")
    told = parser.parse_args()
    sizes = [int(size) for size in told.sizes.split(",")] + ([1_000_000] if told.million else [])
    for count in sizes:
        with tempfile.TemporaryDirectory(prefix="consistency-", dir=told.folder) as folder:
            os.environ["THROUGHLINE_SIGNING_KEY"] = str(Path(folder) / "signing.pem")
            home = str(Path(folder) / "home")
            print(f"{count:>9,} trades  made in {apart(fill, home, count):.0f} s", flush=True)
            for line in measure(home, count):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
