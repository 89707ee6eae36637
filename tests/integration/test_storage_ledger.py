"""The ledger on a real server: whole partitions, no-ops, refusals, corrections, reading back."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from throughline.errors import LedgerConflict, StorageError
from throughline.identity import content_hash, seal_of
from throughline.storage.database import Database
from throughline.storage.ledger import (
    LedgerRow,
    PartitionWrite,
    advisory_lock,
    append_record,
    get_active,
    read_all_seals,
    read_by_candidate,
    read_rows,
    read_seals,
    read_verdicts,
    register_experiment,
    sealed_days,
    set_active,
    write_partition,
    write_partitions,
)
from throughline.storage.tables import APPEND_ONLY

DAY = date(2021, 3, 4)
NOON = datetime(2021, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)
SUITE = hashlib.sha256(b"suite").hexdigest()


@dataclass(frozen=True)
class Broken:
    """A broken rule."""

    rule: str
    rows: int
    sample: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A verdict as the gates give it."""

    seal: str
    suite: str
    suite_hash: str
    failures: tuple[Broken, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.failures


def row(experiment: str, columns: dict[str, Any], *, key: str = "", day: date = DAY, body: bytes = b"{}") -> LedgerRow:
    """Return a record whose uuid follows from `key` and whose hash follows from `body`."""
    name = uuid.uuid5(uuid.NAMESPACE_OID, f"{experiment}/{key or uuid.uuid4()}")
    return LedgerRow(name, experiment, day, content_hash("test", body), body, "run", columns)


def candidate(experiment: str, key: str, *, day: date = DAY, body: bytes = b"{}", **changes: Any) -> LedgerRow:
    """Return a candidate."""
    columns = {
        "scan_uuid": None,
        "instrument": "ABC",
        "segment": "ABC#1",
        "decision_time": NOON,
        "strategy": "high-volatility",
        "side": "long",
        "confidence": Decimal("0.1234567891"),
        "opportunity_score": None,
        "model_version": "rules",
        "params_ptr": "sha256:0",
        "created_by": "scan",
    }
    return row(experiment, columns | changes, key=f"candidate/{key}", day=day, body=body)


def research(experiment: str, parent: LedgerRow) -> LedgerRow:
    """Return the research snapshot of a candidate."""
    columns = {
        "candidate_uuid": parent.uuid,
        "initial_market_cap": Decimal("1234567.5"),
        "volume_24h": None,
        "contract_address": None,
        "trade_rationale": "tab\there, new\nline, back\\slash, Ünïcödé ☂, \\N",
    }
    return row(experiment, columns, key=f"research/{parent.uuid}")


def partition(experiment: str, asset: str, rows: dict[str, Sequence[LedgerRow]], day: date = DAY) -> PartitionWrite:
    """Return a write with the seal that follows from its rows."""
    hashes = [item.content_hash for table in rows.values() for item in table]
    root = seal_of(hashes)
    verdict = Judged(root, "suite", SUITE)
    return PartitionWrite(
        experiment, asset, day, rows, root, len(hashes), details='{"seconds":0.5}', verdicts=[verdict], run_id="run"
    )


def test_a_partition_comes_back_as_it_was_given(database: Database, experiment: str) -> None:
    first = candidate(experiment, "a", body=bytes(range(256)))
    given = sorted([first, candidate(experiment, "b", opportunity_score=Decimal("-0.000001"))], key=lambda r: r.uuid)
    engine = database.engine("writer")
    assert write_partition(engine, partition(experiment, "trade_candidates", {"candidates": given}))
    note = research(experiment, first)
    assert write_partition(engine, partition(experiment, "research_snapshots", {"research_docs": [note]}))
    with database.engine("reader").connect() as connection:
        assert read_rows(connection, "candidates", experiment, DAY, DAY) == given
        assert read_rows(connection, "research_docs", experiment) == [note]
        assert read_rows(connection, "candidates", experiment, DAY + timedelta(days=1)) == []
        assert sealed_days(connection, experiment, "trade_candidates") == [DAY]
        seal, other = read_all_seals(connection, experiment)
        assert read_seals(connection, experiment, "trade_candidates", DAY, DAY) == {DAY: other}
        assert (seal.asset, other.asset) == ("research_snapshots", "trade_candidates")
        assert other.leaves == 2
        assert other.details == '{"seconds":0.5}'
        assert other.blocked_by is None
        verdict = read_verdicts(connection, experiment, "trade_candidates")[0]
        assert (verdict.passed, verdict.seal, verdict.failures) == (True, other.root, "[]")


def test_writing_the_same_partition_again_does_nothing(database: Database, experiment: str) -> None:
    write = partition(experiment, "trade_candidates", {"candidates": [candidate(experiment, "a")]})
    engine = database.engine()
    assert write_partition(engine, write)
    assert not write_partition(engine, write)
    later = replace(write, verdicts=[Judged(write.root, "suite", "0" * 64)])
    assert not write_partition(engine, later)
    with engine.connect() as connection:
        assert len(read_rows(connection, "candidates", experiment)) == 1
        assert len(read_verdicts(connection, experiment)) == 2
