"""Stage `portfolio_state`: the trading session of a day. Writes executions, outcomes, dispositions and the new state.

One transaction per day holds all four. The session runs in order under an advisory lock per experiment and refuses a
day whose predecessor is not sealed; Dagster itself checks neither (docs/architecture.md).
"""

from __future__ import annotations

import json
import time
import uuid as uuid_module
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from throughline.catalogue import SESSION, catalogue
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.day_bars import day_bars
from throughline.flow.market_view import DAY, ScreenedChunk, day_ms, midnight
from throughline.flow.model_limits import canary_exposure, model_refusals
from throughline.flow.paths import costs, exit_rules, size_scale, state_body, state_from
from throughline.flow.scan import screened
from throughline.flow.sealing import (
    Blocked,
    DayDraft,
    blocked_days,
    missing_day,
    require_days,
    require_unrevised,
    seal_days,
    seals_by_day,
)
from throughline.flow.trades import execution_body, outcome_body
from throughline.identity import decimal_text, parse_time, score_text, time_text_ms, time_to_ms
from throughline.market.blocks import segment_ms
from throughline.storage.queries import advisory_lock, read_by_candidate, read_rows
from throughline.storage.records import LedgerRow
from throughline.tracking.records import make_row, reference
from throughline.trading import simulate
from throughline.trading.types import DISPOSITIONS, PATHS, REASONS, Entries, PathResult, PathState

