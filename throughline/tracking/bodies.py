"""Bodies of records that are written by hand: the same keys as the flow writes, None for what was not given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from throughline.identity import decimal_text, parse_time, score_text, time_text
from throughline.tracking.types import ExecutionRecord, ResearchDocument, TerminationReason, TradeOutcome

Reference = Mapping[str, str]


def _partition(instant: datetime) -> str:
    return instant.astimezone(UTC).date().isoformat()


def _money(value: float | None) -> str | None:
    return None if value is None else decimal_text(value)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return score_text(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def candidate_body(experiment: str, decided: datetime, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a candidate's body.

    Args:
        experiment: ID of its experiment.
        decided: instant of the decision.
        values: instrument, segment, strategy, side, model_version, confidence, params_ptr and created_by.
    """
    return {
        "arm": "champion",
        "confidence": score_text(values["confidence"]),
        "created_by": values["created_by"],
        "data_seals": {},
        "decision": None,
        "decision_time": time_text(decided),
        "experiment": experiment,
        "features": {},
        "features_hash": None,
        "instrument": values["instrument"],
        "missing": [],
        "model_hash": None,
        "model_version": values["model_version"],
        "notional_usd": None,
        "opportunity_score": None,
        "params_ptr": values["params_ptr"],
        "partition": _partition(decided),
        "scan": None,
        "scores": {},
        "segment": values["segment"],
        "side": values["side"],
        "strategy": values["strategy"],
        "verdicts": {},
    }


def research_body(candidate: Mapping[str, Any], reference: Reference, document: ResearchDocument) -> dict[str, Any]:
    """Return the body of a research document on `candidate` (its body)."""
    return {
        "candidate": dict(reference),
        "code_version": None,
        "configuration": candidate["params_ptr"],
        "contract_address": document.contract_address,
        "decision_time": candidate["decision_time"],
        "experiment": candidate["experiment"],
        "features": None,
        "initial_market_cap": _money(document.initial_market_cap),
        "inputs": [_plain(item) for item in document.inputs],
        "instrument": candidate["instrument"],
        "missing": sorted(document.missing),
        "partition": candidate["partition"],
        "rugpull_heuristic_scores": _plain(document.rugpull_heuristic_scores),
        "scan_row": None,
        "signals": None,
        "scores": {"confidence": candidate["confidence"], "opportunity": candidate["opportunity_score"], "parts": {}},
        "social_sentiment_scores": _plain(document.social_sentiment_scores),
        "trade_rationale": document.trade_rationale,
        "verdicts": candidate["verdicts"],
        "volume_24h": _money(document.volume_24h),
    }


def execution_body(
    candidate: Mapping[str, Any], reference: Reference, research: Reference, record: ExecutionRecord, filled: datetime
) -> dict[str, Any]:
    """Return the body of an execution of `candidate` (its body), filled at `filled`."""
    price, size = Decimal(decimal_text(record.entry_price)), Decimal(decimal_text(record.size))
    return {
        "candidate": dict(reference),
        "entry_price": decimal_text(price),
        "experiment": candidate["experiment"],
        "fee_usd": decimal_text(record.fee_usd),
        "fill_bar_open": None,
        "fill_time": time_text(filled),
        "impact_cost_usd": None,
        "instrument": candidate["instrument"],
        "latency_metrics": _plain(record.latency_metrics),
        "latency_ms": None,
        "notional_usd": decimal_text(price * size),
        "order_id": record.order_id,
        "partial": False,
        "participation": None,
        "partition": _partition(filled),
        "quantity": decimal_text(size),
        "raw_price": decimal_text(record.entry_price / (1.0 + record.slippage)),
        "research": dict(research),
        "segment": candidate["segment"],
        "side": candidate["side"],
        "slippage": score_text(record.slippage),
        "spread_cost_usd": None,
    }


def outcome_body(execution: Mapping[str, Any], reference: Reference, outcome: TradeOutcome) -> dict[str, Any]:
    """Return the body of the outcome of `execution` (its body)."""
    ended = parse_time(execution["fill_time"]) + timedelta(seconds=outcome.time_in_market_seconds)
    notional = Decimal(execution["notional_usd"])
    pnl = decimal_text(notional * Decimal(repr(float(outcome.realized_pnl_percent))) / 100)
    price = outcome.exit_price
    if price is None:
        price = float(Decimal(execution["entry_price"])) * (1.0 + outcome.realized_pnl_percent / 100.0)
    return {
        "ambiguous": False,
        "attrition_usd": "0",
        "candidate": execution["candidate"],
        "costs_usd": None,
        "execution": dict(reference),
        "exit_bar_open": None,
        "exit_price": decimal_text(price),
        "exit_time": time_text(ended),
        "experiment": execution["experiment"],
        "fees_usd": decimal_text(outcome.fees_usd),
        "flags": [],
        "gross_pnl_usd": None,
        "instrument": execution["instrument"],
        "label": {"t0": execution["fill_time"], "t1": time_text(ended)},
        "partition": _partition(ended),
        "pnl_high_usd": pnl,
        "pnl_low_usd": pnl,
        "realized_pnl_percent": score_text(outcome.realized_pnl_percent),
        "realized_pnl_usd": pnl,
        "segment": execution["segment"],
        "termination_reason": TerminationReason(outcome.termination_reason).value,
        "time_in_market_seconds": int(outcome.time_in_market_seconds),
    }
