"""From the engine's fills and trades to the bodies of executions and outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from throughline.identity import decimal_text, parse_time, score_text, time_text_ms, time_to_ms
from throughline.tracking.day_records import Candidate, Execution
from throughline.trading.execution import order_id
from throughline.trading.types import REASONS, flag_names


def rows_of(columns: Mapping[str, NDArray[np.generic]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the engine's columns, each as column name -> value."""
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def execution_body(
    fill: Mapping[str, Any], candidate: Candidate, research: Mapping[str, str], day: date
) -> dict[str, Any]:
    """Return the body of the execution that filled `candidate` in the bar of `fill`.

    slippage is the fill
    price over the raw price, minus one; latency is from decision to fill on the market's clock.

    Args:
        fill: a row of the engine's fills.
        candidate: what was filled.
        research: {uuid, hash} of its research document.
        day: partition.
    """
    price, raw = float(fill["price"]), float(fill["raw_price"])
    participation = float(fill["participation"])
    filled = int(fill["entry_time"])
    return {
        "candidate": candidate.reference,
        "entry_price": decimal_text(price),
        "experiment": candidate.experiment,
        "fee_usd": decimal_text(float(fill["fee"])),
        "fill_bar_open": time_text_ms(int(fill["bar_open_time"])),
        "fill_time": time_text_ms(filled),
        "impact_cost_usd": decimal_text(float(fill["impact_cost"])),
        "instrument": candidate.instrument,
        "latency_ms": filled - candidate.decision_ms,
        "notional_usd": decimal_text(float(fill["notional"])),
        "order_id": order_id(candidate.key, "entry"),
        "partial": bool(fill["partial"]),
        "participation": None if participation != participation else score_text(participation),
        "partition": day,
        "quantity": decimal_text(float(fill["quantity"])),
        "raw_price": decimal_text(raw),
        "research": research,
        "segment": candidate.segment,
        "side": candidate.side,
        "slippage": score_text(price / raw - 1.0),
        "spread_cost_usd": decimal_text(float(fill["spread_cost"])),
    }


def outcome_body(trade: Mapping[str, Any], execution: Execution, day: date) -> dict[str, Any]:
    """Return the body of the outcome that ended `execution`. The label interval is [fill, exit].

    Args:
        trade: a row of the engine's trades.
        execution: what was ended.
        day: partition.
    """
    entered = time_to_ms(parse_time(execution.fill_time))
    ended = int(trade["exit_time"])
    return {
        "ambiguous": bool(trade["ambiguous"]),
        "attrition_usd": decimal_text(float(trade["attrition"])),
        "candidate": execution.candidate,
        "costs_usd": decimal_text(float(trade["costs"])),
        "execution": execution.reference,
        "exit_bar_open": time_text_ms(int(trade["exit_bar_open"])),
        "exit_price": decimal_text(float(trade["exit_price"])),
        "exit_time": time_text_ms(ended),
        "experiment": execution.experiment,
        "fees_usd": decimal_text(float(trade["fees"])),
        "flags": sorted(flag_names(int(trade["flags"]))),
        "gross_pnl_usd": decimal_text(float(trade["gross_pnl"])),
        "instrument": execution.instrument,
        "label": {"t0": execution.fill_time, "t1": time_text_ms(ended)},
        "partition": day,
        "pnl_high_usd": decimal_text(float(trade["pnl_high"])),
        "pnl_low_usd": decimal_text(float(trade["pnl_low"])),
        "realized_pnl_percent": score_text(float(trade["return_percent"])),
        "realized_pnl_usd": decimal_text(float(trade["net_pnl"])),
        "segment": execution.segment,
        "termination_reason": REASONS[int(trade["reason"])],
        "time_in_market_seconds": (ended - entered) // 1000,
    }
