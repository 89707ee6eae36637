"""Stage `trade_features`: what was known of each decision, beside how it ended, on the day that its end was known.

One row per resolved label: of the shadow outcome, and of the real outcome where the candidate was traded. A row of day
D is usable from the end of D, never earlier; that is why features and label are joined here and not at the decision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
from sqlalchemy import Connection

from throughline.features.vector import feature_schema, feature_vector
from throughline.flow.context import DayResult, FlowContext
from throughline.flow.market_view import DAY, midnight
from throughline.flow.sealing import DayDraft, blocked_days, require_days, seal_days
from throughline.identity import SCHEMA_VERSION, score_text, time_text
from throughline.learning.types import STOPPED, TOTAL_LOSS
from throughline.storage.queries import read_of_candidates, read_rows
from throughline.storage.records import LedgerRow
from throughline.tracking.records import make_row, reference


def label_features(ctx: FlowContext, days: Sequence[date]) -> list[DayResult]:
    """Write one row per label that resolved in each of `days`."""
    wanted = require_days(ctx, days)
    drafts = []
    with ctx.engine.connect() as conn:
        blocked_days(ctx, conn, ("outcomes", "shadow_outcomes"), wanted)  # raises where one is not sealed or not open
        for day in wanted:
            bodies = [*_shadows(ctx, conn, day), *_executed(ctx, conn, day)]
            rows = [make_row("trade_features", body, ctx.run_id) for body in bodies]
            drafts.append(
                DayDraft(
                    day=day,
                    rows={"trade_features": rows},
                    leaves=[row.content_hash for row in rows],
                    gate_rows=_gate_rows(bodies, rows, day),
                    gate_day={"labels": len(rows)},
                    details={"labels": len(rows)},
                )
            )
    return seal_days(ctx, "trade_features", drafts, blocked={})


def _shadows(ctx: FlowContext, conn: Connection, day: date) -> list[dict[str, Any]]:
    rows = read_rows(conn, "shadow_outcomes", ctx.experiment.id, day, day)
    told = [(row, body) for row in rows if (body := json.loads(row.body))["return_percent"] is not None]
    research = read_of_candidates(conn, "research_docs", [row.columns["candidate_uuid"] for row, _ in told])
    return [
        _body(
            research[row.columns["candidate_uuid"]],
            day,
            "shadow",
            {"shadow": reference(row), "outcome": None},
            body["return_percent"],
            (body["entry_time"], body["exit_time"]),
            body["termination_reason"],
        )
        for row, body in told
    ]


def _executed(ctx: FlowContext, conn: Connection, day: date) -> list[dict[str, Any]]:
    rows = read_rows(conn, "outcomes", ctx.experiment.id, day, day)
    research = read_of_candidates(conn, "research_docs", [row.columns["candidate_uuid"] for row in rows])
    result = []
    for row in rows:
        body = json.loads(row.body)
        result.append(
            _body(
                research[row.columns["candidate_uuid"]],
                day,
                "executed",
                {"shadow": None, "outcome": reference(row)},
                body["realized_pnl_percent"],
                (body["label"]["t0"], body["label"]["t1"]),
                body["termination_reason"],
            )
        )
    return result


def _body(
    research: LedgerRow,
    day: date,
    source: str,
    ends: Mapping[str, Mapping[str, str] | None],
    percent: str,
    interval: tuple[str, str],
    reason: str,
) -> dict[str, Any]:
    told = json.loads(research.body)
    vector = feature_vector(told)
    net = Decimal(percent) / 100
    return {
        "candidate": told["candidate"],
        "decision_time": told["decision_time"],
        "experiment": research.experiment,
        "features": {"hash": vector.hash, "schema": feature_schema(), "values": dict(vector.values)},
        "instrument": told["instrument"],
        "label": {
            "lost": float(net) <= TOTAL_LOSS,
            "net_return": score_text(net),
            "reason": reason,
            "stopped": reason in STOPPED,
            "t0": interval[0],
            "t1": interval[1],
        },
        "partition": day,
        "research": reference(research),
        "resolved_at": interval[1],
        "schema_version": SCHEMA_VERSION,
        "segment": told["scan_row"]["segment"],
        "source": source,
        **ends,
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
