"""Small ledgers for tests of the seal log: experiments whose only rows are market scans, sealed day by day."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from throughline.clock import Clock, FixedClock
from throughline.identity import seal_of
from throughline.proof.anchor import Anchor
from throughline.proof.audit import AuditResult, audit
from throughline.proof.keys import FileSigner
from throughline.proof.settings import Proof
from throughline.proof.snapshot import anchored_snapshot
from throughline.storage.database import Database
from throughline.storage.ledger import read_seals, register_experiment, write_partition, write_partitions
from throughline.storage.records import LedgerRow, PartitionWrite
from throughline.tracking.records import make_row

FIRST = date(2024, 1, 1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def proof_at(folder: Path, clock: Clock | None = None) -> Proof:
    """Return a key and an anchor of their own."""
    return Proof(FileSigner(folder / "signing.pem"), Anchor(folder / "anchor"), clock or FixedClock(NOON))


def experiment_id(name: str) -> str:
    """Return the id of the experiment that `new_experiment` registers."""
    return hashlib.sha256(name.encode()).hexdigest()


def new_experiment(engine: Engine, name: str) -> str:
    """Register an experiment and return its id."""
    body = f'{{"name":"{name}"}}'.encode()
    experiment = experiment_id(name)
    with engine.begin() as connection:
        register_experiment(connection, experiment, "demo", body)
    return experiment


def scan(experiment: str, day: date, number: int) -> LedgerRow:
    """Return a market scan of a day."""
    decided = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(seconds=number)
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
    return make_row("market_scans", body, run_id="run")


def seal_days(engine: Engine, experiment: str, count: int, rows: int = 3, first: date = FIRST) -> list[date]:
    """Write and seal `count` days of market scans; return the days."""
    days = [first + timedelta(days=k) for k in range(count)]
    writes = []
    for day in days:
        held = [scan(experiment, day, number) for number in range(rows)]
        root = seal_of(row.content_hash for row in held)
        writes.append(PartitionWrite(experiment, "market_scan", day, {"market_scans": held}, root, rows))
    write_partitions(engine, writes, per_transaction=50)
    return days


@dataclass(frozen=True)
class Judged:
    """A verdict of a suite that a day passed."""

    seal: str
    suite_hash: str
    suite: str = "suite"
    passed: bool = True
    failures: tuple[()] = ()


def judge(database: Database, experiment: str, day: date, suite: str, asset: str = "market_scan") -> None:
    """Record what a suite says of a sealed day, as a stage does that is run again under another suite."""
    engine = database.engine("writer")
    with engine.connect() as connection:
        seal = read_seals(connection, experiment, asset)[day]
    verdict = Judged(seal.root, suite)
    assert not write_partition(
        engine, PartitionWrite(experiment, asset, day, {}, seal.root, seal.leaves, verdicts=[verdict])
    )


def audited(database: Database, proof: Proof, key: bytes | None = None, since: int | None = None) -> AuditResult:
    """Return the audit of a database, as the auditor in one snapshot."""
    with anchored_snapshot(database.engine("auditor"), proof.anchor) as (snapshot, pinned):
        return audit(snapshot, pinned, key or proof.signer.public_key, since=since)
