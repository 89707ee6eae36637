"""Stage `research_snapshots`: everything that was known about a candidate at its decision instant, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from throughline.experiment.identity import configuration_pointer
from throughline.features.vector import feature_schema
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.knowledge import place_of, snapshot_at
from throughline.flow.market_view import ScreenedChunk, artifact_bytes, day_ms, known_at
from throughline.flow.research_signals import math_at
from throughline.flow.scan import screened
from throughline.flow.sealing import DayDraft, blocked_by_upstream, require_days, require_unrevised, seal_days
from throughline.identity import decimal_text, parse_time, time_text_ms
from throughline.market.lines_so_far import lines_so_far
from throughline.storage.queries import record_artifacts, rows_by_day
from throughline.storage.records import LedgerRow
from throughline.strategy.score import Score, rationale
from throughline.tracking.day_records import Candidate
from throughline.tracking.records import make_row

_EPOCH_1970 = datetime(1970, 1, 1, tzinfo=UTC)

_EXPECTED = ("market_cap", "volume_24h", "pool_reserve", "top10_share", "lp_locked_share", "sentiment")
"""References that the strategy can use; a source that has one of them not at all leaves it missing."""


def write_research(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write one research document per candidate of each of `days`."""
    days = require_days(ctx, days)
    with ctx.engine.connect() as conn:
        blocked = blocked_by_upstream(ctx, conn, "research_snapshots", days)
        chunk = screened(ctx, conn, days)
        require_unrevised(ctx, conn, ctx.view.read_days(days))
        candidates = rows_by_day(conn, "candidates", ctx.experiment.id, days)
        drafts = (DayDraft(day) if day in blocked else _draft(ctx, chunk, day, rows) for day, rows in candidates)
        return seal_days(ctx, "research_snapshots", drafts, blocked)


def _draft(ctx: FlowContext, chunk: ScreenedChunk, day: date, rows: Sequence[LedgerRow]) -> DayDraft:
    candidates = [Candidate.of(row) for row in rows]
    places = [place_of(chunk, item.instrument, item.decision_time) for item in candidates]
    so_far = _store_so_far(ctx, chunk, day, places)
    bodies = [
        _body(ctx, chunk, item, day, place, so_far.get(place[0]))
        for item, place in zip(candidates, places, strict=True)
    ]
    documents = [make_row("research_docs", body, ctx.run_id) for body in bodies]
    return DayDraft(
        day=day,
        rows={"research_docs": documents},
        leaves=[row.content_hash for row in documents],
        gate_rows=_gate_rows(bodies, documents, day),
        gate_day={"candidates": len(candidates), "documents": len(documents)},
        details={"documents": len(documents)},
    )


def _store_so_far(
    ctx: FlowContext, chunk: ScreenedChunk, day: date, places: Sequence[tuple[int, int]]
) -> dict[int, str]:
    """Store what was known of the day at each decision instant; return panel row -> hash of the artifact.

    One artifact holds the lines of all instruments decided on at an instant: a file for each candidate, flushed to the
    disk, took more time than all else. A decision at midnight reads nothing of its day and has none.
    """
    columns: dict[int, set[int]] = {}
    for row, column in places:
        if chunk.panel.open_time[row] >= day_ms(day):
            columns.setdefault(row, set()).add(column)
    if not columns:
        return {}
    data = [artifact_bytes(lines_so_far(chunk.panel, day, sorted(columns[row]), row)) for row in columns]
    refs = ctx.artifacts.put_many(data, "market_bars_so_far", "application/jsonl")
    with ctx.engine.begin() as conn:
        record_artifacts(conn, refs)
    return {row: ref.hash for row, ref in zip(columns, refs, strict=True)}


