"""Stage `portfolio_state`: the trading session of a day. Writes executions, outcomes, dispositions and the new state.

One transaction per day holds all four. The session runs in order under an advisory lock per experiment and refuses a
day whose predecessor is not sealed; Dagster itself checks neither (docs/architecture.md).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import Connection

from throughline.catalogue import SESSION, catalogue
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.day_bars import day_bars, entries_of
from throughline.flow.market_view import DAY, ScreenedChunk, day_ms, midnight
from throughline.flow.model_limits import canary_exposure, model_refusals
from throughline.flow.paths import costs, exit_rules, size_scale, state_body, state_from
from throughline.flow.scan import screened
from throughline.flow.sealing import (
    Blocked,
    DayDraft,
    blocked_days,
    require_days,
    require_unrevised,
    seal_days,
    state_before,
)
from throughline.flow.trades import execution_body, outcome_body, rows_of
from throughline.identity import decimal_text, score_text, time_text_ms
from throughline.storage.queries import advisory_lock, read_by_candidate, read_references, rows_by_day
from throughline.storage.records import LedgerRow
from throughline.tracking.day_records import Candidate, Execution
from throughline.tracking.records import make_row, reference
from throughline.tracking.versions import read_body
from throughline.trading.execution import TradingDay
from throughline.trading.types import DISPOSITIONS, PATHS, REASONS, PathResult, PathState

_REASONS = {
    "taken": "entered on the base path",
    "no_slot": "every slot was taken when it could have been filled",
    "already_held": "the instrument was already held",
    "expired": "no contiguous bar with volume to fill it on",
    "gate_closed": "a data-quality gate was closed on this day",
    "declined": "the deciding model would not trade it",
    "rule_closed": "the rule is closed: its candidates were shown to lose, and cash is held instead",
    "canary_cap": "the challenger's share of the fund was used up",
    "no_cash": "the cash left was below the smallest position",
    "below_minimum": "scaled to the fund that is left, or cut by the volume limit, it was below the smallest position",
}


@dataclass(frozen=True)
class DayInputs:
    """What a day's session reads.

    Args:
        candidates: key -> candidate of the day.
        research: candidate's UUID -> {uuid, hash} of its research document.
        gate: why entries are not allowed; None where they are.
        bars_blocked: whether the day's bars failed their gate, so that nothing is traded on them.
    """

    candidates: Mapping[str, Candidate]
    research: Mapping[UUID, Mapping[str, str]]
    gate: Blocked | None
    bars_blocked: bool


def run_session(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Run the session of each of `days` in order. Raises MissingPredecessor where the state before them is missing."""
    days = require_days(ctx, days)
    results: list[DayResult] = []
    with ctx.engine.connect() as conn, advisory_lock(conn, ctx.experiment.id):
        gates = blocked_days(ctx, conn, catalogue().upstream[SESSION], days)
        bars_blocked = blocked_days(ctx, conn, ("market_bars",), days)
        chunk = screened(ctx, conn, days)
        require_unrevised(ctx, conn, days)
        previous = state_before(ctx, conn, SESSION, "portfolio_states", days[0])
        executions: dict[str, Execution] = {}
        for day, rows in rows_by_day(conn, "candidates", ctx.experiment.id, days):
            started = time.perf_counter()
            candidates = {str(row.uuid): Candidate.of(row) for row in rows}
            research = read_references(conn, "research_docs", ctx.experiment.id, day, day) if candidates else {}
            inputs = DayInputs(candidates, research, gates.get(day), day in bars_blocked)
            draft, previous = _run_day(ctx, conn, chunk, day, inputs, previous, executions, started)
            results += seal_days(ctx, SESSION, [draft], blocked={})
    return results


def _states(ctx: FlowContext, previous: LedgerRow | None) -> dict[str, PathState]:
    if previous is None:
        cash = ctx.experiment.configuration.sizing.small_fund_usd
        return {path: PathState(cash=cash) for path in PATHS}
    recorded = read_body("portfolio_states", previous.body)["paths"]
    return {path: state_from(recorded[path]) for path in PATHS}


