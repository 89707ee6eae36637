"""The trade of a chain that was written by hand: it carries the chain's UUIDs and says what the chain says.

Belongs here: from an outcome of `TradeTrackingSystem` to the rows of its trade. Does not belong here: trades given
without a chain (entry), and those of the flow, which registers its own outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from throughline.errors import LedgerConflict, UnknownRecord
from throughline.registry.reading import corrected_by
from throughline.registry.records import TradeRows, given_facts, link_trade, trade_body
from throughline.storage.queries import as_row, read_experiment, read_named
from throughline.storage.records import LedgerRow
from throughline.storage.tables import canonical_trades, outcomes, projection
from throughline.tracking.lookup import find_record
from throughline.tracking.records import reference
from throughline.tracking.system import MODE
from throughline.tracking.versions import read_body


def tracked_trade(
    connection: Connection, outcome: UUID, specialised: Mapping[str, Any] | None, today: date
) -> TradeRows:
    """Return the rows of the trade that an outcome written by hand closed.

    specialised: as `given_facts` takes it; the soulprint is of the chain's decision instant. Where the outcome
    corrects one whose trade is registered, the trade is a correction too, in the partition of `today`. Raises
    UnknownRecord for what is no such outcome, LedgerConflict where a later outcome has replaced it, InvalidTrade.
    """
    table, ended = find_record(connection, outcome, (outcomes,))
    stored = read_experiment(connection, ended.experiment)
    if stored is None or stored.mode != MODE:
        raise UnknownRecord(
            f"{table} {outcome} belongs to experiment {ended.experiment[:12]}, which registers its own trades: give an "
            "outcome that was written by hand"
        )
    later = connection.execute(select(outcomes.c.uuid).where(outcomes.c.supersedes == outcome)).scalar()
    if later is not None:
        raise LedgerConflict(f"outcomes {outcome} is corrected by {later}: register that one. Nothing was written.")
    entry = read_named(connection, "executions", [ended.columns["execution_uuid"]])[ended.columns["execution_uuid"]]
    head = read_named(connection, "candidates", [ended.columns["candidate_uuid"]])[ended.columns["candidate_uuid"]]
    known = read_named(connection, "research_docs", [entry.columns["research_uuid"]])[entry.columns["research_uuid"]]
    body = trade_body(head, known, entry, ended)
    before = _registered(connection, head.uuid, outcome)
    if before is not None:
        body |= {"partition": before[1] or max(today, before[0].partition), "supersedes": reference(before[0])}
    facts = given_facts(specialised, body)
    if not ((specialised or {}).get("soulprints") or {}).get("decision_time"):
        decided = read_body("candidates", head.body)["decision_time"]
        facts["soulprints"] = replace(facts["soulprints"], decision_time=decided)
    return link_trade(body, facts)


def _registered(connection: Connection, candidate: UUID, outcome: UUID) -> tuple[LedgerRow, date | None] | None:
    """Return the trade of the chain that the trade of `outcome` corrects, and the day on which that was done if it was.

    None where there is none to correct.
    """
    c = canonical_trades.c
    first = select(canonical_trades).where(c.candidate_uuid == candidate, c.supersedes.is_(None))
    stored = connection.execute(first).mappings().one_or_none()
    if stored is None:
        return None
    trade = as_row(stored, projection(canonical_trades))
    if trade.columns["outcome_uuid"] == outcome:
        return None
    while (after := corrected_by(connection, trade.uuid)) is not None:
        if after.columns["outcome_uuid"] == outcome:
            return trade, after.partition
        trade = after
    return trade, None