_WORDS = {
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
    """What one day's session is given: candidates and their research, and whether entries or all bars are shut out."""

    candidates: Sequence[LedgerRow]
    research: Mapping[str, LedgerRow]
    gate: Blocked | None
    bars_blocked: bool


def run_session(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Run the session of each of `days` in order. Raises MissingPredecessor where the state before them is missing."""
    wanted = require_days(ctx, days)
    results: list[DayResult] = []
    with ctx.engine.connect() as conn, advisory_lock(conn, ctx.experiment.id):
        gates = blocked_days(ctx, conn, catalogue().upstream[SESSION], wanted)
        bars_blocked = blocked_days(ctx, conn, ("market_bars",), wanted)
        chunk = screened(ctx, conn, wanted)
        require_unrevised(ctx, conn, wanted)
        inputs = _inputs(ctx, conn, wanted, gates, bars_blocked)
        previous = _previous(ctx, conn, wanted[0])
        executions: dict[str, LedgerRow] = {}
        for day in wanted:
            started = time.perf_counter()
            draft, previous = _run_day(ctx, conn, chunk, day, inputs[day], previous, executions, started)
            results += seal_days(ctx, SESSION, [draft], blocked={})
    return results


def _inputs(
    ctx: FlowContext,
    conn: Any,
    days: Sequence[date],
    gates: Mapping[date, Blocked],
    bars_blocked: Mapping[date, Blocked],
) -> dict[date, DayInputs]:
    candidates: dict[date, list[LedgerRow]] = {day: [] for day in days}
    research: dict[date, dict[str, LedgerRow]] = {day: {} for day in days}
    for row in read_rows(conn, "candidates", ctx.experiment.id, days[0], days[-1]):
        candidates[row.partition].append(row)
    for row in read_rows(conn, "research_docs", ctx.experiment.id, days[0], days[-1]):
        research[row.partition][str(row.columns["candidate_uuid"])] = row
    return {day: DayInputs(candidates[day], research[day], gates.get(day), day in bars_blocked) for day in days}


def _previous(ctx: FlowContext, conn: Any, first: date) -> LedgerRow | None:
    """Return the state record of the day before `first`; None at the epoch, where the portfolio is flat."""
    if first == ctx.experiment.epoch:
        return None
    before = first - DAY
    if before not in seals_by_day(ctx, conn, "portfolio_state", [before]):
        raise missing_day(ctx, conn, "portfolio_state", before, f"the session of {first} starts from that state")
    return next(iter(read_rows(conn, "portfolio_states", ctx.experiment.id, before, before)))


def _states(ctx: FlowContext, previous: LedgerRow | None) -> dict[str, PathState]:
    if previous is None:
        cash = ctx.experiment.configuration.sizing.small_fund_usd
        return {path: PathState(cash=cash) for path in PATHS}
    told = json.loads(previous.body)["paths"]
    return {path: state_from(told[path]) for path in PATHS}


def _run_day(
    ctx: FlowContext,
    conn: Any,
    chunk: ScreenedChunk,
    day: date,
    inputs: DayInputs,
    previous: LedgerRow | None,
    executions: dict[str, LedgerRow],
    started: float,
) -> tuple[DayDraft, LedgerRow]:
    states = _states(ctx, previous)
    told = {str(row.uuid): (row, json.loads(row.body)) for row in inputs.candidates}
    open_for_entry = {key: item for key, item in told.items() if inputs.gate is None}
    shut = model_refusals(open_for_entry, canary_exposure(conn, states["base"]), ctx.experiment.configuration)
    open_for_entry = {key: item for key, item in open_for_entry.items() if key not in shut}
    held = [item.instrument for state in states.values() for item in state.positions]
    tickers = held + [body["instrument"] for _, body in open_for_entry.values()]
    settings = ctx.experiment.configuration
    panel = ctx.view.panel(day, day) if inputs.bars_blocked else chunk.panel
    bars = day_bars(chunk, panel, day, tickers, settings.strategy.emergency_rug_risk)
    keys = list(open_for_entry)
    bodies = [open_for_entry[key][1] for key in keys]
    entries = Entries(
        instrument=np.array([bars.instruments.index(body["instrument"]) for body in bodies], dtype=np.int32),
        decision_time=np.array([time_to_ms(parse_time(body["decision_time"])) for body in bodies], dtype=np.int64),
        score=np.array([float(body["opportunity_score"]) for body in bodies], dtype=np.float64),
        notional=np.array([float(body["notional_usd"]) for body in bodies], dtype=np.float64),
        segment=np.array([segment_ms(body["segment"]) for body in bodies], dtype=np.int64),
    )
    paths = {
        path: simulate(
            bars,
            replace(entries, notional=entries.notional * size_scale(states[path], settings.sizing)),
            exit_rules(settings, ctx.provider.description),
            costs(settings, ctx.provider.description),
            settings.sizing.max_positions,
            state={path: states[path]},
            keys=keys,
            until=day_ms(day + DAY),
            paths=(path,),
            blocked=inputs.bars_blocked,
            minimum_notional=settings.sizing.minimum_position_usd,
        ).paths[path]
        for path in PATHS
    }
    base = paths["base"]
    rows: dict[str, list[LedgerRow]] = {"executions": [], "outcomes": [], "dispositions": []}
    for k in range(len(base.fills["key"])):
        key = str(base.fills["key"][k])
        fill = {name: column[k] for name, column in base.fills.items()}
        row = make_row("executions", execution_body(fill, told[key], inputs.research[key], day), ctx.run_id)
        executions[key] = row
        rows["executions"].append(row)
    for k in range(len(base.trades["key"])):
        key = str(base.trades["key"][k])
        trade = {name: column[k] for name, column in base.trades.items()}
        if key not in executions:
            executions[key] = read_by_candidate(conn, "executions", uuid_module.UUID(key))
        rows["outcomes"].append(make_row("outcomes", outcome_body(trade, executions[key], day), ctx.run_id))
    rows["dispositions"] = _dispositions(ctx, told, keys, base, inputs.gate, shut, day)
    state = make_row("portfolio_states", _state(ctx, day, previous, paths, inputs), ctx.run_id)
    draft = DayDraft(
        day=day,
        rows=rows | {"portfolio_states": [state]},
        leaves=[row.content_hash for row in (*rows["dispositions"], state)],
        details=_details(rows, state, inputs),
        seconds=time.perf_counter() - started,
    )
    return draft, state


def _dispositions(
    ctx: FlowContext,
    told: Mapping[str, tuple[LedgerRow, Any]],
    keys: Sequence[str],
    base: PathResult,
    gate: Blocked | None,
    shut: Mapping[str, str],
    day: date,
) -> list[LedgerRow]:
    """Return one disposition per candidate of the day. A fill bar opens at the decision instant, so none can wait."""
    words = dict.fromkeys(told, "gate_closed") | dict(shut)
    words |= {key: DISPOSITIONS[int(code)] for key, code in zip(keys, base.disposition, strict=True)}
    result = []
    for key in sorted(words):
        head, body = told[key]
        reason = _WORDS[words[key]]
        if words[key] == "gate_closed" and gate:
            reason += f": {gate.get('asset')} broke '{gate.get('rule')}' in {gate.get('rows')} row(s)"
        result.append(
            make_row(
                "dispositions",
                {
                    "candidate": reference(head),
                    "decision_time": body["decision_time"],
                    "disposition": words[key],
                    "experiment": ctx.experiment.id,
                    "partition": day,
                    "reason": reason,
                },
                ctx.run_id,
            )
        )
    return result


def _state(
    ctx: FlowContext, day: date, previous: LedgerRow | None, paths: Mapping[str, PathResult], inputs: DayInputs
) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for path in PATHS:
        result = paths[path]
        told[path] = state_body(result.state) | {
            "closed": _closed(result.trades),
            "taken": int((result.disposition == DISPOSITIONS.index("taken")).sum()),
        }
    return {
        "as_of": midnight(day + DAY),
        "blocked": inputs.bars_blocked,
        "experiment": ctx.experiment.id,
        "open_positions": len(paths["base"].state.positions),
        "partition": day,
        "paths": told,
        "previous": reference(previous) if previous else None,
    }


def _closed(trades: Mapping[str, Any]) -> list[dict[str, Any]]:
    lines = [
        {
            "ambiguous": bool(trades["ambiguous"][k]),
            "candidate": str(trades["key"][k]),
            "exit_time": time_text_ms(int(trades["exit_time"][k])),
            "net_pnl_usd": decimal_text(float(trades["net_pnl"][k])),
            "return_percent": score_text(float(trades["return_percent"][k])),
            "termination_reason": REASONS[int(trades["reason"][k])],
        }
        for k in range(len(trades["key"]))
    ]
    return sorted(lines, key=lambda line: (line["exit_time"], line["candidate"]))


def _details(rows: Mapping[str, Sequence[LedgerRow]], state: LedgerRow, inputs: DayInputs) -> dict[str, Any]:
    told = json.loads(state.body)
    counts: dict[str, int] = {}
    for row in rows["dispositions"]:
        counts[row.columns["disposition"]] = counts.get(row.columns["disposition"], 0) + 1
    return {
        "dispositions": counts,
        "equity_usd": {path: told["paths"][path]["equity_usd"] for path in PATHS},
        "executions": len(rows["executions"]),
        "gate": dict(inputs.gate) if inputs.gate else None,
        "open_positions": told["open_positions"],
        "outcomes": len(rows["outcomes"]),
    }
