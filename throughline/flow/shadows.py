"""Stage `shadow_outcomes`: what the same exit rules gave every candidate at a fixed size, taken or not.

For learning and for comparing models, never counted as profit. A shadow is written on the day it resolves, recomputed
from the candidates of the days before; nothing is carried from partition to partition.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np

from throughline.flow.context import DayResult, FlowContext, shadow_reach_days
from throughline.flow.day_bars import day_bars
from throughline.flow.market_view import DAY, day_ms
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
from throughline.identity import decimal_text, parse_time, score_text, time_text_ms, time_to_ms
from throughline.market.blocks import segment_ms
from throughline.storage.queries import read_rows
from throughline.storage.records import LedgerRow
from throughline.tracking.records import make_row, reference
from throughline.trading import simulate
from throughline.trading.types import DISPOSITIONS, REASONS, Entries, PathState, flag_names


def resolve_shadows(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write the shadow outcomes that resolve in each of `days`."""
    wanted = require_days(ctx, days)
    reach = shadow_reach_days(ctx.experiment.configuration.exits)
    first = max(ctx.experiment.epoch, wanted[0] - reach * DAY)
    span = [first + k * DAY for k in range((wanted[-1] - first).days + 1)]
    with ctx.engine.connect() as conn:
        blocked_by_upstream(ctx, conn, "shadow_outcomes", wanted)
        # A blocked input leaves the day without candidates; positions from before go on, so the day is not blocked.
        bars_blocked = blocked_days(ctx, conn, ("market_bars",), span)
        blocked_days(ctx, conn, ("trade_candidates",), span)
        chunk = screened(ctx, conn, span)
        require_unrevised(ctx, conn, span)
        candidates: dict[date, list[LedgerRow]] = {day: [] for day in span}
        for row in read_rows(conn, "candidates", ctx.experiment.id, span[0], span[-1]):
            candidates[row.partition].append(row)
    resolved = _simulate(ctx, chunk, span, candidates, bars_blocked, reach)
    drafts = []
    for day in wanted:
        rows = [make_row("shadow_outcomes", body, ctx.run_id) for body in resolved.get(day, [])]
        drafts.append(
            DayDraft(
                day=day,
                rows={"shadow_outcomes": rows},
                leaves=[row.content_hash for row in rows],
                details={"resolved": len(rows)},
            )
        )
    return seal_days(ctx, "shadow_outcomes", drafts, blocked={})


def _simulate(
    ctx: FlowContext,
    chunk: Any,
    span: Sequence[date],
    candidates: Mapping[date, Sequence[LedgerRow]],
    bars_blocked: Mapping[date, Blocked],
    reach: int,
) -> dict[date, list[dict[str, Any]]]:
    """Return the bodies by the day they resolve. Days go one by one: no shadow depends on where the span starts."""
    settings = ctx.experiment.configuration
    rules = replace(exit_rules(settings, ctx.provider.description), max_participation=None)
    prices = costs(settings, ctx.provider.description)
    size = settings.sizing.shadow_reference_usd
    state = PathState(cash=math.inf)
    told: dict[str, tuple[LedgerRow, Mapping[str, Any], date]] = {}
    result: dict[date, list[dict[str, Any]]] = {}
    for day in span:
        new = {str(row.uuid): (row, json.loads(row.body), day) for row in candidates[day]}
        told |= new
        blocked = day in bars_blocked
        panel = ctx.view.panel(day, day) if blocked else chunk.panel
        tickers = [item.instrument for item in state.positions] + [body["instrument"] for _, body, _ in new.values()]
        bars = day_bars(chunk, panel, day, tickers, settings.strategy.emergency_rug_risk)
        keys = list(new)
        bodies = [new[key][1] for key in keys]
        entries = Entries(
            instrument=np.array([bars.instruments.index(body["instrument"]) for body in bodies], dtype=np.int32),
            decision_time=np.array([time_to_ms(parse_time(body["decision_time"])) for body in bodies], dtype=np.int64),
            score=np.array([float(body["opportunity_score"]) for body in bodies], dtype=np.float64),
            notional=np.full(len(bodies), size),
            segment=np.array([segment_ms(body["segment"]) for body in bodies], dtype=np.int64),
        )
        path = simulate(
            bars,
            entries,
            rules,
            prices,
            None,
            state={"base": state},
            keys=keys,
            until=day_ms(day + DAY),
            paths=("base",),
            overlap=True,
            blocked=blocked,
            minimum_notional=0.0,
        ).paths["base"]
        lines = result.setdefault(day, [])
        for key, code in zip(keys, path.disposition, strict=True):
            if DISPOSITIONS[int(code)] != "taken":
                lines.append(_body(told[key], day, size, None))
        for k in range(len(path.trades["key"])):
            key = str(path.trades["key"][k])
            lines.append(_body(told[key], day, size, {name: column[k] for name, column in path.trades.items()}))
        patient = tuple(item for item in path.state.positions if (day - told[item.key][2]).days < reach)
        state = replace(path.state, positions=patient)
    return result


def _body(
    candidate: tuple[LedgerRow, Mapping[str, Any], date], day: date, size: float, trade: Mapping[str, Any] | None
) -> dict[str, Any]:
    row, told, _ = candidate
    body: dict[str, Any] = {
        "ambiguous": False,
        "candidate": reference(row),
        "decision_time": told["decision_time"],
        "entry_time": None,
        "exit_time": None,
        "experiment": row.experiment,
        "flags": [],
        "partition": day,
        "reference_notional_usd": decimal_text(size),
        "resolved_at": told["decision_time"],
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
