"""What the seal log costs: ``python benchmarks/seal_log.py [DAYS] [ROWS_A_DAY]``.

On a new embedded server in a temporary folder, with its fsync on. Printed: seals published one by one (a transaction,
a signed head and two anchored files each) and in bulk, records logged by hand one by one, each against a bare INSERT
and COMMIT into a table of the same server; the audit of everything and of the last day alone; the size of a proof file
and the time to make and to check it.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, text

from throughline.clock import SystemClock
from throughline.experiment.modes.demo import MODE as DEMO
from throughline.identity import seal_of
from throughline.proof.anchor import Anchor
from throughline.proof.audit import audit
from throughline.proof.check import check_proof
from throughline.proof.keys import FileSigner
from throughline.proof.log import append_entries, publish
from throughline.proof.prove import make_proof
from throughline.proof.settings import Proof
from throughline.storage.database import Database, open_database
from throughline.storage.ledger import append_record, register_experiment, write_partitions
from throughline.storage.records import LedgerRow, PartitionWrite
from throughline.storage.row_log import lock_log
from throughline.tracking.records import make_row

FIRST = date(2000, 1, 1)
ONE_BY_ONE = 500
AIM = 100_000
"""Rows a second that the audit should pass at least."""


def scan(experiment: str, day: date, number: int) -> LedgerRow:
    decided = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(milliseconds=number)
    body = {
        "admitted": 0,
        "decision_time": decided,
        "experiment": experiment,
        "instruments": number,
        "partition": day.isoformat(),
        "schema_version": 1,
        "strategy": "none",
        "triggered": 0,
    }
    return make_row("market_scans", body)


def seal(engine: Engine, experiment: str, days: int, rows: int, first: date = FIRST) -> None:
    for start in range(0, days, 50):
        writes = []
        for day in (first + timedelta(days=k) for k in range(start, min(days, start + 50))):
            held = [scan(experiment, day, number) for number in range(rows)]
            root = seal_of(row.content_hash for row in held)
            writes.append(PartitionWrite(experiment, "market_scan", day, {"market_scans": held}, root, rows))
        write_partitions(engine, writes, per_transaction=50)


def experiment_of(engine: Engine, name: str) -> str:
    experiment = (name.encode().hex() + "0" * 64)[:64]
    with engine.begin() as connection:
        register_experiment(connection, experiment, DEMO.name, name.encode())
    return experiment


def rate(count: int, work: Callable[[int], object]) -> float:
    """Return how many times a second `work` is done."""
    started = time.perf_counter()
    for k in range(count):
        work(k)
    return count / (time.perf_counter() - started)


def bare_insert(engine: Engine, k: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO bare VALUES (:k, :b)"), {"k": k, "b": b"x" * 600})


def writing(database: Database, proof: Proof) -> None:
    writer = database.engine("writer")
    with database.engine("owner").begin() as connection:
        connection.execute(text("CREATE TABLE bare (k bigint PRIMARY KEY, body bytea)"))
        connection.execute(text("GRANT ALL ON bare TO throughline_writer"))
    rate(50, lambda k: bare_insert(writer, -1 - k))  # warms the connection
    base = rate(ONE_BY_ONE, lambda k: bare_insert(writer, k))
    print(f"bare INSERT + COMMIT            {base:10,.0f} a second")

    one = experiment_of(writer, "one by one")
    seal(writer, one, 1, 1, FIRST - timedelta(days=1))
    publish(writer, proof)
    spent = 0.0
    for k in range(ONE_BY_ONE):
        seal(writer, one, 1, 1, FIRST + timedelta(days=k))
        started = time.perf_counter()
        publish(writer, proof, one)
        spent += time.perf_counter() - started
    single = ONE_BY_ONE / spent
    print(f"publish, a seal at a time       {single:10,.0f} seals a second    {base / single:.1f} x bare")

    hand = experiment_of(writer, "by hand")

    def by_hand(k: int) -> None:
        row = scan(hand, FIRST, k)
        with writer.begin() as connection:
            lock_log(connection)
            append_record(connection, "market_scans", row)
            append_entries(connection, proof, [("market_scans", row)], hand)

    entries = rate(ONE_BY_ONE, by_hand)
    print(f"records by hand, one at a time  {entries:10,.0f} entries a second {base / entries:.1f} x bare")


def reading(database: Database, proof: Proof, days: int, rows: int) -> bool:
    writer = database.engine("writer")
    bulk = experiment_of(writer, "bulk")
    seal(writer, bulk, days, rows)
    started = time.perf_counter()
    publish(writer, proof)
    spent = time.perf_counter() - started
    print(f"publish in bulk                 {days / spent:10,.0f} seals a second    {days * rows / spent:,.0f} rows")
    since = proof.anchor.head_sizes()[-1]
    seal(writer, bulk, 1, rows, FIRST + timedelta(days=days))
    started = time.perf_counter()
    publish(writer, proof, bulk)
    print(f"publish one more day            {1000 * (time.perf_counter() - started):10,.0f} ms")

    passed = 0.0
    for name, start in (("audit of everything", None), ("audit of the last day", since)):
        with database.engine("auditor").connect() as connection:
            snapshot = connection.execution_options(isolation_level="REPEATABLE READ")
            started = time.perf_counter()
            result = audit(snapshot, proof.anchor, proof.signer.public_key, since=start)
            spent = time.perf_counter() - started
        assert result.ok, result.findings[:3]
        passed = max(passed, result.rows / spent)
        print(f"{name:<31} {spent:10.2f} s   {result.rows:,} rows and seals: {result.rows / spent:,.0f} a second")

    with database.engine("reader").connect() as connection:
        asked = connection.execute(text("SELECT uuid FROM market_scans ORDER BY uuid DESC LIMIT 1")).scalar_one()
        started = time.perf_counter()
        made = make_proof(connection, asked).text()
        spent = time.perf_counter() - started
    data = json.loads(made)
    checks = rate(200, lambda _: check_proof(data, proof.signer.public_key))
    times = f"made in {1000 * spent:.0f} ms, checked in {1000 / checks:.2f} ms"
    print(f"a proof of one record           {len(made):10,} bytes, {times}")
    print(f"memory at most                  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:10,.0f} MB")
    return passed >= AIM


def main() -> int:
    """Measure, print, and return 0 where the aim is met."""
    days = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as folder, open_database(Path(folder) / "home") as database:
        proof = Proof(FileSigner(Path(folder) / "key.pem"), Anchor(Path(folder) / "anchor"), SystemClock())
        writing(database, proof)
        return 0 if reading(database, proof, days, rows) else 1


if __name__ == "__main__":
    sys.exit(main())
