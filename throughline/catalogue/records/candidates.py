"""A trade opportunity at one decision instant: the head of a chain."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind

RECORD = RecordKind(
    table="candidates",
    kind="candidate",
    asset="trade_candidates",
    event_time="decision_time",
    natural_key=("segment", "strategy", "side"),
    links={"scan": "market_scans"},
    columns=(
        Column("scan_uuid", "uuid", "scan.uuid", nullable=True),
        Column("instrument"),
        Column("segment"),
        Column("decision_time", "instant"),
        Column("strategy"),
        Column("side"),
        Column("confidence", "number"),
        Column("opportunity_score", "number", nullable=True),
        Column("model_version"),
        Column("params_ptr"),
        Column("created_by"),
    ),
    versions={
        1: "arm confidence created_by data_seals decision_time experiment features instrument missing "
        "model_version notional_usd opportunity_score params_ptr partition scan scores segment side "
        "strategy verdicts",
        2: "decision features_hash model_hash",
    },
)
