"""Made-up research snapshots and labelled features, laid out as the flow writes them. For tests and benchmarks only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from throughline.features.vector import NAMES, REFERENCES, feature_schema, feature_vector, vector_hash
from throughline.identity import SCHEMA_VERSION, score_text, sha256_hex, time_text
from throughline.market.blocks import segment_name
from throughline.signals.vector import NAMES as SIGNALS
from throughline.storage.ledger import PartitionWrite
from throughline.storage.records import LedgerRow
from throughline.tracking.records import make_row, reference

SCANNED = ("momentum", "volatility", "volume_24h", "market_cap", "sentiment", "rug_risk", "reserve_drop")


def snapshot(
    rng: np.random.Generator, decided: datetime, instrument: str = "ABC", missing: float = 0.1
) -> dict[str, Any]:
    """Return the part of a research body that features read; each value is missing with probability `missing`."""
    drawn = iter(zip(rng.lognormal(0.0, 2.0, 64).tolist(), (rng.random(64) < missing).tolist(), strict=True))

    def text() -> str | None:
        value, lacks = next(drawn)
        return None if lacks else score_text(value)

    return {
        "decision_time": time_text(decided),
        "scan_row": {
            "features": {name: text() for name in SCANNED},
            "notional_usd": "500",
            "references": {name: text() for name in REFERENCES},
            "segment": segment_name(instrument, 1_600_000_000_000),
        },
        "scores": {"confidence": text(), "opportunity": text(), "parts": {}},
        "signals": {"values": {name: text() for name in SIGNALS}},
    }


def candidate_row(experiment: str, decided: datetime, instrument: str = "ABC") -> LedgerRow:
    """Return a candidate that research can hang on."""
    body = {
        "confidence": "0.5",
        "created_by": "test",
        "decision_time": decided,
        "experiment": experiment,
        "instrument": instrument,
        "model_version": "rule",
        "opportunity_score": "0.5",
        "params_ptr": "strategy",
        "partition": decided.date(),
        "scan": None,
        "schema_version": SCHEMA_VERSION,
        "segment": segment_name(instrument, 1_600_000_000_000),
        "side": "buy",
        "strategy": "test",
    }
    return make_row("candidates", body)


def research_row(candidate: LedgerRow, told: Mapping[str, Any], **changes: Any) -> LedgerRow:
    """Return the research document of a candidate over a snapshot. changes: body keys that differ."""
    vector = feature_vector(told)
    body = {
        "candidate": reference(candidate),
        "contract_address": None,
        "experiment": candidate.experiment,
        "features": {"hash": vector.hash, "schema": feature_schema()},
        "initial_market_cap": None,
        "instrument": candidate.columns["instrument"],
        "partition": candidate.partition,
        "schema_version": SCHEMA_VERSION,
        "trade_rationale": "none",
        "volume_24h": None,
        **told,
    }
    return make_row("research_docs", body | changes)


def label_row(
    research: LedgerRow, told: Mapping[str, Any], candidate: LedgerRow, net_return: float, t1: datetime, **changes: Any
) -> LedgerRow:
    """Return the labelled features of a decision that resolved at `t1`. changes: body keys that differ."""
    values = dict(feature_vector(told).values)
    decided: datetime = candidate.columns["decision_time"]
    body = {
        "candidate": reference(candidate),
        "decision_time": decided,
        "experiment": candidate.experiment,
        "features": {"hash": vector_hash(values), "schema": feature_schema(), "values": values},
        "instrument": candidate.columns["instrument"],
        "label": {
            "lost": net_return <= -0.9,
            "net_return": score_text(net_return),
            "reason": "time_limit",
            "stopped": net_return <= -0.15,
            "t0": decided,
            "t1": t1,
        },
        "outcome": None,
        "partition": t1.date(),
        "research": reference(research),
        "resolved_at": t1,
        "schema_version": SCHEMA_VERSION,
        "segment": candidate.columns["segment"],
        "shadow": None,
        "source": "shadow",
    }
    return make_row("trade_features", body | changes)


def write_of(asset: str, table: str, experiment: str, day: date, rows: Sequence[LedgerRow]) -> PartitionWrite:
    """Return the partition of an asset with one table, sealed over its rows."""
    from throughline.identity import seal_of

    root = seal_of(row.content_hash for row in rows)
    return PartitionWrite(experiment, asset, day, {table: list(rows)}, root, len(rows))


def filled_values(seed: int = 1) -> dict[str, str | None]:
    """Return values of a whole vector, by name."""
    rng = np.random.default_rng(seed)
    return {name: score_text(float(value)) for name, value in zip(NAMES, rng.normal(size=len(NAMES)), strict=True)}


def some_uuid(text: str) -> UUID:
    """Return a UUID that follows from a text."""
    return UUID(sha256_hex(text.encode())[:32])


def hours(count: float) -> timedelta:
    """Return so many hours."""
    return timedelta(hours=count)
