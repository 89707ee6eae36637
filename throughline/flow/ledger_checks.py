"""Stages that judge and seal rows which an asset before them wrote. Their gates are hard.

The session writes executions and outcomes, `canonical_trades` writes soulprints and bucket entries, each with what it
stands beside in one transaction; their own assets then find as many rows as were written, judge and seal them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from throughline.catalogue import catalogue
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.sealing import DayDraft, blocked_by_upstream, require_days, seal_days, seals_by_day
from throughline.storage.queries import rows_by_day
from throughline.storage.records import LedgerRow
from throughline.tracking.versions import read_body

Frame = Callable[[Sequence[LedgerRow], Sequence[Mapping[str, Any]]], dict[str, list[Any]]]


def check_executions(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Seal the executions whose fill bar opens in each of `days`. Raises GateClosed on the first day that fails."""
    return check_rows(ctx, days, "executions", _execution_frame)


def check_outcomes(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Seal the outcomes whose exit bar opens in each of `days`. Raises GateClosed on the first day that fails."""
    return check_rows(ctx, days, "outcomes", _outcome_frame)


def check_rows(ctx: FlowContext, days: Sequence[date], asset: str, frame: Frame) -> list[DayResult]:
    """Seal the rows of `asset` (its table has the same name), whose number is in the seal of the asset that wrote them.

    Args:
        ctx: the experiment.
        days: which days, an unbroken range.
        asset: whose rows they are.
        frame: makes the columns that the suite judges from rows and bodies.

    Raises:
        GateClosed: on the first day that fails.
    """
    days = require_days(ctx, days)
    with ctx.engine.connect() as conn:
        blocked = blocked_by_upstream(ctx, conn, asset, days)
        writers = seals_by_day(ctx, conn, catalogue().written_by[asset], days)
        drafts = (
            _draft(asset, day, rows, json.loads(writers[day].details)[asset], frame)
            for day, rows in rows_by_day(conn, asset, ctx.experiment.id, days)
        )
        return seal_days(ctx, asset, drafts, blocked)


def _draft(asset: str, day: date, rows: Sequence[LedgerRow], written: int, frame: Frame) -> DayDraft:
    """Return the draft of a day whose rows exist already. written: their number by the seal of their writer."""
    bodies = [read_body(asset, row.body) for row in rows]
    data = {"partition": [day] * len(rows), "key": [str(row.uuid) for row in rows], **frame(rows, bodies)}
    return DayDraft(
        day=day,
        leaves=[row.content_hash for row in rows],
        gate_rows=pd.DataFrame(data),
        gate_day={asset: len(rows), "written": written},
        details={asset: len(rows)},
    )


def _execution_frame(rows: Sequence[LedgerRow], bodies: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    data: dict[str, list[Any]] = {
        name: [float(body[name]) for body in bodies]
        for name in ("entry_price", "quantity", "notional_usd", "fee_usd", "slippage")
    }
    shares = [body["participation"] for body in bodies]
    data["participation"] = [float("nan") if share is None else float(share) for share in shares]
    data["latency_ms"] = [body["latency_ms"] for body in bodies]
    return data


def _outcome_frame(rows: Sequence[LedgerRow], bodies: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = ("exit_price", "realized_pnl_percent", "realized_pnl_usd", "pnl_low_usd", "pnl_high_usd")
    data: dict[str, list[Any]] = {name: [float(body[name]) for body in bodies] for name in names}
    data["time_in_market_seconds"] = [body["time_in_market_seconds"] for body in bodies]
    data["termination_reason"] = [body["termination_reason"] for body in bodies]
    return data
