"""`TradeTrackingSystem`: writing and reading single chains by hand, with the method names of the seed document.

The flow writes whole days; this writes one record at a time, in one transaction each, into an experiment of its own
(mode 'tracking'). The same identities hold: same inputs and clock give the same UUIDs and hashes; the same again is a
no-op; anything else under the same UUID is refused unless it comes as a correction.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, select

from throughline.clock import Clock, SystemClock
from throughline.errors import UnknownRecord
from throughline.identity import SCHEMA_VERSION, canonical_bytes, content_hash
from throughline.storage.database import Database, open_database
from throughline.storage.home import Home
from throughline.storage.ids import resolve_record
from throughline.storage.ledger import append_record
from throughline.storage.queries import register_experiment
from throughline.storage.records import LedgerRow
from throughline.storage.tables import outcomes
from throughline.tracking import bodies
from throughline.tracking.lookup import current_record, find_record
from throughline.tracking.records import make_row, reference
from throughline.tracking.types import ExecutionRecord, ResearchDocument, TradeCandidate, TradeOutcome
from throughline.tracking.versions import read_body

MODE = "tracking"
"""Mode of the experiments that hold records written by hand; they have no partitions and no seals."""


class TradeTrackingSystem:
    """The chain of one home, record by record. Use it as a context manager or call `close`.

    home: folder of the home; None = THROUGHLINE_HOME or the default. engine: an engine with the writer role instead of
    a home. clock: gives decision and fill instants that the caller does not; None = the operating system's. name:
    which tracking experiment the records belong to.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        engine: Engine | None = None,
        clock: Clock | None = None,
        name: str = "default",
    ) -> None:
        self._database: Database | None = None
        if engine is None:
            self._database = open_database(Home.locate(home))
            engine = self._database.engine("writer")
        self._engine = engine
        self._clock = clock or SystemClock()
        body = canonical_bytes({"mode": MODE, "name": name, "schema_version": SCHEMA_VERSION})
        self.experiment = content_hash("experiment", body)
        with self._engine.begin() as conn:
            register_experiment(conn, self.experiment, MODE, body)

    def __enter__(self) -> TradeTrackingSystem:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the home back."""
        if self._database is not None:
            self._database.close()

    def create_candidate(
        self,
        instrument: str,
        model_version: str,
        confidence: float,
        params_ptr: str,
        created_by: str,
        *,
        side: str = "buy",
        segment: str | None = None,
        decided_at: datetime | None = None,
    ) -> TradeCandidate:
        """Record a candidate. confidence in [0, 1], else ValueError.

        segment: the instrument segment, None = the instrument; decided_at: aware UTC, None = now by the clock.
        """
        if not 0.0 <= confidence <= 1.0:
            raise ValueError(f"confidence {confidence} is not in [0, 1]")
        decided = decided_at or self._clock.now()
        values: dict[str, Any] = {
            "confidence": confidence,
            "created_by": created_by,
            "instrument": instrument,
            "model_version": model_version,
            "params_ptr": params_ptr,
            "segment": segment or instrument,
            "side": side,
            "strategy": created_by,
        }
        row = make_row("candidates", bodies.candidate_body(self.experiment, decided, values))
        with self._engine.begin() as conn:
            append_record(conn, "candidates", row)
        return TradeCandidate(uuid=row.uuid, content_hash=row.content_hash, decision_time=decided, **values)

    def store_research_document(self, research: ResearchDocument, *, supersedes: UUID | None = None) -> UUID:
        """Record what was known about a candidate; return the document's UUID. Raises UnknownRecord without one."""
        with self._engine.begin() as conn:
            candidate = self._candidate(conn, research.uuid)
            body = bodies.research_body(read_body("candidates", candidate.body), reference(candidate), research)
            return self._append(conn, "research_docs", body, supersedes)

    def store_execution_record(self, execution: ExecutionRecord, *, supersedes: UUID | None = None) -> UUID:
        """Record an entry that was taken; return its UUID. Raises UnknownRecord without a research document."""
        filled = execution.fill_time or self._clock.now()
        with self._engine.begin() as conn:
            candidate = self._candidate(conn, execution.uuid)
            research = self._required(conn, "research_docs", execution.uuid, "store its research document first")
            head = read_body("candidates", candidate.body)
            body = bodies.execution_body(head, reference(candidate), reference(research), execution, filled)
            return self._append(conn, "executions", body, supersedes)

    def store_outcome(self, outcome: TradeOutcome, *, supersedes: UUID | None = None) -> UUID:
        """Record how a trade ended; return its UUID. Raises UnknownRecord without an execution."""
        with self._engine.begin() as conn:
            self._candidate(conn, outcome.uuid)
            execution = self._required(conn, "executions", outcome.uuid, "store its execution first")
            body = bodies.outcome_body(read_body("executions", execution.body), reference(execution), outcome)
            return self._append(conn, "outcomes", body, supersedes)

    def get_complete_trade_record(self, uuid: UUID | str) -> dict[str, Any]:
        """Return the whole story that any UUID of a chain belongs to, each stage as recorded, None where there is none.

        Keys: uuid (the candidate's), candidate, research, execution, outcome, disposition, shadow_outcome; each stage
        is its body with its own `uuid` and `content_hash`. uuid: the whole or its first 8 or more digits. Raises
        UnknownRecord where it names none, or several.
        """
        with self._engine.connect() as conn:
            name, row = find_record(conn, resolve_record(conn, uuid, "record"))
            head = row.uuid if name == "candidates" else row.columns.get("candidate_uuid")
            if head is None:
                raise UnknownRecord(f"{uuid} is a record of {name}, which belongs to no single trade")
            candidate = find_record(conn, head)[1]
            stages = {
                "research": "research_docs",
                "execution": "executions",
                "outcome": "outcomes",
                "disposition": "dispositions",
                "shadow_outcome": "shadow_outcomes",
            }
            story: dict[str, Any] = {"candidate": _as_json("candidates", candidate), "uuid": str(candidate.uuid)}
            for stage, table in stages.items():
                record = current_record(conn, table, candidate.uuid)
                story[stage] = _as_json(table, record) if record else None
        return story

    def get_performance_metrics(self) -> dict[str, Any]:
        """Return total_trades, win_rate, avg_return_pct, total_pnl_usd and counts by termination reason.

        Over the latest outcome of every trade of this tracking experiment; rates are None where there is no trade.
        """
        later = outcomes.alias("later")
        latest = (
            select(outcomes.c.realized_pnl_percent, outcomes.c.realized_pnl_usd, outcomes.c.termination_reason)
            .where(outcomes.c.experiment == self.experiment)
            .where(~select(1).where(later.c.supersedes == outcomes.c.uuid).exists())
            .order_by(outcomes.c.uuid)
        )
        with self._engine.connect() as conn:
            rows = conn.execute(latest).all()
        reasons: dict[str, int] = {}
        for row in rows:
            reasons[row.termination_reason] = reasons.get(row.termination_reason, 0) + 1
        total = len(rows)
        wins = sum(1 for row in rows if row.realized_pnl_usd > 0)
        return {
            "avg_return_pct": float(sum(row.realized_pnl_percent for row in rows) / total) if total else None,
            "termination_reasons": dict(sorted(reasons.items())),
            "total_pnl_usd": float(sum(row.realized_pnl_usd for row in rows)),
            "total_trades": total,
            "win_rate": wins / total if total else None,
        }

    def _candidate(self, conn: Connection, uuid: UUID) -> LedgerRow:
        name, row = find_record(conn, uuid)
        if name != "candidates":
            raise UnknownRecord(f"{uuid} is a record of {name}, not a candidate: give the candidate's uuid")
        return row

    def _required(self, conn: Connection, table: str, candidate: UUID, remedy: str) -> LedgerRow:
        row = current_record(conn, table, candidate)
        if row is None:
            raise UnknownRecord(f"candidate {candidate} has no record in {table}: {remedy}")
        return row

    def _append(self, conn: Connection, table: str, body: dict[str, Any], supersedes: UUID | None) -> UUID:
        if supersedes is not None:
            name, before = find_record(conn, supersedes)
            if (name, str(before.columns.get("candidate_uuid"))) != (table, body["candidate"]["uuid"]):
                raise UnknownRecord(
                    f"{supersedes} is a record of {name} that does not belong to the {table} of candidate "
                    f"{body['candidate']['uuid']}: a correction supersedes a record of its own table and trade"
                )
            # A correction stands in the partition of the day on which it is recorded, not of the day that it corrects.
            body |= {"partition": self._clock.now().date().isoformat(), "supersedes": reference(before)}
        row = make_row(table, body)
        append_record(conn, table, replace(row, supersedes=supersedes))
        return row.uuid


def _as_json(table: str, row: LedgerRow) -> dict[str, Any]:
    return {**read_body(table, row.body), "content_hash": row.content_hash, "uuid": str(row.uuid)}
