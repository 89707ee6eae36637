"""Stages of the registries: each outcome of a day becomes a canonical trade, tied to its soulprint and its buckets.

`canonical_trades` writes the rows of all three registries in one transaction per day, so that no trade is registered by
half; `soulprints` and `profit_buckets` judge and seal theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection

from throughline.flow.context import DayResult, FlowContext
from throughline.flow.ledger_checks import check_rows
from throughline.flow.market_view import without_days
from throughline.flow.sealing import DayDraft, blocked_by_upstream, blocked_days, require_days, seal_days, seals_by_day
from throughline.identity import parse_time, time_to_ms
from throughline.market.panel import MarketPanel
from throughline.registry.records import Excursion, TradeRows, link_trade, percent_text, soulprint_of, trade_body
from throughline.storage.queries import read_named, read_rows
from throughline.storage.records import LedgerRow
from throughline.tracking.day_records import Execution, Outcome
from throughline.tracking.versions import read_body

HOUR_MS = 3_600_000


def register_trades(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write one canonical trade per outcome of each of `days`, with its soulprint and bucket entry."""
    days = require_days(ctx, days)
    with ctx.engine.connect() as conn:
        blocked = blocked_by_upstream(ctx, conn, "canonical_trades", days)
        ended = read_rows(conn, "outcomes", ctx.experiment.id, days[0], days[-1])
        sealed = seals_by_day(ctx, conn, "outcomes", days)
        entries = read_named(conn, "executions", (row.columns["execution_uuid"] for row in ended))
        heads = read_named(conn, "candidates", (row.columns["candidate_uuid"] for row in ended))
        documents = read_named(conn, "research_docs", (row.columns["research_uuid"] for row in entries.values()))
        panel = _panel(ctx, conn, list(entries.values()), days)
    trades: dict[date, list[TradeRows]] = {day: [] for day in days}
    for row in ended:
        entry = entries[row.columns["execution_uuid"]]
        research = documents[entry.columns["research_uuid"]]
        body = trade_body(heads[row.columns["candidate_uuid"]], research, entry, row)
        reached = excursion(panel, Execution.of(entry), Outcome.of(row))
        trades[row.partition].append(link_trade(body, soulprint_of(research), reached, ctx.run_id))
    drafts = [_draft(day, trades[day], sealed[day].leaves) for day in days]
    return seal_days(ctx, "canonical_trades", drafts, blocked)


def _panel(
    ctx: FlowContext, conn: Connection, entries: Sequence[LedgerRow], days: Sequence[date]
) -> MarketPanel | None:
    """Return the bars from the first entry to the last day, those of blocked days taken out; None without a trade."""
    if not entries:
        return None
    first = max(ctx.experiment.epoch, min(row.partition for row in entries))
    span = [date.fromordinal(number) for number in range(first.toordinal(), days[-1].toordinal() + 1)]
    blocked = blocked_days(ctx, conn, ("market_bars",), span)
    return without_days(ctx.view.bars(first, days[-1]), frozenset(blocked))


def excursion(panel: MarketPanel | None, entry: Execution, ended: Outcome) -> Excursion:
    """Return how far the price went between the fill and the exit.

    Over highs and lows of the bars from the fill bar up to the bar before the exit's, and the exit price itself: what
    the exit bar did after the exit is not the trade's.

    Args:
        panel: holds the bars of the trade; None where no bars are known.
        entry: the execution.
        ended: its outcome.
    """
    if panel is None or entry.fill_bar_open is None or ended.exit_bar_open is None:
        return Excursion()
    column = panel.instruments.index(entry.instrument)
    opened, closed = (time_to_ms(parse_time(text)) for text in (entry.fill_bar_open, ended.exit_bar_open))
    rows = slice(int(np.searchsorted(panel.open_time, opened)), int(np.searchsorted(panel.open_time, closed)))
    price, left = entry.entry_price, ended.exit_price
    high, low = panel.high[rows, column], panel.low[rows, column]
    best, worst = float(np.fmax.reduce(high, initial=left)), float(np.fmin.reduce(low, initial=left))
    filled, exited = (time_to_ms(parse_time(text)) for text in (entry.fill_time, ended.exit_time))
    at = np.flatnonzero(high == best)
    reached = int(panel.open_time[rows][at[0]]) + panel.interval_ms if len(at) and best > left else exited
    return Excursion(
        max_favorable_percent=percent_text(100 * (best / price - 1)),
        max_adverse_percent=percent_text(100 * (worst / price - 1)),
        hours_to_best=percent_text(max(0, reached - filled) / HOUR_MS),
    )


def _draft(day: date, linked: Sequence[TradeRows], outcomes: int) -> DayDraft:
    tables = [item.by_table() for item in linked]
    rows = {name: [item[name] for item in tables] for name in ("canonical_trades", "soulprints", "profit_buckets")}
    trades = rows["canonical_trades"]
    bodies = [read_body("canonical_trades", row.body) for row in trades]
    frame = pd.DataFrame(
        {
            "partition": [day] * len(trades),
            "key": [str(row.uuid) for row in trades],
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
    counts = {name: len(records) for name, records in rows.items()}
    return DayDraft(
        day=day,
        rows=rows,
        leaves=[row.content_hash for row in trades],
        gate_rows=frame,
        gate_day={"trades": len(trades), "outcomes": outcomes},
        details=counts,
    )


def check_soulprints(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Seal the soulprints of each of `days`. Raises GateClosed on the first day that fails."""
    return check_rows(ctx, days, "soulprints", _soulprint_frame)


def check_profit_buckets(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Seal the bucket entries of each of `days`. Raises GateClosed on the first day that fails."""
    return check_rows(ctx, days, "profit_buckets", _bucket_frame)


def _canonical(rows: Sequence[LedgerRow]) -> list[str]:
    return [str(row.columns["canonical_uuid"]) for row in rows]


def _soulprint_frame(rows: Sequence[LedgerRow], bodies: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {
        "canonical": _canonical(rows),
        "components": [len(body["values"]) for body in bodies],
        "missing": [len(body["missing"]) for body in bodies],
    }


def _bucket_frame(rows: Sequence[LedgerRow], bodies: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    def number(text: str | None) -> float:
        return float("nan") if text is None else float(text)

    return {
        "canonical": _canonical(rows),
        "buckets": [len(body["buckets"]) for body in bodies],
        "max_favorable_percent": [number(body["max_favorable_percent"]) for body in bodies],
        "max_adverse_percent": [number(body["max_adverse_percent"]) for body in bodies],
    }