def _body(
    ctx: FlowContext, chunk: ScreenedChunk, candidate: Candidate, day: date, place: tuple[int, int], so_far: str | None
) -> dict[str, Any]:
    """Return the document of a candidate at `place`. so_far: hash of what was known of the day at its instant."""
    texts = candidate.features
    features = {name: None if text is None else float(text) for name, text in texts.items()}
    rated = Score(candidate.opportunity, float(candidate.scores["confidence"]), {}, candidate.missing)
    inputs, missing = _inputs(ctx, chunk, place, day, so_far)
    signal = {
        "features": texts,
        "instrument": candidate.instrument,
        "notional_usd": candidate.notional_usd,
        "segment": candidate.segment,
    }
    source, decided_at = ctx.provider.description, candidate.decision_time
    known = snapshot_at(chunk, source, signal, decided_at, candidate.scan, candidate.scores)
    return {
        "candidate": candidate.reference,
        "code_version": ctx.experiment.code_hash,
        "configuration": configuration_pointer(ctx.experiment, "strategy"),
        "contract_address": None,
        "decision_time": decided_at,
        "experiment": ctx.experiment.id,
        # The vector is computed once, for the decision; `verify` computes it again from this document.
        "features": {"hash": candidate.features_hash, "schema": feature_schema()},
        "initial_market_cap": _money(features["market_cap"]),
        "inputs": inputs,
        "instrument": candidate.instrument,
        "missing": missing,
        "partition": day,
        "rugpull_heuristic_scores": {
            name: texts[name] for name in ("rug_risk", "reserve_drop") if texts[name] is not None
        },
        "scan_row": known["scan_row"],
        "signals": known["signals"] | {"math": math_at(ctx.experiment.configuration, source, features["volatility"])},
        "scores": candidate.scores,
        "social_sentiment_scores": {"sentiment": texts["sentiment"]} if features["sentiment"] else {},
        "trade_rationale": rationale(candidate.instrument, features, rated, candidate.verdicts),
        "verdicts": candidate.verdicts,
        "volume_24h": _money(features["volume_24h"]),
    }


def _money(value: float | None) -> str | None:
    return None if value is None else decimal_text(value)


def _inputs(
    ctx: FlowContext, chunk: ScreenedChunk, place: tuple[int, int], day: date, so_far: str | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return every input of the decision with its times and artifact, and the names of those that were missing."""
    panel, source = chunk.panel, ctx.provider.description
    row, column = place
    inputs: list[dict[str, Any]] = []
    missing: list[str] = []

    def add(name: str, value: float | None, origin: str, event: int, available: int, row_open: int) -> None:
        if value is None or value != value:
            missing.append(name)
            return
        inputs.append(
            {
                "artifact": _artifact(ctx, row_open, day, so_far),
                "availability": source.availability,
                "available_at": time_text_ms(available),
                "event_time": time_text_ms(event),
                "name": name,
                "source": origin,
                "value": decimal_text(value),
            }
        )

    closes = [("close", row)]
    before = int(chunk.features.reference_row[row, column])
    if before >= 0:
        closes.append(("momentum_reference_close", before))
    for name, at in closes:
        opened = int(panel.open_time[at])
        add(name, float(panel.close[at, column]), f"{source.name}:close", opened, opened + panel.interval_ms, opened)
    opened = int(panel.open_time[row])
    volume = float(panel.volume[row, column])
    add("bar_volume", volume, f"{source.name}:volume", opened, opened + panel.interval_ms, opened)
    for name in sorted(panel.references):
        item = panel.references[name]
        value, event, available = known_at(item, row, column)
        add(name, value, item.source, event, available, opened)
    missing.extend(name for name in _EXPECTED if name not in panel.references)
    return inputs, sorted(set(missing))


def _artifact(ctx: FlowContext, row_open: int, day: date, so_far: str | None) -> str | None:
    """Return the hash of the stored bytes that hold the bar opening at `row_open` and what was known with it.

    A day that was over at the decision is named whole (days before the epoch were stored with the epoch's own bars);
    of the decision's own day only what was known by then.
    """
    opened = (_EPOCH_1970 + timedelta(milliseconds=row_open)).date()
    return ctx.view.artifact(opened) if opened < day else so_far


def _gate_rows(bodies: Sequence[Mapping[str, Any]], rows: Sequence[LedgerRow], day: date) -> pd.DataFrame:
    lags = []
    for body in bodies:
        latest = max(parse_time(item["available_at"]) for item in body["inputs"])
        lags.append((parse_time(body["decision_time"]) - latest).total_seconds())
    return pd.DataFrame(
        {
            "partition": [day] * len(rows),
            "key": [str(row.uuid) for row in rows],
            "candidate": [body["candidate"]["uuid"] for body in bodies],
            "inputs": [len(body["inputs"]) for body in bodies],
            "latest_available_lag_s": lags,
            "missing": [len(body["missing"]) for body in bodies],
            "rationale_length": [len(body["trade_rationale"]) for body in bodies],
        }
    )