def _run_day(
    ctx: FlowContext,
    conn: Connection,
    chunk: ScreenedChunk,
    day: date,
    inputs: DayInputs,
    previous: LedgerRow | None,
    executions: dict[str, Execution],
    started: float,
) -> tuple[DayDraft, LedgerRow]:
    """Return the day's draft and state. executions: by candidate, those of this call; gets those of the day."""
    states = _states(ctx, previous)
    settings = ctx.experiment.configuration
    asking = list(inputs.candidates.values()) if inputs.gate is None else []
    refused = model_refusals(asking, canary_exposure(conn, states["base"]), settings)
    asking = [item for item in asking if item.key not in refused]
    names = [item.instrument for state in states.values() for item in state.positions]
    names += [item.instrument for item in asking]
    panel = ctx.view.panel(day, day) if inputs.bars_blocked else chunk.panel
    bars = day_bars(panel, chunk.features, day, names, settings.strategy.emergency_rug_risk)
    entries = entries_of(asking, bars, np.array([item.notional for item in asking], dtype=np.float64))
    keys = [item.key for item in asking]
    paths = ctx.execution.run_day(
        TradingDay(
            bars=bars,
            entries=entries,
            keys=keys,
            states=states,
            rules=exit_rules(settings, ctx.provider.description),
            costs=costs(settings, ctx.provider.description),
            until=day_ms(day + DAY),
            max_positions=settings.sizing.max_positions,
            scale={path: size_scale(state, settings.sizing) for path, state in states.items()},
            minimum_notional=settings.sizing.minimum_position_usd,
            blocked=inputs.bars_blocked,
        )
    )
    base = paths["base"]
    rows: dict[str, list[LedgerRow]] = {"executions": [], "outcomes": [], "dispositions": []}
    for fill in rows_of(base.fills):
        candidate = inputs.candidates[str(fill["key"])]
        research = inputs.research[UUID(candidate.key)]
        row = make_row("executions", execution_body(fill, candidate, research, day), ctx.run_id)
        executions[candidate.key] = Execution.of(row)
        rows["executions"].append(row)
    for trade in rows_of(base.trades):
        key = str(trade["key"])
        if key not in executions:
            executions[key] = Execution.of(read_by_candidate(conn, "executions", UUID(key)))
        rows["outcomes"].append(make_row("outcomes", outcome_body(trade, executions.pop(key), day), ctx.run_id))
    dispositions = dict.fromkeys(inputs.candidates, "gate_closed") | refused
    dispositions |= {key: DISPOSITIONS[int(code)] for key, code in zip(keys, base.disposition, strict=True)}
    rows["dispositions"] = [
        make_row("dispositions", _disposition(inputs, key, dispositions[key], day), ctx.run_id)
        for key in sorted(dispositions)
    ]
    body = _state(ctx, day, previous, paths, inputs)
    state = make_row("portfolio_states", body, ctx.run_id)
    draft = DayDraft(
        day=day,
        rows=rows | {"portfolio_states": [state]},
        leaves=[row.content_hash for row in (*rows["dispositions"], state)],
        details={
            "dispositions": Counter(dispositions.values()),
            "equity_usd": {path: body["paths"][path]["equity_usd"] for path in PATHS},
            "executions": len(rows["executions"]),
            "gate": dict(inputs.gate) if inputs.gate else None,
            "open_positions": body["open_positions"],
            "outcomes": len(rows["outcomes"]),
        },
        seconds=time.perf_counter() - started,
    )
    return draft, state


def _disposition(inputs: DayInputs, key: str, disposition: str, day: date) -> dict[str, Any]:
    """Return what became of a candidate. A fill bar opens at the decision instant, so none can wait."""
    candidate, gate = inputs.candidates[key], inputs.gate
    reason = _REASONS[disposition]
    if disposition == "gate_closed" and gate:
        reason += f": {gate.get('asset')} broke '{gate.get('rule')}' in {gate.get('rows')} row(s)"
    return {
        "candidate": candidate.reference,
        "decision_time": candidate.decision_time,
        "disposition": disposition,
        "experiment": candidate.experiment,
        "partition": day,
        "reason": reason,
    }


def _state(
    ctx: FlowContext, day: date, previous: LedgerRow | None, paths: Mapping[str, PathResult], inputs: DayInputs
) -> dict[str, Any]:
    recorded = {
        path: state_body(result.state)
        | {
            "closed": _closed(result.trades),
            "taken": int((result.disposition == DISPOSITIONS.index("taken")).sum()),
        }
        for path, result in paths.items()
    }
    return {
        "as_of": midnight(day + DAY),
        "blocked": inputs.bars_blocked,
        "experiment": ctx.experiment.id,
        "open_positions": len(paths["base"].state.positions),
        "partition": day,
        "paths": recorded,
        "previous": reference(previous) if previous else None,
    }


def _closed(trades: Mapping[str, Any]) -> list[dict[str, Any]]:
    lines = [
        {
            "ambiguous": bool(trade["ambiguous"]),
            "candidate": str(trade["key"]),
            "exit_time": time_text_ms(int(trade["exit_time"])),
            "net_pnl_usd": decimal_text(float(trade["net_pnl"])),
            "return_percent": score_text(float(trade["return_percent"])),
            "termination_reason": REASONS[int(trade["reason"])],
        }
        for trade in rows_of(trades)
    ]
    return sorted(lines, key=lambda line: (line["exit_time"], line["candidate"]))
