"""Stage `trade_features`: what was known of each decision, beside how it ended, on the day that its end was known.

One row per resolved label: of the shadow outcome, and of the real outcome where the candidate was traded. A row of day
D is usable from the end of D, never earlier; that is why features and label are joined here and not at the decision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pandas as pd
from sqlalchemy import Connection

from throughline.features.vector import feature_schema, feature_vector
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.market_view import DAY, midnight
from throughline.flow.sealing import DayDraft, blocked_by_upstream, require_days, seal_days
from throughline.identity import score_text, time_text
from throughline.learning.types import NOT_LABELS, STOPPED, TOTAL_LOSS
from throughline.storage.queries import read_of_candidates, read_rows
from throughline.storage.records import LedgerRow
from throughline.tracking.records import make_row, reference


def label_features(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write one row per label that resolved in each of `days`.

    A candidate without a research snapshot (its day was blocked) has no features, and so gives no row; an end at a
    doubtful price jump is no label, executed or shadow. The day's details count both.
    """
    wanted = require_days(ctx, days)
    drafts = []
    with ctx.engine.connect() as conn:
        blocked_by_upstream(ctx, conn, "trade_features", wanted)  # raises where one is not sealed or not open
        for day in wanted:
            found = [*_shadows(ctx, conn, day), *_executed(ctx, conn, day)]
            ends = [end for end in found if not NOT_LABELS.intersection(end.flags)]
            research = read_of_candidates(conn, "research_docs", [end.candidate for end in ends])
            bodies = [_body(research[end.candidate], day, end) for end in ends if end.candidate in research]
            rows = [make_row("trade_features", body, ctx.run_id) for body in bodies]
            drafts.append(
                DayDraft(
                    day=day,
                    rows={"trade_features": rows},
                    leaves=[row.content_hash for row in rows],
                    gate_rows=_gate_rows(bodies, rows, day),
                    gate_day={"labels": len(rows)},
                    details={
                        "doubtful_jump": len(found) - len(ends),
                        "labels": len(rows),
                        "without_snapshot": len(ends) - len(rows),
                    },
                )
            )
    return seal_days(ctx, "trade_features", drafts, blocked={})


@dataclass(frozen=True)
class _End:
    """How a candidate's trade ended: of which source, with which record, its net return (percent), the label's
    interval, why, and with which flags."""

    candidate: UUID
    source: str
    record: Mapping[str, str]
    percent: str
    interval: tuple[str, str]
    reason: str
    flags: tuple[str, ...]


def _shadows(ctx: FlowContext, conn: Connection, day: date) -> list[_End]:
    rows = read_rows(conn, "shadow_outcomes", ctx.experiment.id, day, day)
    return [
        _End(
            row.columns["candidate_uuid"],
            "shadow",
            reference(row),
            told["return_percent"],
            (told["entry_time"], told["exit_time"]),
            told["termination_reason"],
            tuple(told["flags"]),
        )
        for row in rows
        if (told := json.loads(row.body))["return_percent"] is not None  # an expired one was never in the market
    ]


def _executed(ctx: FlowContext, conn: Connection, day: date) -> list[_End]:
    rows = read_rows(conn, "outcomes", ctx.experiment.id, day, day)
    result = []
    for row in rows:
        told = json.loads(row.body)
        interval = (told["label"]["t0"], told["label"]["t1"])
        candidate, percent = row.columns["candidate_uuid"], told["realized_pnl_percent"]
        why, flags = told["termination_reason"], tuple(told["flags"])
        result.append(_End(candidate, "executed", reference(row), percent, interval, why, flags))
    return result


def _body(research: LedgerRow, day: date, end: _End) -> dict[str, Any]:
    told = json.loads(research.body)
    vector = feature_vector(told)
    net = Decimal(end.percent) / 100
    return {
        "candidate": told["candidate"],
        "decision_time": told["decision_time"],
        "experiment": research.experiment,
        "features": {"hash": vector.hash, "schema": feature_schema(), "values": dict(vector.values)},
        "instrument": told["instrument"],
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
        "research": reference(research),
        "resolved_at": end.interval[1],
        "segment": told["scan_row"]["segment"],
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
            "missing_share": [sum(item is None for item in told.values()) / len(told) for told in values],
            "features": [len(told) for told in values],
        }
    )
