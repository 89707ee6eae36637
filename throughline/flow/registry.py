"""Stages of the registries: each outcome of a day becomes a canonical trade, with an entry in every other registry.

`canonical_trades` writes the rows of all registries in one transaction per day, so there is never half a trade; the
stages of the other registries judge and seal theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from throughline.catalogue import BARS
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.ledger_checks import check_rows
from throughline.flow.market_view import without_days
from throughline.flow.sealing import (
    DayDraft,
    blocked_by_upstream,
    blocked_days,
    require_days,
    seal_days,
    seals_by_day,
)
from throughline.identity import parse_time
from throughline.market.panel import MarketPanel
from throughline.registries import TRADES, ClosedTrade, registries
from throughline.registry.records import TradeRows, link_trade, trade_body
from throughline.storage.queries import read_named, read_rows
from throughline.storage.records import LedgerRow
from throughline.tracking.versions import read_body


def register_trades(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write one canonical trade per outcome of each of `days`, with its entry in every registry."""
    days = require_days(ctx, days)
    with ctx.engine.connect() as conn:
        blocked = blocked_by_upstream(ctx, conn, TRADES, days)
        outcomes = read_rows(conn, "outcomes", ctx.experiment.id, days[0], days[-1])
        sealed = seals_by_day(ctx, conn, "outcomes", days)
        executions = read_named(conn, "executions", (row.columns["execution_uuid"] for row in outcomes))
        candidates = read_named(conn, "candidates", (row.columns["candidate_uuid"] for row in outcomes))
        research = read_named(conn, "research_docs", (row.columns["research_uuid"] for row in executions.values()))
        panel = _panel(ctx, conn, list(executions.values()), days)
    rows_by_day: dict[date, list[TradeRows]] = {day: [] for day in days}
    for outcome in outcomes:
        execution = executions[outcome.columns["execution_uuid"]]
        known = research[execution.columns["research_uuid"]]
        closed = ClosedTrade(candidates[outcome.columns["candidate_uuid"]], known, execution, outcome, panel)
        facts = {name: registry.observed(closed) for name, registry in registries().items()}
        body = trade_body(closed.candidate, known, execution, outcome)
        rows_by_day[outcome.partition].append(link_trade(body, facts, ctx.run_id))
    drafts = [_draft(day, rows_by_day[day], sealed[day].leaves) for day in days]
    return seal_days(ctx, TRADES, drafts, blocked)


def _panel(
    ctx: FlowContext, conn: Connection, executions: Sequence[LedgerRow], days: Sequence[date]
) -> MarketPanel | None:
    """Return the bars from the first entry to the last day, without those of blocked days; None without a trade."""
    if not executions:
        return None
    first = max(ctx.experiment.epoch, min(row.partition for row in executions))
    span = [date.fromordinal(number) for number in range(first.toordinal(), days[-1].toordinal() + 1)]
    return without_days(ctx.view.bars(first, days[-1]), frozenset(blocked_days(ctx, conn, (BARS,), span)))


def _draft(day: date, trades: Sequence[TradeRows], outcomes: int) -> DayDraft:
    rows = {TRADES: [trade.trade for trade in trades]}
    rows |= {name: [trade.entries[name] for trade in trades] for name in registries()}
    bodies = [read_body(TRADES, trade.trade.body) for trade in trades]
    frame = pd.DataFrame(
        {
            "partition": [day] * len(trades),
            "key": [str(trade.trade.uuid) for trade in trades],
            "outcome": [body["outcome"]["uuid"] for body in bodies],
            "entry_price": [float(body["entry_price"]) for body in bodies],
            "exit_price": [float(body["exit_price"]) for body in bodies],
            "amount": [float(body["amount"]) for body in bodies],
            "profit_usd": [float(body["profit_usd"]) for body in bodies],
            "seconds_open": [
                (parse_time(body["closed_at"]) - parse_time(body["opened_at"])).total_seconds() for body in bodies
            ],
        }
    )
    return DayDraft(
        day=day,
        rows=rows,
        leaves=[row.content_hash for row in rows[TRADES]],
        gate_rows=frame,
        gate_day={"trades": len(trades), "outcomes": outcomes},
        details={name: len(entries) for name, entries in rows.items()},
    )


def seal_entries(ctx: FlowContext, days: Sequence[date], asset: str) -> list[DayResult]:
    """Seal the entries of the registry `asset` of each of `days`. Raises GateClosed on the first day that fails."""

    def frame(rows: Sequence[LedgerRow], bodies: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
        trades = [str(row.columns["canonical_uuid"]) for row in rows]
        return {"canonical": trades, **registries()[asset].frame(bodies)}

    return check_rows(ctx, days, asset, frame)
