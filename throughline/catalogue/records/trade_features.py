"""The features of a decision beside its label, on the day that the label was known."""

from __future__ import annotations

from throughline.catalogue.record import Column, RecordKind, TableIndex

RECORD = RecordKind(
    table="trade_features",
    kind="trade_feature",
    asset="trade_features",
    event_time="resolved_at",
    parent="research",
    natural_key=("source",),
    links={
        "candidate": "candidates",
        "research": "research_docs",
        "shadow": "shadow_outcomes",
        "outcome": "outcomes",
    },
    columns=(
        Column("candidate_uuid", "uuid", "candidate.uuid"),
        Column("research_uuid", "uuid", "research.uuid"),
        Column("source"),
        Column("resolved_at", "instant"),
        Column("net_return", "number", "label.net_return"),
        Column("features_hash", "text", "features.hash"),
        Column("schema", "text", "features.schema"),
    ),
    versions={
        1: "candidate decision_time experiment features instrument label outcome partition research "
        "resolved_at segment shadow source",
    },
    indexes=(TableIndex(("candidate_uuid", "source")),),
)
