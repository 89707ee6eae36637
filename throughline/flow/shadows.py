"""Stage `shadow_outcomes`: what the same exit rules gave every candidate at a fixed size, taken or not.

For learning and for comparing models, never counted as profit. A shadow is written on the day it resolves, recomputed
from the candidates of the days before; nothing is carried from partition to partition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import Connection

from throughline.flow.context import DayResult, FlowContext, shadow_reach_days
from throughline.flow.day_bars import day_bars, entries_of
from throughline.flow.market_view import DAY, ScreenedChunk, day_ms
from throughline.flow.paths import costs, exit_rules
from throughline.flow.scan import screened
from throughline.flow.sealing import (
    Blocked,
    DayDraft,
    blocked_by_upstream,
    blocked_days,
    require_days,
    require_unrevised,
    seal_days,
)
from throughline.flow.trades import rows_of
from throughline.identity import decimal_text, score_text, time_text_ms
from throughline.storage.queries import rows_by_day
from throughline.tracking.day_records import Candidate
from throughline.tracking.records import make_row
from throughline.trading.execution import TradingDay, execution_client
from throughline.trading.types import DISPOSITIONS, REASONS, PathState, flag_names


def resolve_shadows(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write the shadow outcomes that resolve in each of `days`."""
    days = require_days(ctx, days)
    reach = shadow_reach_days(ctx.experiment.configuration.exits)
    first = max(ctx.experiment.epoch, days[0] - reach * DAY)
    span = [first + k * DAY for k in range((days[-1] - first).days + 1)]
    with ctx.engine.connect() as conn:
        blocked_by_upstream(ctx, conn, "shadow_outcomes", days)
        # A blocked input leaves the day without candidates; positions from before go on, so the day is not blocked.
        bars_blocked = blocked_days(ctx, conn, ("market_bars",), span)
        blocked_days(ctx, conn, ("trade_candidates",), span)
        chunk = screened(ctx, conn, span)
        require_unrevised(ctx, conn, span)
        drafts = (
            _draft(ctx, day, bodies)
            for day, bodies in _resolved(ctx, conn, chunk, span, bars_blocked)
            if day >= days[0]
        )
        return seal_days(ctx, "shadow_outcomes", drafts, blocked={})


def _draft(ctx: FlowContext, day: date, bodies: Sequence[Mapping[str, Any]]) -> DayDraft:
    rows = [make_row("shadow_outcomes", body, ctx.run_id) for body in bodies]
    return DayDraft(
        day=day,
        rows={"shadow_outcomes": rows},
        leaves=[row.content_hash for row in rows],
        details={"resolved": len(rows)},
    )


def _resolved(
    ctx: FlowContext, conn: Connection, chunk: ScreenedChunk, days: Sequence[date], bars_blocked: Mapping[date, Blocked]
) -> Iterator[tuple[date, list[dict[str, Any]]]]:
    """Yield each day with the bodies that resolve in it. No shadow depends on where the days start."""
    settings = ctx.experiment.configuration
    rules = replace(exit_rules(settings, ctx.provider.description), max_participation=None)
    prices = costs(settings, ctx.provider.description)
    size = settings.sizing.shadow_reference_usd
    reach = shadow_reach_days(settings.exits)
    simulated = execution_client()  # whatever fills the orders: a shadow is what the bars would have given
    state = PathState(cash=math.inf)
    known: dict[str, Candidate] = {}
    for day, rows in rows_by_day(conn, "candidates", ctx.experiment.id, days):
        candidates = [Candidate.of(row) for row in rows]
        known |= {item.key: item for item in candidates}
        blocked = day in bars_blocked
        panel = ctx.view.panel(day, day) if blocked else chunk.panel
        names = [item.instrument for item in state.positions] + [item.instrument for item in candidates]
        bars = day_bars(panel, chunk.features, day, names, settings.strategy.emergency_rug_risk)
        path = simulated.run_day(
            TradingDay(
                bars=bars,
                entries=entries_of(candidates, bars, np.full(len(candidates), size)),
                keys=[item.key for item in candidates],
                states={"base": state},
                rules=rules,
                costs=prices,
                until=day_ms(day + DAY),
                independent=True,
                blocked=blocked,
            )
        )["base"]
        expired = [
            item for item, code in zip(candidates, path.disposition, strict=True) if DISPOSITIONS[int(code)] != "taken"
        ]
        bodies = [_body(item, day, size, None) for item in expired]
        bodies += [_body(known[str(trade["key"])], day, size, trade) for trade in rows_of(path.trades)]
        yield day, bodies
        patient = tuple(item for item in path.state.positions if (day - known[item.key].day).days < reach)
        state = replace(path.state, positions=patient)
        known = {item.key: known[item.key] for item in patient}


def _body(candidate: Candidate, day: date, size: float, trade: Mapping[str, Any] | None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "ambiguous": False,
        "candidate": candidate.reference,
        "decision_time": candidate.decision_time,
        "entry_time": None,
        "exit_time": None,
        "experiment": candidate.experiment,
        "flags": [],
        "partition": day,
        "reference_notional_usd": decimal_text(size),
        "resolved_at": candidate.decision_time,
        "return_high_percent": None,
        "return_low_percent": None,
        "return_percent": None,
        "termination_reason": "expired",
    }
    if trade is None:
        return body
    ended = time_text_ms(int(trade["exit_time"]))
    notional = float(trade["notional"])
    return body | {
        "ambiguous": bool(trade["ambiguous"]),
        "entry_time": time_text_ms(int(trade["entry_time"])),
        "exit_time": ended,
        "flags": sorted(flag_names(int(trade["flags"]))),
        "resolved_at": ended,
        "return_high_percent": score_text(100.0 * float(trade["pnl_high"]) / notional),
        "return_low_percent": score_text(100.0 * float(trade["pnl_low"]) / notional),
        "return_percent": score_text(float(trade["return_percent"])),
        "termination_reason": REASONS[int(trade["reason"])],
    }
