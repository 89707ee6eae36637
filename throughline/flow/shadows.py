"""Stage `shadow_outcomes`: what the same exit rules gave every candidate at a fixed size, taken or not.

For learning and for comparing models, never counted as profit. A shadow is written on the day it resolves. What is
still open at a day's end is recorded and sealed with it, and the next day starts from there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from sqlalchemy import Connection

from throughline.flow.context import DayResult, FlowContext, shadow_reach_days
from throughline.flow.day_bars import day_bars, entries_of
from throughline.flow.market_view import DAY, ScreenedChunk, day_ms, midnight
from throughline.flow.paths import costs, exit_rules, position_body, position_from
from throughline.flow.scan import screened
from throughline.flow.sealing import (
    Blocked,
    DayDraft,
    blocked_by_upstream,
    blocked_days,
    require_days,
    require_unrevised,
    seal_days,
    state_before,
)
from throughline.flow.trades import rows_of
from throughline.identity import decimal_text, score_text, time_text_ms
from throughline.storage.queries import rows_by_day
from throughline.storage.records import LedgerRow
from throughline.tracking.day_records import Candidate
from throughline.tracking.records import make_row, reference
from throughline.tracking.versions import read_body
from throughline.trading.execution import TradingDay, execution_client
from throughline.trading.types import DISPOSITIONS, REASONS, PathState, flag_names


@dataclass(frozen=True, slots=True)
class Decided:
    """The candidate of a shadow. reference: {uuid, hash}; decision_time: record text."""

    reference: Mapping[str, str]
    decision_time: str

    @property
    def day(self) -> date:
        """The partition of the candidate."""
        return date.fromisoformat(self.decision_time[:10])


@dataclass(frozen=True)
class ShadowState:
    """What is open at the end of a day. path: the engine's state; decided: candidate of each position, by its key."""

    path: PathState
    decided: Mapping[str, Decided]


def resolve_shadows(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write the shadow outcomes that resolve in each of `days`, and what is open at its end.

    Raises MissingPredecessor where the state before them is missing.
    """
    days = require_days(ctx, days)
    with ctx.engine.connect() as conn:
        # A blocked input leaves the day without candidates; positions from before go on, so the day is not blocked.
        blocked_by_upstream(ctx, conn, "shadow_outcomes", days)
        bars_blocked = blocked_days(ctx, conn, ("market_bars",), days)
        chunk = screened(ctx, conn, days)
        require_unrevised(ctx, conn, days)
        previous = state_before(ctx, conn, "shadow_outcomes", "shadow_states", days[0])
        return seal_days(ctx, "shadow_outcomes", _drafts(ctx, conn, chunk, days, bars_blocked, previous), blocked={})


def _drafts(
    ctx: FlowContext,
    conn: Connection,
    chunk: ScreenedChunk,
    days: Sequence[date],
    bars_blocked: Mapping[date, Blocked],
    previous: LedgerRow | None,
) -> Iterator[DayDraft]:
    """Yield the draft of each day in order, each from the state of the day before."""
    state = ShadowState(PathState(cash=math.inf), {}) if previous is None else _state_from(previous)
    for day, candidates in rows_by_day(conn, "candidates", ctx.experiment.id, days):
        bodies, state = _run_day(ctx, chunk, day, list(map(Candidate.of, candidates)), day in bars_blocked, state)
        rows = [make_row("shadow_outcomes", body, ctx.run_id) for body in bodies]
        previous = make_row("shadow_states", _state_body(ctx, day, state, previous), ctx.run_id)
        yield DayDraft(
            day=day,
            rows={"shadow_outcomes": rows, "shadow_states": [previous]},
            leaves=[row.content_hash for row in (*rows, previous)],
            details={"open": len(state.decided), "resolved": len(rows)},
        )


def _run_day(
    ctx: FlowContext,
    chunk: ScreenedChunk,
    day: date,
    candidates: Sequence[Candidate],
    blocked: bool,
    state: ShadowState,
) -> tuple[list[dict[str, Any]], ShadowState]:
    """Return the bodies that resolve on a day, and the state at its end."""
    settings = ctx.experiment.configuration
    size = settings.sizing.shadow_reference_usd
    decided = dict(state.decided) | {item.key: Decided(item.reference, item.decision_time) for item in candidates}
    panel = ctx.view.panel(day, day) if blocked else chunk.panel
    names = [item.instrument for item in state.path.positions] + [item.instrument for item in candidates]
    bars = day_bars(panel, chunk.features, day, names, settings.strategy.emergency_rug_risk)
    simulated = execution_client()  # whatever fills the orders: a shadow is what the bars would have given
    path = simulated.run_day(
        TradingDay(
            bars=bars,
            entries=entries_of(candidates, bars, np.full(len(candidates), size)),
            keys=[item.key for item in candidates],
            states={"base": state.path},
            rules=replace(exit_rules(settings, ctx.provider.description), max_participation=None),
            costs=costs(settings, ctx.provider.description),
            until=day_ms(day + DAY),
            independent=True,
            blocked=blocked,
        )
    )["base"]
    codes = zip(candidates, path.disposition, strict=True)
    bodies = [
        _body(ctx, decided[item.key], day, size, None) for item, code in codes if DISPOSITIONS[int(code)] != "taken"
    ]
    bodies += [_body(ctx, decided[str(trade["key"])], day, size, trade) for trade in rows_of(path.trades)]
    reach = shadow_reach_days(settings.exits)
    patient = tuple(item for item in path.state.positions if (day - decided[item.key].day).days < reach)
    return bodies, ShadowState(
        replace(path.state, positions=patient), {item.key: decided[item.key] for item in patient}
    )


def _state_body(ctx: FlowContext, day: date, state: ShadowState, previous: LedgerRow | None) -> dict[str, Any]:
    """Return the state as it is recorded. The engine's floats have at most 18 decimals, so nothing is rounded."""
    return {
        "as_of": midnight(day + DAY),
        "experiment": ctx.experiment.id,
        "open_shadows": len(state.decided),
        "partition": day,
        "previous": reference(previous) if previous else None,
        "shadows": [
            {
                "candidate": state.decided[item.key].reference,
                "decision_time": state.decided[item.key].decision_time,
                "position": position_body(item),
            }
            for item in state.path.positions
        ],
    }


def _state_from(row: LedgerRow) -> ShadowState:
    """Return the state that `_state_body` recorded."""
    shadows = read_body("shadow_states", row.body)["shadows"]
    positions = tuple(position_from(item["position"]) for item in shadows)
    decided = {item["position"]["key"]: Decided(item["candidate"], item["decision_time"]) for item in shadows}
    return ShadowState(PathState(cash=math.inf, positions=positions), decided)


def _body(
    ctx: FlowContext, decided: Decided, day: date, size: float, trade: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return a shadow outcome. trade: a row of the engine's trades; None where the candidate expired."""
    body: dict[str, Any] = {
        "ambiguous": False,
        "candidate": decided.reference,
        "decision_time": decided.decision_time,
        "entry_time": None,
        "exit_time": None,
        "experiment": ctx.experiment.id,
        "flags": [],
        "partition": day,
        "reference_notional_usd": decimal_text(size),
        "resolved_at": decided.decision_time,
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
