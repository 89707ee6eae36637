"""Stage `trade_features`: what was known of each decision, beside how it ended, on the day that its end was known.

One row per resolved label: of the shadow outcome, and of the real outcome where the candidate was traded. A row of day
D is usable from the end of D, never earlier; that is why features and label are joined here and not at the decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd
from sqlalchemy import Connection

from throughline.features.vector import FeatureVector, feature_schema, feature_vector
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.market_view import DAY, midnight
from throughline.flow.sealing import DayDraft, blocked_by_upstream, require_days, seal_days
from throughline.identity import score_text, time_text
from throughline.learning.types import NOT_LABELS, STOPPED, TOTAL_LOSS
from throughline.storage.queries import read_of_candidates, rows_by_day
from throughline.storage.records import LedgerRow
from throughline.tracking.day_records import Outcome, Research, Shadow
from throughline.tracking.records import make_row


def label_features(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write one row per label that resolved in each of `days`.

    A candidate without a research snapshot (its day was blocked) has no features, and so gives no row; an end at a
    doubtful price jump is no label, executed or shadow. The day's details count both.
    """
    days = require_days(ctx, days)
    with ctx.engine.connect() as conn:
        blocked_by_upstream(ctx, conn, "trade_features", days)  # raises where one is not sealed or not open
        shadows = rows_by_day(conn, "shadow_outcomes", ctx.experiment.id, days)
        outcomes = rows_by_day(conn, "outcomes", ctx.experiment.id, days)
        drafts = (
            _draft(ctx, conn, day, [*_shadow_ends(counterfactual), *_executed_ends(executed)])
            for (day, counterfactual), (_, executed) in zip(shadows, outcomes, strict=True)
        )
        return seal_days(ctx, "trade_features", drafts, blocked={})


def _draft(ctx: FlowContext, conn: Connection, day: date, ends: Sequence[_End]) -> DayDraft:
    labels = [end for end in ends if not NOT_LABELS.intersection(end.flags)]
    documents = read_of_candidates(conn, "research_docs", [UUID(end.candidate["uuid"]) for end in labels])
    research = {str(candidate): Research.of(row) for candidate, row in documents.items()}
    vectors = {key: feature_vector(item.snapshot) for key, item in research.items()}
    known = [end for end in labels if end.candidate["uuid"] in research]
    bodies = [_body(research[end.candidate["uuid"]], vectors[end.candidate["uuid"]], day, end) for end in known]
    rows = [make_row("trade_features", body, ctx.run_id) for body in bodies]
    return DayDraft(
        day=day,
        rows={"trade_features": rows},
        leaves=[row.content_hash for row in rows],
        gate_rows=_gate_rows(bodies, rows, day),
        gate_day={"labels": len(rows)},
        details={
            "doubtful_jump": len(ends) - len(labels),
            "labels": len(rows),
            "without_snapshot": len(labels) - len(rows),
        },
    )


@dataclass(frozen=True)
class _End:
    """How a candidate's trade ended.

    candidate, record: {uuid, hash} of the candidate and of the outcome; source: 'shadow' or 'executed';
    percent: net return; interval: the label's times; reason, flags: of the end.
    """

    candidate: Mapping[str, str]
    source: str
    record: Mapping[str, str]
    percent: str
    interval: tuple[str, str]
    reason: str
    flags: tuple[str, ...]


def _shadow_ends(rows: Iterable[LedgerRow]) -> Iterator[_End]:
    for item in map(Shadow.of, rows):
        if item.return_percent is not None and item.entry_time is not None and item.exit_time is not None:
            interval = (item.entry_time, item.exit_time)
            yield _End(item.candidate, "shadow", item.reference, item.return_percent, interval, item.reason, item.flags)


def _executed_ends(rows: Iterable[LedgerRow]) -> Iterator[_End]:
    for item in map(Outcome.of, rows):
        interval = (item.entry_time, item.exit_time)
        yield _End(item.candidate, "executed", item.reference, item.return_percent, interval, item.reason, item.flags)


def _body(research: Research, vector: FeatureVector, day: date, end: _End) -> dict[str, Any]:
    net = Decimal(end.percent) / 100
    return {
        "candidate": research.candidate,
        "decision_time": research.decision_time,
        "experiment": research.snapshot["experiment"],
        "features": {"hash": vector.hash, "schema": feature_schema(), "values": vector.values},
        "instrument": research.instrument,
        "label": {
            "lost": float(net) <= TOTAL_LOSS,
            "net_return": score_text(net),
            "reason": end.reason,
            "stopped": end.reason in STOPPED,
            "t0": end.interval[0],
            "t1": end.interval[1],
        },
        "outcome": end.record if end.source == "executed" else None,
        "partition": day,
        "research": research.reference,
        "resolved_at": end.interval[1],
        "segment": research.segment,
        "shadow": end.record if end.source == "shadow" else None,
        "source": end.source,
    }


def _gate_rows(bodies: Sequence[Mapping[str, Any]], rows: Sequence[LedgerRow], day: date) -> pd.DataFrame:
    values = [body["features"]["values"] for body in bodies]
    opened, over = time_text(midnight(day)), time_text(midnight(day + DAY))  # an exit at the last close is at `over`
    return pd.DataFrame(
        {
            "partition": [day] * len(rows),
            "key": [str(row.uuid) for row in rows],
            "candidate": [body["candidate"]["uuid"] for body in bodies],
            "source": [body["source"] for body in bodies],
            "decision_time": [body["decision_time"] for body in bodies],
            "net_return": [float(body["label"]["net_return"]) for body in bodies],
            "decided_before_entry": [int(body["decision_time"] <= body["label"]["t0"]) for body in bodies],
            "entered_before_exit": [int(body["label"]["t0"] <= body["label"]["t1"]) for body in bodies],
            "resolved_in_day": [int(opened <= body["resolved_at"] <= over) for body in bodies],
            "missing_share": [sum(text is None for text in vector.values()) / len(vector) for vector in values],
            "features": [len(vector) for vector in values],
        }
    )
