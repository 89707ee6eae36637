"""From a model to its trades, and from a trade to its model. Reading only.

A trade belongs to the model that decided its candidate: the candidate names it, and every record of the chain names the
candidate.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, text

from throughline.errors import UnknownRecord
from throughline.tracking.lookup import find_record

_TRADES = text(
    "SELECT c.uuid, c.instrument, c.decision_time, convert_from(c.body, 'UTF8')::json ->> 'arm', o.exit_time, "
    "o.realized_pnl_usd, o.realized_pnl_percent, o.termination_reason FROM candidates c "
    "JOIN outcomes o ON o.candidate_uuid = c.uuid WHERE c.experiment = :experiment AND c.model_version = :model "
    "AND NOT EXISTS (SELECT 1 FROM candidates later WHERE later.supersedes = c.uuid) "
    "AND NOT EXISTS (SELECT 1 FROM outcomes later WHERE later.supersedes = o.uuid) "
    "ORDER BY c.decision_time, c.uuid"
)


@dataclass(frozen=True)
class ModelTrade:
    """A closed trade that a model decided. candidate: the UUID of its chain; pnl_percent: net, of the stake."""

    candidate: uuid.UUID
    instrument: str
    decided: datetime
    arm: str
    closed: datetime
    pnl_usd: Decimal
    pnl_percent: Decimal
    termination: str


def trades_of(conn: Connection, experiment: str, model: str) -> tuple[ModelTrade, ...]:
    """Return the closed trades that `model` (or the rule) decided in an experiment, by decision."""
    rows = conn.execute(_TRADES, {"experiment": experiment, "model": model})
    return tuple(ModelTrade(*row) for row in rows)


def model_of(conn: Connection, trade: uuid.UUID) -> str:
    """Return the model that decided the trade of any UUID of its chain. Raises UnknownRecord where there is none."""
    name, row = find_record(conn, trade)
    if name != "candidates":
        candidate = row.columns.get("candidate_uuid")
        if candidate is None:
            raise UnknownRecord(f"{trade} is in {name}, which belongs to no candidate: ask for a record of its chain")
        _, row = find_record(conn, candidate)
    return str(row.columns["model_version"])
