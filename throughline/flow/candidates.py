"""Stage `trade_candidates`: each admitted signal of a day's scans becomes the head of a chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from throughline.experiment.identity import configuration_pointer
from throughline.features.hot import HotEntry
from throughline.features.vector import FeatureVector, feature_schema, feature_vector
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.deciding import ModelRouter, deciding
from throughline.flow.knowledge import snapshot_at
from throughline.flow.market_view import ScreenedChunk
from throughline.flow.scan import screened
from throughline.flow.sealing import DayDraft, blocked_by_upstream, require_days, require_unrevised, seal_days
from throughline.identity import score_text
from throughline.learning.types import RULE
from throughline.storage.queries import rows_by_day
from throughline.storage.records import LedgerRow
from throughline.strategy.score import score
from throughline.tracking.records import make_row, reference
from throughline.tracking.versions import read_body


def create_candidates(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write one candidate per admitted scan row, read from the sealed scans of each of `days`.

    Where models may decide (model policy 'gated') a candidate has their decision as well, and days must come in
    order: an episode goes on from the days before. Raises MissingPredecessor for a day that is missing before them.
    """
    days = require_days(ctx, days)
    with ctx.engine.connect() as conn, deciding(ctx, conn, days) as router:
        blocked = blocked_by_upstream(ctx, conn, "trade_candidates", days)
        chunk = screened(ctx, conn, days)
        require_unrevised(ctx, conn, ctx.view.read_days(days))
        scans = rows_by_day(conn, "market_scans", ctx.experiment.id, days)
        entries: list[HotEntry] = []
        drafts = (
            DayDraft(day) if day in blocked else _draft(ctx, chunk, day, rows, router, entries) for day, rows in scans
        )
        results = seal_days(ctx, "trade_candidates", drafts, blocked)
    if ctx.hot is not None:
        ctx.hot.publish(entries)  # after the seal: what is served is recorded
    return results


def _draft(
    ctx: FlowContext,
    chunk: ScreenedChunk,
    day: date,
    scans: Sequence[LedgerRow],
    router: ModelRouter | None,
    entries: list[HotEntry],
) -> DayDraft:
    """Return the candidates of a day. entries: gets their vectors where somebody reads them online."""
    bodies: list[dict[str, Any]] = []
    rows: list[LedgerRow] = []
    for scan in sorted(scans, key=lambda row: row.columns["decision_time"]):
        for body, vector in _bodies(ctx, chunk, scan, day, router):
            row = make_row("candidates", body, ctx.run_id)
            bodies.append(body)
            rows.append(row)
            if ctx.hot is not None:
                entries.append(_hot_entry(row, vector))
    return DayDraft(
        day=day,
        rows={"candidates": rows},
        leaves=[row.content_hash for row in rows],
        gate_rows=_gate_rows(bodies, rows, day),
        gate_day={"candidates": len(rows)},
        details={"candidates": len(rows)},
    )


def _hot_entry(row: LedgerRow, vector: FeatureVector) -> HotEntry:
    at = row.columns["decision_time"]
    return HotEntry(row.columns["instrument"], row.uuid, at, at, feature_schema(), vector.hash, vector.values)


def _bodies(
    ctx: FlowContext, chunk: ScreenedChunk, scan: LedgerRow, day: date, router: ModelRouter | None
) -> Iterator[tuple[dict[str, Any], FeatureVector]]:
    """Yield the body of each admitted signal of a scan, with its feature vector."""
    settings = ctx.experiment.configuration
    scanned = read_body("market_scans", scan.body)
    for signal in scanned["rows"]:
        if not signal["admitted"]:
            continue
        features = {name: None if text is None else float(text) for name, text in signal["features"].items()}
        rated = score(features, settings.strategy, settings.sizing)
        scores = {
            "confidence": score_text(rated.confidence),
            "opportunity": score_text(rated.opportunity),
            "parts": {name: score_text(value) for name, value in rated.parts.items()},
        }
        source, decided_at = ctx.provider.description, scanned["decision_time"]
        vector = feature_vector(snapshot_at(chunk, source, signal, decided_at, reference(scan), scores))
        decision = router.decide(signal["segment"], decided_at, vector) if router is not None else None
        body = {
            "arm": "champion" if decision is None else decision.arm,
            "confidence": scores["confidence"],
            "created_by": scanned["strategy"],
            "data_seals": scanned["data_seals"],
            "decision": None if decision is None else decision.body,
            "decision_time": decided_at,
            "experiment": ctx.experiment.id,
            "features": signal["features"],
            "features_hash": vector.hash,
            "instrument": signal["instrument"],
            "missing": list(rated.missing),
            "model_hash": None if decision is None or decision.model == RULE else decision.model,
            "model_version": RULE if decision is None else decision.model,
            "notional_usd": signal["notional_usd"],
            "opportunity_score": scores["opportunity"],
            "params_ptr": configuration_pointer(ctx.experiment, "strategy"),
            "partition": day,
            "scan": reference(scan),
            "scores": scores["parts"],
            "segment": signal["segment"],
            "side": "buy",
            "strategy": scanned["strategy"],
            "verdicts": signal["verdicts"],
        }
        yield body, vector


def _number(text: str | None) -> float:
    return float("nan") if text is None else float(text)


def _gate_rows(bodies: Sequence[Mapping[str, Any]], rows: Sequence[LedgerRow], day: date) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "partition": [day] * len(rows),
            "key": [str(row.uuid) for row in rows],
            "instrument": [body["instrument"] for body in bodies],
            "decision_time": [body["decision_time"] for body in bodies],
            "decision_day": [date.fromisoformat(body["decision_time"][:10]) for body in bodies],
            "confidence": [float(body["confidence"]) for body in bodies],
            "opportunity_score": [float(body["opportunity_score"]) for body in bodies],
            "momentum": [_number(body["features"]["momentum"]) for body in bodies],
            "volatility": [_number(body["features"]["volatility"]) for body in bodies],
            "market_cap": [_number(body["features"]["market_cap"]) for body in bodies],
            "volume_24h": [_number(body["features"]["volume_24h"]) for body in bodies],
            "notional_usd": [float(body["notional_usd"]) for body in bodies],
        }
    )
